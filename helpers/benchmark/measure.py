"""Measuring in turns: who did what in how long, kept row by row, and printed as one kind of table."""

import signal
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import torch


def clock(device):
    """Seconds. On a CPU those of this process alone, so that whatever else the machine does does not count."""
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)
        return time.perf_counter()
    return time.process_time()


def peak():
    """This process's largest resident memory in bytes; None where the system does not say. (getrusage's would be
    at least that of the process which started this one.)"""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM")), None)


@dataclass(frozen=True)
class Turn:
    """One contestant's go at some rows of a task."""

    task: str
    who: str
    round: int
    rows: torch.Tensor  # (k,): which rows of the task
    found: dict  # from the name of a quantity to (k,) numbers, NaN where there is none
    seconds: float


def timed(run, device="cpu"):
    """``run()`` and the seconds that it took, the work that it left to a GPU included."""
    start = _wall_clock(device)
    result = run()
    return result, _wall_clock(device) - start


def _wall_clock(device):
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


class Scores:
    """What the turns have brought so far."""

    def __init__(self):
        self._found, self._ms = {}, {}  # (task, who) → quantity → row → number; → round → milliseconds a row

    def add(self, turn):
        """Take in one Turn."""
        key = turn.task, turn.who
        for name, numbers in turn.found.items():
            numbers = np.asarray(numbers, dtype=float).tolist()
            rows = self._found.setdefault(key, {}).setdefault(name, {})
            rows.update(zip(turn.rows.tolist(), numbers, strict=True))
        self._ms.setdefault(key, {})[turn.round] = 1000 * turn.seconds / len(turn.rows)

    def tasks(self):
        """The tasks, in the order of their first turns."""
        return list(dict.fromkeys(task for task, _ in self._ms))

    def contestants(self, task):
        """Who has had a turn at ``task``, in the order of their first turns."""
        return [who for t, who in self._ms if t == task]

    def values(self, task, who, name):
        """The quantity ``name`` of each row of the task: an array, NaN where there is none (yet)."""
        rows = self._found[task, who][name]
        count = 1 + max(
            row for (t, _), found in self._found.items() if t == task for part in found.values() for row in part
        )
        return np.array([rows.get(row, np.nan) for row in range(count)])

    def ms(self, task, who):
        """Milliseconds a row of each round."""
        return list(self._ms[task, who].values())

    def times_as_fast(self, task, who, reference):
        """The median over the rounds of the milliseconds of ``reference`` in that round over one's own."""
        own, theirs = self._ms[task, who], self._ms.get((task, reference), {})
        return median([theirs[turn] / own[turn] for turn in own if turn in theirs] or [np.nan])


def markdown(columns, entries):
    """A table of the ``entries``, dicts; ``columns``: from a heading to a function from an entry to a text."""
    lines = [list(columns), ["---"] * len(columns)]
    lines += [[write(entry) for write in columns.values()] for entry in entries]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines).replace("| --- ", "|---").replace("--- |", "---|")


class Interrupt:
    """A ``with`` block that ends quietly at Ctrl-C or SIGTERM and remembers it, also where an attack caught it to
    return early."""

    asked = False

    def __enter__(self):
        self.before = {number: signal.signal(number, self._handle) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def _handle(self, *_):
        self.asked = True
        raise KeyboardInterrupt

    def check(self):
        """Raise KeyboardInterrupt after an interruption: what was just measured is not whole."""
        if self.asked:
            raise KeyboardInterrupt

    def __exit__(self, kind, *_):
        for number, handler in self.before.items():
            signal.signal(number, handler)
        return kind is not None and issubclass(kind, KeyboardInterrupt)
