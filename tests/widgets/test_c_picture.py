"""The picture of the slider over c."""

import re

import numpy as np
import pytest

from helpers.widgets._c_picture import c_scene


def test_the_supporting_line_touches_the_frontier_and_lies_below_it(slider):
    size, loss = slider.path.norm.double() ** 2, slider.path.loss.double()
    for index in range(7):
        line = loss[index] - slider.path.c[index].double() * (size - size[index])
        assert (loss - line).min() >= -1e-4


def test_the_dashed_line_has_slope_minus_c_and_is_no_second_orange_or_red(slider, c):
    """Vermilion beside amber is told apart by no colour-blind reader: the line is of ink, dashed, and said in words."""
    slider.index = 2
    shapes = slider.scene().shapes
    (line,) = [shape for kind, *shape in shapes if kind == "line" and shape[3] and shape[1] == "ink"]
    (x0, y0), (x1, y1) = line[0]
    size, loss = (values.double().numpy() for values in (slider.path.norm**2, slider.path.loss))
    across, up = 240 / (1.08 * size.max()), 148 / (1.08 * loss.max())
    assert -(y1 - y0) / up / ((x1 - x0) / across) == pytest.approx(-c[2].item(), rel=1e-3)
    assert not [kind for kind, *shape in shapes if kind in ("line", "dot", "rect") and "red" in shape]
    words = {shape[2] for kind, *shape in shapes if kind == "text"}
    assert {"orange: this c; dashed: its slope −c", "green ring: largest c that succeeds"} < words


def test_labels_in_words_stand_by_their_probability(slider):
    """The likeliest first, and the target last where it is not among them."""
    names = [f"label {k}" for k in range(10)]
    slider.index = 6
    shapes = c_scene(slider.state, slider.path, slider.images[0], names).shapes
    bars = [re.fullmatch(r"(?:◂ )?[\d.]+ label (\d)", shape[2]) for kind, *shape in shapes if kind == "text"]
    shown = [int(bar[1]) for bar in bars if bar]
    p = slider.state.probabilities
    assert 6 <= len(shown) <= 7 and 3 in shown
    assert [p[k] for k in shown[:6]] == sorted((p[k] for k in shown[:6]), reverse=True) and p[shown[0]] == max(p)


def test_every_c_has_its_point_in_each_of_the_three_plots(slider):
    small = [shape for kind, *shape in slider.scene().shapes if kind == "dot" and shape[2] == 1.6]
    assert len(small) == 3 * len(slider.path.c)


def test_the_target_stands_out_without_its_colour(slider):
    """The bar is orange; the digit beside it is bold, and the others are not."""
    digits = [shape for kind, *shape in slider.scene().shapes if kind == "text" and shape[2] in "0123456789"]
    bold = [shape[2] for shape in digits if shape[6] and shape[4] == "end"]
    assert bold == ["3"] and np.isclose(len({shape[2] for shape in digits}), 10)
