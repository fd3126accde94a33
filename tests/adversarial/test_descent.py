"""Descents from far inside: they end near the border, inside the box, and know its multiplier."""

import pytest
import torch
from strange_networks import always_zero, plane
from ways import near_the_closest

from helpers.adversarial import descent
from helpers.adversarial.classifier import Classifier
from helpers.adversarial.descent import Descent
from helpers.adversarial.objective import PricedProblem


def descended(network, images, targets):
    passes = []
    way = Descent(PricedProblem(Classifier(network, images)), images, targets, lambda: passes.append(1))
    return way.run(), len(passes)


def test_the_border_of_a_plane_and_its_multiplier():
    network, multiplier = plane()
    found, _ = descended(network, torch.full((1, 40), 0.5), torch.tensor([1]))
    assert 0.5 < found.best.value.item() < 0.52
    assert found.multiplier.item() == pytest.approx(multiplier, rel=0.05)


def test_digits_end_near_the_closest_point_inside_the_box(digits):
    passes, ratio = near_the_closest(descended, digits)
    assert passes == descent.STEPS and ratio < 1.03


def test_the_loss_comes_first_and_the_border_last(network, digits):
    """Far beyond the border at first, near it at the end: the price has grown."""
    sizes = []

    class Noted(Descent):
        def watch(self, *seen):
            there, size = super().watch(*seen)
            sizes.append(size.mean().item())
            return there, size

    images, targets = digits[0][:10], digits[1][:10]
    found = Noted(PricedProblem(Classifier(network, images)), images, targets, lambda: None).run()
    nearest = found.best.value.mean().item()
    assert max(sizes[: descent.STEPS // 4]) > 3 * nearest
    assert sizes[-1] < 1.1 * nearest


def test_the_loss_minds_the_nearest_rival_only(network, digits):
    images, targets = digits[0][:10], digits[1][:10]
    way = Descent(PricedProblem(Classifier(network, images)), images, targets, lambda: None)
    loss, g, _ = way.look(images)
    x = images.clone().requires_grad_(True)
    logits = network(x)
    wanted = logits.gather(1, targets[:, None])
    nearest = logits.detach().scatter(1, targets[:, None], -torch.inf).argmax(1, keepdim=True)
    expected = (1 + (logits.gather(1, nearest) - wanted).exp()).log().squeeze(1)
    torch.testing.assert_close(loss, expected.detach())
    torch.testing.assert_close(g, torch.autograd.grad(expected.sum(), x)[0])


def test_a_descent_does_not_depend_on_the_batch(network, digits):
    together, _ = descended(network, digits[0][:20], digits[1][:20])
    alone, _ = descended(network, digits[0][7:8], digits[1][7:8])
    assert alone.best.value.item() == pytest.approx(together.best.value[7].item(), rel=1e-2)


def test_a_label_that_is_nowhere_is_not_met_and_nothing_breaks(digits):
    found, _ = descended(always_zero(), digits[0][:3], torch.tensor([1, 2, 1]))
    assert torch.isinf(found.best.value).all() and torch.equal(found.best.x, digits[0][:3])
