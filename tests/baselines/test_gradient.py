"""FGSM and noise optimised by SGD, each against the same thing written for one image."""

import pytest
import torch
from torch.nn.functional import cross_entropy

from helpers import baselines, load_network


def test_fgsm_moves_each_free_pixel_by_epsilon_towards_the_target(network, digits):
    images, targets = digits
    result = baselines.fgsm(network, images, targets, epsilon=0.2)
    assert 0 < result.success.sum() < len(images)
    x, r = images[result.success].requires_grad_(True), result.perturbation[result.success]
    (gradient,) = torch.autograd.grad(cross_entropy(network(x), targets[result.success], reduction="sum"), x)
    x = x.detach()
    free = (x >= 0.2) & (x <= 0.8) & (gradient != 0)
    assert free.any()
    torch.testing.assert_close(r[free], -0.2 * gradient.sign()[free])
    assert (r * gradient <= 0).all() and r.abs().max() <= 0.2 + 1e-6


def optimise_noise(network, image, target, size, steps):
    """One image at a time with torch.optim.SGD, as one would write it. Returns x + r (or None) and the steps made."""
    r = torch.zeros_like(image, requires_grad=True)
    optimizer = torch.optim.SGD([r], lr=0.008)
    for step in range(steps + 1):
        moved = image + r
        x = torch.where((moved > 0) & (moved < 1), moved, moved.detach().clamp(0, 1))
        logits = network(x)
        if logits.argmax(1) == target:
            return x.detach(), step
        optimizer.zero_grad()
        (cross_entropy(logits, target) + size(r)).backward()
        optimizer.step()
    return None, steps


@pytest.mark.parametrize(
    "penalty, size",
    [("l2", lambda r: (r**2).mean()), ("l1", lambda r: r.abs().mean()), (None, lambda r: torch.zeros(()))],
)
def test_sgd_noise_is_what_a_loop_over_images_gives(penalty, size, network, digits):
    network, steps = load_network("FC100-100-10").double(), 60
    images, targets = digits[0][:8].double(), digits[1][:8]
    result = baselines.sgd_noise(network, images, targets, steps=steps, penalty=penalty)
    assert 0 < result.success.sum() < len(images)  # both endings are compared
    for i in range(len(images)):
        x, made = optimise_noise(network, images[i : i + 1], targets[i : i + 1], size, steps)
        assert result.success[i].item() == (x is not None) and result.evaluations[i] == made + 1
        if x is not None:
            torch.testing.assert_close(result.adversarial[i], x[0], rtol=0, atol=1e-9)
