"""Who takes part in ``python -m helpers.benchmark``: the course's attacks, and other people's where they are installed.

Each is called as ``run(network, images, targets)`` and returns an AttackResult, so that all are judged alike.
"""

import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from types import ModuleType

import torch
from torch.nn.functional import cross_entropy

from helpers import baselines
from helpers.adversarial.attack import attack
from helpers.adversarial.inputs import check_targeted, double_copy
from helpers.adversarial.objective import succeeds
from helpers.adversarial.result import assemble
from helpers.baselines.scipy_loop import CBracket

SCIPY = "SciPy L-BFGS-B, a loop over images"


@dataclass(frozen=True)
class Peer:
    name: str
    run: Callable
    quick: bool = True  # attacks all the images in every round; the others take a share of them each round
    threads: int | None = None  # fewer than the others get, where more are slower


def peers():
    """The Peers that can be run here, and a sentence for each package that is missing, with the command to bring it."""
    found = [
        Peer(SCIPY, lambda *task: baselines.scipy_lbfgsb(*task, progress=False), quick=False, threads=1),
        Peer("this attack, β = 1", lambda *task: attack(*task, progress=False)),
        Peer("this attack, β = 1, 8, 64", lambda *task: attack(*task, sharpness=(1, 8, 64), progress=False)),
        Peer("noise optimised by SGD", baselines.sgd_noise, quick=False),
        Peer("FGSM, ε = 0.1", baselines.fgsm),
    ]
    missing = []
    for add, package, install in (
        (_botorch, "botorch", "pip install botorch"),
        # --no-deps: its dependency visdom, for plots, does not build where setuptools no longer has pkg_resources.
        (_adversarial_library, "adv_lib", "pip install --no-deps adv-lib"),
    ):
        if find_spec(package) is None:
            missing.append(f"{package} is not installed and takes no part; to bring it:  {install}")
            continue
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # what they deprecate in each other is not this command's news
                found += add()
        except ImportError as error:
            missing.append(f"{package} is installed but cannot be imported ({error}); to mend it:  {install}")
    return found, missing


def curves():
    """What the frontier has beside this attack: from a name to (run, quick). Who is not installed takes no part."""
    found = {SCIPY: (lambda *task: baselines.scipy_lbfgsb(*task, progress=False), False)}
    if find_spec("adv_lib"):
        found |= {f"DDN, {n} steps": (_ddn(n), True) for n in (50, 100, 250, 500, 1000)}
        found |= {f"PDGD, {n} steps": (_pdgd(n), True) for n in (100, 250, 500, 1000)}
    if find_spec("botorch"):
        found |= {peer.name: (peer.run, False) for peer in _botorch()}
    return found


def _adversarial_library():
    _library()  # where it cannot be imported, that is said now
    return [
        Peer("DDN, 100 steps", _ddn(100)),
        Peer("DDN, 1000 steps", _ddn(1000), quick=False),
        Peer("PDGD, 1000 steps", _pdgd(1000), quick=False),
    ]


def rounding_ddn(steps):
    """DDN as adversarial-library has it by default, run(network, images, targets) → AttackResult: each step is rounded
    to 256 grey levels, so that its answers are files already. Raises ImportError where it is not installed."""
    _library()
    return _ddn(steps, levels=256)


def _ddn(steps, levels=None):
    # levels=None: pixels are not rounded to 256 grey levels, since nobody else's are.
    return _judged(lambda *task: _library().ddn(*task, targeted=True, steps=steps, levels=levels), steps)


def _pdgd(steps):
    return _judged(lambda *task: _library().pdgd(*task, targeted=True, num_steps=steps), steps)


def _judged(run, steps):
    def judged(network, images, targets):
        adversarial = run(network, images, targets).clamp(0, 1)  # x + r may leave the box by a rounding error
        return assemble(network, images, adversarial, targets, None, torch.full_like(targets, steps))

    return judged


def _library():
    """adv_lib.attacks."""
    try:
        import visdom  # noqa: F401
    except ImportError:
        sys.modules["visdom"] = ModuleType("visdom")  # adv_lib imports it, and uses it only to plot
    from adv_lib import attacks

    return attacks


def _botorch():
    from botorch.optim.batched_lbfgs_b import fmin_l_bfgs_b_batched

    def run(network, images, targets):
        """The loop of scipy_lbfgsb, with one call of the network for all images and warm starts along c."""
        slack = check_targeted(network, images, targets)
        double = double_copy(network)
        flat = images.flatten(1)
        origin, start = flat.double(), flat.double().cpu().numpy()
        bounds = [(0.0, 1.0)] * flat.shape[1]
        best, least = flat.clone(), flat.new_full((len(flat),), torch.inf)
        evaluations, brackets = torch.zeros_like(targets), [CBracket() for _ in images]
        while rows := [i for i, bracket in enumerate(brackets) if not bracket.closed]:
            c = origin.new_tensor([brackets[i].c for i in rows])
            row = torch.tensor(rows, device=images.device)

            def objective(v, batch_indices, c=c, row=row):
                x = torch.from_numpy(v).to(origin.device).requires_grad_()
                at = row[batch_indices]
                loss = cross_entropy(double(x.view(-1, *images.shape[1:])), targets[at], reduction="none")
                value = c[batch_indices] * (x - origin[at]).square().sum(1) + loss
                (gradient,) = torch.autograd.grad(value.sum(), x)
                return value.detach().cpu().numpy(), gradient.cpu().numpy()

            start[rows], _, ended = fmin_l_bfgs_b_batched(objective, start[rows], bounds, pass_batch_indices=True)
            x = torch.from_numpy(start[rows]).to(flat).clamp(0, 1)
            with torch.no_grad():
                success = succeeds(network(x.view(-1, *images.shape[1:])), targets[row], slack)
            size = torch.linalg.vector_norm(x - flat[row], dim=1)
            better = success & (size < least[row])
            best[row[better]], least[row[better]] = x[better], size[better]
            evaluations[row] += torch.tensor([end.nfev for end in ended], device=images.device)
            for i, ok in zip(rows, success.tolist(), strict=True):
                brackets[i].update(ok)
        return assemble(network, images, best.view_as(images), targets, None, evaluations)

    return [Peer("botorch's batched wrapper around SciPy", run, quick=False)]
