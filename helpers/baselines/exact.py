"""The true minimum of problem (P) for a network whose logits are an affine function of the image, such as FC10.

With logits Wx + b and target l, f(x + r) = l means (w_j − w_l)ᵀ(x + r) + b_j − b_l <= 0 for all j ≠ l, so that

    minimise ‖r‖²   subject to   A(x + r) + β <= 0,   0 <= x + r <= 1

is a convex quadratic programme, with one row of A and β for each other label. Its dual has a multiplier μ_j >= 0 a row:

    q(μ) = min over y in [0, 1]^n of ‖y − x‖² + μᵀ(Ay + β),   attained at y = clip(x − Aᵀμ/2, 0, 1).

q is concave, no q(μ) exceeds the minimum of (P), and the greatest q(μ) equals it (Boyd & Vandenberghe 2004, section
5.2). The ‖r‖² that is returned and a q(μ), its proof, differ by less than GAP, or an error is raised.
"""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import minimize

from helpers.adversarial.inputs import check_targeted, double_copy
from helpers.adversarial.result import AttackResult, assemble

GAP = 1e-8  # the largest gap ‖r‖² − q(μ) allowed, relative to max(1, ‖r‖²)
MARGIN = 1e-10  # f(x + r) = l is a strict inequality: the target's logit must lead by this much


@dataclass(frozen=True, eq=False, repr=False)
class ExactResult(AttackResult):
    """An AttackResult with its proof, all in float64."""

    bound: torch.Tensor  # (batch,): sqrt(q(μ)), than which no ‖r‖₂ can be less; inf where the box holds no solution


def exact_linear(network, images, targets):
    """The smallest perturbation that gives each image its target label, and the proof that none is smaller.

    Args:
        network: a module whose logits (batch, k) are an affine function of the images; "FC10(1e-4)" is one.
        images: (batch, ...) floats, pixels in [0, 1]. targets: (batch,) labels.

    Returns:
        ExactResult, float64 on the images' device whatever their dtype: both the images and the network's weights are
        converted exactly. ``evaluations`` counts evaluations of the dual. About 3 ms an image, one after the other.

    Raises:
        ValueError, TypeError: the network is not affine; bad images or targets, as in ``attack``.
        RuntimeError: a duality gap above GAP.
    """
    check_targeted(network, images, targets)
    network, images = double_copy(network), images.double()
    W, b = _affine(network, images)
    adversarial, bound, evaluations, status = images.clone(), [], [], []
    for i, l in enumerate(targets.tolist()):
        A, beta = np.delete(W - W[l], l, axis=0), np.delete(b - b[l], l)
        y, q, count = _closest(images[i].flatten().cpu().numpy(), A, beta)
        if y is None:
            status.append("impossible: no image in the box is given this label")
        else:
            adversarial[i] = torch.from_numpy(y).view_as(images[i])
            status.append("the minimum, proved by its dual")
        bound.append(np.sqrt(q))
        evaluations.append(count)
    evaluations = torch.tensor(evaluations, dtype=torch.long, device=images.device)
    result = assemble(network, images, adversarial, targets, None, evaluations).with_status(status)
    return ExactResult(**vars(result), bound=images.new_tensor(bound))


def _affine(network, images):
    """W (k, n) and b (k,) with network(x) = Wx + b."""
    if not len(images):
        return np.zeros((1, images[:0].flatten(1).shape[1])), np.zeros(1)
    zero = torch.zeros_like(images[:1])
    W = torch.autograd.functional.jacobian(lambda x: network(x)[0], zero).flatten(1)
    with torch.no_grad():
        b = network(zero)[0]
        wrong = (network(images) - (images.flatten(1) @ W.T + b)).abs().max() / W.abs().max().clamp(min=1)
    if wrong > 1e-9:
        raise ValueError(f"the network is not affine: Wx + b misses its logits by {wrong:.1e}; use FC10, or attack().")
    return W.cpu().numpy(), b.cpu().numpy()


def _closest(x, A, beta):
    """The point y of the box nearest to x with Ay + β < 0, None where there is none; and its proof, a q(μ) <= min ‖r‖².

    SLSQP climbs the dual to a few digits. Which multipliers are positive and which pixels are free then decides the
    rest: on these q is quadratic, and Newton's steps end at its top (Hintermüller, Ito & Kunisch 2003).
    """
    evaluations = 0

    def dual(mu, slack=0.0):
        y = np.clip(x - mu @ A / 2, 0, 1)
        excess = A @ y + beta + slack
        return (y - x) @ (y - x) + mu @ excess, excess, y

    def downhill(mu):
        nonlocal evaluations
        evaluations += 1
        q, excess, _ = dual(mu, MARGIN)
        return -q, -excess

    mu = np.zeros(len(beta))
    if dual(mu)[1].max(initial=-1) < 0:
        return x, 0.0, 1
    climb = minimize(downhill, mu, jac=True, method="SLSQP", bounds=[(0, None)] * len(mu), options={"ftol": 1e-16})
    mu = np.maximum(climb.x, 0)
    if dual(mu)[0] > np.maximum(x, 1 - x) @ np.maximum(x, 1 - x):  # farther away than the box reaches
        return None, np.inf, evaluations
    for _ in range(20):
        _, excess, y = dual(mu, MARGIN)
        evaluations += 1
        active, free = mu + excess > 0, (y > 0) & (y < 1)
        J = A[np.ix_(active, free)]
        last, mu = mu, np.where(active, mu, 0)
        mu[active] += np.linalg.lstsq(J @ J.T / 2, excess[active], rcond=None)[0]
        if np.abs(mu - last).max() <= 1e-14 * mu.max():
            break
    mu = np.maximum(mu, 0)
    q, excess, y = dual(mu)
    gap = (y - x) @ (y - x) - q
    if not (excess.max() < 0 and gap <= GAP * max(1, q)):
        raise RuntimeError(f"the dual ended with a gap of {gap:.1e} and a constraint at {excess.max():.1e}, not < 0.")
    return y, q, evaluations
