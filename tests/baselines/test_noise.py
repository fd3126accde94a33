"""Gaussian noise has the size that is asked for, and depends on its seed alone."""

import pytest
import torch

from helpers import baselines


def test_noise_has_the_stated_size(network, digits):
    grey = torch.full((20, 784), 0.5)
    assert abs((baselines.noisy(grey, stddev=0.05) - grey).square().mean().sqrt() - 0.05) < 0.001
    images, targets = digits
    like = baselines.fgsm(network, images, targets, epsilon=0.2)
    noise = baselines.noisy(images, like=like) - images
    torch.testing.assert_close(torch.linalg.vector_norm(noise, dim=1), like.norm, rtol=1e-5, atol=0)
    assert (baselines.noisy(images, stddev=0) == images).all()


def test_noise_depends_on_its_seed_alone(network, digits):
    images = digits[0][:5]
    state = torch.get_rng_state()
    one, again, other = (baselines.noisy(images, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(one, again) and not torch.equal(one, other)
    assert torch.equal(state, torch.get_rng_state())


def test_noise_like_a_result_on_other_images(network, digits):
    like = baselines.fgsm(network, digits[0][:3], digits[1][:3])
    with pytest.raises(ValueError, match="like"):
        baselines.noisy(digits[0][:2], like=like)
