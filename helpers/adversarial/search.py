"""The search over c: for each image the largest c whose minimiser of (P_c) is given the target label.

By the exchange lemma ‖r(c)‖ falls as c grows, so the largest succeeding c gives the smallest perturbation. Where the
minimiser does not jump, its margin max_{j≠l} z_j − z_l changes smoothly with log c, and grows: false position finds the
root in a few solves.
"""

import torch

from helpers.adversarial import bracket
from helpers.adversarial.objective import PricedProblem, margin, succeeds
from helpers.adversarial.tasks import tasks
from helpers.solver.best import Best
from helpers.solver.box import Box
from helpers.solver.lbfgsb import RUNNING, Options, Solver

PAIRS = 5  # the memory of the solver: more pairs cost more than they save here
# Each solve is a step of a search, from where the last one ended: a loose test does, and a finer one for the sharper
# stages, whose loss hardly changes with c.
FTOL, FTOL_SHARP = 1e-3, 1e-4
ITERATIONS = 60  # of one solve: it ends what does not converge
GAP = 5e-4  # an image is done when its ‖r‖ is within this of ‖r‖ at a c that fails: the lemma's bound for any smaller c
SOLVES = 30  # of one image at one sharpness
CROWDED = 0.93  # ended rows are dropped when fewer than this part is open: dropping copies the memory of all others


