"""Are the images that a unit likes best more alike than those of a random direction? Section 3 of the paper, measured.

``run`` measures every stored network and hidden layer, and ``table`` prints what it found. All intervals are percentile
bootstraps over directions, 95%: they say what other directions of the same kind would give, on these images and this
network.
"""

import json
import time
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from helpers.digits.mnist import load_mnist
from helpers.digits.networks import PARTS, RECIPES, load_network, weights_path
from helpers.paper import archive
from helpers.paper import directions as d
from helpers.paper.attacks import parted

FILE = "units.json"
DRAWS = 500  # directions of each kind, or all units where a layer has fewer
AXES = 16  # leading principal axes, each taken in both of its directions
SHARE = 0.99  # of the variance: what the whitened directions are made of. The axes of the rest are mostly noise
SIZES = (8, 32)  # images in a set: as many as a row of the paper's figures, and four times as many
RESAMPLED = 2000  # bootstrap samples
MEASURES = ("purity", "similarity", "centred")
HEADINGS = {"purity": "label purity", "similarity": "cosine", "centred": "cosine, mean removed"}
KINDS = {  # what a row of the table means
    "unit": "units: e_i",
    "lowest": "units, lowest images: −e_i",
    "random": "random directions v",
    "one place": "random, channels of one place",  # of a convolution only
    "before": "random, before nonlinearity",
    "whitened": "random, each axis alike",
    "principal": f"principal axes 1 to {AXES}, ±",
    "untrained unit": "units before training",
    "untrained random": "random before training",
}
OF_IMAGES = {"pixels": "random directions of pixels", "sets": "random sets of images"}


def interval(values, seed=0):
    """Mean of ``values``, (count,), with its 95% interval: [mean, low, high], a percentile bootstrap. None if empty."""
    values = np.asarray(values, dtype=float)
    if not len(values):
        return None
    return _rounded(values.mean(), _resampled_means(values, seed))


def difference(a, b):
    """mean(a) − mean(b) with its 95% interval, both resampled: [difference, low, high]. None if one is empty."""
    a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    if not (len(a) and len(b)):
        return None
    return _rounded(a.mean() - b.mean(), _resampled_means(a, 0) - _resampled_means(b, 1))


def _resampled_means(values, seed):
    rng = np.random.default_rng(seed)
    return values[rng.integers(len(values), size=(RESAMPLED, len(values)))].mean(1)


def _rounded(value, resampled):
    return [round(float(x), 4) for x in (value, *np.percentile(resampled, [2.5, 97.5]))]


def available():
    """The names of the stored networks with hidden layers; "FC123-456-10 P1" is the one trained on P1."""
    names = [(name, part) for name, made in RECIPES.items() if len(made.units) > 1 for part in (None, *PARTS)]
    return [f"{name} {part}" if part else name for name, part in names if weights_path(name, part).exists()]


def network_of(name):
    """The trained network and the same before its training, float64, by one of the names that ``available`` gives."""
    recipe, part = parted(name)
    return load_network(recipe, part=part).double(), d.before_training(recipe).double()


def some_units(width, draws):
    """``draws`` different units of a layer, in their order; all of them where there are fewer. (count,) int64."""
    order = torch.randperm(width, generator=torch.Generator().manual_seed(0))
    return order[:draws].sort().values


def kinds(network, raw, name, images, draws):
    """Yields (kind, φ, v) for every kind of direction v in the layer ``name``: φ (N, width), v (count, width).

    network, raw: trained and not. The random directions before and after the nonlinearity, and without training, are
    the same vectors v, and the units the same units, at whose places the mixes of channels are.
    """
    phi, shape = d.activations(network, images, name), d.hidden_layer(network, name).shape
    width = phi.shape[1]
    some = some_units(width, draws)
    unit, random = d.unit_directions(width, some), d.random_directions(width, draws)
    yield "unit", phi, unit
    yield "lowest", phi, -unit
    yield "random", phi, random
    if has_places(shape):
        yield "one place", phi, d.place_directions(shape, some)
    yield "before", d.activations(network, images, name, before=True), random
    variance, axes = d.principal_axes(phi)
    most = d.leading(variance, SHARE)
    yield "whitened", phi, d.whitened_directions(variance[:most], axes[:most], draws)
    yield "principal", phi, torch.cat([axes[:AXES], -axes[:AXES]])
    phi = d.activations(raw, images, name)
    yield "untrained unit", phi, unit
    yield "untrained random", phi, random


