"""The subspace step against the dense reduced system, and what the box makes of it."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from models import BATCH, N, dense, random_case

from helpers.solver.box import Box
from helpers.solver.cauchy_point import cauchy_point
from helpers.solver.subspace import _without_rounding, into_the_box, subspace_step


def case(seed):
    random = np.random.default_rng(seed)
    x, g, lower, upper, memory = random_case(random)
    x, g, lower, upper = (torch.tensor(a, dtype=torch.float64) for a in (x, g, lower, upper))
    box = Box(lower, upper)
    return x, g, box, memory, cauchy_point(x, g, box, memory)


@pytest.mark.parametrize("seed", range(8))
def test_the_step_solves_the_reduced_system_and_leaves_the_bound_variables_alone(seed):
    x, g, _, memory, cauchy = case(seed)
    step = subspace_step(x, g, memory, cauchy).numpy()
    B, _, _ = dense(memory)
    for i in range(BATCH):
        free = cauchy.free[i].numpy() > 0
        gradient = g[i].numpy() + B[i] @ (cauchy.x_c[i] - x[i]).numpy()  # the model's, at the Cauchy point
        expected = np.zeros(N)
        if free.any():
            expected[free] = np.linalg.solve(B[i][np.ix_(free, free)], -gradient[free])
        assert np.abs(step[i] - expected).max() <= 1e-8 * max(1, np.abs(expected).max())


def test_leaving_out_the_term_of_the_moved_point_would_be_seen():
    """The classic mistake: the gradient at x instead of the model's at x_c, that is, without θ(x_c − x) and W M v."""
    x, g, _, memory, cauchy = case(3)
    right = subspace_step(x, g, memory, cauchy)
    still = replace(cauchy, x_c=x, v=0 * cauchy.v, Mv=0 * cauchy.Mv)
    assert not torch.allclose(subspace_step(x, g, memory, still), right, atol=1e-3)


def test_what_rounding_leaves_of_a_difference_is_zero_and_nothing_else_is():
    """In the flat valley of Powell's badly scaled function a step is lost in one row of three without this."""
    theta, eps = 1e12, torch.finfo(torch.float64).eps
    diagonal = torch.tensor([[-1.0, -1.0, -1.0, theta, theta, 1.0]], dtype=torch.float64)  # one slot is empty
    held = torch.tensor(
        [[[eps * theta, -eps * theta, 0.0], [-eps * theta, 0.1 * theta, 0.0], [0.0, 0.0, 1.0]]], dtype=torch.float64
    )
    _without_rounding(held, torch.zeros(1, 2).double(), torch.diag_embed(diagonal))
    assert held.tolist() == [[[0, 0, 0], [0, 0.1 * theta, 0], [0, 0, 1]]]


@pytest.mark.parametrize("seed", range(8))
def test_the_point_is_in_the_box_and_downhill(seed):
    x, g, box, memory, cauchy = case(seed)
    p, slope = into_the_box(x, g, cauchy.x_c, subspace_step(x, g, memory, cauchy), box)
    x_bar = box.project(x + p)
    assert torch.allclose(x_bar, x + p, rtol=0, atol=1e-12) and torch.allclose(slope, (p * g).sum(1))
    assert ((x_bar >= box.lower) & (x_bar <= box.upper)).all()
    moves = (cauchy.x_c != x).any(1)
    assert moves.any() and (slope[moves] < 0).all()


def test_a_projection_that_climbs_is_replaced_by_a_cut():
    """P(x_c + step) = (1, 1) is uphill of x = (0, 0.1). Cut at the wall, a tenth of the step is left."""
    x, g = torch.tensor([[0.0, 0.1]]).double(), torch.tensor([[1.0, 10.0]]).double()
    x_c, step, box = torch.tensor([[0.0, 0.05]]).double(), torch.tensor([[10.0, 1.0]]).double(), Box(0.0, 1.0)
    projected = box.project(x_c + step)
    assert ((projected - x) * g).sum() > 0
    p, slope = into_the_box(x, g, x_c, step, box)
    assert torch.allclose(x + p, x_c + 0.1 * step) and torch.allclose(slope, (p * g).sum(1))
    mild = torch.tensor([[0.1, -0.05]]).double()
    assert torch.allclose(x + into_the_box(x, g, x_c, mild, box)[0], torch.tensor([[0.1, 0.0]]).double())
