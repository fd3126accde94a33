"""What an attack with several starts has to do, as a stream: the ways of every image to the border, and the closest."""

import torch

from helpers.adversarial.descent import Descent
from helpers.adversarial.objective import PricedProblem
from helpers.adversarial.starts import DESCENT, directions, first_radii
from helpers.adversarial.tasks import targeted, unanswered, untargeted
from helpers.adversarial.walk import Walk


def kept(starts):
    """How many of an image's ways to the border are carried on: half of them, rounded up."""
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
        x, size, multiplier = _ways(problem, answers, row, target, starts, report)
        images = len(row.unique_consecutive())
        walks_of_each = len(size) // images
        chosen = size.view(images, -1).topk(min(kept(starts), walks_of_each), dim=1, largest=False)
        first = torch.arange(images, device=row.device).unsqueeze(1) * walks_of_each
        met = torch.isfinite(chosen.values)
        answers.left[row[:: len(row) // images]] = torch.where(met.any(1), met.sum(1), -1)
        pair = (first + chosen.indices)[met]
        if len(pair):
            yield row[pair // starts], target[pair // starts], multiplier[pair].log(), x[pair], size[pair]


def _ways(problem, answers, row, target, starts, report):
    """Go from every start of every task, as many at once as a pass may have: (x, ‖r‖, multiplier), task by task."""
    pairs = torch.arange(len(row) * starts, device=row.device)
    descends = pairs % starts == DESCENT
    walks, descents = pairs[~descends], pairs[descends]
    found = []
    for alike in (walks, descents):
        for part in alike.split(problem.classifier.at_once) if len(alike) else ():
            of_image, kind = row[part // starts], part % starts
            image, wanted = answers.pixels(of_image), target[part // starts]

            def count(of_image=of_image):
                answers.evaluations.index_add_(0, of_image, torch.ones_like(of_image))

            if alike is descents:
                way = Descent(problem, image, wanted, count)
            else:
                way = Walk(problem, image, wanted, directions(image, kind), first_radii(kind, image), count)
            way.run()
            report(len(part))
            found.append((way.best.x, way.best.value, way.multiplier))
    back = torch.cat([walks, descents]).argsort()
    return (torch.cat(parts)[back] for parts in zip(*found, strict=True))
