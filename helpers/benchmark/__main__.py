"""python -m helpers.benchmark: this attack beside SciPy's loop and other people's attacks, measured in one run.

python -m helpers.benchmark launches: how many operations, waits of the host and network passes an attack needs.
python -m helpers.benchmark overhead: where each microsecond of an attack goes.
python -m helpers.benchmark frontier: how short a perturbation, for how many passes, on several networks.
python -m helpers.benchmark scaling: images a second against how many are attacked at once.

All attack the first correctly classified MNIST test images, target (label + 1) mod 10, network FC100-100-10. They take
turns, round after round, so that whatever else the machine does meets all of them; the medians are printed. torch has
--threads threads, SciPy's loop one, for it is slower with more. So is BLAS, which gets one before NumPy is loaded.
"""

import argparse
import os
import sys
import time
from datetime import date
from importlib import import_module
from pathlib import Path

from helpers.benchmark.report import NETWORK, describe, tables, write

OTHERS = ("launches", "overhead", "scaling", "frontier")  # commands of their own, each in its module
ROUNDS, SOLVER_ROUNDS = 5, 3


def main(arguments=None):
    """The command line; ``--help`` lists it."""
    arguments = sys.argv[1:] if arguments is None else arguments
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = "1"  # before NumPy and torch are loaded; after it, they do not look
    if arguments and arguments[0] in OTHERS:
        return import_module(f"helpers.benchmark.{arguments[0]}").main(arguments[1:])
    options = parsed(arguments)
    report = run(options.images, options.device, options.threads)
    if options.json:
        write(report, options.json)
    if report["interrupted"]:
        raise SystemExit(130)


def parsed(arguments):
    """The options; ends with a sentence where one cannot be used."""
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


def task(count, device, name=NETWORK, first=0):
    """The network, ``count`` test images from ``first`` on that it classifies correctly, and the label after each."""
    import torch

    from helpers import load_mnist, load_network

    if device == "cuda" and not torch.cuda.is_available():
        raise SystemExit("torch sees no CUDA device here; leave --device out.")
    network = load_network(name, device)
    images, labels = (part[first:].to(device) for part in load_mnist("test"))
    with torch.no_grad():
        right = (network(images).argmax(1) == labels).nonzero().squeeze(1)[:count]
    return network, images[right], (labels[right] + 1) % 10


def run(count, device, threads):
    """Measure and print both tables; after Ctrl-C, what there is by then. Returns the report."""
    from tqdm import tqdm

    from helpers.benchmark import attacks, solver
    from helpers.benchmark.measure import Interrupt, Scores
    from helpers.benchmark.peers import peers

    network, images, targets = task(count, device)
    (present, missing), problems = peers(), solver.problems()
    rounds, solver_rounds = (min(most, len(images)) for most in (ROUNDS, SOLVER_ROUNDS))
    machine = describe(device, threads)
    slow = ", ".join(peer.name for peer in present if not peer.quick)
    share = f"{len(images)} images, {rounds} rounds. All are attacked in each round, but a share by {slow}."
    print("\n".join([machine, share, *missing]), flush=True)
    of_attacks, of_solvers, start = Scores(), Scores(), time.perf_counter()
    total = rounds * len(present) + solver_rounds * 2 * len(problems)
    with Interrupt() as interrupt, tqdm(total=total, unit="turn") as bar:
        for scores, turns in (
            (of_attacks, attacks.turns(present, network, images, targets, rounds, threads)),
            (of_solvers, solver.turns(problems, solver_rounds, threads)),
        ):
            for turn in turns:
                interrupt.check()
                scores.add(turn)
                bar.set_postfix_str(f"last: {turn.who}", refresh=False)
                bar.update()
    if interrupt.asked:
        print("Interrupted: what follows was measured before.")
    report = {
        "command": f"python -m helpers.benchmark --images {len(images)}",
        "machine": machine,
        "date": date.today().isoformat(),
        "seconds": round(time.perf_counter() - start),
        "interrupted": interrupt.asked,
        "attacks": attacks.summary(of_attacks),
        "solver": solver.summary(of_solvers),
        "missing": missing,
    }
    print(f"\n{tables(report)}")
    return report


if __name__ == "__main__":
    main()
