"""Hidden layers, directions in them, and how alike the highest images are."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from helpers import load_mnist, load_network
from helpers.paper import directions as d


@pytest.fixture(scope="module")
def images():
    return load_mnist("test")[0][:300]


@pytest.mark.parametrize(
    ("name", "shapes"),
    [
        ("FC10(1)", []),
        ("FC100-100-10", [(100,), (100,)]),
        ("AE400-10", [(400,)]),
        ("CNN", [(16, 14, 14), (32, 7, 7), (32,)]),
    ],
)
def test_the_hidden_layers_of_the_course_s_networks(name, shapes):
    layers = d.hidden_layers(load_network(name))
    assert [layer.shape for layer in layers] == shapes
    assert [layer.name for layer in layers] == [f"hidden {i}" for i in range(1, len(shapes) + 1)]
    assert [layer.width for layer in layers] == [math.prod(shape) for shape in shapes]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_activations_are_what_comes_out_of_the_nonlinearity(images, dtype):
    network = load_network("FC100-100-10").to(dtype)
    x = images.to(dtype)
    first, _, second, *_ = network
    one = (x @ first.weight.T + first.bias).sigmoid()
    two = one @ second.weight.T + second.bias
    for name, before, wanted in (("hidden 1", False, one), ("hidden 2", True, two), ("hidden 2", False, two.sigmoid())):
        found = d.activations(network, x, name, before, batch=77)
        assert found.dtype == dtype and not found.requires_grad
        assert torch.allclose(found, wanted, atol=1e-5)


def test_a_convolution_s_activations_are_flattened_channel_by_channel(images):
    network = load_network("CNN")
    phi = d.activations(network, images[:5], "hidden 2")
    assert phi.shape == (5, 32 * 7 * 7) and (phi >= 0).all()
    assert torch.equal(phi.view(5, 32, 7, 7), network[:5](images[:5]))


def test_a_layer_that_is_not_there_is_refused_by_name(images):
    with pytest.raises(ValueError, match="no layer 'hidden 3'; its hidden layers are hidden 1, hidden 2"):
        d.activations(load_network("FC100-100-10"), images, "hidden 3")
    with pytest.raises(ValueError, match="are none"):
        d.hidden_layer(load_network("FC10(1)"), "hidden 1")


def test_before_training_the_weights_are_those_that_training_starts_from():
    from helpers.digits import training

    for name in ("FC100-100-10", "CNN"):
        raw, again = d.before_training(name), d.before_training(name)
        layers = [part for part in load_network(name) if isinstance(part, nn.Linear | nn.Conv2d)]
        training.first_weights(*layers)
        ours = [part for part in raw if isinstance(part, nn.Linear | nn.Conv2d)]
        assert all(torch.equal(a.weight, b.weight) for a, b in zip(ours, layers, strict=True))
        assert all(torch.equal(a, b) for a, b in zip(raw.parameters(), again.parameters(), strict=True))


def test_units_and_random_directions():
    e = d.unit_directions(5, [3, 0])
    assert e.tolist() == [[0, 0, 0, 1, 0], [1, 0, 0, 0, 0]]
    with pytest.raises(IndexError, match="units 0 to 4"):
        d.unit_directions(5, [5])
    v = d.random_directions(40, 3000, seed=3)
    assert torch.allclose(v.norm(dim=1), torch.ones(3000, dtype=torch.float64))
    assert (v.T @ v / 3000 - torch.eye(40) / 40).abs().max() < 0.004  # no direction is favoured
    assert torch.equal(v, d.random_directions(40, 3000, seed=3))
    assert not torch.equal(v, d.random_directions(40, 3000, seed=4))


def test_directions_of_one_place_mix_its_channels_alike():
    shape, units = (4, 3, 2), torch.arange(24).repeat(200)
    v = d.place_directions(shape, units, seed=5)
    assert torch.allclose(v.norm(dim=1), torch.ones(len(units), dtype=torch.float64))
    by_place = v.view(-1, 4, 6)
    for place in range(6):
        rows = by_place[units % 6 == place]
        assert (rows[:, :, place] != 0).all() and rows.abs().sum((0, 1)).count_nonzero() == 1
        assert (rows[:, :, place].square().mean(0) - 1 / 4).abs().max() < 0.05  # no channel is favoured
    assert torch.equal(v, d.place_directions(shape, units, seed=5))
    assert not torch.equal(v, d.place_directions(shape, units, seed=6))


def test_principal_axes_are_those_of_the_covariance():
    rng = np.random.default_rng(0)
    basis = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    phi = torch.tensor(rng.normal(size=(4000, 4)) * [8, 4, 2, 1] @ basis[:4] + 3)
    variance, axes = d.principal_axes(phi)
    assert len(variance) == 4  # two of the six directions hold nothing
    assert np.allclose(variance, [64, 16, 4, 1], rtol=0.15)
    assert np.allclose(axes @ axes.T, np.eye(4))
    assert torch.allclose((phi @ axes.T).var(0), variance)
    assert (axes.gather(1, axes.abs().argmax(1, keepdim=True)) > 0).all()
    assert d.leading(variance, 0.5) == 1 and d.leading(variance, 0.9) == 2 and d.leading(variance, 1.0) == 4


def test_whitened_directions_treat_every_axis_alike():
    generator = torch.Generator().manual_seed(0)
    scale = torch.tensor([9.0, 3.0, 1.0])
    phi = torch.randn(5000, 3, generator=generator, dtype=torch.float64) * scale
    variance, axes = d.principal_axes(phi)
    v = d.whitened_directions(variance, axes, 2000)
    assert torch.allclose(v.norm(dim=1), torch.ones(2000, dtype=torch.float64))
    along = (v @ axes.T).square() * variance
    share = (along / along.sum(1, keepdim=True)).mean(0)
    assert torch.allclose(share, torch.full((3,), 1 / 3, dtype=torch.float64), atol=0.03)
    plain = (d.random_directions(3, 2000) @ axes.T).square() * variance
    assert (plain / plain.sum(1, keepdim=True)).mean(0)[0] > 0.6  # without whitening the first axis leads


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 40), st.integers(1, 6), st.booleans())
def test_top_images_are_the_highest_in_order_and_a_tie_at_the_edge_is_told(seed, n, width, coarse):
    generator = torch.Generator().manual_seed(seed)
    phi = torch.randn(n, width, generator=generator, dtype=torch.float64)
    v = d.random_directions(width, 3, seed)
    if coarse:  # many ties
        phi, v = phi.round(), v.round(decimals=0)
    k = 1 + seed % (n - 1)
    top, unique = d.top_images(phi, v, k)
    for row, alone, direction in zip(top, unique, v, strict=True):
        value = phi @ direction
        order = sorted(range(n), key=lambda i: (-value[i].item(), i))
        assert row.tolist() == order[:k]
        assert bool(alone) == (value[order[k - 1]] > value[order[k]]).item()


def test_dead_and_seldom_active_units_have_no_unique_top_images():
    phi = torch.zeros(10, 3)
    phi[2:5, 1] = torch.tensor([1.0, 3.0, 2.0])
    phi[:, 2] = torch.arange(10)
    top, unique = d.top_images(phi, d.unit_directions(3, range(3)), 3)
    assert unique.tolist() == [False, True, True]
    assert top[1].tolist() == [3, 4, 2] and top[2].tolist() == [9, 8, 7]
    assert d.top_images(phi, d.unit_directions(3, [1]), 4)[1].tolist() == [False]
    for k in (0, 10):
        with pytest.raises(ValueError, match="k must be from 1 to 9"):
            d.top_images(phi, d.unit_directions(3, [1]), k)


def test_purity_is_the_share_of_the_commonest_label():
    labels = torch.tensor([[1, 1, 1, 1], [0, 9, 9, 3], [4, 5, 6, 7]])
    assert d.purity(labels).tolist() == [1.0, 0.5, 0.25]
    assert d.purity(labels[:0]).shape == (0,)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 9))
def test_similarity_is_the_mean_cosine_of_all_pairs(seed, k):
    images = torch.rand(2, k, 12, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    for rows, found in zip(images, d.similarity(images), strict=True):
        pairs = [
            (rows[i] @ rows[j] / rows[i].norm() / rows[j].norm()).item() for i in range(k) for j in range(k) if i != j
        ]
        assert found.item() == pytest.approx(np.mean(pairs))


def test_how_alike_the_images_of_a_set_are(images):
    labels = load_mnist("test")[1][:300]
    same = labels.bincount().argmax()
    alike_ones = (labels == same).nonzero().squeeze(1)[:8]
    found = d.alike(images, labels, torch.stack([alike_ones, torch.arange(8), torch.arange(50, 58)]))
    assert set(found) == {"purity", "similarity", "centred"}
    assert found["purity"][0] == 1 > found["purity"][1]
    assert found["similarity"][0] > found["similarity"][1:].max() and (found["centred"] < found["similarity"]).all()
    one = images[alike_ones].double() - images.mean(0)
    assert found["centred"][0].item() == pytest.approx(d.similarity(one[None]).item(), rel=1e-4)
    assert all(len(values) == 0 for values in d.alike(images, labels, torch.zeros(0, 8, dtype=torch.int64)).values())
