"""The slider over c without a browser: its numbers against the network's, and what code can do to it."""

import pytest
import torch
from torch.nn import functional

from helpers import c_path
from helpers.widgets import CSlider
from helpers.widgets._pixels import distortion_text


@pytest.mark.parametrize("index", range(7))
def test_the_slider_s_numbers_are_those_of_the_network(slider, network, images, index, c, label):
    slider.index = index
    state, r = slider.state, slider.path.perturbation[index]
    logits = network((images[0] + r).unsqueeze(0))
    assert state.c == pytest.approx(c[index].item())
    assert state.norm == pytest.approx(r.norm().item(), abs=1e-6)
    assert state.distortion == pytest.approx(r.norm().item() / 28, abs=1e-6)
    assert state.loss == pytest.approx(functional.cross_entropy(logits, torch.tensor([3])).item(), rel=1e-4, abs=1e-5)
    assert state.probabilities == pytest.approx(logits.softmax(1)[0].tolist(), abs=1e-5)
    assert state.prediction == logits.argmax().item()
    assert state.success == (state.prediction == 3) == (state.margin < 0)
    said = label(slider)
    assert f"c = {state.c:.3g}: norm of r {state.norm:.3f}, distortion {distortion_text(state.distortion)}" in said
    assert f"loss {state.loss:.3f}" in said and f"says {state.prediction}" in said
    assert ("is reached" in said) == state.success
    for number in (f"{state.c:.3g}", f"{state.norm:.3f}", distortion_text(state.distortion), f"{state.loss:.3f}"):
        assert f">{number}</text>" in slider.shown
    assert ("✓ target 3 reached" in slider.shown) == state.success


def test_all_c_are_solved_once_and_the_slider_only_draws(slider, network, images):
    passes = []
    hook = network.register_forward_hook(lambda *_: passes.append(1) and None)
    try:
        for index in range(7):
            slider.index = index
        assert passes == []
        slider.target_menu.value = 5
        assert passes
        passes.clear()
        slider.target_menu.value = 3
        assert passes == [], "a choice that was solved before is solved again"
    finally:
        hook.remove()


def test_the_largest_c_that_succeeds_and_the_button_that_goes_there(slider, c, label):
    succeeded = [i for i, ok in enumerate(slider.path.success) if ok]
    assert 0 < len(succeeded) < len(c), "the test needs c that succeed and c that do not"
    assert slider.state.best == slider.index == succeeded[-1]
    slider.index = 0
    away = label(slider)
    slider.jump_button.click()
    assert slider.index == succeeded[-1] and label(slider) != away
    assert f"{c[succeeded[-1]]:.3g}" in slider.jump_button.description
    slider.index = len(c) - 1
    assert not slider.state.success
    slider.jump()
    assert slider.state.success


def test_without_success_there_is_nowhere_to_jump(network, images, label):
    slider = CSlider(network, images[0], 3, c=[50.0, 100.0])
    assert slider.state.best is None and slider.jump_button.disabled
    slider.jump()
    assert slider.index == 0
    assert "no c succeeds" in label(slider)


def test_c_goes_to_the_nearest_value_on_the_logarithmic_scale(slider, c):
    slider.c = 1.7  # between 1 and 10**0.5, whose geometric mean is 1.78
    assert slider.c == pytest.approx(1)
    slider.c = 1.9
    assert slider.c == pytest.approx(10**0.5)
    slider.c = 1e9
    assert slider.index == len(c) - 1
    for wrong in (0, -1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="positive"):
            slider.c = wrong
    for wrong in (-1, len(c), 1.5):
        with pytest.raises(IndexError, match="from 0 to"):
            slider.index = wrong


@pytest.mark.parametrize(
    ("menu", "value", "options"),
    [
        ("target_menu", 8, {"target": 8}),
        ("norm_menu", "l2", {"norm": "l2"}),
        ("sharpness_menu", 8, {"sharpness": 8}),
        ("image_menu", 2, {"image": 2}),
    ],
)
def test_the_menus_solve_what_they_say(slider, network, images, menu, value, options, c, label):
    before = label(slider)
    getattr(slider, menu).value = value
    given = {"norm": "squared", "sharpness": 1.0, "target": 3, "image": 0} | options
    expected = c_path(
        network, images[given["image"]], given["target"], c, norm=given["norm"], sharpness=given["sharpness"]
    )
    assert torch.equal(slider.path.perturbation, expected.perturbation)
    state = slider.state
    assert (state.image, state.target, state.size, state.sharpness) == tuple(
        given[name] for name in ("image", "target", "norm", "sharpness")
    )
    assert label(slider) != before
    assert slider.message.value == ""


def test_another_image_never_keeps_a_target_that_is_its_own_label(slider, network, images):
    slider.target_menu.value = own = network(images[1:2]).argmax().item()
    slider.image_menu.value = 1
    assert slider.state.target == slider.target_menu.value == (own + 1) % 10
    assert own not in [value for _, value in slider.target_menu.options]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"target": 7}, "already says 7"),
        ({"target": 11}, "from 0 to 9"),
        ({"norm": "l1"}, "squared"),
        ({"sharpness": -1}, "sharpness"),
        ({"c": []}, "at least one value"),
        ({"image": torch.full((784,), 2.0)}, r"\[0, 1\]"),
    ],
)
def test_bad_input_is_refused_at_the_door(network, images, arguments, words, c):
    with pytest.raises((TypeError, ValueError), match=words):
        CSlider(network, **({"image": images[0], "target": 3, "c": c} | arguments))


def test_what_a_reader_sees_calls_the_price_no_penalty(slider, texts):
    assert slider.norm_menu.description == "size of r"
    words = [w.description for w in (slider.image_menu, slider.target_menu, slider.sharpness_menu, slider.jump_button)]
    assert not any("penalty" in text.lower() for text in [*words, *texts(slider), repr(slider)])


def test_solving_leaves_nothing_in_a_stored_notebook(network, images, c, capfd, monkeypatch):
    """A progress bar would stay there as an output of its own: nothing is displayed and nothing printed."""
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda *what, **_: shown.append(what))
    CSlider(network, images[0], 3, c=c)
    assert shown == [] and tuple(capfd.readouterr()) == ("", "")


def test_colour_images_and_labels_in_words(label):
    images = torch.full((2, 3, 6, 9), 0.2)
    images[:, 0], images[1, 1] = 0.6, 0.9
    names = ["red", "green", "blue"]
    slider = CSlider(lambda x: 9 * x.mean((2, 3)), images[0], 2, images=images, c=[0.1, 1.0, 50.0], names=names)
    assert slider.state.prediction_name == slider.state.target_name == "blue" and slider.state.original_name == "red"
    assert "says blue with probability" in label(slider) and "the target blue" in label(slider)
    assert [name for name, _ in slider.image_menu.options] == ["1: red", "2: green"]
    slider.image_menu.value = 1
    assert slider.state.original_name == "green" and "x: green" in slider.shown
    with pytest.raises(ValueError, match="already says red"):
        CSlider(lambda x: 9 * x.mean((2, 3)), images[0], 0, c=[1.0], names=names)
