"""The search over c: for each image the largest c whose minimiser of (P_c) is given the target label.

By the exchange lemma ‖r(c)‖ falls as c grows, so the largest succeeding c gives the smallest perturbation. Where the
minimiser does not jump, its margin max_{j≠l} z_j − z_l changes smoothly with log c, and grows: false position finds the
root in a few solves.
"""

import torch

from helpers.adversarial.flight import Flight
from helpers.adversarial.tasks import tasks
from helpers.solver.rows import moves

LOOK = 3  # ticks from one look to the next: a look makes the host wait, and without one what has ended stays in flight
ENDED = 0.03  # of the rows: fewer that have ended are left where they are


class Search:
    """All images of a call, of which as many are in flight as a pass may have: the looks between the ticks.

    answers: what is known of every image, which the search completes. norm: "squared" or "l2". schedule: the β of each
    stage. A *task* is an image and the label that it is to be given. coming, begin: the stream of tasks, and what flies
    them, a kind of Flight; the paper's search unless given.
    """

    def __init__(self, answers, norm, schedule, coming=None, begin=Flight):
        self.answers, self.classifier, self.norm, self.schedule = answers, answers.classifier, norm, schedule
        self.coming, self.queue = coming or tasks(self.classifier, answers, norm), []
        self.begin = begin
        self.finished, self.flight = [], ()

    def run(self, report=lambda finished: None):
        """Search for all images; a row that has ended takes the next task. ``report`` hears of each that ends."""
        self.report, ticks = report, 0
        task = self._take(self.classifier.at_once)
        if task:
            self.flight = self.begin(self.answers, self.norm, self.schedule, task)
        while len(self.flight):
            self.flight.tick()
            ticks += 1
            if ticks % LOOK == 0:
                self._look()
            self.flight.aim()
        self._judge()

    def salvage(self):
        """After an interruption: the best so far of what is in flight counts."""
        self._judge()
        if len(self.flight):
            self.answers.judge(*self.flight.found(self.flight.open.nonzero().squeeze(1)))

    def _take(self, count):
        """Up to ``count`` tasks from the stream: (row, target, log_c), None where there are no more."""
        while not self.queue or len(self.queue[0]) < count:
            more = next(self.coming, None)
            if more is None:
                break
            self.queue = [torch.cat(parts) for parts in zip(self.queue, more, strict=True)] if self.queue else more
        task, self.queue = [part[:count] for part in self.queue], [part[count:] for part in self.queue]
        return task if task and len(task[0]) else None

    def _look(self):
        """Take out what has ended; its rows take the next tasks, or are dropped."""
        flight = self.flight
        ended = (~flight.open).nonzero().squeeze(1)
        if len(ended) < max(1, ENDED * len(flight)):
            return
        self._finish(ended)
        task = self._take(len(ended))
        filled = len(task[0]) if task else 0
        if task:
            flight.replace(ended[:filled], task)
        flight.keep(moves(ended[filled:].tolist(), len(flight), ended.device))

    def _finish(self, ended):
        """The searches of these rows have ended; a full batch of them is judged."""
        self.finished.append(self.flight.found(ended))
        self.report(len(ended))
        if sum(len(found[0]) for found in self.finished) >= self.classifier.at_once:
            self._judge()

    def _judge(self):
        """Judge what has finished, no more at once than a pass may have."""
        if not self.finished:
            return
        found = [torch.cat(parts) for parts in zip(*self.finished, strict=True)]
        self.finished = []
        for some in zip(*(part.split(self.classifier.at_once) for part in found), strict=True):
            self.answers.judge(*some)
            self.answers.left.index_add_(0, some[0], torch.full_like(some[0], -1))
