"""Attacks that follow the gradient of the loss: FGSM, in one step, and noise optimised by SGD, in a thousand."""

import torch
from torch.nn.functional import cross_entropy, hardtanh

from helpers.adversarial.inputs import check_targeted
from helpers.adversarial.objective import NO_SLACK, succeeds
from helpers.adversarial.result import ALREADY, assemble, by_image


def fgsm(network, images, targets, *, epsilon=0.1):
    """One step of length ``epsilon`` per pixel down the sign of the loss's gradient, cut off at the box.

    Goodfellow, Shlens & Szegedy (2015), "Explaining and harnessing adversarial examples", section 4, towards a target:
    clip(x − ε sign ∇_x CE(network(x), target), 0, 1). epsilon: > 0, in units of a pixel. One evaluation an image.
    Raises ValueError for any other epsilon.
    """
    check_targeted(network, images, targets)
    _positive(epsilon=epsilon)
    logits, gradient = _logits_and_gradient(network, images, lambda z, x: cross_entropy(z, targets, reduction="none"))
    already = succeeds(logits, targets)
    adversarial = torch.where(by_image(already, images), images, (images - epsilon * gradient.sign()).clamp(0, 1))
    result = assemble(network, images, adversarial, targets, None, torch.ones_like(targets))
    pairs = zip(already.tolist(), result.status, strict=True)
    return result.with_status(ALREADY if done else word for done, word in pairs)


def sgd_noise(network, images, targets, *, learning_rate=0.008, steps=1000, penalty="l2"):
    """Optimise the noise: plain gradient descent on r, from r = 0, until the target is predicted.

    The loss is CE(network(clip(x + r, 0, 1)), target) plus, for penalty "l2", the mean of r² over the pixels, for "l1"
    the mean of |r|, for None nothing. There is no c and no search: the first r that succeeds is the answer. Loss and
    settings are those of akshaychawla/Adversarial-Examples-in-PyTorch, to which readers of the paper are sent. It
    attacks one image at a time; here each image has its own r and stops by itself, so the answers are the same.

    A pixel that stands exactly on its bound takes no gradient, as with clamp in today's torch. (In the torch of that
    code's time it did; with 2.4 the digits of the tests need 17 evaluations instead of 41.)

    learning_rate: > 0, pixels per unit of the gradient. steps: > 0, the most that are made. Evaluations: the steps
    made, plus one. Raises ValueError for other values of the options.
    """
    slack = check_targeted(network, images, targets)
    _positive(learning_rate=learning_rate, steps=steps)
    sizes = {"l2": lambda r: r.square().flatten(1).mean(1), "l1": lambda r: r.abs().flatten(1).mean(1), None: None}
    if penalty not in sizes:
        raise ValueError(f'penalty must be "l2", "l1" or None, got {penalty!r}.')
    size = sizes[penalty]

    adversarial, status = images.clone(), [f"not found in {steps} steps"] * len(images)
    evaluations = torch.full_like(targets, steps + 1)
    row, r = torch.arange(len(images), device=images.device), torch.zeros_like(images)
    for step in range(steps + 1):
        if not len(row):
            break
        image, target = images[row], targets[row]

        def loss(logits, r, target=target):
            value = cross_entropy(logits, target, reduction="none")
            return value if size is None else value + size(r)

        logits, gradient = _logits_and_gradient(lambda r, x=image: network(_clipped(x + r)), r, loss)
        done = succeeds(logits, target, slack if step else NO_SLACK)
        if done.any():
            adversarial[row[done]] = (image + r).clamp(0, 1)[done]
            evaluations[row[done]] = step + 1
            for i in row[done].tolist():
                status[i] = f"found after {step} steps" if step else ALREADY
        row, r = row[~done], (r - learning_rate * gradient)[~done]
    return assemble(network, images, adversarial, targets, None, evaluations).with_status(status)


def _clipped(x):
    """clip(x, 0, 1), whose gradient is 0 on the bounds and beyond in every version of torch; clamp's has changed."""
    return hardtanh(x, 0.0, 1.0)


def _logits_and_gradient(network, x, loss):
    """network(x) and the gradient of loss(logits, x) (batch,) by x, each row its own."""
    x = x.detach().requires_grad_(True)
    with torch.enable_grad():
        logits = network(x)
        (gradient,) = torch.autograd.grad(loss(logits, x).sum(), x)
    return logits.detach(), gradient


def _positive(**options):
    for name, value in options.items():
        if not value > 0:
            raise ValueError(f"{name} must be above 0, got {value}.")
