"""Section 4.2: does a network get better by learning from its own adversarial examples?

Eight ways to train FC100-100-10, with the same start, order of batches, number of updates and schedule of the step size
for a seed. The paper: below 1.2% test error with pools of adversarial examples and weight decay, 1.6% with weight decay
alone, about 1.3% with dropout. Then the distortion that each trained network stands.
"""

import json
from dataclasses import asdict

import torch
from scipy.stats import t as student

from helpers.digits.mnist import load_mnist
from helpers.digits.networks import error, untrained
from helpers.digits.training import save
from helpers.paper import archive, robustness
from helpers.paper.team import Team
from helpers.paper.training import NAME, PLAN, Method, train

FILE = "adversarial_training.json"
HELD_OUT = 6  # the last sixth of the training images, 10,000: what METHODS says was chosen on them
METHODS = {
    "plain": Method(),
    "weight decay": Method(decay=5.0),
    "dropout": Method(decay=5.0, dropout=0.05),
    "pool for the input": Method(decay=5.0, pools=(0,), share=0.1),
    "pool for hidden layer 1": Method(decay=5.0, pools=(2,), share=0.1),
    "pool for hidden layer 2": Method(decay=5.0, pools=(4,), share=0.1),
    "pools for all three": Method(decay=5.0, pools=(0, 2, 4), share=0.1),
    "FGSM at every update": Method(decay=5.0, fgsm=0.1),
}
PAPER = {"weight decay": "1.6%", "dropout": "about 1.3%", "pools for all three": "below 1.2%"}
BASE = "weight decay"  # what the others are compared with, seed by seed
# What METHODS was chosen from, each trained once on the other 50,000 images.
CANDIDATES = (
    *(Method(decay=decay) for decay in (5.0, 20.0, 80.0)),
    *(Method(decay=5.0, dropout=dropout) for dropout in (0.05, 0.1, 0.25)),
    *(Method(decay=5.0, fgsm=epsilon) for epsilon in (0.05, 0.1)),
    *(Method(decay=5.0, pools=p, share=share) for p in ((0,), (2,), (4,), (0, 2, 4)) for share in (0.1, 0.3)),
)
CANDIDATE_SEED = 1000


def adversarial_training(out, seeds=5, team=None, plan=PLAN, data=None, candidates=CANDIDATES):
    """Train every method from seeds 0, 1, …, attack what comes out, and return the report, a dict for JSON.

    out: a Path; each finished training and each attacked network is kept there, each unfinished training after every
    epoch, and the same call goes on from there to the same numbers. team: the processes that share the trainings
    (``team.join()``), each on the same disk; None: this one alone. plan, data ({"train": …, "test": …}), candidates:
    other than the report's, for tests. Returns None in all processes but the first.
    Raises ValueError where ``out`` holds results of other methods or plans.
    """
    team = team or Team(0, 1, "cpu")
    torch.set_num_threads(1)  # the last bits of a sum depend on how many share it
    data = data or {split: load_mnist(split) for split in ("train", "test")}
    made = {"methods": {name: _plain(method) for name, method in METHODS.items()}, "plan": asdict(plan)}
    if team.first:
        archive.Archive(out, {**made, "torch": torch.__version__})  # refuses a folder of other results
    team.told(None)
    for number, method in enumerate(candidates):
        if number % team.size == team.rank:
            held_out(out, method, data["train"], plan)
    for seed in range(seeds):
        for number, name in enumerate(METHODS):
            if (seed + number) % team.size == team.rank:
                finished(out, name, seed, data, plan)
    team.gathered(None)  # all networks are there
    for seed in range(seeds):
        for number, name in enumerate(METHODS):
            if (seed + number) % team.size == team.rank:
                attacked(out, name, seed, data["test"])
    team.gathered(None)
    return _report(out, seeds, made, candidates, team) if team.first else None


def held_out(out, method, data, plan=PLAN):
    """The record of a candidate, a dict, with its error in percent on the held-out part of the training ``data``."""
    images, labels = data
    middle = len(labels) - len(labels) // HELD_OUT
    parts = {"train": (images[:middle], labels[:middle]), "held out": (images[middle:], labels[middle:])}
    stem = out / "held out" / "_".join(map(str, _plain(method).values()))
    return _finished(stem, method, CANDIDATE_SEED, parts, plan)


def finished(out, name, seed, data, plan=PLAN):
    """The record of a training, a dict; trained now where ``out`` does not hold it yet, with its weights beside it."""
    return _finished(out / name, METHODS[name], seed, data, plan)


