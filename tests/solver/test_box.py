"""The box: where a path meets it, and which coordinates are inside."""

from math import inf

import pytest
import torch

from helpers.solver.box import Box


def float64(values):
    return torch.tensor(values, dtype=torch.float64)


X, D = float64([[0.2, 0.5, 0.0, 0.9]]), float64([[0.4, -0.25, 0.0, 0.1]])


@pytest.mark.parametrize(
    "box",
    [Box(0.0, 1.0), Box(torch.zeros(1, 4).double(), torch.ones(1, 4).double())],
    ids=["numbers", "tensors"],
)
def test_breakpoints_are_when_each_coordinate_meets_its_bound(box):
    t, bound = box.breakpoints(X, D)
    assert torch.allclose(t, float64([[2.0, 2.0, inf, 1.0]]))
    assert torch.equal(bound[t < inf], float64([1.0, 0.0, 1.0]))
    assert torch.equal(box.project(X + 1.5 * D), float64([[0.8, 0.125, 0.0, 1.0]]))
    assert box.interior(float64([[0.0, 0.5, 1.0, 1e-300]])).tolist() == [[0, 1, 0, 1]]


def test_without_a_bound_nothing_is_met_and_everything_is_inside():
    box = Box(-inf, inf)
    assert (box.breakpoints(X, D)[0] == inf).all() and box.interior(X).all()
    assert torch.equal(box.project(1e300 * D), 1e300 * D)
    assert not torch.stack(box.finite(X)).any()
    below, above = Box(float64([[0, -inf, 0, 0]]), inf).finite(X)
    assert below.tolist() == [[True, False, True, True]] and not above.any()


def test_a_vector_is_kept_where_x_is_inside():
    x, vector = float64([[0.0, 0.5, 1.0, -inf]]), float64([[-2.0, -2.0, -2.0, -2.0]])
    for bounds in ((0.0, 1.0), (torch.zeros(1, 4).double(), 1.0), (0.0, torch.ones(1, 4).double())):
        out = torch.full_like(x, inf)
        assert Box(*bounds).inside(vector, x, out) is out and out.tolist() == [[0, -2, 0, 0]]


def test_a_coordinate_that_cannot_move_meets_its_bound_at_once():
    t, _ = Box(float64([[0.2, 0.5, 0, 0]]), float64([[0.2, 0.5, 1, 1]])).breakpoints(X, D)
    assert t.tolist()[0][:2] == [0, 0]


def test_the_rows_of_a_box_are_taken_only_where_it_has_rows():
    index = torch.tensor([2, 0])
    rows = Box(torch.arange(3.0).unsqueeze(1), 9.0).take(index)
    assert rows.lower.tolist() == [[2.0], [0.0]] and rows.upper == 9.0
    one = Box(torch.zeros(1, 4), 1.0)
    assert one.take(index).lower is one.lower


def test_project_in_place_writes_over_its_argument():
    x = X + 10
    assert Box(0.0, 1.0).project_(x) is x and x.tolist() == [[1, 1, 1, 1]]


def test_the_room_ends_at_the_first_bound_that_is_met():
    box = Box(0.0, 1.0)
    assert torch.allclose(box.room(X, D), float64([1.0]))
    still = float64([[0.0, 0.0, -0.0, 0.0]])  # at both bounds and between them
    assert box.room(float64([[0.0, 1.0, 1.0, 0.5]]), still).tolist() == [inf]
    fixed = Box(float64([[0.2, 0.5, 0, 0]]), float64([[0.2, 0.5, 1, 1]]))
    assert fixed.room(X, float64([[0.0, -0.0, 0.1, 0.0]])).tolist() == [10.0]
    assert Box(-inf, inf).room(X, D).tolist() == [inf]
    assert torch.allclose(Box(-inf, 1.0).room(X, D), float64([1.0]))
    random = torch.rand(500, 1, generator=torch.Generator().manual_seed(0))
    assert (box.room(random, 1 - random) == 1).all()  # to the last bit: a line search ends where the box does
