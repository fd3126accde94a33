"""The paper's MNIST networks (table 1), a convolutional one, and their stored weights."""

import json
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import nn

from helpers.digits import training
from helpers.digits.mnist import load_mnist

FOLDER = Path(__file__).parents[1] / "data" / "networks"
PARTS = ("P1", "P2")

# The paper states the weight decay, λ Σ w² / k, but not how the cross-entropy beside it is normalised. Averaged over
# images it leaves the decay at scale 1; averaged over the ten outputs too, at 10; with the usual halved squares, at 5.
# FC10 is a convex problem, so nothing else is free: data/networks/readings.md has its errors, and 5 is nearest.
DECAY_SCALE = 5.0


@dataclass(frozen=True)
class Recipe:
    """What the paper says about one network."""

    units: tuple[int, ...]  # of each fully connected layer
    decay: tuple[float, ...]  # λ of each trained layer: the loss gains DECAY_SCALE Σ_layers λ Σ_j w_j² / k
    paper: tuple[float, float] | None = None  # train and test error in percent, table 1
    autoencoder: bool = False  # the hidden layer is trained first, as a sparse autoencoder, and frozen
    channels: tuple[int, ...] = ()  # of convolutions before them, 5×5 with stride 2; the hidden units are then ReLU
    epochs: int = 30  # passes over the training images


RECIPES = {
    "FC10(1e-4)": Recipe((10,), (1e-4,), (6.7, 7.4)),
    "FC10(1e-2)": Recipe((10,), (1e-2,), (10.0, 9.4)),
    "FC10(1)": Recipe((10,), (1.0,), (21.2, 20.0)),
    "FC100-100-10": Recipe((100, 100, 10), (1e-5, 1e-5, 1e-6), (0.0, 1.64)),
    "FC200-200-10": Recipe((200, 200, 10), (1e-5, 1e-5, 1e-6), (0.0, 1.54)),
    "FC123-456-10": Recipe((123, 456, 10), (1e-5, 1e-5, 1e-6)),
    "CNN": Recipe((32, 10), (1e-5,) * 4, channels=(16, 32), epochs=10),  # not in the paper: what readers bring
    "AE400-10": Recipe((400, 10), (1e-6,), (0.57, 1.9), autoencoder=True),
}


def recipe(name):
    """The Recipe of a network. Raises ValueError, with the valid names, for any other name."""
    if name not in RECIPES:
        raise ValueError(f"there is no network {name!r}; the names are {', '.join(RECIPES)}")
    return RECIPES[name]


def untrained(name):
    """A Sequential with a Sigmoid (in the convolutional one a ReLU) after each layer but the last: (batch, 784) pixels
    in [0, 1] to (batch, 10) logits. Its weights are not set: torch's random generator stays where it was. Load or train
    it."""
    made, width = recipe(name), 784
    layers, bend = [], nn.Sigmoid
    if made.channels:
        layers, bend, side, below = [nn.Unflatten(1, (1, 28, 28))], nn.ReLU, 28, 1
        for channels in made.channels:
            layers += [nn.utils.skip_init(nn.Conv2d, below, channels, 5, stride=2, padding=2), bend()]
            side, below = side // 2, channels
        layers, width = [*layers, nn.Flatten()], below * side**2
    for units in made.units:
        layers += [nn.utils.skip_init(nn.Linear, width, units), bend()]
        width = units
    return nn.Sequential(*layers[:-1])


def load_network(name, device="cpu", part=None, folder=FOLDER):
    """A trained network of table 1 (or of table 3, with part).

    name: one of "FC10(1e-4)", "FC10(1e-2)", "FC10(1)", "FC100-100-10", "FC200-200-10", "AE400-10", "CNN".
    device: where its float32 weights go.
    part: "P1" or "P2" for the network trained on that half of the training set only.
    Returns a torch.nn.Sequential from (batch, 784) pixels in [0, 1] to (batch, 10) logits, in eval mode, whose
    parameters take no gradient. Raises ValueError for an unknown name or part, FileNotFoundError for a network that
    has not been trained.
    """
    path = weights_path(name, part, folder)
    if not path.exists():
        raise FileNotFoundError(f"{path.name} is not there yet; to make it:  {command(name, part)}")
    network = untrained(name)
    network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return network.eval().requires_grad_(False).to(device)


