"""The top images of a unit and of a random direction without a browser: what they show, and what they refuse."""

import dataclasses

import pytest
import torch

from helpers import load_mnist, load_network
from helpers.paper import directions as d
from helpers.widgets import TopImages
from helpers.widgets.top_images import KINDS, K


@pytest.fixture(scope="module")
def digits():
    images, labels = load_mnist("test")
    return images[:200], labels[:200]


@pytest.fixture
def top(digits):
    return TopImages({name: load_network(name) for name in ("FC100-100-10", "CNN")}, *digits)


def test_it_shows_the_images_with_the_highest_activations(top, digits):
    images, labels = digits
    assert top.state.layer == "hidden 2" and top.state.width == 100  # the last one, to begin with
    phi = d.activations(load_network("FC100-100-10"), images, "hidden 2")
    for unit in (0, 7, 99):
        top.unit = unit
        side = top.state.left
        assert side.name == f"unit {unit}" and side.unique
        assert list(side.places) == phi[:, unit].argsort(descending=True)[:K].tolist()
        assert list(side.labels) == labels[list(side.places)].tolist()
        assert side.purity == labels[list(side.places)].bincount().max().item() / K
    top.seed = 5
    side, v = top.state.right, d.random_directions(100, 1, 5)[0].float()
    assert list(side.places) == (phi @ v).argsort(descending=True)[:K].tolist()
    assert side.name == "random direction, seed 5"
    measured = d.alike(images, labels, torch.tensor([side.places]))
    assert (side.similarity, side.centred) == (measured["similarity"].item(), measured["centred"].item())


def test_each_side_changes_alone(top):
    first = top.state
    top.unit = 3
    second = top.state
    assert second.right == first.right and second.left != first.left
    top.seed = 9
    assert top.state.left == second.left and top.state.right != second.right
    with pytest.raises(dataclasses.FrozenInstanceError):
        first.unit = 2


def test_what_stands_in_the_picture(top, label, texts):
    top.unit = 3
    state, said = top.state, label(top)
    for side in (state.left, state.right):
        labels = ", ".join(map(str, side.labels))
        assert f"{side.name}: labels {labels}; purity {side.purity:.3f}, cosine {side.similarity:.3f}." in said
        assert side.name in texts(top)
    assert said.startswith("Top images in FC100-100-10, hidden 2.")
    assert sum(kind == "image" for kind, *_ in top.scene().shapes) == 2 * K
    assert len(top.scene().png()) > 1000 and repr(top) == top.scene().label


def test_the_menus_offer_what_there_is(top, digits):
    top.unit = 99
    top.network_menu.value = "CNN"
    assert top.layer_menu.options == ("hidden 1", "hidden 2", "hidden 3") and top.state.layer == "hidden 2"
    assert top.state.width == 32 * 7 * 7 and top.state.unit == 99
    top.layer_menu.value = "hidden 3"
    assert top.state.width == 32 and top.state.unit == 31  # the slider ends there
    top.network_menu.value = "FC100-100-10"
    assert top.layer_menu.options == ("hidden 1", "hidden 2") and top.state.layer == "hidden 2"
    for kind in KINDS:
        top.kind_menu.value = kind
        assert top.state.right.name == KINDS[kind].format(0)
    assert len(set(top.state.right.places)) == K  # at random
    top.kind_menu.value = "of the pixels"
    pixels = digits[0] @ d.random_directions(784, 1, 0)[0].float()
    assert list(top.state.right.places) == pixels.argsort(descending=True)[:K].tolist()


def test_a_dead_unit_is_called_what_it_is(top, texts):
    top.network_menu.value = "CNN"
    top.layer_menu.value = "hidden 3"
    phi = d.activations(load_network("CNN"), top._images, "hidden 3")
    top.unit = int((phi.amax(0) == phi.amin(0)).nonzero()[0])
    assert not top.state.left.unique and top.state.left.places == tuple(range(K))
    assert any(text.startswith("not unique") for text in texts(top))


def test_bad_input_is_refused_in_one_sentence(top, digits):
    images, labels = digits
    network = load_network("FC100-100-10")
    with pytest.raises(ValueError, match="at least one network"):
        TopImages({}, images, labels)
    with pytest.raises(ValueError, match=r"FC10\(1\) has no hidden layer"):
        TopImages({"FC100-100-10": network, "FC10(1)": load_network("FC10(1)")}, images, labels)
    with pytest.raises(ValueError, match="more than 8 images"):
        TopImages({"FC100-100-10": network}, images[:8], labels[:8])
    with pytest.raises(ValueError, match="200 and 199"):
        TopImages({"FC100-100-10": network}, images, labels[:199])
    with pytest.raises(IndexError, match="unit must be a whole number from 0 to 99"):
        top.unit = 100
    with pytest.raises(IndexError, match="seed must be"):
        top.seed = -1
