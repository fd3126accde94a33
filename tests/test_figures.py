"""The few pictures that lessons share: what they draw is what they are given."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest

from helpers import figures


@pytest.fixture
def ax():
    _, ax = plt.subplots()
    yield ax
    plt.close("all")


def test_the_style_sheet_applies_and_its_colours_are_far_apart(ax):
    with plt.rc_context():
        figures.use_style()
        assert plt.rcParams["figure.dpi"] > 0
    palette = [figures.BLUE, figures.ORANGE, figures.GREEN, figures.RED, figures.PURPLE, figures.SKY, figures.GREY]
    rgb = np.array([matplotlib.colors.to_rgb(colour) for colour in palette])
    distances = np.linalg.norm(rgb[:, None] - rgb, axis=2) + np.eye(len(rgb))
    assert distances.min() > 0.2


def test_a_digit_is_drawn_as_ink_on_paper(ax):
    image = np.zeros(784)
    image[28 + 3] = 1
    figures.digit(ax, image, "one dot")
    (shown,) = ax.get_images()
    assert shown.get_array()[1, 3] == 1 and shown.get_clim() == (0, 1) and shown.get_cmap().name == "gray_r"
    assert ax.get_title() == "one dot" and len(ax.get_xticks()) == 0


@pytest.mark.parametrize("scale, limit", [(None, 0.4), (0.1, 0.1)])
def test_a_change_is_drawn_on_a_scale_centred_at_zero(ax, scale, limit):
    r = np.zeros(784)
    r[5] = -0.4
    assert figures.perturbation(ax, r, scale=scale).get_clim() == (-limit, limit)


def test_no_change_at_all_can_be_drawn(ax):
    assert figures.perturbation(ax, np.zeros(784)).get_clim() == (-1, 1)


def test_contours_are_those_of_the_function_in_the_window(ax):
    lines = figures.contour(ax, lambda x, y: x + 0 * y, (0, 1), (2, 3), levels=[0.25, 0.75], filled=False)
    assert np.allclose([path.vertices[:, 0].mean() for path in lines.get_paths()], [0.25, 0.75])
    assert ax.get_xlim() == (0, 1) and ax.get_ylim() == (2, 3)


def test_the_box_and_the_path_are_where_they_should_be(ax):
    figures.draw_box(ax, (0, 1), (2, 4))
    assert ax.patches[0].get_bbox().extents.tolist() == [0, 1, 2, 4]
    points = [(0, 0), (1, 1), (2, 0)]
    figures.path(ax, points)
    line, ring = ax.lines
    assert np.array_equal(line.get_xydata(), points) and np.array_equal(ring.get_xydata(), points[-1:])
