"""python -m helpers.benchmark.dangers: how often do the dangers of lesson 02 happen on a trained network?

(P_c) is minimised for the first correctly classified MNIST test images, target (label + 1) mod 10, with ‖r‖² and with
the paper's ‖r‖, plain (β = 1) and sharpened (β = 64). For each image ``attack`` answers first. Then come PRICES prices
around the c of its answer, in three scans: every price solved from r = 0; the prices in rising order, each from the
minimiser before, the first from r = 0; the same in falling order. Of the scan from r = 0 the largest success and the
price above it are brought together by bisection of log c. At β = 64, where a solve is long, only the first SCANNED
images are scanned. Ctrl-C leaves what was measured in a file beside the result; the same command goes on from there.
"""

import argparse
import json
import time
from datetime import date
from pathlib import Path

from helpers.benchmark.measure import Interrupt
from helpers.benchmark.report import describe

NETWORK = "FC100-100-10"
PRICES = 17  # two decades, the c of the attack's answer in the middle
REFINE = 7  # bisections of the last bracket: 33% wide before, 0.25% after
CHUNK = 100  # images between two writes to the disk
ROWS = 640  # solved at a time, which fits a processor's cache
TASKS = tuple((norm, beta) for beta in (1.0, 64.0) for norm in ("squared", "l2"))
SCANNED = {1.0: None, 64.0: 100}  # images whose prices are scanned; None: all
SCHEDULE = {1.0: 1.0, 64.0: (1.0, 8.0, 64.0)}  # how the attack comes to β
FILE = Path(__file__).parents[1] / "data" / "dangers.json"


