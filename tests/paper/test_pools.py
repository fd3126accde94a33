"""A pool: what is put in, where, and under which label."""

import pytest
import torch
from torch import nn

from helpers.paper.pools import Pool


@pytest.fixture
def network():
    generator = torch.Generator().manual_seed(1)
    made = nn.Sequential(nn.Linear(12, 8), nn.Sigmoid(), nn.Linear(8, 6), nn.Sigmoid(), nn.Linear(6, 4)).eval()
    for p in made.parameters():
        p.data = 2 * torch.randn(p.shape, generator=generator)
    return made


@pytest.fixture
def digits(network):
    images = torch.rand(20, 12, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        return images, network(images).argmax(1)


@pytest.mark.parametrize("depth", [0, 2, 4])
def test_new_examples_mislead_the_rest_of_the_network_and_keep_their_true_label(network, digits, depth):
    images, labels = digits
    pool = Pool(depth, network, images, labels)
    with torch.no_grad():
        outputs = network[:depth](images)
    assert torch.equal(pool.examples, outputs) and torch.equal(pool.labels, labels)

    places, rows = torch.tensor([3, 17, 5, 9]), torch.tensor([0, 1, 2, 3])
    targets = (labels[rows] + 1) % 4
    found = pool.replace(network, images[rows], labels[rows], targets, places)
    with torch.no_grad():
        says = network[depth:](pool.examples[places]).argmax(1)
    assert torch.equal(says[found.success], targets[found.success]) and found.success.float().mean() >= 0.5
    assert torch.equal(pool.labels[places], labels[rows])
    assert pool.examples.min() >= 0 and pool.examples.max() <= 1
    others = torch.ones(20, dtype=bool)
    others[places] = False
    assert torch.equal(pool.examples[others], outputs[others])
    assert not torch.equal(pool.examples[places], outputs[places])


def test_where_the_attack_finds_nothing_the_output_stays_as_it_is(network, digits):
    images, labels = digits
    with torch.no_grad():
        network[4].weight.zero_(), network[4].bias.copy_(torch.tensor([5.0, 0, 0, 0]))  # it says 0 whatever it sees
    pool = Pool(2, network, images, labels)
    before = pool.examples.clone()
    found = pool.replace(network, images[:2], labels[:2], torch.tensor([1, 2]), torch.tensor([0, 1]))
    assert not found.success.any() and torch.equal(pool.examples, before)


def test_all_of_a_pool_is_in_its_state_and_nothing_is_trained(network, digits):
    pool, other = Pool(0, network, *digits), Pool(0, network, torch.zeros(20, 12), torch.zeros(20, dtype=torch.long))
    other.load_state_dict(pool.state_dict())
    assert torch.equal(other.examples, pool.examples) and torch.equal(other.labels, pool.labels)
    assert not list(pool.parameters())


def test_a_draw_is_of_examples_with_their_own_labels(network, digits):
    images, labels = digits
    pool = Pool(0, network, images, labels)
    examples, theirs = pool.draw(200, torch.Generator().manual_seed(0))
    place = (examples[:, None] == images).all(2).float().argmax(1)
    assert torch.equal(labels[place], theirs) and len(place.unique()) == 20
    again, _ = pool.draw(200, torch.Generator().manual_seed(0))
    assert torch.equal(examples, again)
