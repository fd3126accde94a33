"""(P_c) of Szegedy et al. (2013), section 4.1: minimise c‖r‖² + loss(x + r, l) subject to x + r in [0, 1]^m.

c multiplies the norm, as in the paper: a larger c buys a smaller perturbation.
"""

import torch
from torch.nn import functional

NORMS = ("squared", "l2")


class Penalty:
    """The objective of (P_c) for a batch of images, one a row, in the form that ``lbfgsb.minimize`` takes.

    norm: "squared" for c‖r‖², "l2" for the paper's c‖r‖. ``shape``: the shape of one image.
    ``watch(x, size, logits, c, row)``, where given, is shown every point that is evaluated.
    """

    def __init__(self, network, shape, norm="squared", watch=None):
        self.network, self.shape, self.norm, self.watch = network, shape, norm, watch

    def __call__(self, x, row, image, target, c, sharpness):
        """(rows, n) → (rows,). ``image``: (rows, n); ``target``, ``c``, ``sharpness``, its number ``row``: (rows,)."""
        logits = self.logits(x)
        size = self.size(x, image)
        if self.watch is not None:
            self.watch(x.detach(), size.detach(), logits.detach(), c, row)
        return c * size + surrogate(logits, target, sharpness)

    def logits(self, x):
        return self.network(x.view(-1, *self.shape))

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


def reached(logits, target):
    """Is the target predicted, by more than the rounding of the logits? Rounding differs with the size of a batch."""
    slack = 32 * torch.finfo(logits.dtype).eps * logits.abs().amax(1)
    return margin(logits, target) < -slack
