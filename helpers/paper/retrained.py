"""FC100-100-10 trained otherwise: fewer passes over the images, another weight decay, other weights to start from."""

import torch

from helpers.adversarial.attack import attack
from helpers.digits import training
from helpers.digits.mnist import load_mnist
from helpers.digits.networks import DECAY_SCALE, RECIPES, error, halves, untrained
from helpers.paper import attacks
from helpers.paper.shown import length, misled, whole

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
    """Of every variant: its errors, its lengths on the first training images, and what misleads the stored network.

    "to stored", "from stored": images of ``count`` that one's changes make the other get wrong. "halves": the networks
    of P1 and P2 have started from the same weights; here P2's starts from others, on the test images of table 4.
    """
    train, test = (load_mnist(split) for split in ("train", "test"))
    images, labels, targets = (part[:count].to(device) for part in attacks.digits("train"))
    stored = attacks.network_of(NETWORK, device)
    made = whole(attack(stored, images, targets))
    found = {"as stored": _row(stored, made, (train, test), device)}
    for name, variant in VARIANTS.items():
        network = trained(name, variant, train, folder).to(device)
        result = whole(attack(network, images, targets))
        found[name] = {
            **_row(network, result, (train, test), device),
            "to stored": int(misled(stored, result.adversarial, labels).sum()),
            "from stored": int(misled(network, made.adversarial, labels).sum()),
        }
    return {"all digits": found, "halves": _halves(count, train, folder, device)}


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


def _row(network, result, data, device):
    splits = zip(("train", "test"), data, strict=True)
    errors = {split: error(network, *(half.to(device) for half in part)) for split, part in splits}
    return {"errors": errors, "reached": int(result.success.sum()), **length(result.distortion)}
