"""The search over c: for each image the largest c whose minimiser of (P_c) is given the target label.

By the exchange lemma ‖r(c)‖ falls as c grows, so the largest succeeding c gives the smallest perturbation. Where the
minimiser does not jump, its margin max_{j≠l} z_j − z_l changes smoothly with log c, and grows: false position finds the
root in a few solves.
"""

import torch

from helpers.adversarial.objective import Penalty, margin, reached
from helpers.solver.box import Box
from helpers.solver.lbfgsb import RUNNING, Options, Solver

PAIRS = 5  # the memory of the solver: more pairs cost more than they save here
# Each solve is a step of a search, from where the last one ended: a loose test does, and a finer one for the sharper
# stages, whose loss hardly changes with c.
FTOL, FTOL_SHARP = 1e-3, 1e-4
GAP = 5e-4  # an image is done when its ‖r‖ is within this of ‖r‖ at a c that fails: the lemma's bound for any smaller c
SOLVES = 30  # of one image at one sharpness


class Search:
    """The state of the search, one entry an image.

    ``images`` (batch, n); ``targets`` (batch,); ``shape`` of one image; ``schedule`` (stages,), the β of each stage;
    ``slots``: how many images may be in flight at a time.
    """

    def __init__(self, network, images, targets, shape, norm, schedule, slots):
        self.images, self.targets, self.norm, self.schedule = images, targets, norm, schedule
        self.penalty, self.slots = Penalty(network, shape, norm, self._watch), slots
        self.ftol = images.new_tensor([FTOL] + [FTOL_SHARP] * (len(schedule) - 1))
        batch = len(images)
        self.best, self.best_size = images.clone(), images.new_full((batch,), torch.inf)
        self.best_c = images.new_full((batch,), torch.nan)
        self.evaluations = torch.zeros(batch, dtype=torch.long, device=images.device)
        self.closed = torch.zeros(batch, dtype=torch.bool, device=images.device)
        self.stage, self.solves, self.last = (torch.zeros_like(self.evaluations) for _ in range(3))
        # The bracket in log c: a success below, a failure above, with the margins and the minimisers there.
        self.low, self.high = images.new_full((batch,), -torch.inf), images.new_full((batch,), torch.inf)
        self.low_margin, self.high_margin, self.high_size = self.high.clone(), self.high.clone(), self.high.clone()
        self.low_x, self.high_x = images.clone(), images.clone()
        every = torch.arange(batch, device=images.device).split(slots)
        self.log_c = torch.cat([self._first_guess(row) for row in every]) if batch else self.best_c

    def _watch(self, x, size, logits, c, row):
        better = reached(logits, self.targets[row]) & (size < self.best_size[row]) & ~self.closed[row]
        put = row[better]
        self.best[put], self.best_size[put], self.best_c[put] = x[better], size[better], c[better]

    def _first_guess(self, row):
        """log c from the margin and its gradient at the image.

        If the margin were linear, with gradient a over the pixels that may move, then r = −a·margin/‖a‖²; where two
        labels tie, the loss has gradient a/2, and 2 c r = −a/2 gives c = ‖a‖²/(4 margin); for the norm, c = ‖a‖/2.
        """
        x = self.images[row].requires_grad_(True)
        with torch.enable_grad():
            m = margin(self.penalty.logits(x), self.targets[row])
            (a,) = torch.autograd.grad(m.sum(), x)
        tiny = torch.finfo(m.dtype).eps
        m = m.detach().clamp(min=tiny)
        stuck = ((x <= 0) & (a > 0)) | ((x >= 1) & (a < 0))
        a = torch.where(stuck, 0, a).square().sum(1).clamp(min=tiny)
        self.evaluations[row] += 1
        return (a / (4 * m)).log() + 0.6 if self.norm == "squared" else (a.sqrt() / 2).log()

    def _arguments(self, row):
        return self.images[row], self.targets[row], self.log_c[row].exp(), self.schedule[self.stage[row]]

    def run(self, report=lambda finished: None):
        """Search for all images; a place that falls free takes the next image at once. ``report`` hears of each."""
        batch = len(self.images)
        row = torch.arange(min(self.slots, batch), device=self.images.device)
        waiting = len(row)
        options = Options(maxcor=PAIRS, ftol=FTOL, gtol=0.0, maxiter=60)
        solver = Solver(self.penalty, self.images[row], Box(0.0, 1.0), row, self._arguments(row), options)
        while len(solver.x):
            solver.step()
            place = ((solver.code != RUNNING) & ~self.closed[solver.row]).nonzero().squeeze(1)
            if not len(place):
                continue
            row = solver.row[place]
            x, go_on, fits = self._advance(row, solver.x[place], solver.evaluations[place])
            if go_on.any():
                self._start(solver, place[go_on], row[go_on], x[go_on], fits[go_on])
            over = place[~go_on]
            if len(over):
                report(len(over))
                fresh = torch.arange(waiting, min(waiting + len(over), batch), device=row.device)
                waiting += len(fresh)
                if len(fresh):
                    self._start(solver, over[: len(fresh)], fresh, self.images[fresh], torch.zeros_like(fresh).bool())
                open = ~self.closed[solver.row]
                if open.sum() <= 0.85 * len(open):
                    solver.keep(open.nonzero().squeeze(1))

    def _start(self, solver, place, row, x, fits):
        """Minimise for the images ``row`` from ``x`` in these places; the memory stays where it ``fits``."""
        solver.memory.forget(place[~fits])
        solver.ftol[place] = self.ftol[self.stage[row]]
        solver.restart(place, x, row, self._arguments(row))

    def _advance(self, row, x, evaluations):
        """Take in the minimisers ``x`` at the present c of the images ``row``.

        Returns where each starts next, whether it goes on, and whether its old memory still fits: it does where the
        objective has changed by c alone.
        """
        self.evaluations[row] += evaluations
        self.solves[row] += 1
        with torch.no_grad():
            logits = self.penalty.logits(x)
            m, size = margin(logits, self.targets[row]), self.penalty.size(x, self.images[row])
        ok, u = reached(logits, self.targets[row]), self.log_c[row]
        up, down = row[ok], row[~ok]
        self.low[up], self.low_margin[up], self.low_x[up] = u[ok], m[ok], x[ok]
        self.high[down], self.high_margin[down], self.high_x[down], self.high_size[down] = (
            u[~ok],
            m[~ok],
            x[~ok],
            size[~ok],
        )
        # Illinois: an end that stays twice in a row counts half.
        self.high_margin[up] *= torch.where(self.last[up] > 0, 0.5, 1.0)
        self.low_margin[down] *= torch.where(self.last[down] < 0, 0.5, 1.0)
        self.last[up], self.last[down] = 1, -1

        low, high, sharpness = self.low[row], self.high[row], self.schedule[self.stage[row]]
        gap = (1 + GAP) ** (2 if self.norm == "squared" else 1)
        bracketed = torch.isfinite(low) & torch.isfinite(high)
        near = bracketed & ((self.best_size[row] <= gap * self.high_size[row]) | (high - low < 2e-3))
        done = near | (self.solves[row] >= SOLVES)
        # False position where there is a bracket, a step on where there is none.
        low_m, high_m = self.low_margin[row], self.high_margin[row].clamp(max=3)
        w = (low_m / (low_m - high_m)).clamp(0.02, 0.98)
        w = torch.where((self.solves[row] > 6) & (self.solves[row] % 2 == 0), 0.5, w)
        ahead = torch.where(ok, -m, m) * sharpness
        jump = torch.where(ok, 1.0, -1.0) * (0.75 * ahead).clamp(0.05, 1.0)
        self.log_c[row] = torch.where(bracketed, low + w * (high - low), u + jump)
        between = self.low_x[row] + w.unsqueeze(1) * (self.high_x[row] - self.low_x[row])
        x = torch.where(bracketed.unsqueeze(1), between.clamp(0, 1), x)

        over = done & (self.stage[row] + 1 >= len(self.schedule))
        self.closed[row[over]] = True
        sharper = row[done & ~over]
        if len(sharper):
            self.stage[sharper] += 1
            self.log_c[sharper] = torch.where(torch.isfinite(self.low[sharper]), self.low[sharper], self.log_c[sharper])
            self.low[sharper], self.high[sharper] = -torch.inf, torch.inf
            self.solves[sharper], self.last[sharper] = 0, 0
            x[done & ~over] = self.best[sharper]
        return x, ~over, ~done
