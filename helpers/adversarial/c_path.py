"""One image, many c: the path of minimisers of (P_c), solved in one batch."""

from dataclasses import dataclass

import numpy as np
import torch

from helpers.adversarial.inputs import check_inputs, check_norm, check_schedule
from helpers.adversarial.objective import PricedProblem, margin, succeeds, surrogate
from helpers.solver.lbfgsb import minimize

FTOL = 1e-7  # of each solve: a path is drawn and its points compared, so that every one is solved well


@dataclass(frozen=True, eq=False)
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
    evaluations: torch.Tensor  # (k,): forward passes with a gradient
    gain: torch.Tensor  # (k,): the share of its objective that each has lost in the second round; near 0: converged
    forwards: int  # those without, of all c together: at the door, to compare the answers, and to look at the last

    @property
    def best(self):
        """The place of the largest c that succeeds, or None where no c does."""
        places = self.success.nonzero()
        return int(places[-1]) if len(places) else None


def c_path(network, image, target, c, *, norm="squared", sharpness=1.0, maxiter=None, start=None):
    """Minimise c·size(r) + CE(β·logits, target)/β over the box for every c at once, size ‖r‖² or ‖r‖.

    All are solved from r = 0; then every c takes the best of all the answers for its own objective, as a new start, and
    once more at the end. By the exchange lemma ‖r‖ then falls and the loss rises with c, without exception. Each answer
    is a local minimiser: from another ``start`` a lower one may be found.

    Args:
        network: from (batch, ...) images to (batch, classes) logits, in eval mode.
        image: one image in [0, 1]: (n,), (1, n), (channels, h, w) or (1, channels, h, w). target: an integer label.
        c: (k,) positive numbers, a tensor or a sequence. norm: "squared" or "l2". sharpness: β, one positive number.
        maxiter: of each solve; None: until it converges, which on a photograph can take thousands of passes.
        start: another image of the same shape in [0, 1], to start from in place of r = 0.

    Returns:
        CPath, in increasing order of c.

    Raises:
        TypeError, ValueError: one sentence that says what was wrong and what to pass instead.
    """
    image = torch.as_tensor(image).detach()
    image = image if image.ndim in (2, 4) and len(image) == 1 else image.unsqueeze(0)
    classifier = check_inputs(network, image, max_batch=1)
    check_norm(norm)
    (beta,) = check_schedule(float(sharpness))
    if not 0 <= int(target) < classifier.classes:
        raise ValueError(f"the target must be a label from 0 to {classifier.classes - 1}, got {target}.")
    c = torch.as_tensor(c, dtype=classifier.working, device=image.device).flatten().sort()[0]
    if len(c) and not (c[0] > 0 and torch.isfinite(c[-1])):
        raise ValueError(
            "every c must be positive and finite: at c = 0 nothing holds r back, and there is no smallest one."
        )
    x0 = image.flatten(1).to(classifier.working).expand(len(c), -1)
    label = torch.full((len(c),), int(target), device=image.device)
    problem, args = PricedProblem(classifier, norm), (x0, label, c, torch.full_like(c, beta))
    x = x0.clone() if start is None else _started(start, image).to(x0).expand(len(c), -1).clone()
    x, evaluations, gain = _minimisers(problem, args, x, {} if maxiter is None else {"maxiter": maxiter})
    forwards = int(classifier.forwards) + (3 * len(c) + 2 if len(c) else 0)
    return _path(problem, image, args, x, (evaluations, gain, forwards))


def _started(start, image):
    """``start`` as a row, (1, n)."""
    start = torch.as_tensor(start).detach()
    if start.numel() != image.numel() or not (start.min() >= 0 and start.max() <= 1):
        raise ValueError(f"start must be an image like the first, {tuple(image.shape[1:])}, with values in [0, 1].")
    return start.reshape(1, -1)


def _minimisers(problem, args, x, options):
    """From ``x`` (k, n) the best answer known for every c, (k, n), the evaluations, (k,), and the gain of the second
    round, (k,): solved, exchanged, and both once more."""
    c, values = args[2], []
    evaluations = torch.zeros(len(c), dtype=torch.long, device=c.device)
    for _ in range(2):
        result = minimize(problem, x, 0.0, 1.0, args, ftol=FTOL, **options)
        evaluations += result.evaluations
        x, value = _exchange(problem, result.x, *args)
        values.append(value)
    return x, evaluations, (1 - values[1] / values[0]).clamp(min=0)


@torch.no_grad()
def _exchange(problem, x, x0, label, c, beta):
    """For every c the best of all answers and of r = 0, which the largest c may prefer, (k, n); its objective, (k,)."""
    if not len(x):
        return x, x.new_zeros(0)
    candidates = torch.cat([x, x0[:1]])
    logits = problem.classifier(candidates)
    loss = surrogate(logits, label[:1].expand(len(candidates)), beta[:1].expand(len(candidates)))
    size = problem.size(candidates - x0[:1])
    # In float64, or a tie that rounding breaks differently for two c would break the order as well; in NumPy, because
    # not every device has float64.
    c, size, loss = (values.cpu().numpy().astype(np.float64) for values in (c, size, loss))
    objective = c[:, None] * size + loss
    best = torch.from_numpy(objective.argmin(1)).to(x.device)
    return candidates[best], x.new_tensor(objective.min(1).tolist())


@torch.no_grad()
def _path(problem, image, args, x, counts):
    """The CPath of the answers ``x`` (k, n), in the image's dtype; ``counts``: evaluations, gain and forwards."""
    _, label, c, beta = args
    classifier = problem.classifier
    logits = classifier(x) if len(c) else x.new_zeros(0, classifier.classes)
    adversarial = classifier.pictures(x) if len(c) else image[:0]
    perturbation = adversarial - image
    size = torch.linalg.vector_norm(perturbation.flatten(1), dim=1, dtype=c.dtype)
    evaluations, gain, forwards = counts
    return CPath(
        c=c,
        adversarial=adversarial,
        perturbation=perturbation,
        norm=size,
        loss=surrogate(logits, label, beta),
        logits=logits,
        margin=margin(logits, label),
        success=succeeds(logits, label),
        evaluations=evaluations,
        gain=gain,
        forwards=forwards,
    )