def has_places(shape):
    """Is this the shape of a convolution's activations, (channels, rows, columns)?"""
    return len(shape) == 3


def kinds_of(layer):
    """The kinds of directions that are measured in a Layer, in their order."""
    return [kind for kind in KINDS if kind != "one place" or has_places(layer.shape)]


def measure(images, labels, phi, v):
    """What a row of the table says: the record of one kind for each size of set, and the values, for differences."""
    record, values = {"directions": len(v)}, {}
    for k in SIZES:
        top, unique = d.top_images(phi, v, k)
        record[str(k)], values[k] = _record(images, labels, top[unique])
        record[str(k)]["left_out"] = int((~unique).sum())
    return record, values


def _record(images, labels, top):
    values = d.alike(images, labels, top)
    return {**{name: interval(values[name]) for name in MEASURES}, "overlap": overlap(top)}, values


def overlap(top):
    """The share of a set's images that another set has too, on average over all pairs of sets; None without a pair.

    top: (count, k), the places of each set's images, which are different ones.
    """
    count, k = top.shape
    if count < 2:
        return None
    often = torch.bincount(top.flatten()).double()  # the sets that an image is in
    return round(float((often * (often - 1)).sum()) / (count * (count - 1) * k), 5)


def layer_record(network, raw, layer, images, labels, draws, bar):
    """All kinds of directions in one Layer, as a dict; see ``run``. ``bar`` moves on by one a kind."""
    found, values = {}, {}
    for kind, phi, v in kinds(network, raw, layer.name, images, draws):
        found[kind], values[kind] = measure(images, labels, phi, v)
        if kind == "unit":
            dead = int((phi.amax(0) == phi.amin(0)).sum())
            variance = d.principal_axes(phi)[0]
        bar.update()
    differences = {
        f"unit − {other}": {
            str(k): {name: difference(values["unit"][k][name], values[other][k][name]) for name in MEASURES}
            for k in SIZES
        }
        for other in ("random", "one place", "before", "untrained unit")
        if other in values
    }
    return {
        "shape": list(layer.shape),
        "dead": dead,
        "axes": len(variance),
        "axes_of_90_percent": d.leading(variance, 0.9),
        "axes_of_99_percent": d.leading(variance, SHARE),
        "effective_axes": round(float(variance.sum() ** 2 / variance.square().sum()), 1),
        "kinds": found,
        "differences": differences,
    }


def of_images(images, labels, draws):
    """The two kinds that need no network: random directions of pixels, and random sets of images."""
    generator = torch.Generator().manual_seed(0)
    sets = torch.stack([torch.randperm(len(images), generator=generator)[: max(SIZES)] for _ in range(draws)])
    random = {
        "directions": draws,
        **{str(k): {**_record(images, labels, sets[:, :k])[0], "left_out": 0} for k in SIZES},
    }
    return {"pixels": measure(images, labels, images, d.random_directions(images.shape[1], draws))[0], "sets": random}


