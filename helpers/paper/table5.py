"""Table 5 of the paper, the operator norms of AlexNet's layers: for its shapes, and for torchvision's trained weights.

The paper's own weights are not to be had. What can be computed without a network connection are the norms of layers of
these shapes as training starts: normal random numbers of deviation 0.01, as Krizhevsky, Sutskever & Hinton (2012) took.
torchvision's AlexNet is trained, but a later one, with fewer kernels (Krizhevsky 2014); it is a download of 233 MB.
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
# name: (shape of the weights, (H, W) of the input, stride, padding, the paper's value)
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
# The weights of the same layers in torchvision's state dictionary.
TRAINED = dict(
    zip(PAPER, (*(f"features.{i}" for i in (0, 3, 6, 8, 10)), *(f"classifier.{i}" for i in (1, 4, 6))), strict=True)
)


def table5(out):
    """Computes the norms, a minute or two on one core, and returns the report, a dictionary; ``table`` shows it.

    out: a folder. The report there is written, whole, after every layer; the same call goes on from there, and where
    all layers are done it only looks for the trained weights again, if they were missing.
    """
    path, start = Path(out) / FILE, time.perf_counter()
    report = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"seconds": 0, "initial": {}}
    report |= {"seed": SEED, "deviation": DEVIATION}
    before = report["seconds"]
    try:
        trained, report["message"] = trained_weights(), None
    except FileNotFoundError as error:
        trained, report["message"] = {}, str(error)
    report.setdefault("trained", {})
    todo = [("initial", name) for name in PAPER if name not in report["initial"]]
    todo += [("trained", name) for name in trained if name not in report["trained"]]
    for kind, name in tqdm(todo, desc="table 5", unit="layer", leave=False, delay=2):
        weight = initial(name) if kind == "initial" else trained[name]
        report[kind][name] = {"shape": list(weight.shape), "norm": norm(name, weight)}
        report["seconds"] = round(before + time.perf_counter() - start, 1)
        report |= archive.made_by("python -m helpers.paper table5", threads=torch.get_num_threads())
        archive.write_json(report, path)
    archive.write_json(report, path)
    return report


def stored():
    """The report that is stored with the course."""
    return archive.stored(FILE)


def initial(name):
    """The weights of a layer of the paper's AlexNet before training, float64: the same numbers on every machine."""
    generator = torch.Generator().manual_seed(SEED + list(PAPER).index(name))
    return DEVIATION * torch.randn(PAPER[name][0], generator=generator, dtype=torch.float64)


def norm(name, weight):
    """The operator norm of a fully connected layer; of a convolution, of any width, its bound on the torus."""
    _, size, stride, padding, _ = PAPER[name]
    if size is None:
        return spectral.matrix_norm(weight).item()
    outputs, inputs, *kernel = weight.shape
    layer = torch.nn.utils.skip_init(torch.nn.Conv2d, inputs, outputs, kernel, stride=stride, padding=padding)
    layer.weight = torch.nn.Parameter(weight, requires_grad=False)
    return spectral.convolution_bound(layer, (inputs, *size))


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
    """The report beside the paper's table 5, as rows of cells, the headings first; what was not computed is a dash."""
    found = [["layer", "shape", "paper, trained", "as training starts", "torchvision, trained", "its shape"]]
    for name, (shape, *_, paper) in PAPER.items():
        cells = [name, _times(shape), f"{paper:g}"]
        cells.append(f"{report['initial'][name]['norm']:.2f}" if name in report["initial"] else "–")
        there = report["trained"].get(name)
        cells += [f"{there['norm']:.2f}", _times(there["shape"])] if there else ["–", "–"]
        found.append(cells)
    products = [math.prod(row[-1] for row in PAPER.values())]
    products += [math.prod(row["norm"] for row in report[kind].values()) for kind in ("initial", "trained")]
    complete = [True, *(len(report[kind]) == len(PAPER) for kind in ("initial", "trained"))]
    cells = [f"{value:.3g}" if whole else "–" for value, whole in zip(products, complete, strict=True)]
    return [*found, ["product", "", *cells, ""]]


def text(report):
    """The table as lines of at most 95 characters, with what the run had to say."""
    said = textwrap.fill(report["message"] or "", 95, break_on_hyphens=False)
    return "\n\n".join(part for part in (tables.text(rows(report)), said) if part)


def table(report):
    """The same in Markdown."""
    heading, *others = rows(report)
    lines = [f"| {' | '.join(cells)} |" for cells in (heading, ["---"] * len(heading), *others)]
    return "\n".join(lines + ([f"\n{report['message']}"] if report["message"] else []))


def _times(shape):
    return "×".join(map(str, shape))
