"""Points on the way to the border, one a row, of which the closest that has its target is kept: what walks share."""

import torch

from helpers.adversarial.objective import shortfall, surrogate
from helpers.solver.best import Best

TINY = 1e-12  # nothing is divided by less


class Watched:
    """Where each row is, and the best that it has seen.

    problem: a PricedProblem, of which only the network counts. image: (rows, n). target: (rows,). count: called before
    each pass.

    Attributes: ``best``, a Best: the closest point of each row that has its target, infinite where there is none.
    ``multiplier``, (rows,): at that point, −∇m·r/(2‖r‖²) for its margin m. On the border of the problem's solution
    2cr = −∇m for the c that makes the hinge exact: this is its estimate.
    """

    def __init__(self, problem, image, target, count):
        self.problem, self.image, self.target, self.count = problem, image, target, count
        self.one = image.new_ones(len(image))
        self.best, self.multiplier = Best(image, torch.inf), self.one.clone()

    def look(self, x):
        """The loss (rows,), its gradient (rows, n), and the logits, at ``x`` (rows, n)."""
        self.count()
        return self.problem.differentiated(x, self.loss)

    def loss(self, logits):
        """The paper's loss of each row, (rows,)."""
        return surrogate(logits, self.target, self.one)

    def watch(self, x, r, loss, g, logits):
        """Keep each row's ``x`` = image + r where it is the closest so far that has its target.

        Returns which have it, and ‖r‖.
        """
        there = shortfall(logits, self.target, self.problem.classifier.slack) < 0
        size = length(r)
        better = self.best.watch(x, size, there)
        # ∇loss is (1 − e⁻ˡᵒˢˢ)∇m: exactly if the loss is log(1 + eᵐ), about if it is −log p of the target.
        pull = -(g * r).sum(1) / (-torch.expm1(-loss)).clamp(min=TINY)
        self.multiplier = torch.where(better, pull / (2 * size * size), self.multiplier)
        return there, size


def length(rows):
    """The length of each row, (rows, n) to (rows,); not below TINY, so that it can divide."""
    return torch.linalg.vector_norm(rows, dim=1).clamp(min=TINY)
