"""The closest point that has its target is kept, with its multiplier; every look is counted."""

import pytest
import torch
from torch import nn

from helpers.adversarial.classifier import Classifier
from helpers.adversarial.objective import PricedProblem
from helpers.adversarial.watched import Watched, length


@pytest.fixture
def seen():
    """Of a linear network of two classes, z₁ − z₀ = 4·x₀ − 2: a Watched for two rows, and a list that counts."""
    network = nn.Linear(3, 2).eval().requires_grad_(False)
    network.weight.copy_(torch.tensor([[0.0, 0, 0], [4, 0, 0]]))
    network.bias.copy_(torch.tensor([0.0, -2]))
    image, passes = torch.zeros(2, 3), []
    problem = PricedProblem(Classifier(network, image))
    return Watched(problem, image, torch.tensor([1, 1]), lambda: passes.append(1)), passes


def watch(seen, x):
    return seen.watch(x, x - seen.image, *seen.look(x))


def test_the_closest_that_has_its_target_is_kept(seen):
    watched, passes = seen
    x = torch.tensor([[0.8, 0, 0], [0.2, 0, 0]])
    there, size = watch(watched, x)
    assert there.tolist() == [True, False] and torch.allclose(size, torch.tensor([0.8, 0.2]))
    assert torch.allclose(watched.best.value, torch.tensor([0.8, torch.inf]))
    watch(watched, torch.tensor([[0.9, 0, 0], [0.7, 0, 0]]))  # farther; the first that has it
    watch(watched, torch.tensor([[0.4, 0, 0], [0.6, 0, 0]]))  # closer, and not there; closer
    assert torch.allclose(watched.best.value, torch.tensor([0.8, 0.6]))
    assert torch.allclose(watched.best.x[:, 0], torch.tensor([0.8, 0.6])) and len(passes) == 3


def test_the_multiplier_is_that_of_the_closest(seen):
    watched, _ = seen
    watch(watched, torch.tensor([[0.8, 0, 0], [0.6, 0, 0]]))
    watch(watched, torch.tensor([[0.9, 0, 0], [0.1, 0, 0]]))
    # ∇m = (−4, 0, 0), so that −∇m·r/(2‖r‖²) = 2/x₀.
    assert torch.allclose(watched.multiplier, torch.tensor([2 / 0.8, 2 / 0.6]), rtol=1e-4)


def test_a_length_can_divide():
    assert length(torch.tensor([[3.0, 4], [0, 0]])).tolist() == pytest.approx([5, 1e-12])