def main(arguments=None):
    """The command line; ``--help`` lists it."""
    parser = argparse.ArgumentParser(
        prog="python -m helpers.benchmark.dangers",
        description=__doc__.split("\n\n")[0],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--images", type=int, default=1000, metavar="N", help="how many images (default: %(default)s)")
    parser.add_argument("--json", type=Path, default=FILE, metavar="FILE", help="where the result goes")
    options = parser.parse_args(arguments)
    if options.images < 1:
        parser.error("--images must be at least 1")
    print(table(run(options.images, options.json)))


def run(count, path):
    """Measure, write the report to ``path`` and return it. Ctrl-C ends in SystemExit, and the next call goes on."""
    import torch
    from tqdm import tqdm

    from helpers import load_mnist, load_network

    network = load_network(NETWORK)
    images, labels = load_mnist("test")
    with torch.no_grad():
        right = (network(images).argmax(1) == labels).nonzero().squeeze(1)[:count]
    images, targets = images[right], (labels[right] + 1) % 10
    part = path.with_suffix(".part.json")
    state = {"images": len(images), "seconds": 0.0, "done": {}}
    if part.exists():
        saved = json.loads(part.read_text(encoding="utf-8"))
        if saved["images"] == len(images):
            state = saved
            print(f"Going on from {part.name}; delete it to start afresh.")
    jobs = [(norm, beta, first) for norm, beta in TASKS for first in range(0, len(images), CHUNK)]
    with Interrupt() as interrupt, tqdm(total=len(jobs), unit="chunk") as bar:
        for norm, beta, first in jobs:
            name = f"{norm} {beta:g} {first}"
            bar.set_postfix_str(name, refresh=False)
            if name not in state["done"]:
                start = time.perf_counter()
                rows = slice(first, first + CHUNK)
                scan = SCANNED[beta] is None or first < SCANNED[beta]
                record = dangers(network, images[rows], targets[rows], norm, beta, scan)
                interrupt.check()  # the attack ends early at Ctrl-C: such a chunk is not whole
                state["done"][name] = record
                state["seconds"] += time.perf_counter() - start
                part.write_text(json.dumps(state), encoding="utf-8")
            bar.update()
    if interrupt.asked:
        print("Interrupted: the same command goes on from here.")
        raise SystemExit(130)
    measured = {}
    for norm, beta, first in jobs:
        for key, values in state["done"][f"{norm} {beta:g} {first}"].items():
            measured.setdefault((norm, beta), {}).setdefault(key, []).extend(values)
    report = {
        "command": f"python -m helpers.benchmark.dangers --images {len(images)}",
        "machine": describe("cpu", torch.get_num_threads()),
        "date": date.today().isoformat(),
        "seconds": round(state["seconds"]),
        "prices": PRICES,
        "tasks": summary(measured),
    }
    path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    part.unlink(missing_ok=True)
    return report


def dangers(network, images, targets, norm, beta, scan=True):
    """What happens to each image (batch, n) with its target (batch,): a dict of lists, one entry an image.

    attack, scan: ‖r‖ of the attack's answer and of the scan's shortest success, refined (None where there is none).
    evaluations: of the attack. zero, up, down: the successes at the prices in increasing order, as a string of 0 and 1,
    of the scan from r = 0, of the one followed upwards and of the one followed downwards. Without ``scan`` only the
    attack's two.
    """
    import torch

    from helpers import attack

    found = attack(network, images, targets, norm=norm, sharpness=SCHEDULE[beta], progress=False)
    answer = {
        "attack": _numbers(torch.where(found.success, found.norm, torch.inf)),
        "evaluations": found.evaluations.tolist(),
    }
    if not scan:
        return answer
    middle = torch.where(found.c.isfinite(), found.c, 1.0)
    c = middle[:, None] * torch.logspace(-1, 1, PRICES, dtype=images.dtype)
    task = network, images, targets, norm, beta
    x, success = _solve(task, images, c)
    zero, length = success, torch.where(success, (x - images[:, None]).norm(dim=2), torch.inf)
    least = length.amin(1)

    # The bracket between the largest success and the failure above it.
    places = torch.arange(PRICES).expand_as(success)
    last = torch.where(success, places, -1).amax(1)
    inside = (last >= 0) & (last < PRICES - 1)
    row = torch.arange(len(images))
    low, high = c[row, last.clamp(min=0)], c[row, (last + 1).clamp(max=PRICES - 1)]
    for _ in range(REFINE):
        middle = (low * high).sqrt()
        x, success = _solve(task, images, middle[:, None])
        length = torch.where(success[:, 0] & inside, (x[:, 0] - images).norm(dim=1), torch.inf)
        least = torch.minimum(least, length)
        low, high = torch.where(success[:, 0], middle, low), torch.where(success[:, 0], high, middle)

    followed = {}
    for direction, order in (("up", range(PRICES)), ("down", reversed(range(PRICES)))):
        x, successes = images, torch.zeros_like(zero)
        for j in order:
            x, success = _solve(task, x, c[:, j : j + 1])
            x, successes[:, j] = x[:, 0], success[:, 0]
        followed[direction] = successes
    words = {name: ["".join(map(str, row)) for row in s.int().tolist()] for name, s in followed.items()}
    zero = ["".join(map(str, row)) for row in zero.int().tolist()]
    return {**answer, "scan": _numbers(least), "zero": zero, **words}


def _solve(task, start, c):
    """(P_c) for every image (batch, n) at each of its prices (batch, k), from ``start``: x (batch, k, n), success.

    task: network, images, targets, norm and β.
    """
    import torch
    from torch.nn.functional import cross_entropy

    from helpers import minimize

    network, images, targets, norm, beta = task
    k = c.shape[1]
    image, target, x = (part.repeat_interleave(k, 0) for part in (images, targets, start))

    def priced(x, image, target, c):
        size = (x - image).square().sum(1) if norm == "squared" else (x - image).norm(dim=1)
        return c * size + cross_entropy(beta * network(x), target, reduction="none") / beta

    pieces = zip(*(part.split(ROWS) for part in (x, image, target, c.flatten())), strict=True)
    x = torch.cat([minimize(priced, start, 0.0, 1.0, args).x for start, *args in pieces])
    success = network(x).argmax(1) == target
    return x.view(len(images), k, -1), success.view(len(images), k)


def _numbers(values):
    return [round(value, 5) if value < float("inf") else None for value in values.tolist()]


def summary(measured):
    """One dict for each norm and β, from ``measured``: (norm, β) → the dict of lists that ``dangers`` returns."""
    plain = measured["squared", 1.0]["attack"]
    return [_task(norm, beta, record, plain) for (norm, beta), record in measured.items()]


def _task(norm, beta, record, plain):
    images = len(record["attack"])
    both = zip(record["attack"], record["scan"], strict=False)  # the images scanned are the first ones
    pairs = [(a, s) for a, s in both if a is not None and s is not None]
    against = [a / s for a, s in pairs]
    to_plain = [a / p for a, p in zip(record["attack"], plain, strict=True) if a is not None and p is not None]
    broken = {name: [i for i, word in enumerate(record[name]) if "01" in word] for name in ("zero", "up", "down")}
    both = zip(record["up"], record["down"], strict=True)
    return {
        "norm": norm,
        "beta": beta,
        "images": images,
        "scanned": len(record["scan"]),
        "attack_success": sum(a is not None for a in record["attack"]),
        "scan_success": sum(s is not None for s in record["scan"]),
        "evaluations": sum(record["evaluations"]) / images,
        "to_plain": _spread(to_plain),
        "attack_to_scan": _spread(against),
        "attack_1_percent_longer": sum(ratio > 1.01 for ratio in against),
        "scan_1_percent_longer": sum(ratio < 1 / 1.01 for ratio in against),
        "not_monotone": {name: len(found) for name, found in broken.items()},
        "examples": {name: found[:10] for name, found in broken.items()},
        "up_succeeds_further": sum(u.rfind("1") > d.rfind("1") for u, d in both),
    }


def _spread(ratios):
    return {"mean": sum(ratios) / len(ratios), "least": min(ratios), "greatest": max(ratios)} if ratios else None


def table(report):
    """The report as text, one column for each norm and β."""
    tasks = report["tasks"]
    rows = {
        "": [f"{'‖r‖²' if task['norm'] == 'squared' else '‖r‖'}, β = {task['beta']:g}" for task in tasks],
        "digits": [task["images"] for task in tasks],
        "   of these scanned": [task["scanned"] for task in tasks],
        "success returns, each price from r = 0": [task["not_monotone"]["zero"] for task in tasks],
        "   from the answer at the price below": [task["not_monotone"]["up"] for task in tasks],
        "   from the answer at the price above": [task["not_monotone"]["down"] for task in tasks],
        "upwards the success lasts longer": [task["up_succeeds_further"] for task in tasks],
    }
    for name, key in (("‖r‖ over that in column 1", "to_plain"), ("‖r‖ over the scan's", "attack_to_scan")):
        rows[f"attack: {name}, mean"] = [_shown(task[key], "{mean:.4f}") for task in tasks]
        rows["   least to greatest" + " " * (key == "to_plain")] = [
            _shown(task[key], "{least:.3f}–{greatest:.3f}") for task in tasks
        ]
    rows["   longer than the scan's by over 1%"] = [task["attack_1_percent_longer"] for task in tasks]
    rows["   shorter than the scan's by over 1%"] = [task["scan_1_percent_longer"] for task in tasks]
    rows["   evaluations an image"] = [round(task["evaluations"]) for task in tasks]
    return "\n".join(f"{name:39}" + "".join(f"{value:>13}" for value in values) for name, values in rows.items())


def _shown(spread, form):
    return "–" if spread is None else form.format(**spread)


def stored():
    """The report of the run that lesson 06 shows."""
    return json.loads(FILE.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
