"""The attack of Szegedy et al. (2013), section 4.1, for many images at once: (P_c) by L-BFGS-B, the largest c.

Memory, beside the network and the images: the answers (twice the images: x + r and r) and, for each image in
flight, some 36 vectors of its length and what autograd keeps of the network. For 2,000 images of 3×224×224 in
float32, 0.6 MB each, with max_batch=4: 1.2 GB of images, 2.4 GB of answers, 4 · 36 · 0.6 = 87 MB in flight.

The logits of one image differ a little with the batch that it is in; on a GPU with TF32, by 1e-4 and more. By how
much is measured before the search (``Classifier.slack``), and the target leads by more than that in every answer.
Differences above 1e-3 are refused: switch TF32 off, torch.backends.cudnn.allow_tf32 = False, or use float64.
"""

import warnings

from tqdm.auto import tqdm

from helpers.adversarial.answers import Answers
from helpers.adversarial.inputs import check_inputs, check_norm, check_schedule, check_starts
from helpers.adversarial.polish import SHARPNESS, LongPolish, Polish
from helpers.adversarial.promising import kept, promising
from helpers.adversarial.search import Search
from helpers.adversarial.starts import DESCENT
from helpers.adversarial.tasks import RIVALS

EFFORTS = {"quick": 1, "thorough": 3, "exhaustive": 4}  # starts, for 110, 250 and 1,000 passes an image at most


def attack(
    network,
    images,
    targets=None,
    *,
    norm="squared",
    sharpness=None,
    starts=None,
    effort=None,
    max_batch=None,
    progress=True,
):
    """Find the smallest perturbation r with network(image + r) = target and image + r in [0, 1], image by image.

    For each image: the largest c for which the minimiser of c‖r‖² + CE(x + r, target) over the box is given the target
    label, each minimisation warm-started from the last; of all points evaluated, the closest that succeeds is returned.
    That is the paper's method, and the default. ``effort``, or ``starts``, solves the same problem better: short walks
    along the border from several starts choose a basin, and L-BFGS-B brings the closest of them to the bottom of it.

    Args:
        network: from (batch, ...) images to (batch, classes) logits, in eval mode; normalisation belongs inside it.
        images: (batch, ...) floats in [0, 1]. Their device and dtype are those of the whole call; with 16 bits the
            network computes in 16 and the solver in 32, and the answers have 16 again.
        targets: (batch,) the label that each image is to be given. None: the nearest wrong label. The up to nine wrong
            labels of smallest linearised distance, margin / ‖∇margin‖ (for ten classes: all of them), are each attacked
            or, with ``starts``, walked to, and the smallest perturbation is kept.
        norm: "squared" penalises c‖r‖², "l2" the paper's c‖r‖.
        sharpness: β > 0. The loss is CE(β·logits, target)/β; 1.0, the default, is the paper's. An increasing schedule
            such as (1, 8, 64) starts each stage from the last one's answer, and comes closer to the smallest
            perturbation. With ``starts`` the default is (8, 64), and no stage searches for its c: see ``polish``.
        starts: None, the paper's search from r = 0; or from how many starts to walk (``starts.directions``), of which a
            half, rounded up, is carried on. The fourth is a ``descent`` from far inside the target's region, PDGD's, of
            600 passes. Where no start leads to the border the paper's search follows.
        effort: None, or the starts that are recommended for a budget: "quick" (1 start, 70 to 110 passes an image),
            "thorough" (3, 180 to 250) or "exhaustive" (4, 780 to 1,000): `python -m helpers.benchmark frontier`.
        max_batch: at most so many images in flight at a time, and in any pass of the network; None: what suits the
            device, by the memory that one image is seen to need. Where memory runs out it is halved, with a warning.
        progress: show a progress bar on anything over two seconds.

    Returns:
        AttackResult, in the order of the images. Ctrl-C returns what was found until then. Each image seen in a forward
        pass counts once, in ``evaluations`` where a gradient follows and in ``forwards`` where none does (looks at the
        door, answers judged). Images whose search has ended are seen until the host looks again, and count.

    Raises:
        TypeError, ValueError: one sentence that says what was wrong and what to pass instead.
        torch.OutOfMemoryError: one image at a time is too much, too.
    """
    check_norm(norm)
    starts = check_starts(starts, effort, EFFORTS, norm, sharpness)
    schedule = check_schedule(sharpness if sharpness is not None else SHARPNESS if starts else 1.0)
    classifier = check_inputs(network, images, targets, max_batch)
    answers = Answers(classifier, images.detach(), targets)
    labels = min(RIVALS, classifier.classes - 1) if answers.free else 1
    total = len(images) * (labels * starts + kept(starts) if starts else labels)
    unit = "walk" if starts else "image"
    with tqdm(total=total, desc="attack", unit=unit, delay=2, disable=not progress, leave=False) as bar:
        if not starts or _polished(answers, schedule, starts, bar):
            _searched(answers, bar, lambda: Search(answers, norm, _from_one(schedule) if starts else schedule))
    return answers.result()


def _polished(answers, schedule, starts, bar):
    """The closest points of all walks, polished; what has met no border is left to the search. False after Ctrl-C."""
    polish = LongPolish if starts > DESCENT else Polish

    def begun():
        return Search(answers, "squared", schedule, promising(answers.classifier, answers, starts, bar.update), polish)

    whole = _searched(answers, bar, begun)
    if whole:
        answers.reopen()
    return whole


def _from_one(schedule):
    """The stages of a search that begins at β = 1, and ends as ``schedule`` does."""
    return (1.0, *(beta for beta in schedule if beta > 1))


def _searched(answers, bar, begun):
    """Search to the end, or until Ctrl-C: was there none? Where memory runs out, again for the rest with half as many.

    begun: called for the Search, anew each time.
    """
    while True:
        search = begun()
        try:
            search.run(bar.update)
            return True
        except KeyboardInterrupt:
            search.salvage()
            warnings.warn("interrupted: the images that were not finished keep their best so far", stacklevel=3)
            return False
        except (RuntimeError, MemoryError) as error:
            answers.classifier.halve(error, len(answers.images))