def run(out, images=10_000, draws=DRAWS, networks=None):
    """Measure every hidden layer of ``networks``, by default of all that are ``available``. Returns the report.

    out: a folder; the report is its ``units.json``, written whole after each layer. What is there is not done again:
    after an interruption the same call goes on, and where all is there it only reads. images: the first so many test
    images are I. draws: directions of each kind. networks: names such as ``available`` gives.
    A report says, for each network and layer, its ``shape``, constant units (``dead``), principal axes, and of each
    kind of directions and size of set [mean, low, high] of each of MEASURES, how many directions were ``left_out``
    since their top images were not unique, and the ``overlap`` of two sets. Raises ValueError where the file holds a
    run with other images or draws.
    """
    path, settings = Path(out) / FILE, {"images": images, "draws": draws}
    report = {"settings": settings, "of_images": None, "layers": {}, "seconds": 0.0}
    if path.exists():
        report = json.loads(path.read_text(encoding="utf-8"))
        if report["settings"] != settings:
            raise ValueError(f"{path.name} holds a run with {report['settings']}: take another folder, or delete it")
    x, labels = (tensor[:images] for tensor in load_mnist("test"))
    x = x.double()
    pairs = [(name, network_of(name)) for name in networks or available()]
    jobs = [(name, pair, layer) for name, pair in pairs for layer in d.hidden_layers(pair[0])]
    with tqdm(total=sum(len(kinds_of(layer)) for *_, layer in jobs) + 1, unit="kind") as bar:
        bar.set_postfix_str("pixels", refresh=False)
        if report["of_images"] is None:
            _timed(report, path, lambda: report.update(of_images=of_images(x, labels, draws)))
        bar.update()
        for name, pair, layer in jobs:
            key = f"{name}, {layer.name}"
            bar.set_postfix_str(key, refresh=False)
            if key in report["layers"]:
                bar.update(len(kinds_of(layer)))
                continue

            def one(key=key, pair=pair, layer=layer):
                report["layers"][key] = layer_record(*pair, layer, x, labels, draws, bar)

            _timed(report, path, one)
    return report


def _timed(report, path, job):
    """Do the job, which adds to the report, and write the report: whole, or not at all."""
    start = time.perf_counter()
    job()
    command = f"python -m helpers.paper units --images {report['settings']['images']}"
    report["seconds"] = round(report["seconds"] + time.perf_counter() - start, 1)
    report.update(archive.made_by(command, threads=torch.get_num_threads()))
    path.parent.mkdir(parents=True, exist_ok=True)
    archive.write_json(report, path)


def stored():
    """The report of the run that lesson 09 shows."""
    return archive.stored(FILE)


def table(report, k=SIZES[0], measures=MEASURES):
    """The report as text, for sets of k images: one block a layer, a row for each kind of directions.

    measures: which of MEASURES. With two of them a line has at most 95 characters.
    """
    heading = "".join(f"{HEADINGS[measure]:>25}" for measure in measures)
    title = f"top {k} of {report['settings']['images']:,} test images"
    rows = [f"{title:31} sets{heading} overlap"]
    rows += [_row(OF_IMAGES[kind], record, k, measures) for kind, record in report["of_images"].items()]
    for key, layer in report["layers"].items():
        shape = "×".join(map(str, layer["shape"]))
        where = f"{layer['axes_of_90_percent']} of {layer['axes']} axes hold 90% of the variance"
        rows += ["", f"{key}: {shape} units, {layer['dead']} constant; {where}"]
        rows += [_row(KINDS[kind], record, k, measures) for kind, record in layer["kinds"].items()]
        rows += [_row(name, of, k, measures) for name, of in layer["differences"].items()]
    return "\n".join(rows)


def _row(name, record, k, measures):
    """A line of the table: of a kind of directions, or of a difference, which has no sets of its own."""
    of, signed = record[str(k)], "directions" not in record
    number = "{:+.3f} [{:+.3f}, {:+.3f}]" if signed else "{:.3f} [{:.3f}, {:.3f}]"
    cells = "".join(f"{'–' if of[m] is None else number.format(*of[m]):>25}" for m in measures)
    if signed:
        return f"  {name:34}{cells}"
    shared = "–" if of["overlap"] is None else f"{of['overlap']:.2%}"
    return f"  {name:29}{record['directions'] - of['left_out']:5}{cells}{shared:>8}"
