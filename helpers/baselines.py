"""What the attack is compared with: FGSM, noise optimised by SGD, Gaussian noise, and SciPy's L-BFGS-B in a loop.

Each is called as ``(network, images, targets, *, ...)`` and returns an AttackResult, as ``attack`` does:

    images   (batch, ...) floats, pixels in [0, 1]        targets  (batch,) labels, one an image
    network  a module in eval mode, from images to (batch, k) logits; it is not changed

Whatever ``attack`` refuses is refused here with the same sentence (``helpers.validation``), a call without targets too.
An image that is given its target already is left as it is (by all but the Gaussian noise), and counts as a success.
"""

import copy
import warnings

import numpy as np
import torch
from scipy.optimize import Bounds, minimize
from threadpoolctl import threadpool_limits
from torch.nn.functional import cross_entropy
from tqdm.auto import tqdm

from helpers.penalty import reached
from helpers.results import assemble
from helpers.validation import check_inputs, check_norm

ALREADY = "nothing to do: the network already says the target"


def fgsm(network, images, targets, *, epsilon=0.1):
    """One step of length ``epsilon`` per pixel down the sign of the loss's gradient, cut off at the box.

    Goodfellow, Shlens & Szegedy (2015), "Explaining and harnessing adversarial examples", section 4, towards a target:
    clip(x − ε sign ∇_x CE(network(x), target), 0, 1). epsilon: > 0, in units of a pixel. One evaluation an image.
    Raises ValueError for any other epsilon.
    """
    check_targeted(network, images, targets)
    _positive(epsilon=epsilon)
    logits, gradient = _logits_and_gradient(network, images, lambda z, x: cross_entropy(z, targets, reduction="none"))
    already = reached(logits, targets)
    adversarial = torch.where(_rows(already, images), images, (images - epsilon * gradient.sign()).clamp(0, 1))
    result = _finish(network, images, adversarial, targets, torch.ones_like(targets))
    pairs = zip(already.tolist(), result.status, strict=True)
    return result.with_status(ALREADY if done else word for done, word in pairs)


def sgd_noise(network, images, targets, *, learning_rate=0.008, steps=1000, penalty="l2"):
    """Optimise the noise: plain gradient descent on r, from r = 0, until the target is predicted.

    The loss is CE(network(clip(x + r, 0, 1)), target) plus, for penalty "l2", the mean of r² over the pixels, for "l1"
    the mean of |r|, for None nothing. There is no c and no search: the first r that succeeds is the answer. Loss and
    settings are those of akshaychawla/Adversarial-Examples-in-PyTorch, to which readers of the paper are sent. It
    attacks one image at a time; here each image has its own r and stops by itself, so the answers are the same.

    learning_rate: > 0, pixels per unit of the gradient. steps: > 0, the most that are made. Evaluations: the steps
    made, plus one. Raises ValueError for other values of the options.
    """
    check_targeted(network, images, targets)
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

        logits, gradient = _logits_and_gradient(lambda r, x=image: network((x + r).clamp(0, 1)), r, loss)
        done = reached(logits, target)
        if done.any():
            adversarial[row[done]] = (image + r).clamp(0, 1)[done]
            evaluations[row[done]] = step + 1
            for i in row[done].tolist():
                status[i] = f"found after {step} steps" if step else ALREADY
        row, r = row[~done], (r - learning_rate * gradient)[~done]
    return _finish(network, images, adversarial, targets, evaluations, status)


def noisy(images, *, stddev=0.1, like=None, seed=0):
    """The images with Gaussian noise, clipped to [0, 1]: (batch, ...).

    stddev: of the noise of each pixel *before* it is clipped, in units of a pixel, >= 0. Most pixels of a digit are 0,
    and clipping takes away half of the noise's mean square there.
    like: an AttackResult on the same images, in place of stddev. The noise z of each image is scaled so that *after*
    clipping it is as long as the perturbation found there (zero where there is none): each pixel of
    clip(x + s z, 0, 1) − x grows with s, and bisection finds s.
    seed: the same noise on every device. torch's own random generator is left alone.
    Raises ValueError for a negative stddev or a result on other images.
    """
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(images.shape, generator=generator).to(images)
    if like is None:
        if not stddev >= 0:
            raise ValueError(f"stddev must be at least 0, got {stddev}.")
        return (images + stddev * noise).clamp(0, 1)
    if like.perturbation.shape != images.shape:
        raise ValueError(f"like holds images {tuple(like.perturbation.shape)}, but images are {tuple(images.shape)}.")
    low, high = (images.new_full((len(images),), edge) for edge in (0.0, 1.0))

    def at(scale):
        return (images + _rows(scale, images) * noise).clamp(0, 1)

    def short(scale):
        return torch.linalg.vector_norm((at(scale) - images).flatten(1), dim=1) < like.norm

    for _ in range(30):  # 2³⁰ takes every pixel to its bound
        high = torch.where(short(high), 2 * high, high)
    for _ in range(60):
        middle = (low + high) / 2
        below = short(middle)
        low, high = torch.where(below, middle, low), torch.where(below, high, middle)
    return at(low)


def gaussian_noise(network, images, targets, *, stddev=0.1, like=None, seed=0):
    """Noise that knows nothing of the network. ``stddev``, ``like`` and ``seed`` as in ``noisy``, which makes it.

    Success is, as for every attack here, that the *target* is predicted. One evaluation an image.
    """
    check_targeted(network, images, targets)
    adversarial = noisy(images, stddev=stddev, like=like, seed=seed)
    return _finish(network, images, adversarial, targets, torch.ones_like(targets))


