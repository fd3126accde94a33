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


def examples(pool, network):
    """Everything in the pool as it would be drawn, in its order."""
    with torch.no_grad():
        return (network[: pool.depth](pool.images) + pool.changes).clamp(0, 1)


@pytest.mark.parametrize("depth", [0, 2, 4])
def test_new_examples_mislead_the_rest_of_the_network_and_keep_their_true_label(network, digits, depth):
    images, labels = digits
    pool = Pool(depth, network, images, labels)
    with torch.no_grad():
        outputs = network[:depth](images)
    assert torch.equal(examples(pool, network), outputs) and torch.equal(pool.labels, labels)

    places, rows = torch.tensor([3, 17, 5, 9]), torch.tensor([0, 1, 2, 3])
    targets = (labels[rows] + 1) % 4
    found = pool.replace(network, images[rows], labels[rows], targets, places)
    now = examples(pool, network)
    with torch.no_grad():
        says = network[depth:](found.adversarial).argmax(1)
    assert torch.equal(says[found.success], targets[found.success]) and found.success.float().mean() >= 0.5
    assert torch.allclose(now[places], found.adversarial, atol=1e-6) and torch.equal(pool.labels[places], labels[rows])
    others = torch.ones(20, dtype=bool)
    others[places] = False
    assert torch.equal(now[others], outputs[others]) and not torch.equal(now[places], outputs[rows])


def test_where_the_attack_finds_nothing_the_output_stays_as_it_is(network, digits):
    images, labels = digits
    with torch.no_grad():
        network[4].weight.zero_(), network[4].bias.copy_(torch.tensor([5.0, 0, 0, 0]))  # it says 0 whatever it sees
    pool = Pool(2, network, images, labels)
    found = pool.replace(network, images[:2], labels[:2], torch.tensor([1, 2]), torch.tensor([0, 1]))
    assert not found.success.any() and not pool.changes.any()


def test_all_of_a_pool_is_in_its_state_and_nothing_is_trained(network, digits):
    pool, other = Pool(2, network, *digits), Pool(2, network, torch.zeros(20, 12), torch.zeros(20, dtype=torch.long))
    pool.replace(network, digits[0][:3], digits[1][:3], (digits[1][:3] + 1) % 4, torch.tensor([4, 5, 6]))
    other.load_state_dict(pool.state_dict())
    drawn = [p.draw(network, 50, torch.Generator().manual_seed(0)) for p in (pool, other)]
    assert torch.equal(drawn[0][0], drawn[1][0]) and torch.equal(drawn[0][1], drawn[1][1])
    assert not list(pool.parameters())


@pytest.mark.parametrize("depth", [0, 2])
def test_a_draw_is_of_examples_of_the_present_network_with_their_own_labels(network, digits, depth):
    images, labels = digits
    pool = Pool(depth, network, images, labels)
    pool.changes[7] = 2.0  # beyond the box
    network[0].weight.data *= 1.5  # as if it had learned
    drawn, theirs = pool.draw(network, 200, torch.Generator().manual_seed(0))
    now = examples(pool, network)
    place = (drawn[:, None] - now).abs().amax(2).argmin(1)
    assert torch.allclose(drawn, now[place], atol=1e-6) and torch.equal(labels[place], theirs)
    assert len(place.unique()) == 20 and drawn.max() == 1 and not drawn.requires_grad
    again, _ = pool.draw(network, 200, torch.Generator().manual_seed(0))
    assert torch.equal(drawn, again)
