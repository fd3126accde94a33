"""What walks and descents have in common, for their tests."""

import torch

from helpers import load_network
from helpers.adversarial.objective import margin
from helpers.baselines.exact import exact_linear


def near_the_closest(go, digits):
    """Go to the border of softmax regression, whose closest points are known; checks that what is found is right.

    go: (network, images, targets) → a Watched that has ended, and its passes. Returns the passes and the mean of ‖r‖
    over the least.
    """
    network = load_network("FC10(1e-4)")
    images, targets = digits[0][:30], digits[1][:30]
    images, targets = (part[network(images).argmax(1) != targets] for part in (images, targets))
    found, passes = go(network, images, targets)
    exact = exact_linear(network, images, targets).norm
    x = found.best.x
    assert ((x >= 0) & (x <= 1)).all() and (margin(network(x), targets) < 0).all()
    assert torch.allclose(found.best.value, (x - images).norm(dim=1))
    assert (found.best.value >= exact * 0.9999).all()
    return passes, (found.best.value / exact).mean().item()
