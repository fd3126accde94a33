"""python -m helpers.benchmark overhead: where each microsecond of an attack goes, beside two floors.

One attack is timed, part by part, and another counted: the arithmetic of its matrix products and convolutions, and the
bytes that its operations read and write. All is for one evaluation of one image, in microseconds of one thread's own
time, which whatever else the machine does hardly moves.
"""

import argparse
import time
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from statistics import median

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from helpers.adversarial import flight as flights
from helpers.adversarial import search
from helpers.adversarial.objective import PricedProblem
from helpers.benchmark import report as reports
from helpers.benchmark.launches import ALLOCATIONS, is_view
from helpers.benchmark.measure import markdown
from helpers.benchmark.report import NETWORK, describe, write
from helpers.solver import lbfgsb
from helpers.solver.compact import Memory

TASKS = {
    f"{NETWORK}, β = 1": (NETWORK, 1.0),
    f"{NETWORK}, β = 1, 8, 64": (NETWORK, (1.0, 8.0, 64.0)),
    "CNN, β = 1": ("CNN", 1.0),
}
REST = "looks and judgement"
# Which functions make up a part. What one of them calls that stands under another part counts there.
PARTS = {
    "network": [(PricedProblem, "loss")],
    "search over c": [(flights.Flight, "tick")],
    "line search": [(lbfgsb, "told"), (lbfgsb, "begun")],
    "accepting a step, next trial": [(lbfgsb.Solver, "tell"), (lbfgsb.Solver, "aim")],
    "history": [(Memory, "update"), (Memory, "settle")],
    "Cauchy point": [(lbfgsb, "cauchy_point")],
    "subspace step": [(lbfgsb, "subspace_step"), (lbfgsb, "into_the_box")],
    "compaction": [(flights.Flight, "keep"), (flights.Flight, "replace")],
    REST: [(search.Search, "run")],
}
# What no way of doing a tick can leave out, in vectors of an image's length: reading the history, x, g, p and the
# image; writing x, g, p, the trial and a new pair.
LEAST = 2 * flights.PAIRS + 4 + 6


class Parts:
    """Attributes what a ``meter`` counts to the part whose function is running: ``spent``, from part to amount."""

    def __init__(self, meter):
        self.meter, self.spent = meter, dict.fromkeys(PARTS, 0.0)
        self.part, self.since = None, meter()

    def enter(self, part):
        """``part`` runs from now on, None for nothing that counts; returns which did until now."""
        now, before = self.meter(), self.part
        if before:
            self.spent[before] += now - self.since
        self.part, self.since = part, now
        return before

    def watched(self, function, part):
        """``function``, during which ``part`` runs."""

        def watch(*args, **kwargs):
            before = self.enter(part)
            try:
                return function(*args, **kwargs)
            finally:
                self.enter(before)

        return watch

    @contextmanager
    def watching(self):
        """In this block the functions of PARTS are watched."""
        places = [(owner, name, part) for part, owned in PARTS.items() for owner, name in owned]
        before = [getattr(owner, name) for owner, name, _ in places]
        for (owner, name, part), function in zip(places, before, strict=True):
            setattr(owner, name, self.watched(function, part))
        try:
            yield self
        finally:
            for (owner, name, _), function in zip(places, before, strict=True):
                setattr(owner, name, function)


class Traffic(TorchDispatchMode):
    """Counts, while it is entered, ``flops`` of products and convolutions, and ``bytes`` that operations touch.

    An operation reads each of its tensors and writes what it returns; views and allocations touch nothing. One that
    takes or changes some rows by their numbers touches those alone.
    """

    flops = bytes = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        found = function(*args, **(kwargs or {}))
        name = function.overloadpacket
        if name in flop_registry:
            self.flops += flop_registry[name](*args, **(kwargs or {}), out_val=found)
        if not is_view(function) and name.__name__ not in ALLOCATIONS:
            self.bytes += _touched(name.__name__, args, kwargs, found)
        return found


TAKES, CHANGES = {"index_select", "index", "gather", "take"}, {"index_copy_", "index_put_", "index_add_", "index_fill_"}


def _touched(name, args, kwargs, found):
    """Bytes that an operation reads and writes."""
    if name in TAKES:  # what is read is as large as what is returned
        return 2 * found.nbytes + sum(part.nbytes for part in _tensors((args[1:], kwargs)))
    if name in CHANGES:  # what is written is as large as what is given, the last of the tensors
        given = _tensors((args[1:], kwargs))
        return sum(part.nbytes for part in given) + given[-1].nbytes
    return sum(part.nbytes for part in _tensors((args, kwargs, found)))


def _tensors(tree):
    return [part for part in tree_leaves(tree) if torch.is_tensor(part)]


def floors(dtype=torch.float32, size=1024, megabytes=64, repeats=5):
    """What one thread here can do at best: flops a second in a large product, bytes a second in a large copy."""
    a, from_ = torch.rand(size, size, dtype=dtype), torch.rand(megabytes * 2**18)
    to = torch.empty_like(from_)
    product = min(_seconds(lambda: a @ a) for _ in range(repeats))
    copy = min(_seconds(lambda: to.copy_(from_)) for _ in range(repeats))
    return 2 * size**3 / product, 2 * from_.nbytes / copy


