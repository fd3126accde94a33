"""The picture of a solver's trace: what is drawn where, and that no two things differ in colour alone."""

import itertools

import numpy as np
import pytest

from helpers.widgets import SolverTrace
from helpers.widgets._landscape import model_contours
from helpers.widgets._trace_picture import MARKS, WIDTH, frames

A = np.array([[4.0, 1.0], [1.0, 2.0]])


def inside(line, frame):
    left, top, size = frame
    return bool(((line >= (left - 0.01, top - 0.01)) & (line <= (left + size + 0.01, top + size + 0.01))).all())


def lines_in(scene, frame, colour):
    """The lines of ``colour`` in a square frame (left, top, size), or anywhere, as arrays of places."""
    lines = [np.array(points) for kind, points, *rest in scene.shapes if kind == "line" and rest[0] == colour]
    return [line for line in lines if frame is None or inside(line, frame)]


def words_in(scene, frame):
    left, top, size = frame
    texts = [shape for kind, *shape in scene.shapes if kind == "text"]
    return {text[2] for text in texts if left <= text[0] <= left + size and top < text[1] < top + size}


@pytest.fixture
def squares(trace):
    """The frames of the run, the step and the path."""
    return frames(trace.trace)


def test_there_is_a_third_panel_where_there_are_cauchy_points(trace, bowl):
    assert len(frames(trace.trace)) == 3 and len(frames(trace.trace[1:])) == 2
    for squares in (frames(trace.trace), frames(trace.trace[1:])):
        assert all(left + side <= WIDTH for left, _, side in squares)
        assert all(a[0] + a[2] < b[0] for a, b in itertools.pairwise(squares))


def test_nothing_is_drawn_outside_the_panels(trace, squares):
    """Not even the leg to the subspace minimiser (2.8, 0.6), which is far outside."""
    colours = ("blue", "orange", "green", "red", "purple")
    drawn = [line for colour in colours for line in lines_in(trace.scene(), None, colour)]
    assert len(drawn) > 10
    legend = [line for line in lines_in(trace.scene(), None, "purple") if line[0, 1] > squares[0][1] + squares[0][2]]
    assert len(legend) == 1
    for line in drawn:
        assert any(inside(line, frame) for frame in squares) or np.array_equal(line, legend[0]), line
    assert lines_in(trace.scene(), squares[1], "green")


def test_the_model_shows_in_the_magnified_panels_only(trace, squares):
    run, step, path = squares
    assert lines_in(trace.scene(), run, "purple") == []
    assert len(lines_in(trace.scene(), step, "purple")) >= 3 and lines_in(trace.scene(), path, "purple")
    assert model_contours(trace.trace[1], trace.problem.view) == []
    trace.step = 1  # the last entry has no model
    assert lines_in(trace.scene(), step, "purple") == []


def test_no_two_marks_have_one_shape_and_filling(trace):
    looks = [(shape, hollow) for _, _, shape, hollow in MARKS.values()]
    assert len(set(looks)) == len(looks)
    dashes = {shape[1]: shape[3] for kind, *shape in trace.scene().shapes if kind == "line"}
    assert dashes["red"] == "dots" and dashes["orange"] is None and dashes["green"] == "dash"


def test_the_points_are_named_where_they_stand(trace, squares):
    run, step, path = squares
    scene = trace.scene()
    assert words_in(scene, step) == {"x₀", "xᶜ", "minimum = x̄ = x₁"}
    assert {"x₀", "xᶜ"} <= words_in(scene, path)
    assert {"x₀", "minimum"} <= words_in(scene, run)
    trace.step = 1
    assert {"x₀", "minimum = x₁"} <= words_in(trace.scene(), run)


def test_a_trace_without_cauchy_points_names_its_first_trial(bowl):
    x0, x1 = np.zeros(2), np.array([0.5, 0.5])
    steps = [{"x": x0, "f": bowl(x0)[0], "target": np.array([0.54, 0.52]), "alpha": 0.5}, {"x": x1, "f": bowl(x1)[0]}]
    trace = SolverTrace(steps, bowl)
    names = words_in(trace.scene(), frames(steps)[1])
    assert {"x₀", "x₁"} < names and any("first trial" in name for name in names)


def test_the_axes_of_each_panel_are_named(trace):
    texts = [shape[2] for kind, *shape in trace.scene().shapes if kind == "text"]
    assert texts.count("x₁") == texts.count("x₂") == 3 and not any("upwards" in text for text in texts)


def test_the_way_to_the_cauchy_point_bends_where_the_path_does(bowl):
    x, g, t = np.zeros(2), np.array([-1.0, -0.5]), np.array([0.5, np.inf])
    entry = {"x": x, "f": 0.0, "g": g, "cauchy": np.array([0.5, 0.45]), "t_cauchy": 0.9, "breakpoints": t}
    trace = SolverTrace([entry, {"x": x, "f": 0.0}], bowl, np.zeros(2), np.array([0.5, 1.0]))
    for frame in frames(trace.trace)[1:]:
        first, second = lines_in(trace.scene(), frame, "orange")
        assert np.allclose(first[1], second[0])
        rise = -(first[1] - first[0])[1] / (first[1] - first[0])[0]
        assert rise == pytest.approx(0.5) and second[1, 0] == pytest.approx(second[0, 0])


def test_the_last_entry_says_that_the_run_ends(trace, texts):
    trace.step = 1
    assert "no path: the run ends here" in texts(trace)
    assert any(words.startswith("the last step") for words in texts(trace))


def test_what_no_entry_holds_has_no_place_among_the_facts(trace, bowl, label, texts):
    assert trace.state.curvatures == pytest.approx((3, 3)) and "curvatures of the model 3 and 3" in label(trace)
    boxed = texts(trace)
    assert {"Cauchy point xᶜ", "max |P(x − g) − x|", "step length α, blue ring"} < boxed and "–" not in boxed
    trace.step = 1
    assert "Cauchy point xᶜ" in texts(trace) and "–" in texts(trace)  # kept in its place
    bare = SolverTrace([{"x": np.zeros(2), "f": 1.0, "B": A, "g": np.ones(2), "g_norm": 1.0}], bowl)
    assert bare.state.curvatures == pytest.approx(tuple(np.linalg.eigvalsh(A)))
    assert {"curvatures of the model", "max |g|"} < texts(bare)
    assert not {"Cauchy point xᶜ", "subspace minimiser", "evaluations so far", "–"} & texts(bare)
