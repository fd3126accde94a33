"""python -m helpers.benchmark frontier: how short a perturbation, for how many passes of the network.

Every contestant attacks the same images of each network, target (label + 1) mod 10; on photographs the target is the
ostrich of the paper. What is measured is kept in --json after every contestant; the same command goes on from there.
"""

import argparse
import json
import math
from datetime import date
from pathlib import Path

import torch
from tqdm import tqdm

from helpers.adversarial.attack import attack
from helpers.benchmark import peers
from helpers.benchmark import report as reports
from helpers.benchmark.measure import Interrupt, clock, markdown
from helpers.benchmark.report import describe, write

NETWORKS = ("FC10(1e-4)", "FC100-100-10", "FC200-200-10", "CNN")
FIRST = 5000  # the test image to begin with: the settings of ``effort`` were chosen on images before it
SLOW = 10  # images that a contestant gets who takes one at a time: SciPy's loop, and botorch's wrapper
OURS = {
    "this attack, β = 1": {},
    "this attack, β = 1, 8, 64": {"sharpness": (1, 8, 64)},
    "this attack, quick": {"effort": "quick"},
    "this attack, thorough": {"effort": "thorough"},
    "this attack, exhaustive": {"effort": "exhaustive"},
}


def main(arguments=None):
    """The command line of ``python -m helpers.benchmark frontier``."""
    parser = argparse.ArgumentParser(prog="python -m helpers.benchmark frontier", description=__doc__.split("\n\n")[0])
    parser.add_argument("--images", type=int, default=200, metavar="N", help="of each network (default: %(default)s)")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=NETWORKS, metavar="NAME", help="(all)")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="(cpu)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep what is measured there, and go on from there")
    options = parser.parse_args(arguments)
    if not 1 <= options.images <= 4000:
        parser.error("--images must be from 1 to 4000")
    try:
        report = run(options)
    except ValueError as problem:
        parser.error(str(problem))
    print(f"\n{table(report)}")


def run(options):
    """Measure what is not measured yet; returns the report."""
    torch.set_num_threads(1)
    report = _begun(options)
    with Interrupt() as interrupt:
        for network in options.networks:
            done = report["networks"].setdefault(network, {})
            task = None
            for name, contestant in tqdm(contestants().items(), desc=network, unit="attack"):
                if name in done:
                    continue
                interrupt.check()
                task = task or _task(network, options.images, options.device)
                done[name] = measured(contestant, *task)
                interrupt.check()
                if options.json:
                    write(report, options.json)
    return report


def _begun(options):
    """The report so far. Raises ValueError where the file holds another run's."""
    made = {"images": options.images, "machine": describe(options.device, 1).rsplit(", ", 1)[0]}
    if options.json and options.json.exists():
        report = json.loads(options.json.read_text(encoding="utf-8"))
        if any(report[key] != value for key, value in made.items()):
            raise ValueError(f"{options.json} holds a run with other images or of another machine; remove it first.")
        return report
    command = f"python -m helpers.benchmark frontier --images {options.images}"
    return {"command": command, "date": date.today().isoformat(), **made, "networks": {}}


def _task(network, count, device):
    from helpers.benchmark.__main__ import task

    return task(count, device, network, FIRST)


def ours(options):
    """The attack with these ``options``, as a contestant: run(network, images, targets) → AttackResult."""
    return lambda *task: attack(*task, progress=False, **options)


def contestants():
    """From a name to (run, quick): run(network, images, targets) → AttackResult; those that are not quick get few."""
    return {**{name: (ours(options), True) for name, options in OURS.items()}, **peers.curves()}


def measured(contestant, network, images, targets):
    """One contestant's ‖r‖ of each image (None where it failed), its mean passes, and CPU seconds an image."""
    run, quick = contestant
    if not quick:
        images, targets = images[:SLOW], targets[:SLOW]
    start = clock(images.device)
    result = run(network, images, targets)
    seconds = (clock(images.device) - start) / len(images)
    norms = [round(v, 5) if ok else None for v, ok in zip(result.norm.tolist(), result.success.tolist(), strict=True)]
    passes = (result.evaluations + result.forwards).float().mean().item()
    return {"norms": norms, "passes": round(passes, 1), "seconds": round(seconds, 6)}


def ratios(found):
    """Of each contestant of a network the mean of ‖r‖ over the best known: over the images that it attacked.

    Best known: the least ‖r‖ that any of them found for the image. A failure makes it infinite.
    """
    norms = {name: [math.inf if v is None else v for v in entry["norms"]] for name, entry in found.items()}
    most = max(map(len, norms.values()))
    least = [min(own[i] for own in norms.values() if i < len(own)) for i in range(most)]
    return {
        name: sum(v / b if b else 1.0 for v, b in zip(own, least, strict=False)) / len(own)
        for name, own in norms.items()
    }


def entries(report):
    """A dict for each network and contestant: network, attack, images, passes, ratio, milliseconds an image."""
    return [
        {
            "network": network,
            "attack": name,
            "images": len(found[name]["norms"]),
            "passes": found[name]["passes"],
            "ratio": ratio,
            "ms": 1000 * found[name]["seconds"],
        }
        for network, found in report["networks"].items()
        if found  # interrupted before its first attack: nothing
        for name, ratio in ratios(found).items()
    ]


def table(report):
    """The report as Markdown, a table for each network."""
    columns = {
        "attack": lambda e: e["attack"],
        "images": lambda e: f"{e['images']}",
        "passes": lambda e: f"{e['passes']:.0f}",
        "ratio": lambda e: f"{e['ratio']:.4f}",
        "ms an image": lambda e: f"{e['ms']:.3g}",
    }
    tables = []
    for network in report["networks"]:
        rows = sorted((e for e in entries(report) if e["network"] == network), key=lambda e: e["passes"])
        tables.append(f"{network}\n\n{markdown(columns, rows)}")
    return "\n\n".join(tables)


def stored():
    """The report of the run that docs/frontier.md shows."""
    return reports.stored("frontier.json")


def headline(report):
    """One sentence: the command, the machine and the date."""
    return f"Printed by `{report['command']}` on {report['machine']}, {report['date']}."
