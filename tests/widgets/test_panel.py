"""A square of a scene that shows the plane: what lies outside is cut off, and names stand where there is room."""

import numpy as np
import pytest

from helpers.widgets._landscape import Landscape
from helpers.widgets._panel import Panel
from helpers.widgets._scene import Scene


@pytest.fixture
def panel():
    """The plane from (0, 0) to (10, 10) in a square of 200 pixels at (20, 20): 20 pixels a unit."""
    return Panel(Scene(240, 240, ""), Landscape((0, 10), (0, 10), (), ()), 20, 20, 200)


def drawn(panel, kind):
    return [shape for found, *shape in panel.scene.shapes if found == kind]


def names(panel):
    """The texts of the panel with the corners of a box round each."""
    panel.write_names()
    found = {}
    for x, y, words, size, anchor, *_ in drawn(panel, "text"):
        wide = 0.6 * size * len(words)
        left = x - wide * {"start": 0, "middle": 0.5, "end": 1}[anchor]
        found[words] = np.array([(left, y - size), (left + wide, y)])
    return found


def apart(box, other):
    return bool((box[0] >= other[1]).any() or (other[0] >= box[1]).any())


def test_lines_are_cut_at_the_edge(panel):
    panel.leg([(5, 5), (15, 5)], "blue")
    panel.leg([(-5, 2), (20, 2)], "red", 1, "dots")
    panel.leg([(-5, 20), (20, 20)], "green")
    panel.leg([(12, 0), (12, 10)], "green")
    (inside, through) = drawn(panel, "line")
    assert np.allclose(inside[0], [(120, 120), (220, 120)]) and np.allclose(through[0], [(20, 180), (220, 180)])
    assert through[1:4] == ["red", 1, "dots"]


def test_marks_outside_are_left_out(panel):
    panel.mark((5, 11), "blue", 3, name="outside")
    panel.mark(None, "blue", 3, name="unknown")
    panel.mark((5, 5), "blue", 3, name="inside")
    assert len(drawn(panel, "dot")) == 1 and set(names(panel)) == {"inside"}


def test_names_keep_off_each_other_the_marks_and_the_edge(panel):
    places = {"left": (0.2, 5), "right": (9.8, 5), "upper": (5, 9.8), "lower": (5, 0.2), "one": (5, 5), "two": (6, 5)}
    for name, place in places.items():
        panel.mark(place, "blue", 5, name=name)
    boxes = names(panel)
    assert set(boxes) == set(places)
    for name, box in boxes.items():
        assert (box >= 18).all() and (box <= 222).all(), name
        for other, place in places.items():
            x, y = panel.axes.at(*place)
            assert apart(box, np.array([(x - 4, y - 4), (x + 4, y + 4)])), (name, other)
            assert name == other or apart(box, boxes[other]), (name, other)


def test_a_name_keeps_off_a_line(panel):
    panel.mark((2, 5), "blue", 5, name="start")
    panel.leg([(2, 5), (9, 5)], "blue")  # to the right, where a name would stand first
    (box,) = names(panel).values()
    assert apart(box, np.array([(62, 119), (200, 121)]))


def test_marks_that_lie_together_share_a_name(panel):
    panel.mark((5, 5), "blue", 6, name="a")
    panel.mark((5, 5), "red", 6, shape="diamond", name="b")
    panel.mark((5.2, 5.2), "orange", 6, shape="square", name="c")
    panel.mark((8, 8), "blue", 6, name="d")
    panel.mark((8, 8.001), "red", 6, shape="diamond", name="e")  # not to be seen, but not the same
    assert set(names(panel)) == {"a = b, c", "d, e"}


def test_a_name_is_nearer_to_its_own_mark_than_to_another(panel):
    panel.mark((9, 9), "green", 4, shape="triangle", name="subspace")
    panel.mark((6, 9), "red", 8, shape="diamond", name="x̄")
    box = names(panel)["subspace"]
    own, other = (np.hypot(*(p - np.clip(p, *box))) for p in (panel.axes.at(9, 9), panel.axes.at(6, 9)))
    assert own < other


def test_the_box_shows_as_far_as_it_is_in_view(panel):
    panel.box(np.array([-5.0, 2.0]), np.array([4.0, np.inf]))
    fill, *walls = drawn(panel, "line")
    assert fill[4] == "sky" and np.allclose(fill[0], [(20, 180), (100, 180), (100, 20), (20, 20)])
    ends = {tuple(map(tuple, np.round(wall[0]))) for wall in walls}
    assert ends == {((100, 180), (100, 20)), ((20, 180), (100, 180))}  # x₁ = 4 and x₂ = 2; x₁ = −5 is out of view
    before = len(panel.scene.shapes)
    panel.box(np.full(2, -np.inf), np.full(2, np.inf))
    assert len(panel.scene.shapes) == before


def test_a_view_inside_is_framed_if_it_is_smaller_and_never_too_small_to_see(panel):
    panel.frame_of(Landscape((2, 4), (2, 4), (), ()))
    panel.frame_of(Landscape((5, 5.01), (5, 5.01), (), ()))
    panel.frame_of(Landscape((0, 9.5), (0, 9.5), (), ()))
    wide = [np.ptp(np.array(line[0])[:, 0]) for line in drawn(panel, "line")]
    assert wide == pytest.approx([40, 14])
