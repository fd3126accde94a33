"""A walk along the border: a few dozen normalised gradient steps, which choose a basin for L-BFGS to polish.

L-BFGS brings a perturbation to the bottom of the basin that it is in, and does not choose the basin well where the
landscape is rough. Long steps on a sphere do, whose radius shrinks while the target is predicted and grows while it is
not. This is DDN (Rony et al., "Decoupling direction and norm for efficient gradient-based L2 adversarial attacks",
2019) but that the first radius and the first step, there 1, are measured on the image and in radii, and that the radius
changes by a tenth instead of a twentieth.
`python -m helpers.benchmark frontier` shows what becomes of it.
"""

import math

import torch

from helpers.adversarial.objective import shortfall
from helpers.solver.best import Best

STEPS = 40  # of a walk, the look at the image included
LENGTH = (1.0, 0.02)  # of the first step and of the last, in radii; between them half a cosine
CHANGE = 0.1  # of the radius at each step
TINY = 1e-12  # no direction is divided by less


class Walk:
    """``STEPS`` steps of each row.

    problem: a PricedProblem, for the loss at β = 1. image: (rows, n). target: (rows,). direction: (rows, n), where each
    row sets out to, of any length; a row of zeros: against the gradient of the loss. radius: (rows,) how far, in
    distances to where the linearised loss is 0. count: called before each pass.

    Attributes: ``best``, a Best: the closest point of each row that has its target, infinite where there is none.
    ``multiplier``, (rows,): at that point, −∇m·r/(2‖r‖²) for its margin m. On the border of the problem's solution
    2cr = −∇m for the c that makes the hinge exact: this is its estimate.
    """

    def __init__(self, problem, image, target, direction, radius, count):
        self.problem, self.image, self.target, self.count = problem, image, target, count
        self.one = image.new_ones(len(image))
        self.best, self.multiplier = Best(image, torch.inf), self.one.clone()
        loss, g, _ = self._look(image)
        self.radius = radius * loss / _length(g)
        straight = (direction == 0).all(1, keepdim=True)
        self.x = self._on_the_sphere(torch.where(straight, -g, direction))

    def run(self):
        """Walk; returns self."""
        for step in range(1, STEPS):
            loss, g, logits = self._look(self.x)
            r = self.x - self.image
            there = self._watch(r, loss, g, logits)
            shrunk = torch.minimum(self.radius, self.best.value) * (1 - CHANGE)
            self.radius = torch.where(there, shrunk, self.radius * (1 + CHANGE))
            part = (1 + math.cos(math.pi * step / STEPS)) / 2
            length = (LENGTH[1] + (LENGTH[0] - LENGTH[1]) * part) * self.radius / _length(g)
            self.x = self._on_the_sphere(torch.addcmul(r, length.unsqueeze(1), g, value=-1))
        return self

    def _look(self, x):
        self.count()
        return self.problem.loss(x, self.target, self.one)

    def _watch(self, r, loss, g, logits):
        """Keep each row's point where it is the closest so far that has its target; returns which have it."""
        there = shortfall(logits, self.target, self.problem.classifier.slack) < 0
        size = torch.linalg.vector_norm(r, dim=1)
        better = self.best.watch(self.x, size, there)
        # The loss is −log p of the target, and its gradient about (1 − p)∇m.
        pull = -(g * r).sum(1) / (-torch.expm1(-loss)).clamp(min=TINY)
        self.multiplier = torch.where(better, pull / (2 * size * size).clamp(min=TINY), self.multiplier)
        return there

    def _on_the_sphere(self, r):
        """image + the multiple of ``r`` that is as long as the radius, clipped to the box."""
        return torch.addcmul(self.image, r, (self.radius / _length(r)).unsqueeze(1)).clamp_(0, 1)


def _length(rows):
    return torch.linalg.vector_norm(rows, dim=1).clamp(min=TINY)
