"""A pair of axes inside a scene."""

from helpers.widgets._axes import Axes, ticks
from helpers.widgets._scene import Scene


def test_axes_put_numbers_where_they_belong():
    axes = Axes(10, 20, 100, 50, (1, 100), (0, 2), log=True)
    assert axes.at([1, 10, 100], [0, 1, 2]).tolist() == [[10, 70], [60, 45], [110, 20]]
    assert ticks(0, 1.5) == [0, 0.5, 1, 1.5]
    assert ticks(-0.1, 0.1)[0] == -0.1 and 0 in ticks(-0.1, 0.1)


def test_a_frame_names_both_axes_and_draws_no_grid_where_there_are_contours():
    axes = Axes(60, 20, 100, 50, (-1, 1), (0, 2))
    with_grid, without = Scene(200, 100, ""), Scene(200, 100, "")
    axes.frame(with_grid, "title", "x₁", "x₂")
    axes.frame(without, "title", "x₁", "x₂", grid=False)
    for scene in (with_grid, without):
        assert {"title", "x₁", "x₂", "−1", "0", "2"} <= {shape[2] for kind, *shape in scene.shapes if kind == "text"}
    assert [shape[1] for kind, *shape in without.shapes if kind == "line"].count("faint") == 0
    assert [shape[1] for kind, *shape in with_grid.shapes if kind == "line"].count("faint") == len(ticks(0, 2))
