"""The small network's training: random pieces of the photographs, and a loss that falls."""

import torch

from helpers.photographs import networks, training
from helpers.photographs.pictures import load_photographs


def test_pieces_are_pieces_of_their_photograph():
    images = torch.arange(4.0).view(4, 1, 1, 1).expand(4, 3, 224, 224) / 8 + 0.3
    x, label = training.pieces(images, 40, torch.Generator().manual_seed(3))
    assert x.shape == (40, 3, 224, 224) and set(label.tolist()) == {0, 1, 2, 3}
    assert 0 <= x.min() and x.max() <= 1 and torch.allclose(x.amin((1, 2, 3)), x.amax((1, 2, 3)), atol=1e-6)
    middle = x[:, 0, 0, 0]
    light = training.CHANGES / 2 + 0.5 * training.CHANGES
    assert ((middle - images[label, 0, 0, 0]).abs() <= light).all() and middle.unique().numel() > 30


def test_a_few_steps_learn_and_leave_torchs_random_numbers_alone():
    torch.manual_seed(4)
    expected = torch.rand(2)
    torch.manual_seed(4)
    before = training.accuracy(training.train(steps=1, progress=False), count=60)
    network = training.train(steps=40, progress=False)
    assert torch.equal(torch.rand(2), expected)
    assert training.accuracy(network, count=60) > before + 0.1 and not network.training


def test_the_stored_network_names_fresh_pieces():
    assert training.accuracy(networks.load_small(), count=100, seed=5) > 0.95
    assert len(load_photographs()[1]) == networks.load_small().network[-1].out_features
