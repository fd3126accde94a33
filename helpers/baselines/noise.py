"""Gaussian noise, the control: what noise that knows nothing of the network does."""

import torch

from helpers.adversarial.inputs import check_targeted
from helpers.adversarial.result import assemble, by_image


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
        return (images + by_image(scale, images) * noise).clamp(0, 1)

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
    return assemble(network, images, adversarial, targets, None, torch.ones_like(targets))
