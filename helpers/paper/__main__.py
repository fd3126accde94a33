"""The paper's tables and figures, measured here and printed beside its own.

table1, table2        six networks: errors, distortions, and who else is misled (the first training images)
table3, table4        three networks trained on disjoint halves of the digits (the first test images)
differences           why these are not the paper's: each choice that it leaves open, made otherwise
figures1and2, units   section 3: the images highest along units and along random directions, drawn, and counted
table5                section 4.3: the operator norms of AlexNet's layers
photograph            section 4: four photographs become an ostrich, by this attack and by others
all                   all of these
adversarial-training  section 4.2: eight ways to train, five networks each, and attacks on them (about an hour)

Everything is saved in --out as it goes. After Ctrl-C, or a kill, the same command goes on from there. Many processes
share the attacks of tables 1 to 4, and the trainings, where torchrun starts them:

    torchrun --nproc-per-node 2 -m helpers.paper table2 --images all

and any number of them gives the same tables.
"""

import argparse
import time
from pathlib import Path

MOST = 10_000  # images a network: all of the test set, the first sixth of the training set
GROUP = {"table1": "all digits", "table2": "all digits", "table3": "halves", "table4": "halves"}
FILE = {"all digits": "tables1and2.json", "halves": "tables3and4.json"}
ALONE = ("differences", "figures1and2", "units", "table5", "photograph")  # done by one process
TRAINING = "adversarial-training"  # it takes as long as the rest together, so that "all" leaves it out
WHAT = [*GROUP, *ALONE, "all", TRAINING]


def main(arguments=None):
    """The command line; ``--help`` lists it."""
    parser = _parser()
    options = parser.parse_args(arguments)
    wanted = [*GROUP, *ALONE] if options.what == "all" else [options.what]
    from helpers.paper import team

    try:
        own = team.join(options.device)
        for group in dict.fromkeys(GROUP[what] for what in wanted if what in GROUP):
            print_tables([what for what in wanted if GROUP.get(what) == group], measure(group, options, own))
        learned = trained(options, own) if TRAINING in wanted else None
        own.leave()
        if learned:
            print(f"\n{TRAINING}: {learned}", flush=True)
        for what in wanted if own.first else ():
            if what in ALONE:
                print(f"\n{what}\n\n{alone(what, options)}", flush=True)
    except (ValueError, FileNotFoundError) as problem:
        parser.error(str(problem))
    except KeyboardInterrupt:
        print(f"\nStopped; what is done is kept in {options.out}, and the same command goes on from there.")
        raise SystemExit(130) from None


def print_tables(wanted, report):
    """Print these tables of a group from its report; None, in the other processes of a team, prints nothing."""
    from helpers.paper import tables

    for table in wanted if report else ():
        print(f"\n{table}: {run_line(report['run'])}\n\n{getattr(tables, table)(report)}", flush=True)


def alone(what, options):
    """Measure what takes one process, in the folder ``options.out``; returns it as text."""
    options.out.mkdir(parents=True, exist_ok=True)
    if what == "differences":
        from helpers.paper import differences

        return differences.table(differences.differences(options.images, options.out, options.device))
    if what == "units":
        from helpers.paper import units

        return units.table(units.run(options.out, options.images))
    if what == "figures1and2":
        from helpers.paper.units_picture import figures1and2

        path = options.out / "figures1and2.png"
        figures1and2(path)
        return f"drawn in {path}"
    if what == "photograph":
        from helpers.paper import photograph

        return photograph.table(photograph.photograph(options.out, options.device))
    from helpers.paper import table5

    report = table5.table5(options.out)
    return "\n\n".join(part for part in (table5.text(report), report["message"]) if part)


def trained(options, own):
    """Train and attack what section 4.2 asks for, and write the report; as text, in the first process of the team."""
    from helpers.paper import adversarial_training as section
    from helpers.paper.archive import write_json

    report = section.adversarial_training(options.out / TRAINING, team=own)
    if report is None:
        return None
    write_json(report, options.out / section.FILE)
    return f"{section.run_line(report)}\n\n{section.table(report)}"


def _parser():
    parser = argparse.ArgumentParser(
        prog="python -m helpers.paper", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=WHAT, metavar="WHAT", help=", ".join(WHAT))
    count = {"type": _count, "default": 1000, "metavar": "N"}
    parser.add_argument("--images", **count, help=f"so many a network, or all: {MOST:,} (default: %(default)s)")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="of the networks (cpu)")
    out = {"type": Path, "default": Path("results"), "metavar": "FOLDER"}
    parser.add_argument("--out", **out, help="where results go: 3 MB for a network and 1,000 images (default: results)")
    return parser


def _count(text):
    if text == "all":
        return MOST
    if not text.isdigit() or not 1 <= int(text) <= MOST:
        raise argparse.ArgumentTypeError(f"pass a number of images from 1 to {MOST}, or all; got {text!r}")
    return int(text)


def measure(group, options, own):
    """Measure a group of tables and write its report, which the first process of the team ``own`` returns."""
    import torch

    from helpers.paper import attacks, transfer
    from helpers.paper.archive import made_by, write_json

    torch.set_num_threads(1)  # the last bits of a sum depend on how many share it
    start = time.perf_counter()
    runs = transfer.runs(group)
    attacks.attack_all(runs, options.images, options.out, own)
    if not own.first:
        return None
    report = transfer.measured(group, options.images, options.out, own.device)
    torchrun = f"torchrun --nproc-per-node {own.size} -m" if own.size > 1 else "python -m"
    report["run"] = {
        **made_by(f"{torchrun} helpers.paper {options.what} --images {options.images}", own.device),
        "processes": own.size,
        "attack seconds of one process": round(attacks.seconds(runs, options.images, options.out, own.device)),
        "seconds of the last start": round(time.perf_counter() - start),
    }
    write_json(report, options.out / FILE[group])
    return report


def run_line(run):
    """One sentence on how a report was made."""
    processes = "one process" if run["processes"] == 1 else f"{run['processes']} processes"
    took = f"the attacks took {run['attack seconds of one process']} s of one process"
    return f"{run['command']}, {processes}; {took}; {run['machine']}."


if __name__ == "__main__":
    main()
