"""The paper's MNIST networks, from the command line:

python -m helpers.digits table                     errors measured now, beside the paper's, as Markdown
python -m helpers.digits train NAME [--part P1]    trains and stores one; Ctrl-C, then the same command, goes on
python -m helpers.digits readings                  FC10 with other weight decays; printed data/networks/readings.md
"""

import argparse
import json

import torch

from helpers.digits.networks import FOLDER, RECIPES, command, readings, table, train


def main(argv=None, folder=FOLDER):
    """The command line; see the top of this file. folder: where the networks are."""
    parser = argparse.ArgumentParser(prog="python -m helpers.digits", description="The paper's MNIST networks.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("table", help="errors of the stored networks, measured now, beside the paper's")
    commands.add_parser("readings", help="errors of FC10 at other strengths of the weight decay, trained now")
    trainer = commands.add_parser("train", help="train and store one network; after Ctrl-C the same command goes on")
    trainer.add_argument("name", help=", ".join(RECIPES))
    trainer.add_argument("--part", help="P1 or P2: train on that half of the training set")
    options = parser.parse_args(argv)
    if options.command == "table":
        return print(table(folder))
    if options.command == "readings":
        return print(readings())
    try:
        record = train(options.name, options.part, folder)
    except ValueError as problem:
        parser.error(str(problem))
    except KeyboardInterrupt:
        print(f"\nStopped; nothing is lost. To go on:  {command(options.name, options.part)}")
        raise SystemExit(130) from None
    print(json.dumps(record, indent=2))


if __name__ == "__main__":
    torch.set_num_threads(1)  # sums in one order give the same weights on any number of cores
    main()
