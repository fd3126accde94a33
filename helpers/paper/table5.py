"""Table 5 of the paper, the operator norms of AlexNet's layers: for its shapes, and for torchvision's trained weights.

The paper's own weights are not to be had. What can be computed without a network connection are the norms of layers of
these shapes as training starts: normal random numbers of deviation 0.01, as Krizhevsky, Sutskever & Hinton (2012) took.
Three of their convolutions act on two groups of channels apart, which the shapes in the paper's table do not show: they
are computed both ways. torchvision's AlexNet is trained, but a later one, with fewer kernels and no groups (Krizhevsky
2014); it is a download of 233 MB.
"""

import json
import math
import textwrap
import time
from pathlib import Path

import torch
from tqdm.auto import tqdm

from helpers.paper import archive, spectral, tables
from helpers.photographs.networks import alexnet_weights

FILE = "table5.json"
SEED, DEVIATION = 0, 0.01
# name: (shape of the weights, (H, W) of the input, stride, padding, the paper's value), arXiv:1312.6199v4
PAPER = {
    "conv1": ((96, 3, 11, 11), (224, 224), 4, 2, 2.75),
    "conv2": ((256, 96, 5, 5), (27, 27), 1, 2, 10.0),
    "conv3": ((384, 256, 3, 3), (13, 13), 1, 1, 7.0),
    "conv4": ((384, 384, 3, 3), (13, 13), 1, 1, 7.5),
    "conv5": ((256, 384, 3, 3), (13, 13), 1, 1, 11.0),
    "fc1": ((4096, 9216), None, None, None, 3.12),
    "fc2": ((4096, 4096), None, None, None, 4.0),
    "fc3": ((1000, 4096), None, None, None, 4.0),
}
GROUPS = {"conv2": 2, "conv4": 2, "conv5": 2}  # of AlexNet's channels; all others meet
ABSENT = (
    "torchvision's trained AlexNet is not in this table: where its 233 MB can be fetched, "
    "python -m helpers.paper table5 adds it."
)
# The weights of the same layers in torchvision's state dictionary.
TRAINED = dict(
    zip(PAPER, (*(f"features.{i}" for i in (0, 3, 6, 8, 10)), *(f"classifier.{i}" for i in (1, 4, 6))), strict=True)
)


def table5(out):
    """Computes the norms, a minute or two on one core, and returns the report, a dictionary; ``table`` shows it.

    out: a folder. The report there is written, whole, after every layer; the same call goes on from there, and where
    all layers are done it only looks for the trained weights again, if they were missing; why they are, "message" says.
    """
    path, start = Path(out) / FILE, time.perf_counter()
    report = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"seconds": 0, "initial": {}}
    report |= {"seed": SEED, "deviation": DEVIATION}
    before = report["seconds"]
    try:
        trained, report["message"] = trained_weights(), None
    except FileNotFoundError as error:
        trained, report["message"] = {}, str(error)
    todo = []
    for kind, names in {"initial": PAPER, "grouped": GROUPS.keys() & PAPER.keys(), "trained": trained}.items():
        there = report.setdefault(kind, {})
        todo += [(kind, name) for name in sorted(names) if name not in there]
    for kind, name in tqdm(todo, desc="table 5", unit="layer", leave=False, delay=2):
        groups = GROUPS[name] if kind == "grouped" else 1
        weight = trained[name] if kind == "trained" else initial(name, groups)
        report[kind][name] = {"shape": list(weight.shape), "norm": norm(name, weight, groups)}
        report["seconds"] = round(before + time.perf_counter() - start, 1)
        report |= archive.made_by("python -m helpers.paper table5", threads=torch.get_num_threads())
        archive.write_json(report, path)
    archive.write_json(report, path)
    return report


def stored():
    """The report that is stored with the course."""
    return archive.stored(FILE)


def initial(name, groups=1):
    """The weights of a layer of the paper's AlexNet before training, float64: the same numbers on every machine."""
    generator = torch.Generator().manual_seed(SEED + list(PAPER).index(name))
    outputs, inputs, *kernel = PAPER[name][0]
    return DEVIATION * torch.randn(outputs, inputs // groups, *kernel, generator=generator, dtype=torch.float64)


def norm(name, weight, groups=1):
    """The operator norm of a fully connected layer; of a convolution, of any width, its bound on the torus.

    With groups it is the largest of theirs, since each acts on channels of its own.
    """
    _, size, stride, padding, _ = PAPER[name]
    if size is None:
        return spectral.matrix_norm(weight).item()
    outputs, inputs, *kernel = weight.shape
    options = {"stride": stride, "padding": padding, "groups": groups}
    layer = torch.nn.utils.skip_init(torch.nn.Conv2d, inputs * groups, outputs, kernel, **options)
    layer.weight = torch.nn.Parameter(weight, requires_grad=False)
    return spectral.convolution_bound(layer, (inputs * groups, *size))


def trained_weights():
    """The weights of torchvision's AlexNet by the names of PAPER, float32, from torch's cache or the network.

    Raises FileNotFoundError, with what to do, where they are in neither, and ValueError for a file in the cache that is
    not torchvision's.
    """
    try:
        weights = alexnet_weights()
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"{error} Where there is one, run python -m helpers.paper table5 again, which fetches 233 MB."
        ) from None
    return {name: weights[f"{key}.weight"] for name, key in TRAINED.items()}


def rows(report):
    """The report beside the paper's table 5, as rows of cells, the headings first; what was not computed is a dash.

    The columns of the trained network are there only where it is.
    """
    start = {name: row["norm"] for name, row in report["initial"].items()}
    grouped = {name: row["norm"] for name, row in report["grouped"].items()}
    grouped |= {name: value for name, value in start.items() if name not in GROUPS}
    columns = {"as training starts": start, "in two groups": grouped}
    if report["trained"]:
        columns["torchvision, trained"] = {name: row["norm"] for name, row in report["trained"].items()}
    found = [["layer", "shape as printed", "paper, trained", *columns]]
    for name, (shape, *_, paper) in PAPER.items():
        cells = [f"{values[name]:.2f}" if name in values else "–" for values in columns.values()]
        found.append([name, _times(shape), f"{paper:g}", *cells])
    products = [math.prod(v.values()) if len(v) == len(PAPER) else None for v in columns.values()]
    cells = [f"{value:.3g}" if value else "–" for value in (math.prod(row[-1] for row in PAPER.values()), *products)]
    found.append(["product", "", *cells])
    if report["trained"]:
        shapes = [_times(report["trained"][name]["shape"]) if name in report["trained"] else "–" for name in PAPER]
        found = [[*row, shape] for row, shape in zip(found, ["its shape", *shapes, ""], strict=True)]
    return found


def text(report):
    """The table as lines of at most 95 characters, with what it lacks."""
    said = "" if report["trained"] else textwrap.fill(ABSENT, 95, break_on_hyphens=False)
    return "\n\n".join(part for part in (tables.text(rows(report)), said) if part)


def table(report):
    """The same in Markdown."""
    heading, *others = rows(report)
    lines = [f"| {' | '.join(cells)} |" for cells in (heading, ["---"] * len(heading), *others)]
    return "\n".join(lines + ([] if report["trained"] else [f"\n{ABSENT}"]))


def _times(shape):
    return "×".join(map(str, shape))
