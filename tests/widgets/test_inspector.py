"""The perturbation inspector without a browser: its numbers against those of the result."""

import re

import numpy as np
import pytest
import torch

from helpers.adversarial.result import result_of
from helpers.widgets import PerturbationInspector
from helpers.widgets._pixels import distortion_text, sum_text, with_sign


def test_the_inspector_s_numbers_are_those_of_the_result(inspector, result, network, label):
    for index in range(len(result.success)):
        inspector.index = index
        inspector.row, inspector.column = 12, 15
        state, r, x = inspector.state, result.perturbation[index].double(), result.adversarial[index]
        assert state.l0 == (r.abs() > state.threshold).sum()
        assert state.l1 == pytest.approx(r.abs().sum().item())
        assert state.l2 == pytest.approx(result.norm[index].item(), rel=1e-5)
        assert state.linf == pytest.approx(r.abs().max().item())
        assert state.distortion == pytest.approx(result.distortion[index].item(), rel=1e-5)
        assert (state.held_at_0, state.held_at_1) == ((x == 0).sum(), (x == 1).sum())
        assert state.change == pytest.approx(r[12 * 28 + 15].item())
        assert state.original + state.change == pytest.approx(state.adversarial, abs=1e-6)
        assert state.predictions[1] == state.target == result.targets[index] != state.predictions[0]
        assert state.noise_norm == pytest.approx(state.l2, rel=1e-4)
        said = label(inspector)
        assert f"L2 {state.l2:.3f}, L∞ {state.linf:.3f}, distortion {distortion_text(state.distortion)}" in said
        assert f"row 12, column 15: {state.original:.4f} changed by {with_sign(state.change)}" in said


def test_every_pixel_can_be_read_by_hovering(inspector):
    titles = re.findall(r"<title>row (\d+), column (\d+): ([\d. +−=≈]+)</title>", inspector.shown)
    assert len(titles) == 784
    for row, column, words in titles[::37]:
        inspector.row, inspector.column = int(row), int(column)
        state = inspector.state
        assert sum_text(state.original, state.change, state.adversarial) == words


def test_the_threshold_and_other_noise(inspector):
    few = inspector.state.l0
    inspector.threshold_menu.value = 0.05
    assert inspector.state.l0 == (abs(inspector.pictures.perturbation) > 0.05).sum() < few
    noise = inspector.pictures.noise
    inspector.noise_button.click()
    assert inspector.state.seed == 1 and not np.array_equal(noise, inspector.pictures.noise)
    assert inspector.state.noise_norm == pytest.approx(inspector.state.l2, rel=1e-4)
    assert 0 <= inspector.pictures.noise.min() and inspector.pictures.noise.max() <= 1


def test_the_inspector_offers_only_successes_and_refuses_the_rest(network, images, result):
    own = network(images).argmax(1)
    failed = type(result)(**{**vars(result), "success": torch.tensor([False, True, True, False])})
    inspector = PerturbationInspector(failed)
    assert inspector.index == 1 and inspector.state.predictions is None
    with pytest.raises(IndexError, match="did not succeed"):
        inspector.index = 0
    with pytest.raises(IndexError, match="from 0 to 27"):
        inspector.row = 28
    with pytest.raises(TypeError, match="AttackResult"):
        PerturbationInspector(images)
    with pytest.raises(ValueError, match="no image"):
        PerturbationInspector(type(result)(**{**vars(result), "success": own < 0}))


def test_outlines_are_drawn_on_demand_only(inspector, texts):
    assert not inspector.state.outlines
    assert not [kind for kind, *_ in inspector.scene().shapes if kind == "segments"]
    plain = inspector.shown
    inspector.outline_button.value = True
    held = inspector.state.held_at_0, inspector.state.held_at_1
    assert inspector.state.outlines and inspector.shown != plain and min(held) > 0
    solid, dashed = [shape for kind, *shape in inspector.scene().shapes if kind == "segments"]
    assert (solid[1], solid[3]) == ("pen", None) and (dashed[1], dashed[3]) == ("pen", "dash")
    assert f"dashed outline: x + r held at 1 by the box, {held[1]} pixels" in texts(inspector)
    inspector.outline_button.value = False
    assert inspector.shown == plain and f"x + r held at 0 by the box, {held[0]} pixels" in texts(inspector)