def scipy_lbfgsb(network, images, targets, *, norm="squared", progress=True):
    """The paper's attack as it is usually written: SciPy's L-BFGS-B, one image after another, one c after another.

    Minimises c‖r‖² + CE(network(x + r), target) (``norm="squared"``) or c‖r‖ + CE (``norm="l2"``) over the box, in
    float64, from r = 0 for every c. c starts at 1 and moves by factors of 10 until a success and a failure enclose it,
    then to their geometric mean until they are within 1% of each other. Success is judged on x + r in the images'
    dtype; the smallest success is kept. SciPy works on the CPU, on a copy of the network.

    progress: show a bar. Ctrl-C returns what is finished, with a status that says so.
    Raises ValueError for any other norm.
    """
    check_targeted(network, images, targets)
    check_norm(norm)
    double = double_copy(network).cpu()
    adversarial, c = images.clone(), images.new_full((len(images),), torch.nan)
    evaluations, status = torch.zeros_like(targets), ["interrupted: nothing found yet"] * len(images)
    try:
        # On vectors this short a second BLAS thread only waits, beside torch's own: the loop ran seven times slower.
        with threadpool_limits(1, user_api="blas"):
            for i in tqdm(range(len(images)), "SciPy's L-BFGS-B", unit="image", delay=2, disable=not progress):
                found = _one_image(network, double, images[i : i + 1], targets[i : i + 1], norm)
                adversarial[i], c[i], evaluations[i], status[i] = found
    except KeyboardInterrupt:
        warnings.warn("interrupted: the images that were not finished are returned as they were", stacklevel=2)
    return assemble(network, images, adversarial, targets, c, evaluations, status)


class CBracket:
    """The largest c that succeeds: c by factors of 10 until it is enclosed, then bisection of log c to 1%."""

    def __init__(self):
        self.c, self.low, self.high = 1.0, None, None  # low succeeds, high fails

    def update(self, success):
        """Take in what came of ``c`` and choose the next one."""
        if success:
            self.low = self.c
        else:
            self.high = self.c
        enclosed = self.low is not None and self.high is not None
        self.c = np.sqrt(self.low * self.high) if enclosed else self.c * (10 if success else 0.1)

    @property
    def closed(self):
        enclosed = self.low is not None and self.high is not None
        return self.high < 1.01 * self.low if enclosed else not 1e-9 < self.c < 1e9


def _one_image(network, double, image, target, norm):
    """The best adversarial image, its c, the evaluations spent and what happened, for one image (1, ...)."""
    origin, label = image.detach().cpu().double(), target.cpu()
    evaluations = 0

    def succeeds(x):
        with torch.no_grad():
            return bool(reached(network(x), target))

    def objective(v, c):
        nonlocal evaluations
        evaluations += 1
        x = torch.from_numpy(v).view_as(origin).requires_grad_()
        r = x - origin
        size = r.square().sum() if norm == "squared" else torch.linalg.vector_norm(r)
        value = c * size + cross_entropy(double(x), label)
        (gradient,) = torch.autograd.grad(value, x)
        return value.item(), gradient.flatten().numpy()

    if succeeds(image):
        return image[0], torch.nan, 0, ALREADY
    best, best_c, least, bracket = image, torch.nan, torch.inf, CBracket()
    start = origin.flatten().numpy()
    box = Bounds(np.zeros_like(start), np.ones_like(start))
    while not bracket.closed:
        c = bracket.c
        found = minimize(objective, start, args=(c,), jac=True, method="L-BFGS-B", bounds=box)
        x = torch.from_numpy(found.x).to(image).clamp(0, 1).view_as(image)
        success = succeeds(x)
        size = torch.linalg.vector_norm(x - image).item()
        if success and size < least:
            best, best_c, least = x, c, size
        bracket.update(success)
    return best[0], best_c, evaluations, "found" if least < torch.inf else "not found: no c gave the target label"


def check_targeted(network, images, targets):
    """What ``attack`` asks of its arguments, and that there are targets. Raises TypeError or ValueError."""
    if targets is None:
        raise TypeError("targets must be a tensor with one label an image; only attack() chooses them by itself.")
    check_inputs(network, images, targets)


def double_copy(network):
    """A float64 copy of a module, whose parameters take no gradient. Raises TypeError for anything else."""
    if not isinstance(network, torch.nn.Module):
        raise TypeError(f"a float64 copy is made of a torch.nn.Module, but the network is a {type(network).__name__}.")
    return copy.deepcopy(network).double().requires_grad_(False)


def _logits_and_gradient(network, x, loss):
    """network(x) and the gradient of loss(logits, x) (batch,) by x, each row its own."""
    x = x.detach().requires_grad_(True)
    with torch.enable_grad():
        logits = network(x)
        (gradient,) = torch.autograd.grad(loss(logits, x).sum(), x)
    return logits.detach(), gradient


def _finish(network, images, adversarial, targets, evaluations, status=None):
    no_c = images.new_full((len(images),), torch.nan)
    return assemble(network, images, adversarial, targets, no_c, evaluations, status)


def _rows(values, images):
    """(batch,) shaped to broadcast against (batch, ...)."""
    return values.view(-1, *[1] * (images.ndim - 1))


def _positive(**options):
    for name, value in options.items():
        if not value > 0:
            raise ValueError(f"{name} must be above 0, got {value}.")
