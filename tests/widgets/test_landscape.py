"""The plane of a solver's trace: views, contours, the minimum, the model."""

import numpy as np
import pytest

from helpers.widgets._landscape import (
    close_up,
    first,
    holds,
    landscape,
    model,
    model_contours,
    places_of_step,
    projected_path,
)

A = np.array([[4.0, 1.0], [1.0, 2.0]])
FREE = np.full(2, -np.inf), np.full(2, np.inf)


def entries(bowl, *points):
    return [{"x": np.array(point, float), "f": bowl(np.array(point, float))[0]} for point in points]


def test_the_contours_of_the_function_are_few_and_level_sets_of_it(trace, bowl):
    whole = trace.problem.view
    near = close_up(places_of_step(trace.trace, 0), bowl, whole)
    for view in (whole, near):
        assert 4 <= len(view.levels) <= 8
        levels = np.array(view.levels)
        assert len(view.contours) >= len(levels)
        for line in view.contours:
            values = [bowl(point)[0] for point in line]
            assert np.ptp(values) < 0.01 and np.abs(levels - values[0]).min() < 0.01


def test_the_contours_of_the_model_are_level_sets_of_it_at_the_function_s_levels(trace, bowl):
    entry, view = trace.trace[0], trace.problem.view
    lines = model_contours(entry, view)
    assert len(lines) >= 4
    for z in lines:
        values = z @ entry["g"] + 1.5 * (z**2).sum(1) + entry["f"]  # x is (0, 0), B is 3 I
        assert np.ptp(values) < 0.01 and np.abs(np.array(view.levels) - values[0]).min() < 0.01
    assert model_contours({"x": np.zeros(2), "f": 0.0}, view) == []
    exact = entry | {"B": A}
    z = np.concatenate(model_contours(exact, view))
    assert np.abs([min(abs(bowl(point)[0] - np.array(view.levels))) for point in z]).max() < 0.02


def test_the_model_of_an_entry(trace):
    assert np.array_equal(model(trace.trace[0]), 3 * np.eye(2))
    assert np.array_equal(model({"B": A}), A) and model({"x": 0}) is None


def test_the_view_is_square_and_holds_the_box_and_the_run(bowl):
    box = np.array([-1.0, 0.0]), np.array([2.0, np.inf])
    view = landscape(entries(bowl, (0, 0), (1, 5)), bowl, *box)
    assert np.ptp(view.xlim) == pytest.approx(np.ptp(view.ylim))
    assert all(holds(view, place) for place in ((-1, 0), (2, 0), (1, 5))) and not holds(view, (9, 0))


@pytest.mark.parametrize(
    ("points", "box", "expected"),
    [
        ([(0, 0), (0.8, 0.8)], FREE, (0.8, 0.8)),  # the run ended in the minimum
        ([(0, 0), (0.9, 0.5), (1.6, 1.6)], FREE, (0.8, 0.8)),  # it did not: the grid knows better
        ([(0, 0), (0.5, 0.5)], (np.zeros(2), np.full(2, 0.5)), (0.5, 0.5)),  # in the corner of the box
        ([(0, 0), (0.1, 0.2)], FREE, None),  # outside the view: none is known
    ],
)
def test_the_minimum_is_the_lowest_point_known_in_the_box(bowl, points, box, expected):
    found = landscape(entries(bowl, *points), bowl, *box).minimum
    assert found is None if expected is None else found == pytest.approx(expected, abs=0.02)


def test_values_that_are_not_finite_are_no_minimum():
    def log(x):
        return x[0] - np.log(x[0]) + x[1] ** 2 if x[0] > 0 else np.nan

    trace = [{"x": np.array(p), "f": log(np.array(p))} for p in ((0.1, 0.5), (1.0, 0.0))]
    view = landscape(trace, log, *FREE)
    assert view.minimum == pytest.approx((1, 0), abs=0.02) and len(view.contours) >= 7


def test_the_close_up_shows_the_whole_step_in_the_shape_of_the_view(trace, bowl):
    view = trace.problem.view
    for step, places in ((0, [(0, 0), (0.5, 0.3), (0.5, 0.5)]), (1, [(0, 0), (0.5, 0.5)])):  # 2.8 is not in the view
        near = close_up(places_of_step(trace.trace, step), bowl, view)
        wide, high = (np.ptp(near.xlim) / np.ptp(view.xlim), np.ptp(near.ylim) / np.ptp(view.ylim))
        assert wide == pytest.approx(high)
        assert all(near.xlim[0] < x < near.xlim[1] and near.ylim[0] < y < near.ylim[1] for x, y in places)
    entry = {"x": np.zeros(2), "f": 0.0}  # a step of no length is no error
    assert np.ptp(close_up(places_of_step([entry, entry], 1), bowl, view).xlim) > 0


def test_the_path_to_the_cauchy_point_fills_its_close_up_however_short_it_is(trace, bowl):
    entry = {"x": np.array([0.3, 0.3]), "cauchy": np.array([0.3002, 0.3001]), "f": 0.0}
    near = close_up(projected_path(entry, *FREE), bowl, trace.problem.view)
    assert 0.0002 / np.ptp(near.xlim) > 0.5


def test_the_path_bends_where_the_entry_says(trace):
    x, g, t = np.zeros(2), np.array([-1.0, -0.5]), np.array([0.5, np.inf])
    entry = {"x": x, "g": g, "cauchy": np.array([0.5, 0.45])}
    box = np.zeros(2), np.array([0.5, 1.0])
    assert np.allclose(projected_path(entry, *box), [(0, 0), (0.5, 0.45)])
    bent = projected_path(entry | {"t_cauchy": 0.9, "breakpoints": t}, *box)
    assert np.allclose(bent, [(0, 0), (0.5, 0.25), (0.5, 0.45)])


def test_a_function_may_return_its_gradient_or_not(bowl):
    x = np.array([1.0, 2.0])
    assert first(bowl(x)) == bowl(x)[0] == first(bowl(x)[0])
