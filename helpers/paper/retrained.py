"""FC100-100-10 trained otherwise: fewer passes over the images, another weight decay, other weights to start from."""

import torch

from helpers.adversarial.attack import attack
from helpers.digits import training
from helpers.digits.mnist import load_mnist
from helpers.digits.networks import DECAY_SCALE, RECIPES, error, halves, untrained
from helpers.paper import attacks
from helpers.paper.shown import NETWORKS, counts, length, misled, whole

NETWORK = "FC100-100-10"
EPOCHS = RECIPES[NETWORK].epochs
# From a name to (passes over the training images, scale of the weight decay, another start?)
VARIANTS = {
    "another start": (EPOCHS, DECAY_SCALE, True),
    "5 passes": (5, DECAY_SCALE, False),
    "no decay": (EPOCHS, 0.0, False),
    "decay at scale 1": (EPOCHS, 1.0, False),
    "decay at scale 10": (EPOCHS, 10.0, False),
}


def trained(name, variant, data, folder):
    """The network of a variant, trained once and then read from ``folder``; an interrupted training goes on.

    data: images (n, 784) and labels (n,).
    """
    path = folder / f"{name.replace(' ', '-')}.pt"
    network = untrained(NETWORK)
    if path.exists():
        network.load_state_dict(torch.load(path, weights_only=True))
        return network.eval().requires_grad_(False)
    folder.mkdir(parents=True, exist_ok=True)
    epochs, scale, other = variant
    order = start_order(data[0].shape[1]) if other else torch.arange(data[0].shape[1])
    checkpoint = path.with_suffix(".checkpoint")
    decay = [scale * l for l in RECIPES[NETWORK].decay]
    training.train(network, decay, (data[0][:, order], data[1]), checkpoint, epochs=epochs, title=name)
    first = network[0].weight.data
    first[:, order] = first.clone()
    training.save(network.state_dict(), path)
    checkpoint.unlink()
    return network.eval().requires_grad_(False)


def start_order(pixels):
    """An order of the pixels. A network trained on pixels in this order, and its first weights then put back, is one
    that has started from other weights: each pixel from those that were drawn for another."""
    return torch.randperm(pixels, generator=torch.Generator().manual_seed(attacks.SEED))


def trainings(count, folder, device="cpu"):
    """Of every variant, on the first training images, what table 2 would say with it in place of the stored network.

    "misleads": how many of ``count`` images each network of table 2 errs on, made for the variant (to the stored
    FC100-100-10 too). "misled by": on how many the variant errs, made for each network of table 2. "halves": the
    networks of P1 and P2 have started from the same weights; here P2's starts from others, on the test images of table
    4. A variant is trained once and kept in ``folder``. Returns a dict for JSON.
    """
    data = {split: load_mnist(split) for split in ("train", "test")}
    images, labels, targets = (part[:count].to(device) for part in attacks.digits("train"))
    made = {name: whole(attack(attacks.network_of(name, device), images, targets)).adversarial for name in NETWORKS}
    networks = {"as stored": attacks.network_of(NETWORK, device)}
    networks |= {name: trained(name, variant, data["train"], folder).to(device) for name, variant in VARIANTS.items()}
    found = {}
    for name, network in networks.items():
        result = whole(attack(network, images, targets))
        found[name] = {
            "errors": {split: error(network, *(part.to(device) for part in data[split])) for split in data},
            "reached": int(result.success.sum()),
            **length(result.distortion),
            "misleads": counts(result.adversarial, labels, device=device),
            "misled by": [int(misled(network, x, labels).sum()) for x in made.values()],
        }
    return {"all digits": found, "halves": _halves(count, data["train"], folder, device)}


def _halves(count, train, folder, device):
    images, labels, targets = (part[:count].to(device) for part in attacks.digits("test"))
    one, two = (attacks.network_of(f"{NETWORK} {part}", device) for part in ("P1", "P2"))
    other = trained("P2, another start", VARIANTS["another start"], halves(*train)["P2"], folder).to(device)
    networks = {"P1": one, "P2": two, "P2, another start": other}
    made = {name: whole(attack(network, images, targets)).adversarial for name, network in networks.items()}
    return {
        f"made for {maker}": {judge: int(misled(networks[judge], x, labels).sum()) for judge in networks}
        for maker, x in made.items()
    }
