"""One training: what its loss is, that it learns, and that a kill changes nothing."""

import pytest
import torch
from torch.nn.functional import cross_entropy

from helpers.digits import networks
from helpers.digits.mnist import load_mnist
from helpers.paper import training
from helpers.paper.pools import Pool
from helpers.paper.training import Method, Plan, train

PLAN = Plan(epochs=3, pool=60, drawn=10, every=4, replaced=20)
ALL = Method(decay=5.0, dropout=0.2, pools=(0, 2, 4), share=0.4)


@pytest.fixture(scope="module")
def digits():
    return tuple(part[:1000] for part in load_mnist("train"))


@pytest.fixture
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def weights(network):
    return torch.cat([p.detach().flatten() for p in network.parameters()])


def test_after_a_kill_it_goes_on_to_the_same_bits(digits, tmp_path, monkeypatch, one_thread):
    whole, _ = train(ALL, 7, digits, tmp_path / "whole", PLAN)

    save, saved = training.training.save, []

    def dies(content, path):
        save(content, path)
        saved.append(content["epoch"])
        raise KeyboardInterrupt

    monkeypatch.setattr(training.training, "save", dies)
    for epoch in (1, 2):
        with pytest.raises(KeyboardInterrupt):
            train(ALL, 7, digits, tmp_path / "killed", PLAN)
        assert saved[-1] == epoch
    monkeypatch.setattr(training.training, "save", save)
    resumed, seconds = train(ALL, 7, digits, tmp_path / "killed", PLAN)
    assert torch.equal(weights(whole), weights(resumed)) and seconds > 0
    other, _ = train(ALL, 8, digits, tmp_path / "other", PLAN)
    assert not torch.allclose(weights(whole), weights(other), atol=1e-3)


def test_it_learns_and_needs_no_gradient_afterwards(digits, tmp_path):
    images, labels = digits
    network, _ = train(Method(pools=(2,)), 0, digits, tmp_path / "c", Plan(epochs=40, pool=60, every=50, replaced=20))
    assert networks.error(network, images, labels) < 10
    assert not network.training and not any(p.requires_grad for p in network.parameters())


@pytest.mark.parametrize("pools", [(), (0,), (2, 4)])
def test_the_loss_is_the_sum_that_it_says(digits, pools):
    images, labels = (part[:80] for part in digits)
    network = training._untrained(3)
    method = Method(decay=2.0, pools=pools, share=0.3)
    made = torch.nn.ModuleList(Pool(depth, network, images, labels) for depth in pools)
    loss = training._loss(network, method, (images, labels), made, 25, torch.Generator().manual_seed(5))

    generator = torch.Generator().manual_seed(5)
    wanted = cross_entropy(network(images), labels)
    if pools:
        drawn = [(depth, *pool.draw(network, 25, generator)) for depth, pool in zip(pools, made, strict=True)]
        parts = [cross_entropy(network[depth:](x), y) for depth, x, y in drawn]
        wanted = 0.7 * wanted + 0.3 * torch.stack(parts).mean()
    for layer, l in zip(network[::2], (1e-5, 1e-5, 1e-6), strict=True):
        wanted = wanted + 2 * l * layer.weight.square().sum() / layer.out_features
    assert torch.allclose(loss, wanted)


def test_dropout_leaves_the_mean_where_it_was():
    x = torch.rand(1, 50, generator=torch.Generator().manual_seed(6)).expand(20_000, 50) + 0.1
    dropped = training._dropped(x, 0.25, torch.Generator().manual_seed(7))
    assert abs((dropped == 0).float().mean() - 0.25) < 0.01
    assert (dropped.mean(0) / x[0] - 1).abs().max() < 0.03  # a standard deviation is 0.4%
    assert torch.allclose(dropped[dropped > 0], (x / 0.75)[dropped > 0])


def test_dropout_acts_on_both_hidden_layers(digits):
    batch, network = tuple(part[:50] for part in digits), training._untrained(4)
    losses = [
        training._loss(network, Method(dropout=part), batch, (), 0, torch.Generator().manual_seed(8))
        for part in (0.0, 0.5)
    ]
    assert abs(losses[0] - losses[1]) > 1e-3
    network[2].weight.data.zero_()  # nothing of the first layer goes on
    losses = [
        training._loss(network, Method(dropout=0.5), batch, (), 0, torch.Generator().manual_seed(s)) for s in (8, 9)
    ]
    assert abs(losses[0] - losses[1]) > 1e-3


def test_a_refresh_takes_wrong_targets_and_true_labels(digits, monkeypatch):
    images, labels = digits
    network, seen = training._untrained(5), []
    monkeypatch.setattr(Pool, "replace", lambda self, *arguments: seen.append(arguments))
    pools = torch.nn.ModuleList([Pool(0, network, images[:60], labels[:60])])
    training._refresh(pools, network, digits, PLAN, torch.Generator().manual_seed(0))
    ((_, x, y, targets, places),) = seen
    rows = (x[:, None] == images).all(2).float().argmax(1)
    assert torch.equal(labels[rows], y) and not (targets == y).any() and targets.max() <= 9
    assert len(places.unique()) == PLAN.replaced and places.max() < PLAN.pool
    assert all(p.requires_grad for p in network.parameters())


def test_fgsm_moves_up_the_loss_within_the_box_and_each_half_counts(digits):
    images, labels = (part[:60] for part in digits)
    network = training._untrained(9)
    with torch.no_grad():
        network[4].weight.mul_(3)
    moved = training.moved(network, images, labels, 0.1)
    assert moved.min() >= 0 and moved.max() <= 1 and (moved - images).abs().max() <= 0.1 + 1e-6
    before, after = (cross_entropy(network(x), labels, reduction="none") for x in (images, moved))
    assert (after > before).float().mean() > 0.9 and not any(p.grad is not None for p in network.parameters())
    loss = training._loss(network, Method(fgsm=0.1), (images, labels), (), 0, None)
    assert torch.allclose(loss, (before.mean() + after.mean()) / 2)
