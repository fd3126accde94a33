"""From a point near the border to the bottom of its basin, by L-BFGS-B and without a search over c.

With the hinge max(0, m), m the margin, (P_c) is exact: every c up to c* = −∇m·r/(2‖r‖²), the multiplier at the border,
has the closest point of the border itself for its minimiser. CE(βz)/β is a smooth hinge. So one solve for each β does,
at a c below c*, and no c has to be searched for.
"""

import torch

from helpers.adversarial.flight import Flight
from helpers.adversarial.objective import shortfall
from helpers.solver.lbfgsb import RUNNING

SHARPNESS = (8.0, 64.0)
SHARE = 0.45  # of c*. With one rival label the minimiser of the smooth hinge has the target where c < c*/2
INWARD = 0.97  # of the way from the last minimiser back to the border, along the ray


class Polish(Flight):
    """A solve for each β, a row each; ``Flight`` says what else there is.

    task: (row, target, log_c, x, size): of each row the number of its image, a label, the first c, the point to begin
    with, (rows, n), which has that label, and its ‖r‖.
    """

    FTOL, FTOL_SHARP, ITERATIONS = 1e-4, 1e-5, 24

    def __init__(self, answers, norm, schedule, task):
        super().__init__(answers, norm, schedule, task[:3])
        self._set_out(torch.arange(len(self), device=answers.size.device), task)
        self.aim()

    def replace(self, index, task):
        """Begin the tasks (row, target, log_c, x, size) in the rows ``index``, (k,) each. Before ``aim``."""
        super().replace(index, task[:3])
        self._set_out(index, task)

    def _set_out(self, index, task):
        x, size = task[3:]
        self.best.x[index], self.best.value[index] = x, size * size
        self.best_c[index] = task[2].exp()
        new = torch.zeros_like(self.open).index_fill_(0, index, True)
        self._restart(new, self.best.x)

    def _next_c(self, c, sharpness):
        """Where a solve has ended, begin the next stage at SHARE of the multiplier that this one has found."""
        ended = self.open & (self.solver.code != RUNNING)
        last = ended & (self.stage + 1 == len(self.schedule))
        goes_on, self.open = ended & ~last, self.open & ~last
        self.log_c = torch.where(goes_on, (SHARE * c / self._others(c, sharpness)).log(), self.log_c)
        self.stage = self.stage + goes_on
        self._restart(goes_on, self.solver.x)

    def _others(self, c, sharpness):
        """1 − p at the minimiser, p of the target: the loss is −log(p)/β. There 2cr = −(1 − p)∇m, so c = (1 − p)c*."""
        loss = self.solver.value - c * self.size
        return (-torch.expm1(-sharpness * loss)).clamp(min=1e-3)

    @torch.no_grad()
    def found(self, index):
        """As ``Flight.found``, after a look at where the ray through each last minimiser meets the border."""
        image, size, c, short = self.image[index], self.size[index], self.log_c[index].exp(), self.short[index]
        r = self.solver.x[index] - image
        others = self._others(self.log_c.exp(), self.schedule[self.stage])[index]
        slope = ((self.solver.g[index] * r).sum(1) - 2 * c * size) / others  # of the margin along the ray
        back = (1 - INWARD * short / slope).masked_fill_(~(short < 0), 1).clamp_(0, 1)
        x = torch.addcmul(image, r, back.unsqueeze(1)).clamp_(0, 1)
        there = shortfall(self.classifier(x), self.target[index], self.classifier.slack) < 0
        self.answers.forwards.index_add_(0, self.row[index], torch.ones_like(index))
        size = self.problem.size(x - image)
        better = there & (size < self.best.value[index])
        self.best.x[index] = torch.where(better.unsqueeze(1), x, self.best.x[index])
        self.best.value[index] = torch.where(better, size, self.best.value[index])
        self.best_c[index] = torch.where(better, c, self.best_c[index])
        return super().found(index)


class LongPolish(Polish):
    """For who has paid for a ``descent``: on digits it ends as soon, and on photographs nearer the bottom."""

    ITERATIONS = 60
