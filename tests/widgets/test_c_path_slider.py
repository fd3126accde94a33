"""The slider over a path that is solved already: no network, no menus, the same numbers."""

import dataclasses

import pytest
import torch

from helpers import c_path
from helpers.widgets import CPathSlider


@pytest.fixture
def path(network, images, c):
    return c_path(network, images[0], 3, c)


def test_it_shows_what_the_path_holds_and_asks_no_network(path, images, label, slider):
    alone = CPathSlider(path, images[0], 3, original=slider.state.original)
    assert alone.index == path.best == slider.index
    for index in range(len(path.c)):
        alone.index = slider.index = index
        assert dataclasses.asdict(alone.state) == dataclasses.asdict(slider.state)
        assert label(alone) == "Path: " + label(slider)
    alone.jump_button.click()
    assert alone.index == path.best
    alone.c = 1.7
    assert alone.c == pytest.approx(1)


def test_labels_in_words_and_the_names_of_few(path, images, label, texts):
    names = [f"label {k}" for k in range(10)]
    slider = CPathSlider(path, images[0], 3, original=7, names=names)
    assert "says label 3 with probability" in label(slider) and {"x: label 7", "x + r: label 3"} < texts(slider)
    bars = [text for text in texts(slider) if text.endswith(tuple(names)) and text[0] in "01◂"]
    assert 6 <= len(bars) <= 7 and "✓ target label 3 reached" in texts(slider)


def test_what_cannot_be_shown_is_refused(path, images):
    empty = dataclasses.replace(path, c=path.c[:0])
    with pytest.raises(ValueError, match="at least one value of c"):
        CPathSlider(empty, images[0], 3, original=7)
    with pytest.raises(ValueError, match="12 values"):
        CPathSlider(path, torch.zeros(12), 3, original=7)
