"""What is kept of the attacks on photographs, to be looked at where the network is not: changes, and a path over c.

A change r is stored as 16-bit integers, the number of steps of one size, which stands beside them.
"""

import os
from dataclasses import fields
from pathlib import Path

import numpy as np
import torch

from helpers.adversarial.c_path import CPath, c_path
from helpers.adversarial.result import result_of
from helpers.paper.archive import KEPT
from helpers.photographs.networks import OSTRICH
from helpers.photographs.pictures import load_photographs

CHANGES, PATH = "photographs.npz", "photographs_path.npz"
STEP, PATH_STEP = 1e-5, 1e-4  # of a stored r; a grey level is 39e-4
C, ITERATIONS = (1.0, 256.0, 9), 40  # of the path: from, to, how many; of each solve, twice


def save_change(out, name, r):
    """Keep the change r (3, H, W) of the photograph ``name`` in the folder ``out``, beside those kept before."""
    path = Path(out) / CHANGES
    kept = dict(np.load(path)) if path.exists() else {}
    _write(path, kept | _stepped(r, STEP, name))


def load_answers(folder=KEPT):
    """The stored answers: an AttackResult on the four photographs, target ostrich.

    Whether each reaches its target has been judged where the network was: ``photograph.report()``.
    """
    images, names = load_photographs()
    with np.load(Path(folder) / CHANGES) as kept:
        r = torch.stack([_unstepped(kept, name) for name in names])
    target = torch.full((len(names),), OSTRICH)
    return result_of(images, (images + r).clamp(0, 1), target, torch.ones(len(names), dtype=torch.bool))


def save_path(out, network, image, target):
    """Solve (P_c) for several values of c and keep the path in the folder ``out``; returns a dict for JSON."""
    low, high, count = C
    c = torch.logspace(np.log10(low), np.log10(high), count)
    path = c_path(network, image, target, c, maxiter=ITERATIONS)
    numbers = {f.name: getattr(path, f.name) for f in fields(CPath) if f.name not in ("adversarial", "perturbation")}
    arrays = {name: np.asarray(value) for name, value in numbers.items()}
    _write(Path(out) / PATH, arrays | _stepped(path.perturbation, PATH_STEP, "r"))
    return {name: numbers[name].tolist() for name in ("c", "norm", "loss", "margin", "success", "evaluations")}


def load_path(image, folder=KEPT):
    """The stored CPath of ``image`` (3, H, W), the first photograph."""
    with np.load(Path(folder) / PATH) as kept:
        others = [name for name in kept.files if name not in ("r", "r step", "forwards")]
        numbers = {name: torch.from_numpy(kept[name]) for name in others}
        r, forwards = _unstepped(kept, "r"), int(kept["forwards"])
    adversarial = (image + r).clamp(0, 1)
    return CPath(adversarial=adversarial, perturbation=adversarial - image, forwards=forwards, **numbers)


def _stepped(r, step, name):
    """r in whole steps, 16 bits each, and the step: at least ``step``, larger where r is too long for that."""
    r = r.cpu().double().numpy()
    step = max(step, abs(r).max(initial=0) / np.iinfo(np.int16).max)
    return {name: (r / step).round().astype(np.int16), f"{name} step": np.float64(step)}


def _unstepped(kept, name):
    return torch.from_numpy((kept[name] * kept[f"{name} step"]).astype(np.float32))


def _write(path, arrays):
    draft = path.with_suffix(".draft")
    with draft.open("wb") as file:
        np.savez_compressed(file, **arrays)
    os.replace(draft, path)
