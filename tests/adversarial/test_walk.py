"""Walks along the border: they end near it, inside the box, and know its multiplier."""

import pytest
import torch
from torch import nn

from helpers import load_network
from helpers.adversarial import walk
from helpers.adversarial.classifier import Classifier
from helpers.adversarial.objective import PricedProblem, margin
from helpers.adversarial.starts import directions
from helpers.adversarial.walk import Walk
from helpers.baselines.exact import exact_linear


def walked(network, images, targets, kind=0, radius=1.0):
    passes = []
    direction = directions(images, torch.full((len(images),), kind))
    problem = PricedProblem(Classifier(network, images))
    walk = Walk(problem, images, targets, direction, images.new_full((len(images),), radius), lambda: passes.append(1))
    return walk.run(), len(passes)


@pytest.fixture(scope="module")
def plane():
    """A linear network of two classes, z₀ − z₁ = a·(x − ½) + ½‖a‖: its border is 0.5 away from the middle."""
    a = torch.linspace(0.2, 1, 40)
    network = nn.Linear(40, 2).eval().requires_grad_(False)
    network.weight.copy_(torch.stack([a, torch.zeros(40)]))
    network.bias.copy_(torch.stack([0.5 * a.norm() - a.sum() / 2, torch.zeros(())]))
    return network, a


@pytest.mark.parametrize("kind", [0, 1, 2, 3])
def test_the_border_of_a_plane_and_its_multiplier(kind, plane):
    network, a = plane
    found, _ = walked(network, torch.full((1, 40), 0.5), torch.tensor([1]), kind)
    assert 0.5 < found.best.value.item() < 0.56
    # The closest point is r = −a/(2‖a‖), where −∇m·r/(2‖r‖²) = ‖a‖.
    assert found.multiplier.item() == pytest.approx(a.norm().item(), rel=0.15)


@pytest.mark.parametrize("kind", [0, 1, 2, 5])
def test_digits_end_near_the_closest_point_inside_the_box(kind, digits):
    network = load_network("FC10(1e-4)")
    images, targets = digits[0][:30], digits[1][:30]
    images, targets = (part[network(images).argmax(1) != targets] for part in (images, targets))
    found, passes = walked(network, images, targets, kind)
    exact = exact_linear(network, images, targets).norm
    x = found.best.x
    assert passes == walk.STEPS
    assert ((x >= 0) & (x <= 1)).all() and (margin(network(x), targets) < 0).all()
    assert torch.allclose(found.best.value, (x - images).norm(dim=1))
    assert (found.best.value >= exact * 0.9999).all() and (found.best.value / exact).mean() < 1.1


def test_a_walk_does_not_depend_on_the_batch(network, digits):
    together, _ = walked(network, *digits, kind=3)
    alone, _ = walked(network, digits[0][7:8], digits[1][7:8], kind=3)
    assert alone.best.value.item() == pytest.approx(together.best.value[7].item(), rel=1e-3)


def test_a_label_that_is_nowhere_is_not_met_and_nothing_breaks(digits):
    network = nn.Linear(784, 3).eval().requires_grad_(False)
    network.weight.zero_()
    network.bias.copy_(torch.tensor([1.0, 0.0, 0.5]))  # says 0 whatever it sees
    found, _ = walked(network, digits[0][:3], torch.tensor([1, 2, 1]))
    assert torch.isinf(found.best.value).all() and torch.equal(found.best.x, digits[0][:3])