def weights_path(name, part=None, folder=FOLDER):
    """Where the weights are stored; parentheses leave the name, so that no shell or file system minds it."""
    recipe(name)
    if part is not None and part not in PARTS:
        raise ValueError(f'there is no part {part!r}: pass "P1" or "P2", or leave it out for the whole training set')
    stem = name.replace("(", "_").replace(")", "")
    return Path(folder) / f"{stem}{'.' + part if part else ''}.pt"


def error(network, images, labels):
    """The part of the images, in percent, to which the network gives another label than theirs."""
    with torch.no_grad():
        pieces = zip(images.split(5000), labels.split(5000), strict=True)
        wrong = sum(int((network(x).argmax(1) != y).sum()) for x, y in pieces)
    return 100 * wrong / len(labels)


def train(name, part=None, folder=FOLDER, data=None):
    """Trains a network, stores its weights and then its record, and returns the record.

    name, part: as in load_network. folder: where the files go. data: {"train": (images, labels), "test": ...}, by
    default MNIST. An interrupted training leaves a checkpoint in the folder and goes on from it. Runs on the CPU.
    """
    path = weights_path(name, part, folder)
    checkpoint = path.with_suffix(".checkpoint")
    if checkpoint.exists():
        print(f"Going on from {checkpoint.name}; delete it to start afresh.")
    data = data or {split: load_mnist(split) for split in ("train", "test")}
    sets = {"train": data["train"], "test": data["test"]}
    if part:
        sets = {**halves(*data["train"]), "test": data["test"]}
    network, made = untrained(name), RECIPES[name]
    title = f"{name} {part}" if part else name
    decay = [DECAY_SCALE * l for l in made.decay]
    options = {"autoencoder": made.autoencoder, "epochs": made.epochs, "title": title}
    seconds = training.train(network, decay, sets[part or "train"], checkpoint, **options)
    record = {
        "name": name,
        "part": part,
        "error_percent": {key: error(network, *value) for key, value in sets.items()},
        "cpu_seconds": round(seconds, 1),
        "date": date.today().isoformat(),
        "device": f"cpu, {torch.get_num_threads()} thread(s)",
        "torch": torch.__version__,
        "seed": training.SEED,
        "command": command(name, part),
    }
    training.save(network.state_dict(), path)
    path.with_suffix(".json").write_text(json.dumps(record, indent=2) + "\n")
    checkpoint.unlink()
    return record


def halves(images, labels):
    """P1 and P2 of tables 3 and 4: the first and the second half of the training set, in its own order."""
    return dict(zip(PARTS, zip(images.chunk(2), labels.chunk(2), strict=True), strict=True))


def table(folder=FOLDER):
    """Train and test error of every stored network, measured now, beside the paper's. Markdown."""
    data = {split: load_mnist(split) for split in ("train", "test")}
    lines = [
        "| network | train error | in the paper | test error | in the paper | CPU time |",
        "|---|---|---|---|---|---|",
    ]
    for name, made in RECIPES.items():
        path = weights_path(name, None, folder)
        if path.exists():
            network, record = load_network(name, folder=folder), json.loads(path.with_suffix(".json").read_text())
            cells = [name]
            for split, paper in zip(data, made.paper or (None, None), strict=True):
                cells += [f"{error(network, *data[split]):.2f}%", "–" if paper is None else f"{paper:g}%"]
            lines.append("| " + " | ".join([*cells, f"{record['cpu_seconds']:.0f} s"]) + " |")
    return "\n".join(lines)


def readings(scales=(1, 5, 10)):
    """Train and test errors of FC10(λ) for several values of DECAY_SCALE, trained now, beside the paper's. Markdown."""
    data = {split: load_mnist(split) for split in ("train", "test")}
    names = [name for name, made in RECIPES.items() if len(made.units) == 1]
    lines = ["| decay scale | " + " | ".join(f"{name}: train, test" for name in names) + " |", "|---" * 4 + "|"]
    for scale in scales:
        cells = []
        for name in names:
            network = untrained(name)
            with TemporaryDirectory() as folder:
                decay = [scale * l for l in RECIPES[name].decay]
                training.train(network, decay, data["train"], Path(folder) / "checkpoint", title=f"{name}, {scale}")
            cells.append(", ".join(f"{error(network, *data[split]):.2f}%" for split in data))
        lines.append(f"| {scale} | " + " | ".join(cells) + " |")
    paper = (f"{train:g}%, {test:g}%" for train, test in (RECIPES[name].paper for name in names))
    return "\n".join([*lines, "| the paper | " + " | ".join(paper) + " |"])


def command(name, part):
    return f'python -m helpers.digits train "{name}"' + (f" --part {part}" if part else "")
