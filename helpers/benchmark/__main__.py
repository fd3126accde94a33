"""python -m helpers.benchmark: this attack beside SciPy's loop and other people's attacks, measured in one run.

All attack the first correctly classified MNIST test images, target (label + 1) mod 10, network FC100-100-10. They take
turns, round after round, so that whatever else the machine does meets all of them; the medians are printed. torch has
--threads threads, SciPy's loop one, for it is slower with more. So is BLAS, which gets one before NumPy is loaded.
"""

import argparse
import json
import os
import platform
import re
import signal
import time
from datetime import date
from importlib.metadata import version
from pathlib import Path

ROUNDS, SOLVER_ROUNDS = 5, 3
NETWORK = "FC100-100-10"


def main(arguments=None):
    """The command line; ``--help`` lists it."""
    options = parsed(arguments)
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = "1"
    report = run(options.images, options.device, options.threads)
    if options.json:
        options.json.write_text(json.dumps(_without_nan(report), indent=1) + "\n", encoding="utf-8")
    if report["interrupted"]:
        raise SystemExit(130)


def parsed(arguments):
    parser = argparse.ArgumentParser(prog="python -m helpers.benchmark", description=__doc__.split("\n\n")[0])
    parser.add_argument("--images", type=int, default=500, metavar="N", help="how many images (default: %(default)s)")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="of the batched attacks (cpu)")
    threads = min(2, os.cpu_count() or 1)
    parser.add_argument("--threads", type=int, default=threads, metavar="N", help="of torch (default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all that was measured there as well")
    options = parser.parse_args(arguments)
    if options.images < 1 or options.threads < 1:
        parser.error("--images and --threads must be at least 1")
    return options


def run(count, device, threads):
    """Measure and print both tables; after Ctrl-C, what there is by then. Returns the report."""
    import torch
    from tqdm import tqdm

    from helpers import load_mnist, load_network
    from helpers.benchmark import attacks as contest
    from helpers.benchmark import solver as solver_contest
    from helpers.benchmark.peers import peers

    if device == "cuda" and not torch.cuda.is_available():
        raise SystemExit("torch sees no CUDA device here; leave --device out.")
    network = load_network(NETWORK, device)
    images, labels = (part.to(device) for part in load_mnist("test"))
    with torch.no_grad():
        right = (network(images).argmax(1) == labels).nonzero().squeeze(1)[:count]
    images, targets = images[right], (labels[right] + 1) % 10

    present, missing = peers()
    problems = solver_contest.problems()
    rounds, solver_rounds = (min(most, len(images)) for most in (ROUNDS, SOLVER_ROUNDS))
    attacks = contest.Scores([peer.name for peer in present], len(images))
    solvers = solver_contest.Scores()
    machine = describe(device, threads)
    slow = ", ".join(peer.name for peer in present if not peer.quick)
    share = f"{len(images)} images, {rounds} rounds. All are attacked in each round, but a share by {slow}."
    print("\n".join([machine, share, *missing]), flush=True)
    total = rounds * len(present) + solver_rounds * 2 * len(problems)
    start = time.perf_counter()
    with Interrupt() as interrupt, tqdm(total=total, unit="turn") as bar:
        for scores, measured in (
            (attacks, contest.turns(present, network, images, targets, rounds, threads)),
            (solvers, solver_contest.turns(problems, solver_rounds, threads)),
        ):
            for turn in measured:
                interrupt.check()
                scores.add(*turn)
                bar.set_postfix_str(f"last: {turn[0]}", refresh=False)
                bar.update()
    if interrupt.asked:
        print("Interrupted: what follows was measured before.")
    report = {
        "command": f"python -m helpers.benchmark --images {len(images)}",
        "machine": machine,
        "date": date.today().isoformat(),
        "seconds": round(time.perf_counter() - start),
        "interrupted": interrupt.asked,
        "attacks": attacks.summary(),
        "solver": solvers.summary(),
        "missing": missing,
    }
    print(f"\n{tables(report)}")
    return report


def tables(report):
    """What was measured, Markdown."""
    from helpers.benchmark import attacks as contest
    from helpers.benchmark import solver as solver_contest

    attacks, solver = contest.table(report["attacks"]), solver_contest.table(report["solver"])
    return f"Attacks on {NETWORK}\n\n{attacks}\n\nThe solver alone\n\n{solver}"


def stored():
    """The report of the run that README.md shows: ``--json helpers/data/benchmark.json`` wrote it."""
    return json.loads((Path(__file__).parents[1] / "data" / "benchmark.json").read_text(encoding="utf-8"))


def _without_nan(report):
    """The report with None for NaN: JSON has no NaN."""
    if isinstance(report, dict):
        return {key: _without_nan(value) for key, value in report.items()}
    if isinstance(report, list):
        return [_without_nan(value) for value in report]
    return None if report != report else report


class Interrupt:
    """A ``with`` block that ends quietly at Ctrl-C and remembers it, also where an attack caught it to return early."""

    asked = False

    def __enter__(self):
        self.before = signal.signal(signal.SIGINT, self._handle)
        return self

    def _handle(self, *_):
        self.asked = True
        raise KeyboardInterrupt

    def check(self):
        """Raise KeyboardInterrupt after a Ctrl-C: what was just measured is not whole."""
        if self.asked:
            raise KeyboardInterrupt

    def __exit__(self, kind, *_):
        signal.signal(signal.SIGINT, self.before)
        return kind is not None and issubclass(kind, KeyboardInterrupt)


def describe(device, threads):
    """One line: processor, threads, device, versions, date."""
    import torch

    name = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
        name = found.group(1) if found else name
    where = f", {torch.cuda.get_device_name(device)}" if torch.device(device).type == "cuda" else ""
    versions = ", ".join(f"{package} {version(package)}" for package in ("torch", "numpy", "scipy"))
    python = platform.python_version()
    return f"{name}{where}, {threads} of {os.cpu_count()} cores, Python {python}, {versions}, {date.today()}"


if __name__ == "__main__":
    main()
