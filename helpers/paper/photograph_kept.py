"""What is kept of the attacks on photographs, to be looked at where the network is not: changes, and a path over c.

A change r is stored as 16-bit integers, the number of steps of one size, which stands beside them.
"""

import os
from dataclasses import fields
from pathlib import Path

import numpy as np
import torch

from helpers.adversarial.c_path import CPath, c_path
from helpers.adversarial.objective import surrogate
from helpers.adversarial.result import result_of
from helpers.paper.archive import KEPT
from helpers.photographs.networks import OSTRICH
from helpers.photographs.pictures import load_photographs

CHANGES, FILES, PATH = "photographs.npz", "photographs_files.npz", "photographs_path.npz"
STEP, PATH_STEP = 1e-5, 2e-4  # of a stored r; a grey level is 39e-4
# The prices of the path: powers of 2, with finer steps where the target is lost, in powers of 2.
POWERS = (0, 1, 2, 3, 3.5, 4, 4.25, 4.5, 4.75, 5, 5.5, 6, 7, 8)
FROM_ANSWER = (2, 5)  # between these powers each price is solved from the stored answer as well
ITERATIONS, MORE = 40, 100  # of each solve, twice: from r = 0, and from the stored answer
NUMBERS = tuple(f.name for f in fields(CPath) if f.name not in ("adversarial", "perturbation"))


def save_change(out, name, r, image):
    """Keep the change r (3, H, W) of the photograph ``name`` in the folder ``out``, beside those kept before.

    Returns ``image`` (3, H, W) with the change as it will come back, (3, H, W).
    """
    change = _stepped(r, STEP, name)
    _add(Path(out) / CHANGES, change)
    return (image + _unstepped(change, name).to(image.device)).clamp(0, 1)


def save_file(out, name, picture):
    """Keep ``picture`` (3, H, W), values of 256 levels, in the folder ``out``, under ``name``."""
    _add(Path(out) / FILES, {name: (255 * picture.cpu()).round().to(torch.uint8).numpy()})


def load_files(folder=KEPT):
    """The stored pictures of 256 levels that are still given the target: from a photograph's name to (3, H, W)."""
    with np.load(Path(folder) / FILES) as kept:
        return {name: torch.from_numpy(kept[name]).float() / 255 for name in kept.files}


def load_answers(folder=KEPT):
    """The stored answers: an AttackResult on the four photographs, target ostrich.

    That each of them, as it is stored, is given its target was seen where the network was: ``photograph.report()``.
    """
    images, names = load_photographs()
    with np.load(Path(folder) / CHANGES) as kept:
        r = torch.stack([_unstepped(kept, name) for name in names])
    target = torch.full((len(names),), OSTRICH)
    return result_of(images, (images + r).clamp(0, 1), target, torch.ones(len(names), dtype=torch.bool))


def save_path(out, network, image, target, answer):
    """Solve (P_c) at the prices 2**POWERS, from r = 0 and from ``answer``, and keep the better of the two in ``out``.

    Both, and ``answer`` itself at each price, are said in the dict for JSON that is returned.
    """
    every = [2.0**power for power in POWERS]
    some = [2.0**power for power in POWERS if FROM_ANSWER[0] <= power <= FROM_ANSWER[1]]
    zero = c_path(network, image, target, every, maxiter=ITERATIONS)
    other = c_path(network, image, target, some, maxiter=MORE, start=answer)
    path = best_of(zero, other)
    arrays = {name: np.asarray(getattr(path, name)) for name in NUMBERS}
    _write(Path(out) / PATH, arrays | _stepped(path.perturbation, PATH_STEP, "r"))
    with torch.no_grad():
        loss = surrogate(network(answer[None]), torch.tensor([target]), torch.ones(1)).item()
    said = ("c", "norm", "loss", "margin", "success", "evaluations", "gain")
    both = {"from r = 0": zero, "from the answer": other, "best": path}
    found = {who: {name: getattr(each, name).tolist() for name in said} for who, each in both.items()}
    return found | {"answer": {"norm": (answer - image).norm().item(), "loss": loss}}


def best_of(path, other):
    """The CPath ``path`` where each price takes the best answer of both paths for its own objective, c‖r‖² + loss.

    The evaluations are those of both together.
    """
    norm, loss = (torch.cat([getattr(p, name) for p in (path, other)]).double() for name in ("norm", "loss"))
    place = (path.c.double()[:, None] * norm.square() + loss).argmin(1)
    chosen = {
        f.name: torch.cat([getattr(path, f.name), getattr(other, f.name)])[place]
        for f in fields(CPath)
        if f.name not in ("c", "forwards", "evaluations")
    }
    passes = path.evaluations.clone()
    passes[torch.isin(path.c, other.c)] += other.evaluations
    return CPath(c=path.c, evaluations=passes, forwards=path.forwards + other.forwards, **chosen)


def load_path(image, folder=KEPT):
    """The stored CPath of ``image`` (3, H, W), the first photograph."""
    with np.load(Path(folder) / PATH) as kept:
        numbers = {name: torch.from_numpy(kept[name]) for name in NUMBERS if name != "forwards"}
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


def _add(path, arrays):
    _write(path, (dict(np.load(path)) if path.exists() else {}) | arrays)


def _write(path, arrays):
    draft = path.with_suffix(".draft")
    with draft.open("wb") as file:
        np.savez_compressed(file, **arrays)
    os.replace(draft, path)
