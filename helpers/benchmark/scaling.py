"""python -m helpers.benchmark scaling: images a second of ``attack`` against how many are attacked at once.

All that a call is given are in flight together. The sizes, with both dtypes, and SciPy's loop take turns, round after
round (3,000 images and more have one turn); the medians are printed. At the end a process of its own attacks all
60,000 training images, as many at a time as ``attack`` chooses, for its largest resident memory.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from datetime import date
from pathlib import Path
from statistics import median

import torch
from tqdm import tqdm

from helpers.benchmark import report as reports
from helpers.benchmark.launches import Passes
from helpers.benchmark.measure import Interrupt, clock, markdown, peak
from helpers.benchmark.report import NETWORK, describe, write

SIZES = (1, 3, 10, 30, 100, 300, 1000, 3000, 10_000)
DTYPES = {"float32": torch.float32, "float64": torch.float64}
AT_LEAST = 10  # images of a turn, in several calls where one has fewer: single images differ too much
SCIPY, SCIPY_IMAGES = "SciPy's loop", 5  # so many images a turn; a loop's pace does not depend on their number
ONCE = 3000  # from this size on a turn averages over so many images that one is enough
WHOLE = 60_000


def stored():
    """The report of the run that docs/benchmark.md shows: ``--json helpers/data/scaling.json`` wrote it."""
    return reports.stored("scaling.json")


def task(device, split="test"):
    """Images, and the label after each one's own."""
    from helpers import load_mnist

    images, labels = (part.to(device) for part in load_mnist(split))
    return images, (labels + 1) % 10


def turn(name, size, start, device):
    """One turn of the dtype ``name``: calls with ``size`` images each, all in flight, from image ``start`` on.

    A dict: the images attacked, the seconds, the network's passes a call, the evaluations an image.
    """
    from helpers import attack, load_network

    network = Passes(load_network(NETWORK, device).to(DTYPES[name])).eval()
    images, targets = task(device)
    calls, evaluations, seconds = -(-AT_LEAST // size), 0, 0.0
    for call in range(calls):
        rows = torch.arange(size, device=device).add_(start + call * size).remainder_(len(images))
        x, t = images[rows].to(DTYPES[name]), targets[rows]
        before = clock(device)
        result = attack(network, x, t, max_batch=size, progress=False)
        seconds += clock(device) - before
        evaluations += result.evaluations.sum().item()
    count = calls * size
    return {
        "images": count,
        "seconds": seconds,
        "passes": network.passes / calls,
        "evaluations": evaluations / count,
        "memory": torch.cuda.max_memory_allocated(device) if torch.device(device).type == "cuda" else None,
    }


def scipy_turn(start):
    """A turn of SciPy's loop, always on the CPU."""
    from helpers import load_network
    from helpers.baselines import scipy_lbfgsb

    images, targets = (part[start : start + SCIPY_IMAGES] for part in task("cpu"))
    before = clock("cpu")
    result = scipy_lbfgsb(load_network(NETWORK), images, targets, progress=False)
    seconds = clock("cpu") - before
    return {"images": len(images), "seconds": seconds, "evaluations": result.evaluations.double().mean().item()}


def plan(sizes, rounds):
    """The turns in their order, (who, size, start): a round has both dtypes of each size, and SciPy's loop."""
    for round_ in range(rounds):
        yield SCIPY, 1, round_ * SCIPY_IMAGES
        for size in sizes:
            for name in DTYPES if size < ONCE or not round_ else ():
                yield name, size, round_ * max(size, AT_LEAST)


def summary(turns):
    """From the turns, dicts with ``who`` and ``size``, one entry for each of who and size; rate: the median's."""
    entries = []
    for who, size in dict.fromkeys((one["who"], one["size"]) for one in turns):
        own = [one for one in turns if (one["who"], one["size"]) == (who, size)]
        rates = [one["images"] / one["seconds"] for one in own]
        entry = {"who": who, "size": size, "rate": median(rates)}
        for key in ("evaluations", "passes", "memory"):
            values = [one[key] for one in own if one.get(key) is not None]
            entry |= {key: median(values)} if values else {}
        entries.append({**entry, "rates": rates})
    return entries


def whole(count=WHOLE):
    """Attack the first ``count`` training images, all in one call: a dict with this process's largest resident memory.

    The process must be a fresh one. Memory is None where the system does not say (Linux does).
    """
    from helpers import attack, load_network

    images, targets = (part[:count] for part in task("cpu", "train"))
    before = clock("cpu")
    result = attack(load_network(NETWORK), images, targets)
    seconds = clock("cpu") - before
    return {
        "images": count,
        "success": result.success.double().mean().item(),
        "mean_norm": result.norm[result.success].double().mean().item(),
        "seconds": seconds,
        "resident": peak(),
    }


def in_a_process_of_its_own(count=WHOLE):
    """``whole`` in a fresh process with one thread; its bar is shown."""
    code = f"import json; from helpers.benchmark import scaling; print(json.dumps(scaling.whole({count})))"
    one = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, **one}, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


