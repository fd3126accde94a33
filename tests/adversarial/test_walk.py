"""Walks along the border: they end near it, inside the box, and know its multiplier."""

from functools import partial

import pytest
import torch
from strange_networks import always_zero, plane
from ways import near_the_closest

from helpers.adversarial import walk
from helpers.adversarial.classifier import Classifier
from helpers.adversarial.objective import PricedProblem
from helpers.adversarial.starts import directions
from helpers.adversarial.walk import Walk


def walked(network, images, targets, kind=0, radius=1.0):
    passes = []
    direction = directions(images, torch.full((len(images),), kind))
    problem = PricedProblem(Classifier(network, images))
    walk = Walk(problem, images, targets, direction, images.new_full((len(images),), radius), lambda: passes.append(1))
    return walk.run(), len(passes)


@pytest.mark.parametrize("kind", [0, 1, 2, 3])
def test_the_border_of_a_plane_and_its_multiplier(kind):
    network, multiplier = plane()
    found, _ = walked(network, torch.full((1, 40), 0.5), torch.tensor([1]), kind)
    assert 0.5 < found.best.value.item() < 0.56
    assert found.multiplier.item() == pytest.approx(multiplier, rel=0.15)


@pytest.mark.parametrize("kind", [0, 1, 2, 5])
def test_digits_end_near_the_closest_point_inside_the_box(kind, digits):
    passes, ratio = near_the_closest(partial(walked, kind=kind), digits)
    assert passes == walk.STEPS and ratio < 1.1


def test_a_walk_does_not_depend_on_the_batch(network, digits):
    together, _ = walked(network, *digits, kind=3)
    alone, _ = walked(network, digits[0][7:8], digits[1][7:8], kind=3)
    assert alone.best.value.item() == pytest.approx(together.best.value[7].item(), rel=1e-3)


def test_a_label_that_is_nowhere_is_not_met_and_nothing_breaks(digits):
    found, _ = walked(always_zero(), digits[0][:3], torch.tensor([1, 2, 1]))
    assert torch.isinf(found.best.value).all() and torch.equal(found.best.x, digits[0][:3])
