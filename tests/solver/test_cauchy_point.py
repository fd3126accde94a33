"""The batched Cauchy point against the textbook's walk along the projected gradient path, with a dense B."""

from math import inf

import numpy as np
import pytest
import torch
from models import BATCH, PAIRS, N, dense, random_case

from helpers.solver import cauchy_point as module
from helpers.solver.box import Box
from helpers.solver.cauchy_point import cauchy_point
from helpers.solver.compact import Memory


def textbook(x, g, lower, upper, B):
    """The first local minimiser of gᵀz + ½zᵀBz on the path z(t) = P(x − t g) − x: Byrd, Lu, Nocedal & Zhu (1995), 4."""
    ends = np.full(N, inf)
    for i in range(N):
        if g[i] < 0:
            ends[i] = (x[i] - upper[i]) / g[i]
        elif g[i] > 0:
            ends[i] = (x[i] - lower[i]) / g[i]
    d, z, t = np.where(ends > 0, -g, 0.0), np.zeros(N), 0.0
    for end in [*sorted(set(ends[(ends > 0) & np.isfinite(ends)])), inf]:
        slope, curvature = d @ (g + B @ z), d @ B @ d
        if slope >= 0:
            break
        if t - slope / curvature <= end:
            return x + z - slope / curvature * d
        z, t = z + (end - t) * d, end
        z = np.where(ends == end, np.where(g > 0, lower, upper) - x, z)
        d = np.where(ends <= end, 0, d)
    return x + z


@pytest.mark.parametrize("few", [2, 16])  # breakpoints looked at first: fewer than there are, and all at once
def test_2000_cases_equal_the_textbook(few, monkeypatch):
    monkeypatch.setattr(module, "_FEW", few)
    random = np.random.default_rng(few)
    bends, ties, still = [], 0, 0
    for _ in range(2000 // BATCH):
        x, g, lower, upper, memory = random_case(random)
        B, W, M = dense(memory)
        tensors = [torch.tensor(a, dtype=torch.float64) for a in (x, g, lower, upper)]
        found = cauchy_point(*tensors[:2], Box(*tensors[2:]), memory)
        expected = np.stack([textbook(x[i], g[i], lower[i], upper[i], B[i]) for i in range(BATCH)])
        assert np.abs(found.x_c.numpy() - expected).max() <= 1e-10
        assert ((found.x_c >= tensors[2]) & (found.x_c <= tensors[3])).all()
        v = (W @ found.x_c.sub(tensors[0]).unsqueeze(2)).squeeze(2)
        Mv = (M @ v.unsqueeze(2)).squeeze(2)
        assert torch.allclose(found.v, v, rtol=1e-10, atol=1e-10)
        assert torch.allclose(found.Mv, Mv, rtol=1e-9, atol=1e-9)
        assert torch.allclose(found.M_inverse @ M, torch.eye(2 * PAIRS, dtype=torch.float64).expand_as(M), atol=1e-9)
        at_bound = (expected == lower) | (expected == upper)
        assert np.array_equal(found.free.numpy() > 0, ~at_bound)
        bends += list((at_bound & (lower < upper) & (g != 0) & (expected != x)).sum(1))
        with np.errstate(divide="ignore", invalid="ignore"):
            ends = np.where(g < 0, -upper / g, -lower / -g)
        ties += sum(len(set(e[np.isfinite(e)])) < np.isfinite(e).sum() for e in ends)
        still += int((g == 0).sum())
    assert max(bends) > 5 and bends.count(0) > 20 and ties > 500 and still > 500  # the cases are those promised


@pytest.mark.parametrize("steps, share", [(1, 0.93), (2, 0.965), (5, 0.965)])
def test_newtons_steps_find_the_exact_point_nearly_always_and_descend_always(steps, share, record_property):
    random, same = np.random.default_rng(0), []
    for _ in range(2000 // BATCH):
        x, g, lower, upper, memory = random_case(random)
        B, W, _ = dense(memory)
        x, g, lower, upper = (torch.tensor(a, dtype=torch.float64) for a in (x, g, lower, upper))
        exact = cauchy_point(x, g, Box(lower, upper), memory)
        found = cauchy_point(x, g, Box(lower, upper), memory, steps)
        assert ((found.x_c >= lower) & (found.x_c <= upper)).all()
        z, moves = found.x_c - x, (exact.x_c != x).any(1)
        model = (g * z).sum(1) + 0.5 * torch.einsum("bi,bij,bj->b", z, torch.tensor(B), z)
        assert (model[moves] < 0).all() and torch.equal(found.x_c[~moves], x[~moves])
        there = (found.x_c - exact.x_c).abs().amax(1) <= 1e-9
        same.append(there[moves])
        if steps == 5:  # so many that the last of them crosses no bend
            assert torch.allclose(found.v[there], (W @ z.unsqueeze(2)).squeeze(2)[there], atol=1e-8)
    same = torch.cat(same).double().mean().item()
    record_property("measured", f"Cauchy point by {steps} of Newton's steps: exact in {same:.1%} of random models")
    assert same >= share


def test_a_stationary_point_stays_where_it_is():
    memory = Memory(3, 2, PAIRS, torch.zeros(1, dtype=torch.float64))
    x = torch.tensor([[0.0, 1.0], [0.0, 1.0], [0.3, 0.4]], dtype=torch.float64)
    g = torch.tensor([[1.0, -1.0], [0.0, 0.0], [0.0, 0.0]], dtype=torch.float64)
    found = cauchy_point(x, g, Box(0.0, 1.0), memory)
    assert torch.equal(found.x_c, x)
    assert found.free.tolist() == [[0, 0], [0, 0], [1, 1]]


def test_breakpoints_that_are_met_one_after_another_are_not_skipped():
    """With B = I the point is P(x − g). A path that stops at the first breakpoint past its minimiser misses it."""
    memory = Memory(1, 3, PAIRS, torch.zeros(1, dtype=torch.float64))
    g = torch.tensor([[-1.0, -2.0, -1.0]], dtype=torch.float64)
    upper = torch.tensor([[1.0, 0.5, 1.5]], dtype=torch.float64)
    found = cauchy_point(torch.zeros_like(g), g, Box(torch.zeros_like(g), upper), memory)
    assert found.x_c.tolist() == [[1.0, 0.5, 1.0]]


def test_numbers_serve_as_bounds():
    random = np.random.default_rng(3)
    x, g, _, _, memory = random_case(random)
    x, g = torch.tensor(x), torch.tensor(g, dtype=torch.float64)
    numbers = cauchy_point(x, g, Box(-0.5, 1.0), memory)
    tensors = cauchy_point(x, g, Box(torch.full_like(x, -0.5), torch.full_like(x, 1.0)), memory)
    assert torch.equal(numbers.x_c, tensors.x_c) and torch.equal(numbers.free, tensors.free)