def table(report):
    """Images a second, Markdown: a line for each size."""
    by = {(entry["who"], entry["size"]): entry for entry in summary(report["turns"])}
    lines = [{"size": size} for size in dict.fromkeys(size for who, size in by if who in DTYPES)]
    columns = {"images at once": lambda line: f"{line['size']:,}"}
    for name in DTYPES:
        columns[f"{name}: a second"] = lambda line, name=name: _number(by, name, line["size"], "rate", ".3g")
        columns[f"{name}: times SciPy's"] = lambda line, name=name: _times(by, name, line["size"])
    columns["passes a call"] = lambda line: _number(by, "float32", line["size"], "passes", ".0f")
    columns["evaluations an image"] = lambda line: _number(by, "float32", line["size"], "evaluations", ".1f")
    return markdown(columns, lines)


def _number(by, who, size, key, form):
    return format(by[who, size][key], form) if (who, size) in by else "–"


def _times(by, who, size):
    known = (who, size) in by and (SCIPY, 1) in by
    return f"{by[who, size]['rate'] / by[SCIPY, 1]['rate']:.3g}" if known else "–"


def sentence(report):
    """SciPy's pace, and what all training images took, in words."""
    words = []
    for loop in summary([one for one in report["turns"] if one["who"] == SCIPY]):
        pace, each = loop["rate"], loop["evaluations"]
        words.append(f"SciPy's loop: {pace:.1f} images a second of one thread, {each:.0f} evaluations each.")
    if all_of_them := report["whole"]:
        resident = all_of_them["resident"]
        memory = f", at most {resident / 1e9:.2f} GB resident" if resident else ""
        words.append(
            f"All {all_of_them['images']:,} training images in one call: {all_of_them['success']:.2%} reached, mean "
            f"‖r‖ {all_of_them['mean_norm']:.3f}, in {all_of_them['seconds']:.0f} s of one thread{memory}."
        )
    return " ".join(words)


def run(options):
    """Measure what ``options.json`` does not hold yet; it is written after every turn. Returns the report."""
    report = _begun(options)
    sizes = [size for size in SIZES if size <= options.largest]
    known = {(one["who"], one["size"], one["start"]) for one in report["turns"]}
    turns, before, begun = list(plan(sizes, options.rounds)), report["seconds"], time.perf_counter()

    def save(interrupted):
        report["seconds"], report["interrupted"] = before + round(time.perf_counter() - begun), interrupted
        if options.json:
            write(report, options.json)

    torch.set_num_threads(1)
    turn("float32", 2, 0, options.device)  # what is loaded at first use
    with Interrupt() as interrupt, tqdm(total=sum(max(AT_LEAST, size) for _, size, _ in turns), unit="image") as bar:
        for who, size, start in turns:
            if (who, size, start) not in known:
                found = scipy_turn(start) if who == SCIPY else turn(who, size, start, options.device)
                interrupt.check()
                report["turns"].append({"who": who, "size": size, "start": start, **found})
                save(interrupted=True)
            bar.update(max(AT_LEAST, size))
        if options.whole and not report["whole"]:
            report["whole"] = in_a_process_of_its_own()
        save(interrupted=False)
    return report


def _begun(options):
    """The report so far: what an interrupted run with the same command on the same machine has left, or nothing."""
    report = {
        "command": f"python -m helpers.benchmark scaling --device {options.device}",
        "machine": describe(options.device, 1),
        "date": date.today().isoformat(),
        "seconds": 0,
        "interrupted": True,
        "turns": [],
        "whole": None,
    }
    if options.json and options.json.exists():
        before = json.loads(options.json.read_text(encoding="utf-8"))
        if before["interrupted"] and all(before[key] == report[key] for key in ("command", "machine")):
            return before
    return report


def main(arguments=None):
    """The command line: ``python -m helpers.benchmark scaling --help`` lists it."""
    parser = argparse.ArgumentParser(prog="python -m helpers.benchmark scaling", description=__doc__.split("\n\n")[0])
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="of the attack (default: cpu)")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="turns of each size (default: %(default)s)")
    largest = {"type": int, "default": SIZES[-1], "metavar": "N"}
    parser.add_argument("--largest", help="leave out sizes above N (default: %(default)s)", **largest)
    parser.add_argument("--no-whole", dest="whole", action="store_false", help="leave out the 60,000 training images")
    kept = "write what was measured there, turn by turn; an interrupted run goes on from there"
    parser.add_argument("--json", type=Path, metavar="FILE", help=kept)
    options = parser.parse_args(arguments)
    if options.rounds < 1 or options.largest < 1:
        parser.error("--rounds and --largest must be at least 1")
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("torch sees no CUDA device here; leave --device out")
    report = run(options)
    print(f"{report['machine']}\n\n{table(report)}\n\n{sentence(report)}")
    if report["interrupted"]:
        raise SystemExit(130)
