"""What an attack with several starts has to do, as a stream: the walks of every image, and of them the closest."""

import torch

from helpers.adversarial.objective import PricedProblem
from helpers.adversarial.starts import directions, first_radii
from helpers.adversarial.tasks import targeted, unanswered, untargeted
from helpers.adversarial.walk import Walk


def kept(starts):
    """How many of an image's walks are carried on: half of them, rounded up."""
    return -(-starts // 2)


def promising(classifier, answers, starts, report=lambda walks: None):
    """Yield (row, target, log_c, x, size), each (tasks, ...): for each image the closest points of its walks.

    starts: walks for each image and each label that it may be given. size: ‖r‖ of x. ``report`` hears of each walk that
    ends. An image whose walks have not met the border is left unanswered, and brings no task.
    """
    problem = PricedProblem(classifier)
    for rows in unanswered(answers, max(1, classifier.at_once // starts)):
        row, target = untargeted(classifier, answers, rows) if answers.free else targeted(classifier, answers, rows)
        if not len(row):
            continue
        walks = _walks(problem, answers, row, target, starts, report)
        x, size, multiplier = (torch.cat(parts) for parts in zip(*walks, strict=True))
        images = len(row.unique_consecutive())
        walks_of_each = len(size) // images
        chosen = size.view(images, -1).topk(min(kept(starts), walks_of_each), dim=1, largest=False)
        first = torch.arange(images, device=row.device).unsqueeze(1) * walks_of_each
        met = torch.isfinite(chosen.values)
        answers.left[row[:: len(row) // images]] = torch.where(met.any(1), met.sum(1), -1)
        pair = (first + chosen.indices)[met]
        if len(pair):
            yield row[pair // starts], target[pair // starts], multiplier[pair].log(), x[pair], size[pair]


def _walks(problem, answers, row, target, starts, report):
    """Walk from every start of every task, as many at once as a pass may have; yields (x, ‖r‖, multiplier)."""
    pairs = torch.arange(len(row) * starts, device=row.device)
    for part in pairs.split(problem.classifier.at_once):
        of_image, image = row[part // starts], answers.pixels(row[part // starts])
        kind = part % starts

        def count(of_image=of_image):
            answers.evaluations.index_add_(0, of_image, torch.ones_like(of_image))

        walk = Walk(
            problem, image, target[part // starts], directions(image, kind), first_radii(kind, image), count
        ).run()
        report(len(part))
        yield walk.best.x, walk.best.value, walk.multiplier
