"""The rows in flight: of each one an image, the label that it is to be given, and where its search over c stands.

A tick evaluates every row's trial point once; the solver takes in what comes of it; and a row whose solve has ended
gets its next c at once. Nothing here waits for a number, and no shape depends on one.
"""

import torch

from helpers.adversarial import bracket
from helpers.adversarial.objective import PricedProblem, shortfall
from helpers.solver.best import Best
from helpers.solver.box import Box
from helpers.solver.lbfgsb import RUNNING, Options, Solver
from helpers.solver.rows import chosen, merged, shrink, taken

PAIRS = 4  # the memory of the solver: more pairs cost more than they save here
NEWTON = 2  # steps of Newton's method to the Cauchy point: one costs 2% less, and makes answers depend more on rounding
GAP = 5e-4  # an image is done when its ‖r‖ is within this of ‖r‖ at a c that fails: the lemma's bound for any smaller c
SOLVES = 30  # of one image at one sharpness
EVALUATIONS = 90  # of one image at one sharpness, once something is found: a hopeless bracket keeps no batch waiting


class Flight:
    """Searches for the largest c, a row each.

    answers: whose images these are, and who counts. norm: "squared" or "l2". schedule: the β of each stage.
    task: what each row begins with, (row, target, log_c), each (rows,): the number of its image, a label, the first c.

    Attributes, all (rows, ...): ``open``: which searches go on. ``best``, ``best_c``: the closest point that succeeds,
    and the c at which it was seen.
    """

    # Each solve is a step of a search, from where the last one ended: a loose test does, and a finer one for the
    # sharper stages, whose loss hardly changes with c.
    FTOL, FTOL_SHARP = 5e-4, 1e-4
    ITERATIONS = 60  # of one solve: it ends what does not converge

    def __init__(self, answers, norm, schedule, task):
        self.answers, self.classifier = answers, answers.classifier
        self.problem = PricedProblem(self.classifier, norm)
        self.gap = (1 + GAP) ** (2 if norm == "squared" else 1)
        self.schedule = answers.size.new_tensor(schedule)
        self.ftol = answers.size.new_tensor([self.FTOL] + [self.FTOL_SHARP] * (len(schedule) - 1))
        rows, device = len(task[0]), answers.size.device
        self.row, self.target, self.log_c = (part.clone() for part in task)
        self.image = answers.pixels(self.row)
        self.open = torch.ones(rows, dtype=torch.bool, device=device)
        self.stage, self.solves, self.spent = torch.zeros(3, rows, dtype=torch.long, device=device)
        self.bracket = bracket.unknown(rows, self.log_c)
        # Of where each row is: the size, and by how much it is short of its target. Of the last failure: its size.
        self.size, self.high_size, self.best_c = torch.zeros_like(self.log_c).repeat(3, 1)
        self.short = torch.full_like(self.log_c, torch.inf)
        self.best = Best(self.image, torch.inf)
        options = Options(maxcor=PAIRS, ftol=self.FTOL, gtol=0.0, maxiter=self.ITERATIONS, newton=NEWTON)
        self.solver = Solver(self.image.clone(), Box(0.0, 1.0), options)
        self.solver.eps = max(self.solver.eps, torch.finfo(self.classifier.dtype).eps)

    def __len__(self):
        return len(self.row)

    def tick(self):
        """Evaluate every row's trial, and decide; ``aim`` must follow."""
        x, c, sharpness = self.solver.trial, self.log_c.exp(), self.schedule[self.stage]
        loss, g, logits = self.problem.loss(x, self.target, sharpness)
        self.answers.evaluations.index_add_(0, self.row, torch.ones_like(self.row))
        r = x - self.image
        size, short = self.problem.size(r), shortfall(logits, self.target, self.classifier.slack)
        better = self.best.watch(x, size, (short < 0) & self.open)
        self.best_c = torch.where(better, c, self.best_c)
        pull = (c * self.problem.pull(size)).unsqueeze(1)
        self.solver.tell(loss + c * size, torch.addcmul(g, pull, r))
        self.size = torch.where(self.solver.moved, size, self.size)
        self.short = torch.where(self.solver.moved, short, self.short)
        self._next_c(c, sharpness)

    def aim(self):
        """A next trial for every row."""
        self.solver.aim()

    def _next_c(self, c, sharpness):
        """Where a solve has ended, take in its minimiser; begin the next one, or the next stage, or end the search."""
        ended, success = self.open & (self.solver.code != RUNNING), self.short < 0
        known = bracket.narrowed(self.bracket, self.log_c, self.short, success)
        self.bracket = known = merged(ended, known, self.bracket)
        self.solves = self.solves + ended
        self.high_size = torch.where(ended & ~success, self.size, self.high_size)
        near = known.enclosed & (self.best.value <= self.gap * self.high_size)
        self.spent = self.spent + 1
        tired = self.open & (self.spent >= EVALUATIONS) & (self.best.value < torch.inf)
        done = (ended & (near | known.narrow | (self.solves >= SOLVES))) | tired
        log_c = bracket.proposed(known, self.log_c, self.short, sharpness, self.solves)
        self.log_c = torch.where(ended & ~done, log_c, self.log_c)
        self._resume(ended & ~done, self.log_c.exp() - c)
        last = done & (self.stage + 1 == len(self.schedule))
        self.open = self.open & ~last
        if len(self.schedule) > 1:
            self._sharpen(done & ~last)

    def _resume(self, which, more):
        """Minimise on from where the row is, with c larger by ``more``: there F and its gradient are known already.

        The solver's memory stays: the objective has changed by c alone.
        """
        more = more * which  # 0 elsewhere
        pull, rows = (more * self.problem.pull(self.size)).unsqueeze(1), chosen(which)
        x, image, g = (taken(part, rows) for part in (self.solver.x, self.image, self.solver.g))
        g = torch.addcmul(g, pull[rows], x - image)
        self.solver.resume(which, self.solver.value + more * self.size, rows, g)

    def _sharpen(self, which):
        """The next β, from the best point and the largest c that succeeded. The solver's memory stays: it fits well."""
        self.stage = self.stage + which
        self.log_c = torch.where(which & torch.isfinite(self.bracket.low), self.bracket.low, self.log_c)
        seen = torch.isfinite(self.best.value).unsqueeze(1)
        self._restart(which, torch.where(seen, self.best.x, self.solver.x))

    def _restart(self, which, x):
        """Begin a stage in the rows where ``which`` is set, from ``x`` (rows, n)."""
        self.bracket = merged(which, bracket.unknown(len(which), self.log_c), self.bracket)
        self.solves, self.spent = self.solves * ~which, self.spent * ~which
        self.solver.ftol = self.ftol[self.stage]
        self.solver.restart(which, x)

    def replace(self, index, task):
        """Begin the tasks (row, target, log_c) in the rows ``index``, (k,) each. Before ``aim``."""
        self.row[index], self.target[index], self.log_c[index] = task
        self.image[index] = self.answers.pixels(task[0])
        self.open[index], self.stage[index], self.short[index] = True, 0, torch.inf
        self.best.value[index] = torch.inf
        new = torch.zeros_like(self.open).index_fill_(0, index, True)
        self.solver.memory.forget(new)
        self._restart(new, self.image)

    def keep(self, moves):
        """Drop the rows that go."""
        names = "row target log_c image open stage solves spent bracket size high_size best_c short".split()
        shrink(self, names, moves)
        self.best.keep(moves)
        self.solver.keep(moves)

    def found(self, index):
        """What the judge is shown of the rows ``index``: image number, target, c, the best point, and its size."""
        return tuple(part[index] for part in (self.row, self.target, self.best_c, self.best.x, self.best.value))
