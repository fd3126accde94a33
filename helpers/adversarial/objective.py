"""(P_c) of Szegedy et al. (2013), section 4.1: minimise c‖r‖² + loss(x + r, l) subject to x + r in [0, 1]^m.

The label is a constraint; here it has a price instead. (P_c) is the Lagrangian scalarisation of "a small r" and "a
small loss", not a penalty that vanishes where the label is right. c multiplies the norm, as in the paper: a larger c
buys a smaller perturbation.
"""

from typing import NamedTuple

import torch
from torch.nn import functional

NORMS = ("squared", "l2")


class Slack(NamedTuple):
    """By how much a target's logit must lead so that the image has that label in any batch.

    The second part is each image's own, so that an answer does not depend on its neighbours where the network's logits
    do not.
    """

    moved: float = 0.0  # twice how far logits were seen to move with the batch
    share: float = 0.0  # of the image's largest logit: rounding that was not seen

    def of(self, logits):
        """The slack of each row of ``logits`` (rows, classes): (rows,)."""
        return self.moved + self.share * logits.abs().amax(1)


NO_SLACK = Slack()


class PricedProblem:
    """The objective of (P_c) for a batch of images, one a row.

    classifier: from (rows, n) to logits (rows, classes). norm: "squared" for c‖r‖², "l2" for the paper's c‖r‖.
    """

    def __init__(self, classifier, norm="squared"):
        self.classifier, self.norm = classifier, norm

    def __call__(self, x, image, target, c, sharpness):
        """(rows, n) → (rows,), for ``minimize``. ``image``: (rows, n); ``target``, ``c``, ``sharpness``: (rows,)."""
        return c * self.size(x - image) + surrogate(self.classifier(x), target, sharpness)

    def loss(self, x, target, sharpness):
        """The loss (rows,), its gradient (rows, n), and the logits, at ``x`` (rows, n)."""
        return self.differentiated(x, lambda logits: surrogate(logits, target, sharpness))

    def differentiated(self, x, of):
        """``of`` the logits, (rows,); its gradient (rows, n); and the logits, at ``x`` (rows, n)."""
        x = x.detach().requires_grad_(True)
        with torch.enable_grad():
            logits = self.classifier(x)
            value = of(logits)
            (g,) = torch.autograd.grad(value.sum(), x)
        return value.detach(), g, logits.detach()

    def size(self, r):
        """‖r‖² or ‖r‖ of each row (rows, n). torch gives ‖r‖ the gradient 0 at r = 0, where the attack starts."""
        return (r * r).sum(1) if self.norm == "squared" else torch.linalg.vector_norm(r, dim=1)

    def pull(self, size):
        """By what r is multiplied in the gradient of ``size``, (rows,)."""
        return torch.full_like(size, 2) if self.norm == "squared" else torch.where(size > 0, 1 / size, 0)


def surrogate(logits, target, sharpness):
    """CE(β·logits, target)/β of each row; β = ``sharpness`` (rows,) leaves every prediction as it is.

    It tends to max(0, max_j z_j − z_l) as β grows, so that (P_c) comes nearer to the problem with the label constraint.
    """
    scaled = sharpness.unsqueeze(1) * logits
    return functional.cross_entropy(scaled, target, reduction="none") / sharpness


def margin(logits, target):
    """max_{j≠l} z_j − z_l of each row, (rows,): negative exactly where the target l is predicted."""
    wanted = logits.gather(1, target.unsqueeze(1)).squeeze(1)
    return logits.scatter(1, target.unsqueeze(1), -torch.inf).amax(1) - wanted


def shortfall(logits, target, slack=NO_SLACK):
    """By how much each row is short of its target, (rows,): its margin and ``slack``. Negative where it succeeds."""
    return margin(logits, target) + slack.of(logits)


def succeeds(logits, target, slack=NO_SLACK):
    """Does each row have its target label, (rows,) bool: the test of success of every attack here, and of the judge.

    The target's logit must lead by more than its ``slack``. The judge, who sees the answer, asks for none. Who chooses
    an answer asks for ``Classifier.slack``, because the same answer has slightly different logits in another batch.
    Logits that are not numbers do not succeed, and neither does a tie.
    """
    return shortfall(logits, target, slack) < 0