def _seconds(run):
    before = time.thread_time()
    run()
    return time.thread_time() - before


def measured(network, images, targets, sharpness, rounds=3):
    """For each part a dict: µs, flops and bytes, for one evaluation of one image; µs are medians of ``rounds`` runs."""
    from helpers import attack

    def run(parts):
        with parts.watching():
            return attack(network, images, targets, sharpness=sharpness, progress=False).evaluations.sum().item()

    runs = []
    for _ in range(rounds + 1):  # the first loads what is loaded at first use
        timed = Parts(time.thread_time)
        evaluations = run(timed)
        runs.append(timed.spent)
    with Traffic() as traffic:
        flops, bytes_ = (Parts(lambda name=name: getattr(traffic, name)) for name in ("flops", "bytes"))
        with flops.watching():
            run(bytes_)
    return [
        {
            "part": part,
            "us": 1e6 * median(spent[part] for spent in runs[1:]) / evaluations,
            "flops": flops.spent[part] / evaluations,
            "bytes": bytes_.spent[part] / evaluations,
        }
        for part in PARTS
    ]


def table(entry):
    """One task's parts, Markdown. ``entry``: one of a report's ``tasks``."""
    total = {name: sum(part[name] for part in entry["parts"]) for name in ("us", "flops", "bytes")}
    columns = {
        "part": lambda e: e["part"],
        "µs": lambda e: f"{e['us']:.1f}",
        "share": lambda e: f"{e['us'] / total['us']:.0%}",
        "MFLOP": lambda e: f"{e['flops'] / 1e6:.2f}",
        "at full speed, µs": lambda e: f"{1e6 * e['flops'] / entry['flops_a_second']:.1f}",
        "kB touched": lambda e: f"{e['bytes'] / 1e3:.0f}",
        "by copying, µs": lambda e: f"{1e6 * e['bytes'] / entry['bytes_a_second']:.1f}",
    }
    return f"{entry['task']}\n\n" + markdown(columns, [*entry["parts"], {"part": "together", **total}])


def sentence(entry):
    """The two floors of a task, in words."""
    parts = {part["part"]: part for part in entry["parts"]}
    total, own = sum(part["us"] for part in entry["parts"]), parts["network"]["us"]
    arithmetic = 1e6 * sum(part["flops"] for part in entry["parts"]) / entry["flops_a_second"]
    least = 1e6 * entry["least_bytes"] / entry["bytes_a_second"]
    return (
        f"{entry['task']}: {total:.1f} µs, {total / own:.2f} times the network's own passes. Floors: {arithmetic:.1f} "
        f"µs of arithmetic at {entry['flops_a_second'] / 1e9:.0f} GFLOP/s; outside the network {least:.1f} µs to move "
        f"{LEAST} vectors, {entry['least_bytes'] / 1e3:.0f} kB, at {entry['bytes_a_second'] / 1e9:.0f} GB/s."
    )


def text(report):
    """All that was measured, Markdown."""
    return "\n\n".join([*map(table, report["tasks"]), *map(sentence, report["tasks"])])


def stored():
    """The report of the run that docs/benchmark.md shows: ``overhead --json helpers/data/overhead.json`` wrote it."""
    return reports.stored("overhead.json")


def run(count, names, rounds=3):
    """The report."""
    from helpers.benchmark.__main__ import task

    threads, start, tasks = torch.get_num_threads(), time.perf_counter(), []
    torch.set_num_threads(1)
    try:
        for name in names:
            network, sharpness = TASKS[name]
            network, images, targets = task(count, "cpu", network)
            parts = measured(network, images, targets, sharpness, rounds)
            flops, bytes_ = floors()
            entry = {"task": name, "parts": parts, "flops_a_second": flops, "bytes_a_second": bytes_}
            tasks.append({**entry, "least_bytes": LEAST * images[0].nbytes})
    finally:
        torch.set_num_threads(threads)
    return {
        "command": f"python -m helpers.benchmark overhead --images {count}",
        "machine": describe("cpu", 1),
        "date": date.today().isoformat(),
        "seconds": round(time.perf_counter() - start),
        "tasks": tasks,
    }


def main(arguments=None):
    """The command line: ``python -m helpers.benchmark overhead --help`` lists it."""
    parser = argparse.ArgumentParser(prog="python -m helpers.benchmark overhead", description=__doc__)
    parser.add_argument("--images", type=int, default=1000, metavar="N", help="how many (default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all that was measured there as well")
    options = parser.parse_args(arguments)
    if options.images < 1:
        parser.error("--images must be at least 1")
    report = run(options.images, TASKS)
    print(f"{report['machine']}\n\n{text(report)}")
    if options.json:
        write(report, options.json)


if __name__ == "__main__":
    main()
