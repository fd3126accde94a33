"""What an attack keeps of each image of a call: its answer, and a few numbers. All else is in flight."""

from dataclasses import replace

import torch

from helpers.adversarial.objective import succeeds
from helpers.adversarial.result import ALREADY, result_of

# Where along the ray image → point an answer is looked for: at the point that was seen and, where the judge denies it,
# farther on. The slack is measured on a few images, so that another may need a little more than it.
FARTHER = (1, 1.001, 1.003, 1.01, 1.03)


class Answers:
    """One entry an image, in the order of the images. The images themselves are the caller's tensor, uncopied.

    images: (batch, ...). targets: (batch,), or None for the label that is nearest. classifier: who judges.
    """

    def __init__(self, classifier, images, targets=None):
        self.classifier, self.images, self.free = classifier, images, targets is None
        batch, device = len(images), images.device
        self.adversarial = images.clone()
        self.size = torch.full((batch,), torch.inf, dtype=classifier.working, device=device)  # of the answer
        self.c = torch.full_like(self.size, torch.nan)
        self.forwards = classifier.forwards.clone()  # passes without a gradient
        self.evaluations = torch.zeros_like(self.forwards)  # passes with one
        self.left = torch.full_like(self.forwards, -1)  # searches that have not ended yet; −1: not looked at
        self.already = torch.zeros_like(self.left, dtype=torch.bool)
        self.targets = torch.zeros_like(self.left) if self.free else targets.clone()

    def pixels(self, row):
        """The images ``row`` as rows of pixels in the solver's dtype, (rows, n); a copy."""
        return self.images[row].flatten(1).to(self.classifier.working)

    @torch.no_grad()
    def judge(self, row, target, c, x, size):
        """Take in what searches have found, if the judge agrees and nothing smaller was found for the image.

        row, target, c, size: (k,); an image may come more than once. x: (k, n), a point that nothing was found at where
        its size is infinite.
        """
        found = torch.isfinite(size)
        if not found.any():
            return
        row, target, c, x = row[found], target[found], c[found], x[found]
        x, success = self._first_that_succeeds(row, target, x)
        size = torch.where(success, torch.linalg.vector_norm(x - self.pixels(row), dim=1), torch.inf)
        # Each image's smallest, once: in the order of the sizes an image's first place is the least of its places.
        order = size.argsort(stable=True)
        place = torch.arange(len(order), device=order.device)
        first = torch.full_like(self.left, len(order)).scatter_reduce_(0, row[order], place, "amin")
        winner = order[first[first < len(order)]]
        winner = winner[size[winner] < self.size[row[winner]]]
        at = row[winner]
        self.adversarial[at] = self.classifier.pictures(x[winner])
        self.size[at], self.c[at], self.targets[at] = size[winner], c[winner], target[winner]

    def _first_that_succeeds(self, row, target, best):
        """The points ``best`` (k, n), or the first a little farther along the ray that the judge gives its target."""
        x, success = best.clone(), torch.zeros_like(row, dtype=torch.bool)
        left = torch.arange(len(row), device=row.device)
        for farther in FARTHER:
            trial = best[left]
            if farther > 1:
                trial = torch.lerp(self.pixels(row[left]), trial, farther).clamp_(0, 1)
            there = succeeds(self.classifier(trial), target[left])
            self.forwards.index_add_(0, row[left], torch.ones_like(left))
            x[left[there]], success[left[there]] = trial[there], True
            left = left[~there]
            if not len(left):
                break
        return x, success

    def reopen(self):
        """Images whose searches have all ended without an answer are looked at anew."""
        self.left[(self.left == 0) & ~self.already & torch.isinf(self.size)] = -1

    def result(self):
        """The AttackResult."""
        success = self.already | torch.isfinite(self.size)
        done = self.left == 0
        result = result_of(self.images, self.adversarial, self.targets, success, self.c)
        words = _words(success, done, self.already)
        return replace(result, evaluations=self.evaluations, forwards=self.forwards, status=words)


def _words(success, done, already):
    words = []
    for ok, over, there in zip(success.tolist(), done.tolist(), already.tolist(), strict=True):
        if there:
            words.append(ALREADY)
        elif not over:
            words.append("interrupted: the best so far" if ok else "interrupted: nothing found yet")
        else:
            words.append("found" if ok else "not found: no c gave the target label")
    return tuple(words)