class Search:
    """The images in flight, each in a place of its own; what is as large as an image is kept for these alone.

    answers: what is known of every image, which the search completes. norm: "squared" or "l2". schedule: the β of each
    stage. A *task* is an image and the label that it is to be given; a *place* is where one is searched.
    """

    def __init__(self, answers, norm, schedule):
        self.answers, self.classifier = answers, answers.classifier
        self.problem = PricedProblem(self.classifier, norm, self._watch)
        self.gap = (1 + GAP) ** (2 if norm == "squared" else 1)
        self.schedule = answers.size.new_tensor(schedule)
        self.ftol = answers.size.new_tensor([FTOL] + [FTOL_SHARP] * (len(schedule) - 1))
        self.coming, self.queue = tasks(self.classifier, answers, norm), []
        self.finished, self.places = [], 0

    def run(self, report=lambda finished: None):
        """Search for all images; a place that falls free takes the next task at once. ``report`` hears of each."""
        self.report = report
        task = self._take(self.classifier.at_once)
        if task:
            self._furnish(len(task[0]))
            place = torch.arange(self.places, device=self.row.device)
            image = self._move_in(place, task)
            options = Options(maxcor=PAIRS, ftol=FTOL, gtol=0.0, maxiter=ITERATIONS)
            args = self._arguments(place, image)
            solver = Solver(self.problem, image.clone(), Box(0.0, 1.0), place, args, options)
            solver.eps = max(solver.eps, torch.finfo(self.classifier.dtype).eps)
            while len(solver.x):
                solver.step()
                ended = ((solver.code != RUNNING) & self.open[solver.row]).nonzero().squeeze(1)
                if len(ended):
                    self._go_on(solver, ended)
        self._judge()

    def salvage(self):
        """After an interruption: the best so far of what is in flight counts."""
        in_flight = self.open.nonzero().squeeze(1) if self.places else ()
        self._judge()
        if len(in_flight):
            self.answers.judge(*self._found(in_flight))

    def _take(self, count):
        """Up to ``count`` tasks from the stream: (row, target, log_c), None where there are no more."""
        while not self.queue or len(self.queue[0]) < count:
            more = next(self.coming, None)
            if more is None:
                break
            self.queue = [torch.cat(parts) for parts in zip(self.queue, more, strict=True)] if self.queue else more
        task, self.queue = [part[:count] for part in self.queue], [part[count:] for part in self.queue]
        return task if task and len(task[0]) else None

    def _furnish(self, places):
        """Make room for the state of so many searches: (places,), and for four vectors each, (places, n)."""
        self.places = places
        empty = self.answers.size.new_zeros(places, self.classifier.shape.numel())
        self.row, self.target, self.stage, self.solves = self.answers.left.new_zeros(4, places)
        self.open = torch.zeros_like(self.row, dtype=torch.bool)
        self.bracket = bracket.unknown(places, empty)
        self.log_c, self.best_c, self.high_size = empty.new_zeros(3, places)
        self.low_x, self.high_x = empty.clone(), empty.clone()
        self.best = Best(empty, torch.inf, spare=True)

    def _move_in(self, place, task):
        """Begin the tasks in these places; returns their images, (k, n)."""
        self.row[place], self.target[place], self.log_c[place] = task
        self.open[place], self.stage[place] = True, 0
        self._open_bracket(place)
        self.best.forget(place)
        return self.answers.pixels(task[0])

    def _open_bracket(self, place):
        self.solves[place] = 0
        self._set_bracket(place, bracket.unknown(len(place), self.log_c))

    def _set_bracket(self, place, values):
        for old, new in zip(self.bracket, values, strict=True):
            old[place] = new

    def _arguments(self, place, image):
        return image, self.target[place], self.log_c[place].exp(), self.schedule[self.stage[place]]

    def _watch(self, x, size, logits, c, place):
        """Count the point, and keep it where it is the best that succeeds."""
        row = self.row[place]
        self.answers.evaluations.index_add_(0, row, torch.ones_like(row))
        eligible = succeeds(logits, self.target[place], self.classifier.slack) & self.open[place]
        better = self.best.watch(place, x, size, eligible)
        self.best_c[place[better]] = c[better]

    def _go_on(self, solver, ended):
        """Give every row in ``ended`` its next c, and the places of those that are done the next tasks."""
        place, image = solver.row[ended], solver.args[0][ended]
        x, over, fits = self._advance(place, image, solver.x[ended])
        on = ~over
        if on.any():
            self._start(solver, ended[on], place[on], image[on], x[on], fits[on])
        if not over.any():
            return
        self._finish(place[over])
        task = self._take(int(over.sum()))
        if task:
            free, place = ended[over][: len(task[0])], place[over][: len(task[0])]
            image = self._move_in(place, task)
            self._start(solver, free, place, image, image, torch.zeros_like(place).bool())
        busy = self.open[solver.row]
        if busy.sum() <= CROWDED * len(busy):
            solver.keep(busy.nonzero().squeeze(1))

    def _start(self, solver, index, place, image, x, fits):
        """Minimise from ``x`` in the rows ``index`` of the solver; their memory stays where it ``fits``."""
        solver.memory.forget(index[~fits])
        solver.ftol[index] = self.ftol[self.stage[place]]
        solver.restart(index, x, place, self._arguments(place, image))

    def _advance(self, place, image, x):
        """Take in the minimisers ``x`` (k, n) at the present c of these places.

        Returns where each starts next, whether it is over, and whether its old memory still fits: it does where the
        objective has changed by c alone.
        """
        known, lead = self._take_in(place, image, x)
        near = known.enclosed & (self.best.value[place] <= self.gap * self.high_size[place])
        done = near | known.narrow | (self.solves[place] >= SOLVES)
        sharpness = self.schedule[self.stage[place]]
        self.log_c[place], part = bracket.proposed(known, self.log_c[place], lead, sharpness, self.solves[place])
        between = torch.lerp(self.low_x[place], self.high_x[place], part.unsqueeze(1)).clamp_(0, 1)
        x = torch.where(known.enclosed.unsqueeze(1), between, x)

        sharper = done & (self.stage[place] + 1 < len(self.schedule))
        if sharper.any():
            x[sharper] = self._sharpen(place[sharper], known.low[sharper])
        return x, done & ~sharper, ~done

    @torch.no_grad()
    def _take_in(self, place, image, x):
        """Look at the minimisers and narrow the brackets; returns these and the margins beyond the slack, (k,)."""
        logits, row = self.classifier(x), self.row[place]
        self.answers.forwards.index_add_(0, row, torch.ones_like(row))
        lead = margin(logits, self.target[place]) + self.classifier.slack.of(logits)
        success = succeeds(logits, self.target[place], self.classifier.slack)
        known = bracket.Bracket(*(part[place] for part in self.bracket))
        known = bracket.narrowed(known, self.log_c[place], lead, success)
        self._set_bracket(place, known)
        self.solves[place] += 1
        up, down = place[success], place[~success]
        self.low_x[up], self.high_x[down] = x[success], x[~success]
        self.high_size[down] = self.problem.size(x, image)[~success]
        return known, lead

    def _sharpen(self, place, low):
        """The next β for these places, from the largest c that succeeded; returns the best points, to start from."""
        self.stage[place] += 1
        self.log_c[place] = torch.where(torch.isfinite(low), low, self.log_c[place])
        self._open_bracket(place)
        return self.best.x[place]

    def _found(self, place):
        """What the judge is shown of these places: row, target, c, the points from the best on, and the best's size."""
        best, spare = self.best.x[place], self.best.spare[place]
        seen = torch.isfinite(self.best.spare_value[place]).unsqueeze(1)
        points = best, torch.where(seen, spare, best)
        return self.row[place], self.target[place], self.best_c[place], points, self.best.value[place]

    def _finish(self, place):
        """These searches have ended; a full batch of them is judged."""
        self.open[place] = False
        self.finished.append(self._found(place))
        self.report(len(place))
        if sum(len(found[0]) for found in self.finished) >= self.classifier.at_once:
            self._judge()

    def _judge(self):
        """Judge what has finished, no more at once than a pass may have."""
        if not self.finished:
            return
        rows, targets, cs, points, sizes = zip(*self.finished, strict=True)
        self.finished = []
        row, target, c, size = (torch.cat(part) for part in (rows, targets, cs, sizes))
        best = [torch.cat(part) for part in zip(*points, strict=True)]
        for part in torch.arange(len(row), device=row.device).split(self.classifier.at_once):
            self.answers.judge(row[part], target[part], c[part], [point[part] for point in best], size[part])
            self.answers.left.index_add_(0, row[part], torch.full_like(part, -1))
