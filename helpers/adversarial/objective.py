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
    """The objective of (P_c) for a batch of images, one a row, in the form that ``lbfgsb.minimize`` takes.

    classifier: from (rows, n) to logits (rows, classes). norm: "squared" for c‖r‖², "l2" for the paper's c‖r‖.
    ``watch(x, size, logits, c, row)``, where given, is shown every point that is evaluated.
    """

    def __init__(self, classifier, norm="squared", watch=None):
        self.classifier, self.norm, self.watch = classifier, norm, watch

    def __call__(self, x, row, image, target, c, sharpness):
        """(rows, n) → (rows,). ``image``: (rows, n); ``target``, ``c``, ``sharpness``, its number ``row``: (rows,)."""
        logits = self.classifier(x)
        size = self.size(x, image)
        if self.watch is not None:
            self.watch(x.detach(), size.detach(), logits.detach(), c, row)
        return c * size + surrogate(logits, target, sharpness)

    def size(self, x, image):
        """‖r‖² or ‖r‖ of each row, r = x − image. torch gives ‖r‖ the gradient 0 at r = 0, where the attack starts."""
        if self.norm == "squared":
            return functional.mse_loss(x, image, reduction="none").sum(1)
        return torch.linalg.vector_norm(x - image, dim=1)


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


def succeeds(logits, target, slack=NO_SLACK):
    """Does each row have its target label, (rows,) bool: the test of success of every attack here, and of the judge.

    The target's logit must lead by more than its ``slack``. The judge, who sees the answer, asks for none. Who chooses
    an answer asks for ``Classifier.slack``, because the same answer has slightly different logits in another batch.
    Logits that are not numbers do not succeed, and neither does a tie.
    """
    return margin(logits, target) < -slack.of(logits)
