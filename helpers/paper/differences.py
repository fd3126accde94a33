"""Why are our tables not the paper's? Each choice that the paper leaves open, made otherwise and measured.

The attack of the tables: c‖r‖² + CE, the largest c, a random wrong label, the first training images. One experiment
changes one of these, or the training, or what is shown. Each is saved when it is done, and skipped the next time.
"""

import json
import time

import torch
from tqdm import tqdm

from helpers.benchmark.measure import Interrupt
from helpers.paper import attacks, other_attacks, published, retrained, shown, tables
from helpers.paper.archive import made_by, write_json

FILE = "differences.json"


def differences(count, out, device="cpu"):
    """All experiments on the first ``count`` images, saved in the folder ``out`` one by one: a dict for JSON.

    What the file there holds already is not done again. Raises ValueError where it is of another number of images,
    KeyboardInterrupt after Ctrl-C or SIGTERM.
    """
    torch.set_num_threads(1)  # the last bits of a sum depend on how many share it
    out.mkdir(parents=True, exist_ok=True)
    path = out / FILE
    report = {"images": count, "networks": list(shown.NETWORKS), "run": None, "seconds": {}}
    if path.exists():
        report = json.loads(path.read_text(encoding="utf-8"))
        if report["images"] != count:
            raise ValueError(f"{path} is about {report['images']} images: delete it, or pass another --out.")
    with Interrupt() as interrupt, tqdm(EXPERIMENTS.items(), unit="experiment", delay=2) as bar:
        for name, experiment in bar:
            bar.set_postfix_str(name, refresh=True)
            if name in report["seconds"]:
                continue
            start = time.perf_counter()
            report[name] = experiment(count, out, device)
            interrupt.check()  # an attack returns early at Ctrl-C: such an experiment is not whole
            report["seconds"][name] = round(time.perf_counter() - start, 1)
            command = f"python -m helpers.paper differences --images {count}"
            report["run"] = {**made_by(command, device), "seconds": round(sum(report["seconds"].values()))}
            write_json(report, path)
    if not set(EXPERIMENTS) <= set(report["seconds"]):
        raise KeyboardInterrupt
    return report


def _without_folder(experiment):
    return lambda count, out, device: experiment(count, device)


def _lengths(count, out, device):
    """Table 4's changes, longer and longer, and those of FC100-100-10 shown to all networks of table 2."""
    found = {}
    for split, makers, judges in (
        ("test", published.TABLE_4, tuple(published.TABLE_4)),
        ("train", ("FC100-100-10",), shown.NETWORKS),
    ):
        images, labels, targets = (part[:count].to(device) for part in attacks.digits(split))
        for maker in makers:
            result = other_attacks.attacked(maker, (images, targets), device)
            found[maker] = {
                "split": split,
                "networks": list(judges),
                "found": shown.length(result.distortion),
                **shown.lengthened(result, images, labels, judges, device),
            }
    return found


def _noise(count, out, device):
    images, labels, _ = (part[:count].to(device) for part in attacks.digits("train"))
    found = {str(stddev): shown.noise_in_parts(images, labels, stddev, device) for stddev in published.NOISE_2}
    return {"the images": shown.counts(images, labels, device=device), **found}


EXPERIMENTS = {
    "objective": _without_folder(other_attacks.objectives),
    "target": _without_folder(other_attacks.targets),
    "images of": _without_folder(other_attacks.which_images),
    "stopping": _without_folder(other_attacks.stopping),
    "closer": _without_folder(other_attacks.closer),
    "longer": _lengths,
    "scale of the logits": _without_folder(other_attacks.logit_scale),
    "noise": _noise,
    "training": lambda count, out, device: retrained.trainings(count, out / "retrained", device),
}


def table(report):
    """What ``differences`` has measured, as text: a block an experiment, with 95% intervals."""
    return "\n\n".join([*_attack_blocks(report), *_shown_blocks(report), *_training_blocks(report)])


def _attack_blocks(report):
    short = [*report["networks"]]
    for name in ("objective", "target", "stopping"):
        rows = [[f"{name}: FC100-100-10", *LENGTHS, "‖r‖ over the tables'", *short]]
        for variant, found in report[name].items():
            cells = [*_lengths_of(found), tables.size(found["over the tables'"]), *_percents(found["wrong"], report)]
            rows.append([f"  {variant}", *cells])
        yield tables.text(rows)
    rows = [["images of", *(f"{key}: {mean}" for key in ("train", "train, right", "test") for mean in ("mean", "rms"))]]
    for network, found in report["images of"].items():
        rows.append([network, *(cell for key in ("train", "train, right", "test") for cell in _lengths_of(found[key]))])
    yield tables.text(rows)
    rows = [["scale of the logits", *(f"{key}: {mean}" for key in SCALED for mean in ("mean", "rms"))]]
    for network, found in report["scale of the logits"].items():
        rows.append([network, *(cell for key in SCALED for cell in _lengths_of(found[key]))])
    yield tables.text(rows)


def _shown_blocks(report):
    rows = [["only β = 1 misleads, only sharpened does (p)", "length over β = 1", *report["networks"]]]
    for network, found in report["closer"].items():
        pairs = zip(found["only β = 1, only sharpened"], found["p"], strict=True)
        rows.append(
            [f"made for {network}", tables.size(found["over β = 1"]), *(f"{a}, {b} ({p:.2g})" for (a, b), p in pairs)]
        )
    yield tables.text(rows)
    for maker, found in report["longer"].items():
        for kind in ("by factor", "to one size"):
            rows = [[f"made for {maker}, {kind}", "distortion", *found["networks"]]]
            for value, distortion, wrong in zip(
                *(found[kind][key] for key in ("value", "distortion", "wrong")), strict=True
            ):
                rows.append([f"  {value:.3g}", f"{distortion:.4f}", *_percents(wrong, report)])
            yield tables.text(rows)
    for stddev in ("0.1", "0.3"):
        rows = [[f"noise {stddev}", "change of a pixel", *LENGTHS, *report["networks"]]]
        for name, found in report["noise"][stddev].items():
            cells = [f"{found['change of a pixel']:.4f}", *_lengths_of(found), *_percents(found["wrong"], report)]
            rows.append([f"  {name}", *cells])
        yield tables.text(rows)


def _training_blocks(report):
    for key, words in (("misleads", "misleads"), ("misled by", "is misled by what is made for")):
        rows = [[f"FC100-100-10 {words}", "train error", "test error", *LENGTHS, *report["networks"]]]
        for name, found in report["training"]["all digits"].items():
            errors = [f"{found['errors'][split]:.2f}%" for split in ("train", "test")]
            rows.append([f"  {name}", *errors, *_lengths_of(found), *_percents(found[key], report)])
        yield tables.text(rows)
    halves = report["training"]["halves"]
    rows = [["halves, error in %", *next(iter(halves.values()))]]
    rows += [[maker, *_percents(found.values(), report)] for maker, found in halves.items()]
    yield tables.text(rows)


LENGTHS = ["mean distortion", "root of mean square"]
SCALED = ("β = 1", "rescaled", "optimum")


def _lengths_of(found):
    return [tables.size(found), tables.size(found["root of mean square"])]


def _percents(wrong, report):
    return [tables.percent(count, report["images"]) for count in wrong]
