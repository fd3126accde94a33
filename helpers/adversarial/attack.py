"""The attack of Szegedy et al. (2013), section 4.1, for many images at once: (P_c) by L-BFGS-B, the largest c."""

import warnings

from tqdm.auto import tqdm

from helpers.adversarial.answers import Answers
from helpers.adversarial.inputs import check_inputs, check_norm, check_schedule
from helpers.adversarial.search import Search
from helpers.adversarial.tasks import RIVALS


def attack(network, images, targets=None, *, norm="squared", sharpness=1.0, max_batch=None, progress=True):
    """Find the smallest perturbation r with network(image + r) = target and image + r in [0, 1], image by image.

    For each image: the largest c for which the minimiser of c‖r‖² + CE(x + r, target) over the box is given the target
    label, each minimisation warm-started from the last; of all points evaluated, the closest that succeeds is returned.

    Args:
        network: from (batch, ...) images to (batch, classes) logits, in eval mode; normalisation belongs inside it.
        images: (batch, ...) floats in [0, 1]. Their device and dtype are those of the whole call; with 16 bits the
            network computes in 16 and the solver in 32, and the answers have 16 again.
        targets: (batch,) the label that each image is to be given. None: the nearest wrong label. The up to nine wrong
            labels of smallest linearised distance, margin / ‖∇margin‖ (for ten classes: all of them), are each attacked
            in full, and the smallest perturbation is kept.
        norm: "squared" penalises c‖r‖², "l2" the paper's c‖r‖.
        sharpness: β > 0. The loss is CE(β·logits, target)/β; 1.0 is the paper's. An increasing schedule such as
            (1, 8, 64) starts each stage from the last one's answer, and comes closer to the smallest perturbation.
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

    Memory, beside the network and the images: the answers (twice the images: x + r and r) and, for each image in
    flight, some 36 vectors of its length and what autograd keeps of the network. For 2,000 images of 3×224×224 in
    float32, 0.6 MB each, with max_batch=4: 1.2 GB of images, 2.4 GB of answers, 4 · 36 · 0.6 = 87 MB in flight.

    The logits of one image differ a little with the batch that it is in; on a GPU with TF32, by 1e-4 and more. By how
    much is measured before the search (``Classifier.slack``), and the target leads by more than that in every answer.
    Differences above 1e-3 are refused: switch TF32 off, torch.backends.cudnn.allow_tf32 = False, or use float64.
    """
    if max_batch is not None and max_batch < 1:
        raise ValueError(f"max_batch must be at least 1, got {max_batch}.")
    classifier = check_inputs(network, images, targets, max_batch)
    check_norm(norm)
    schedule = check_schedule(sharpness)
    answers = Answers(classifier, images.detach(), targets)
    total = len(images) * (min(RIVALS, classifier.classes - 1) if answers.free else 1)
    with tqdm(total=total, desc="attack", unit="image", delay=2, disable=not progress, leave=False) as bar:
        _search(answers, norm, schedule, bar)
    return answers.result()


def _search(answers, norm, schedule, bar):
    """Search until every image is answered, or Ctrl-C; where memory runs out, again for the rest with half as many."""
    while True:
        search = Search(answers, norm, schedule)
        try:
            return search.run(bar.update)
        except KeyboardInterrupt:
            search.salvage()
            warnings.warn("interrupted: the images that were not finished keep their best so far", stacklevel=3)
            return None
        except (RuntimeError, MemoryError) as error:
            answers.classifier.halve(error, bar.total)
