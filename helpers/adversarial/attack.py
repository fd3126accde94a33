"""The attack of Szegedy et al. (2013), section 4.1, for many images at once: (P_c) by L-BFGS-B, the largest c."""

import warnings

import torch
from tqdm.auto import tqdm

from helpers.adversarial.inputs import check_inputs, check_norm, check_schedule
from helpers.adversarial.result import ALREADY, assemble, predictions
from helpers.adversarial.search import Search

_NEAREST = 9  # wrong labels that an untargeted attack tries: all of them for ten classes
_BYTES = {"cpu": 64e6, "cuda": 8e9}  # what the rows in flight may take: a CPU is fastest while they fit its cache
_VECTORS = 32  # the memory that one row in flight takes, in vectors of its length


def attack(network, images, targets=None, *, norm="squared", sharpness=1.0, max_batch=None, progress=True):
    """Find the smallest perturbation r with network(image + r) = target and image + r in [0, 1], image by image.

    For each image: the largest c for which the minimiser of c‖r‖² + CE(x + r, target) over the box is given the target
    label, each minimisation warm-started from the last; of all points evaluated, the closest that succeeds is returned.

    Args:
        network: from (batch, ...) images to (batch, classes) logits, in eval mode; normalisation belongs inside it.
        images: (batch, ...) floats in [0, 1]. Their device and dtype are those of the whole call.
        targets: (batch,) the label that each image is to be given. None: the nearest wrong label. The up to nine wrong
            labels of smallest linearised distance, margin / ‖∇margin‖ (for ten classes: all of them), are each attacked
            in full, and the smallest perturbation is kept.
        norm: "squared" penalises c‖r‖², "l2" the paper's c‖r‖.
        sharpness: β > 0. The loss is CE(β·logits, target)/β; 1.0 is the paper's. An increasing schedule such as
            (1, 8, 64) starts each stage from the last one's answer, and comes closer to the smallest perturbation.
        max_batch: at most so many images in flight at a time, which bounds the memory; None: what suits the device.
        progress: show a progress bar on anything over two seconds.

    Returns:
        AttackResult, in the order of the images. Ctrl-C returns what was found until then.

    Raises:
        TypeError, ValueError: one sentence that says what was wrong and what to pass instead.
    """
    classes = check_inputs(network, images, targets)
    check_norm(norm)
    schedule = images.new_tensor(check_schedule(sharpness))
    if max_batch is not None and max_batch < 1:
        raise ValueError(f"max_batch must be at least 1, got {max_batch}.")
    shape = images.shape[1:]
    flat = images.detach().flatten(1)
    slots = max_batch or max(
        1, int(_BYTES.get(images.device.type, 8e9) / (_VECTORS * flat.shape[1] * flat.element_size()))
    )

    said = predictions(network, images, slots)
    if targets is None:
        rivals = _nearest_labels(network, flat, shape, said.clamp(min=0), min(_NEAREST, classes - 1), slots)
        owner = torch.arange(len(images), device=images.device).repeat_interleave(rivals.shape[1])
        wanted = rivals.flatten()
    else:
        owner = (said != targets).nonzero().squeeze(1)
        wanted = targets[owner]

    search = Search(network, flat[owner], wanted, shape, norm, schedule, slots)
    with tqdm(total=len(owner), desc="attack", unit="image", delay=2, disable=not progress, leave=False) as bar:
        try:
            search.run(bar.update)
        except KeyboardInterrupt:
            warnings.warn("interrupted: the images that were not finished keep their best so far", stacklevel=2)

    adversarial, c = flat.clone(), flat.new_full((len(flat),), torch.nan)
    evaluations = torch.zeros(len(flat), dtype=torch.long, device=flat.device)
    evaluations.index_add_(0, owner, search.evaluations)
    if targets is None:
        targets = said.clone()
        if len(images):
            size = search.best_size.view(len(flat), -1)
            nearest = size.argmin(1) + size.shape[1] * torch.arange(len(flat), device=flat.device)
            adversarial, c, targets = search.best[nearest], search.best_c[nearest], wanted[nearest]
        complete = search.closed.view(len(flat), -1).all(1) if len(images) else said.bool()
    else:
        adversarial[owner], c[owner] = search.best, search.best_c
        complete = torch.ones_like(said, dtype=torch.bool)
        complete[owner] = search.closed
    result = assemble(network, flat.view(images.shape), adversarial.view(images.shape), targets, c, evaluations)
    there = said == targets
    return result.with_status(_words(result.success, complete, there))


def _words(success, complete, there):
    words = []
    for ok, done, already in zip(success.tolist(), complete.tolist(), there.tolist(), strict=True):
        if already:
            words.append(ALREADY)
        elif not done:
            words.append("interrupted: the best so far" if ok else "interrupted: nothing found yet")
        else:
            words.append("found" if ok else "not found: no c gave the target label")
    return tuple(words)


def _nearest_labels(network, flat, shape, said, count, slots):
    """The ``count`` wrong labels of smallest linearised distance for each image: (batch, count).

    The distance is that of DeepFool (Moosavi-Dezfooli, Fawzi & Frossard 2016).
    """
    distances = []
    for x, label in zip(flat.split(slots), said.split(slots), strict=True):
        x = x.requires_grad_(True)
        with torch.enable_grad():
            logits = network(x.view(-1, *shape))
            margins = logits.gather(1, label.unsqueeze(1)) - logits
            if margins.shape[1] - 1 > count:  # too many classes to differentiate: those with the smallest margins
                keep = margins.detach().topk(min(4 * count + 1, margins.shape[1]), largest=False)[1]
            else:
                keep = torch.arange(margins.shape[1], device=x.device).expand(len(x), -1)
            norms = [
                torch.autograd.grad(margins.gather(1, k.unsqueeze(1)).sum(), x, retain_graph=True)[0].norm(dim=1)
                for k in keep.unbind(1)
            ]
        distance = margins.detach().gather(1, keep) / torch.stack(norms, 1)
        distance = torch.where(keep == label.unsqueeze(1), torch.inf, distance)
        distances.append(keep.gather(1, distance.topk(count, largest=False)[1]))
    return torch.cat(distances) if distances else said.new_zeros(0, count)