@pytest.fixture
def photograph():
    """What an attack made of two colour images of 30 × 40 pixels, and the network: it names the brightest colour."""
    images = torch.rand(2, 3, 30, 40, generator=torch.Generator().manual_seed(0)) / 2
    images[:, 0] += 0.4
    adversarial = images.clone()
    adversarial[:, 2] = (images[:, 2] + 0.5).clamp(0, 1)
    adversarial[0, 1, 7, 5] = 0

    def brightest(x):
        return x.mean((2, 3))

    return result_of(images, adversarial, torch.tensor([2, 2]), torch.tensor([True, True])), brightest


def test_colour_images_are_read_value_by_value(photograph, label, texts):
    result, network = photograph
    inspector = PerturbationInspector(result, network, names=["red", "green", "an ostrich"])
    inspector.row, inspector.column, inspector.channel_menu.value = 7, 5, 1
    state, r, x = inspector.state, result.perturbation[0].double(), result.adversarial[0]
    assert (state.channel, state.target_name, state.said[:2]) == ("green", "an ostrich", ("red", "an ostrich"))
    assert state.change == pytest.approx(r[1, 7, 5].item()) and state.adversarial == 0
    assert state.l0 == (r.abs() > state.threshold).sum() and state.linf == pytest.approx(r.abs().max().item())
    assert state.distortion == pytest.approx(result.distortion[0].item(), rel=1e-5)
    assert (state.held_at_0, state.held_at_1) == ((x == 0).sum(), (x == 1).sum())
    assert f"L0 {state.l0} values above" in label(inspector) and "row 7, column 5, green: " in label(inspector)
    assert "✓ target an ostrich reached" in texts(inspector) and "“an ostrich”" in texts(inspector)
    inspector.column = 39
    with pytest.raises(IndexError, match="from 0 to 29"):
        inspector.row = 30
    assert [name for name, _ in inspector.slider.options] == ["0: an ostrich", "1: an ostrich"]
    inspector.outline_button.value = True
    assert sum(kind == "segments" for kind, *_ in inspector.scene().shapes) == 2


def test_a_photograph_of_full_size_stays_light(photograph):
    """A page takes four PNGs, and no place to hover over for each of 50,176 pixels."""
    result, _ = photograph
    images = torch.nn.functional.interpolate(result.adversarial[:1], (224, 224))
    small = images + 0.001
    inspector = PerturbationInspector(result_of(images, small.clamp(0, 1), torch.tensor([2]), torch.tensor([True])))
    assert len(inspector.shown) < 1e6 and "<title>" not in inspector.shown
    assert "<title>row 29, column 39: " in PerturbationInspector(result).shown


def test_the_verdict_is_that_of_the_picture_that_is_shown(photograph, texts):
    """The result may say that the target was reached; the network that is here has the last word."""
    result, _ = photograph
    other = PerturbationInspector(result, lambda x: -x.mean((2, 3)), names=["red", "green", "blue"])
    assert not other.state.success and "✗ blue not reached" in texts(other)
    assert PerturbationInspector(result).state.success


def test_the_pixel_of_a_photograph_is_marked_so_that_it_is_seen(photograph, inspector):
    """A square of some pixels, with a light rim; the pixel of a digit is large enough."""

    def sides(view):
        lines = [
            shape
            for kind, *shape in view.scene().shapes
            if kind == "line" and shape[1] in ("green", "paper") and shape[3] is None
        ]
        return {shape[1]: max(x for x, _ in shape[0]) - min(x for x, _ in shape[0]) for shape in lines}

    large = torch.nn.functional.interpolate(photograph[0].adversarial[:1], (224, 224))
    result = result_of(large, (large + 0.001).clamp(0, 1), torch.tensor([2]), torch.tensor([True]))
    assert sides(PerturbationInspector(result)) == pytest.approx({"green": 11, "paper": 11})
    assert sides(inspector) == pytest.approx({"green": 13})