def _finished(stem, method, seed, data, plan):
    stem.parent.mkdir(parents=True, exist_ok=True)
    record, weights, checkpoint = (stem.with_name(f"{stem.name}.{seed}.{end}") for end in ("json", "pt", "checkpoint"))
    if not record.exists():
        network, seconds = train(method, seed, data["train"], checkpoint, plan, f"{stem.name}, seed {seed}")
        save(network.state_dict(), weights)
        errors = {f"{split} error": error(network, *part) for split, part in data.items()}
        archive.write_json({"seed": seed, **errors, "cpu seconds": round(seconds, 1)}, record)
        checkpoint.unlink(missing_ok=True)
    return json.loads(record.read_text(encoding="utf-8"))


def attacked(out, name, seed, data=None):
    """What the network of a finished training stands, a dict (``robustness.measured``); attacked now where ``out`` does
    not hold it yet. The first seed's networks are looked at more closely."""
    plain = _network(out, "plain", 0) if seed == 0 else None
    return robustness.measured(_network(out, name, seed), plain, data, out / f"{name}.{seed}.robustness.json")


def _network(out, name, seed):
    """The network of a finished training, in eval mode, its parameters without gradients."""
    network = untrained(NAME).eval().requires_grad_(False)
    network.load_state_dict(torch.load(out / f"{name}.{seed}.pt", weights_only=True))
    return network


def _plain(method):
    """A method as JSON gives it back."""
    return {**asdict(method), "pools": list(method.pools)}


def _report(out, seeds, made, candidates, team):
    """What the finished trainings and attacks say together."""
    rows = {name: [finished(out, name, seed, None) for seed in range(seeds)] for name in METHODS}
    chosen_from = [{**_plain(method), **held_out(out, method, ((), ()))} for method in candidates]
    found = {name: [attacked(out, name, seed) for seed in range(seeds)] for name in METHODS}
    stands = {name: {**of[0], "targeted": [row["targeted"] for row in of]} for name, of in found.items()}
    seconds = sum(row["cpu seconds"] for trained in [*rows.values(), chosen_from] for row in trained)
    attacks = sum(row["cpu seconds"] for of in found.values() for row in of)
    launcher = f"torchrun --nproc-per-node {team.size} -m" if team.size > 1 else "python -m"
    return {
        **archive.made_by(f"{launcher} helpers.paper adversarial-training"),
        "processes": team.size,
        "hours of CPU": {"training": round(seconds / 3600, 2), "attacks on the trained": round(attacks / 3600, 2)},
        **made,
        "held out": chosen_from,
        "trainings": rows,
        "robustness": stands,
    }


def interval(values):
    """The mean of numbers and half the width of its 95% interval, by Student's t."""
    values = torch.tensor(values, dtype=torch.float64)
    if len(values) < 2:
        return values.mean().item(), float("nan")
    half = student.ppf(0.975, len(values) - 1) * values.std() / len(values) ** 0.5
    return values.mean().item(), half.item()


def table(report):
    """The report as text: test errors, their paired differences to weight decay alone, and the mean ‖r‖ needed."""
    lines = [
        f"{'':24} {'test':<11}  {'less weight':<12}  {'the':<10} {'train':>6}  {'‖r‖ to a':<11} {'nearest':>7}",
        f"{'trained with':24} {'error, %':<11}  {'decay alone':<12}  {'paper':<10} {'error':>6}  "
        f"{'random label':<11} {'label':>7}",
    ]
    base = [row["test error"] for row in report["trainings"][BASE]]
    for name, rows in report["trainings"].items():
        test = [row["test error"] for row in rows]
        paired = interval([a - b for a, b in zip(test, base, strict=True)])
        train_error = interval([row["train error"] for row in rows])[0]
        stands = report["robustness"][name]
        length = interval([row["norm"] for row in stands["targeted"]])
        cells = [
            f"{name:24}",
            "{:.2f} ± {:.2f} ".format(*interval(test)),
            f"{'' if name == BASE else '{:+.2f} ± {:.2f}'.format(*paired):13}",
            f"{PAPER.get(name, ''):10}",
            f"{train_error:6.2f} ",
            "{:.2f} ± {:.2f}".format(*length),
            f"{stands['untargeted']['norm']:8.2f}",
        ]
        lines.append(" ".join(cells).rstrip())
    return "\n".join(lines)


def run_line(report):
    """One sentence on how the report was made."""
    training, attacks = report["hours of CPU"].values()
    took = f"{training:.1f} hours of CPU for the trainings, {attacks:.1f} for the attacks"
    return f"{report['command']}, {took}; {report['machine']}."


def stored():
    """The report that is stored with the course."""
    return archive.stored(FILE)
