"""What an attack has to do, as a stream: which image is to be given which label, and the first c to try.

The images are looked at as the search comes to them, at most ``classifier.at_once`` in a pass; nothing as large as an
image is kept.
"""

import torch

from helpers.adversarial.objective import PricedProblem, margin, succeeds

RIVALS = 9  # wrong labels that an untargeted attack tries: all of them for ten classes
CANDIDATES = 4  # for each of them so many with the smallest margins have their gradients computed, of many classes
# Added to the first log c of the squared norm. Away from the image the margin falls more slowly than its gradient there
# says, for sigmoids by a third on average; the start that needs fewest solves is a little beyond the linear one.
BEYOND = 0.6


def tasks(classifier, answers, norm):
    """Yield (row, target, log_c), each (tasks,): the images that are not yet answered, one task for each wanted label.

    Images that have their target already are marked so in ``answers``, and bring no task.
    """
    for rows in unanswered(answers, classifier.at_once):
        row, target = untargeted(classifier, answers, rows) if answers.free else targeted(classifier, answers, rows)
        for part in torch.arange(len(row), device=row.device).split(classifier.at_once) if len(row) else ():
            yield row[part], target[part], _first_log_c(classifier, answers, row[part], target[part], norm)


def unanswered(answers, at_once):
    """The numbers of the images that are not yet answered, in parts of at most ``at_once``."""
    rows = (answers.left != 0).nonzero().squeeze(1)
    return rows.split(at_once) if len(rows) else ()


def targeted(classifier, answers, rows):
    """(row, target) of the images ``rows`` that do not have their target yet; those that have are marked so."""
    target = answers.targets[rows]
    with torch.no_grad():
        there = succeeds(classifier(answers.pixels(rows)), target)
    answers.forwards[rows] += 1
    answers.already[rows], answers.left[rows] = there, (~there).long()
    return rows[~there], target[~there]


def untargeted(classifier, answers, rows):
    """(row, target) of the images ``rows``: each as often in turn as it has nearest wrong labels."""
    rivals = nearest_labels(classifier, answers.pixels(rows), min(RIVALS, classifier.classes - 1))
    answers.evaluations[rows] += 1
    answers.targets[rows], answers.left[rows] = rivals[:, 0], rivals.shape[1]
    return rows.repeat_interleave(rivals.shape[1]), rivals.flatten()


def nearest_labels(classifier, x, count):
    """The ``count`` wrong labels of smallest linearised distance, margin / ‖∇margin‖, for each row: (rows, count).

    The distance is that of DeepFool (Moosavi-Dezfooli, Fawzi & Frossard 2016). One forward pass, many backward.
    """
    x = x.requires_grad_(True)
    with torch.enable_grad():
        logits = classifier(x)
        label = logits.detach().argmax(1, keepdim=True)
        margins = logits.gather(1, label) - logits
        if margins.shape[1] - 1 > count:  # too many classes to differentiate: those with the smallest margins
            keep = margins.detach().topk(min(CANDIDATES * count + 1, margins.shape[1]), largest=False)[1]
        else:
            keep = torch.arange(margins.shape[1], device=x.device).expand(len(x), -1)
        norms = [
            torch.autograd.grad(margins.gather(1, k.unsqueeze(1)).sum(), x, retain_graph=True)[0].norm(dim=1)
            for k in keep.unbind(1)
        ]
    distance = margins.detach().gather(1, keep) / torch.stack(norms, 1)
    distance = torch.where(keep == label, torch.inf, distance)
    return keep.gather(1, distance.topk(count, largest=False)[1])


def _first_log_c(classifier, answers, row, target, norm):
    """log c from the margin and its gradient at the image, (rows,).

    If the margin were linear, with gradient a over the pixels that may move, then r = −a·margin/‖a‖²; where two
    labels tie, the loss has gradient a/2, and 2 c r = −a/2 gives c = ‖a‖²/(4 margin); for the norm, c = ‖a‖/2.
    """
    x = answers.pixels(row)
    m, a, _ = PricedProblem(classifier).differentiated(x, lambda logits: margin(logits, target))
    answers.evaluations.index_add_(0, row, torch.ones_like(row))
    tiny = torch.finfo(m.dtype).eps
    m = m.clamp(min=tiny)
    stuck = ((x <= 0) & (a > 0)) | ((x >= 1) & (a < 0))
    a = torch.where(stuck, 0, a).square().sum(1).clamp(min=tiny)
    return (a / (4 * m)).log() + BEYOND if norm == "squared" else (a.sqrt() / 2).log()
