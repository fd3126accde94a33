"""The attacks behind tables 1 to 4: which network, which images, which targets; done in chunks, by one process or many.

A chunk is always attacked in one call and on one thread, so that its answers are the same bits whoever works on it,
after an interruption or without, alone or in a team.
"""

import hashlib
import time
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import torch
from tqdm import tqdm

from helpers.adversarial.attack import attack
from helpers.adversarial.result import result_of
from helpers.benchmark.measure import Interrupt
from helpers.digits.mnist import load_mnist
from helpers.digits.networks import load_network, weights_path
from helpers.paper.archive import Archive

CHUNK = 250  # images
SETTINGS = {"paper": (1.0,), "sharpened": (1.0, 8.0, 64.0)}  # the sharpness β of the loss, see ``attack``
SEED = 2013


@dataclass(frozen=True)
class Run:
    """One network attacked in one setting on the images of one split, from its first image on."""

    network: str  # a name of helpers.digits, with " P1" or " P2" behind it for one trained on half of the digits
    setting: str  # of SETTINGS
    split: str  # "train" or "test"

    def archive(self, out, device):
        """Where the answers lie, under the folder ``out``. Raises ValueError where other answers lie there."""
        name, part = parted(self.network)
        stem = Path(weights_path(name, part)).stem
        made = {
            "network": self.network,
            "weights": hashlib.sha256(weights_path(name, part).read_bytes()).hexdigest()[:16],
            "split": self.split,
            "targets": f"random wrong labels, seed {SEED}",
            "norm": "squared",
            "sharpness": list(SETTINGS[self.setting]),
            "device": torch.device(device).type,
            "torch": torch.__version__,
        }
        return Archive(out / "attacks" / f"{stem}.{self.setting}.{self.split}", made)


def parted(network):
    """A name such as "FC100-100-10 P1" as (name, part), the part None where there is none."""
    name, _, part = network.partition(" ")
    return name, part or None


@lru_cache(maxsize=16)
def network_of(network, device="cpu"):
    """The network of a name as in Run, on the device."""
    name, part = parted(network)
    return load_network(name, device, part)


@lru_cache(maxsize=4)
def digits(split):
    """Images (n, 784), labels (n,) and targets (n,) of a split; each target a wrong label, all nine as likely."""
    images, labels = load_mnist(split)
    step = torch.randint(1, 10, labels.shape, generator=torch.Generator().manual_seed(SEED))
    return images, labels, (labels + step) % 10


def chunks(count):
    """The chunks, (first, last + 1), of ``count`` images."""
    return [(first, min(first + CHUNK, count)) for first in range(0, count, CHUNK)]


def attack_all(runs, count, out, team):
    """Attack the first ``count`` images in each of the ``runs``, but for the chunks that ``out`` holds already.

    A progress bar counts images. Raises KeyboardInterrupt after Ctrl-C or SIGTERM; what was done until then is kept.
    """
    archives = {run: run.archive(out, team.device) for run in runs} if team.first else {}
    jobs = [(run, chunk) for run in runs for chunk in chunks(count)]
    left = team.told([job for job in jobs if not archives[job[0]].has(job[1])] if team.first else None)
    total, missing = len(runs) * count, sum(last - first for _, (first, last) in left)
    bar = tqdm(initial=total - missing, total=total, unit="image", disable=not (team.first and left))
    with Interrupt() as interrupt, bar:
        for round_ in range(0, len(left), team.size):
            mine = left[round_ + team.rank] if round_ + team.rank < len(left) else None
            answers = mine and answered(*mine, team.device)
            interrupt.check()  # the attack returns early at Ctrl-C: such a chunk is not whole
            for job, theirs in team.gathered((mine, answers)):
                if job:
                    run, chunk = job
                    archives[run].save(chunk, theirs)
                    bar.set_postfix_str(f"{run.network}, {run.setting}", refresh=False)
                    bar.update(chunk[1] - chunk[0])
    if interrupt.asked:
        raise KeyboardInterrupt


def answered(run, chunk, device):
    """The answers to a chunk: a dict of tensors on the CPU, and the seconds that they took."""
    start = time.perf_counter()
    images, _, targets = (part[slice(*chunk)].to(device) for part in digits(run.split))
    found = attack(network_of(run.network, device), images, targets, sharpness=SETTINGS[run.setting], progress=False)
    names = ("adversarial", "success", "c", "evaluations", "forwards")
    answers = {name: getattr(found, name).cpu() for name in names}
    return {**answers, "seconds": time.perf_counter() - start}


def found(run, chunk, archive):
    """The AttackResult of a chunk that ``archive``, the run's, holds."""
    answers = archive.load(chunk)
    images, _, targets = (part[slice(*chunk)] for part in digits(run.split))
    result = result_of(images, answers["adversarial"], targets, answers["success"], answers["c"])
    return replace(result, evaluations=answers["evaluations"], forwards=answers["forwards"])


def seconds(runs, count, out, device):
    """What the attacks on ``count`` images took, in seconds of one process, however many there were."""
    archives = [run.archive(out, device) for run in runs]
    return sum(archive.load(chunk)["seconds"] for archive in archives for chunk in chunks(count))
