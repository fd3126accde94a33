"""One image, many c: the path of minimisers of (P_c), solved in one batch."""

from dataclasses import dataclass

import torch

from helpers.adversarial.inputs import check_inputs, check_norm, check_schedule
from helpers.adversarial.objective import Penalty, margin, surrogate
from helpers.solver.lbfgsb import minimize


@dataclass(frozen=True)
class CPath:
    """The minimisers of c·size(r) + loss(x + r) for one image; one entry a value of c, in increasing order of c."""

    c: torch.Tensor  # (k,)
    adversarial: torch.Tensor  # (k, ...): x + r(c), in [0, 1]
    perturbation: torch.Tensor  # (k, ...): r(c)
    norm: torch.Tensor  # (k,): ‖r(c)‖₂
    loss: torch.Tensor  # (k,): CE(β·logits, target)/β at x + r(c)
    logits: torch.Tensor  # (k, classes) at x + r(c)
    margin: torch.Tensor  # (k,): max_{j≠l} z_j − z_l, negative where the target is predicted
    success: torch.Tensor  # (k,) bool
    evaluations: torch.Tensor  # (k,)

    @property
    def best(self):
        """The place of the largest c that succeeds, or None where no c does."""
        places = self.success.nonzero()
        return int(places[-1]) if len(places) else None


def c_path(network, image, target, c, *, norm="squared", sharpness=1.0):
    """Minimise c·size(r) + CE(β·logits, target)/β over the box for every c at once, size ‖r‖² or ‖r‖.

    All are solved from r = 0; then every c takes the best of all the answers for its own objective, as a new start, and
    once more at the end. By the exchange lemma ‖r‖ then falls and the loss rises with c, without exception.

    Args:
        network: from (batch, ...) images to (batch, classes) logits, in eval mode.
        image: one image in [0, 1]: (n,), (1, n), (channels, h, w) or (1, channels, h, w). target: an integer label.
        c: (k,) positive numbers, a tensor or a sequence. norm: "squared" or "l2". sharpness: β, one positive number.

    Returns:
        CPath, in increasing order of c.

    Raises:
        TypeError, ValueError: one sentence that says what was wrong and what to pass instead.
    """
    image = torch.as_tensor(image)
    image = image if image.ndim in (2, 4) and len(image) == 1 else image.unsqueeze(0)
    classes = check_inputs(network, image)
    check_norm(norm)
    (beta,) = check_schedule(float(sharpness))
    if not 0 <= int(target) < classes:
        raise ValueError(f"the target must be a label from 0 to {classes - 1}, got {target}.")
    c = torch.as_tensor(c, dtype=image.dtype, device=image.device).flatten().sort()[0]
    if len(c) and not (c[0] > 0 and torch.isfinite(c[-1])):
        raise ValueError(
            "every c must be positive and finite: at c = 0 nothing holds r back, and there is no smallest one."
        )

    k = len(c)
    x0 = image.detach().flatten(1).expand(k, -1)
    penalty = Penalty(network, image.shape[1:], norm)
    label = torch.full((k,), int(target), device=image.device)
    args = (x0, label, c, torch.full_like(c, beta))
    x, evaluations = x0.clone(), torch.zeros(k, dtype=torch.long, device=image.device)
    for _ in range(2):
        result = minimize(lambda x, *args: penalty(x, None, *args), x, 0.0, 1.0, args, ftol=1e-7)
        evaluations += result.evaluations
        x = _exchange(penalty, result.x, *args)
    with torch.no_grad():
        logits = penalty.logits(x) if k else x.new_zeros(0, classes)
        m = margin(logits, label)
        adversarial = x.view(k, *image.shape[1:])
        perturbation = adversarial - image
        loss = surrogate(logits, label, args[3])
    size = torch.linalg.vector_norm(perturbation.flatten(1), dim=1)
    return CPath(c, adversarial, perturbation, size, loss, logits, m, m < 0, evaluations)


@torch.no_grad()
def _exchange(penalty, x, x0, label, c, beta):
    """For every c the best of all answers: (k, n). Also r = 0, which the largest c may prefer."""
    if not len(x):
        return x
    candidates = torch.cat([x, x0[:1]])
    loss = surrogate(penalty.logits(candidates), label[:1].expand(len(candidates)), beta[:1].expand(len(candidates)))
    size = penalty.size(candidates, x0[:1].expand_as(candidates))
    # float64: a tie that rounding breaks differently for two c would break the order as well
    return candidates[(c.double().unsqueeze(1) * size.double() + loss.double()).argmin(1)]
