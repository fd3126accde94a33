"""The line search: strong Wolfe steps on smooth functions, and what it does with noise, NaN and the box."""

from math import inf

import numpy as np
import pytest
import torch

from helpers.solver.box import Box
from helpers.solver.line_search import CURVATURE, DECREASE, WIDTH, Line, line_search

ROWS = 500


def waves(seed, dtype=torch.float64, ripple=2.0):
    """Smooth functions of one variable that bend up and down and grow at last: ½a t² + Σ b sin(wt + p), one a row."""
    random = np.random.default_rng(seed)
    a, b, w, p = (
        torch.tensor(v, dtype=dtype)
        for v in (
            10.0 ** random.uniform(-3, 2, (ROWS, 1)),
            ripple * random.normal(size=(ROWS, 3)),
            10.0 ** random.uniform(-1, 1, (ROWS, 3)),
            random.uniform(0, 6.3, (ROWS, 3)),
        )
    )

    def evaluate(x, rows):
        rows = slice(None) if rows is None else rows
        value = 0.5 * a[rows, 0] * x[:, 0] ** 2 + (b[rows] * torch.sin(w[rows] * x + p[rows])).sum(1)
        slope = a[rows] * x + (b[rows] * w[rows] * torch.cos(w[rows] * x + p[rows])).sum(1, keepdim=True)
        return value, slope

    return evaluate


def search(evaluate, x, step=1.0, longest=1e10, lower=-inf, upper=inf, maxls=20, noise=0.0):
    value, g = evaluate(x, None)
    p = -g
    slope = (p * g).sum(1)
    step, noise = torch.full_like(value, step), torch.full_like(value, noise)
    line = Line(x, p, Box(lower, upper), value, slope, noise)
    found = line_search(evaluate, line, step, lambda rows: torch.full_like(value[rows], longest), maxls)
    return found, value, p, slope


@pytest.mark.parametrize("step", [1e-3, 1.0, 10.0])
def test_accepted_steps_satisfy_the_strong_wolfe_conditions(step):
    evaluate = waves(0)
    x = torch.tensor(np.random.default_rng(1).uniform(-3, 3, (ROWS, 1)))
    found, value, d, slope = search(evaluate, x, step)
    assert found.accepted.float().mean() >= 0.99 and found.finite.all()
    ok = found.accepted
    decreased = found.value <= value + DECREASE * found.step * slope
    flattened = (found.g * d).sum(1).abs() <= -CURVATURE * slope * (1 + 1e-12)
    # A bracket too narrow to divide also ends a search; such a step is a decrease, and rare.
    assert decreased[ok].all() and flattened[ok].float().mean() >= 0.97
    assert torch.allclose(found.x, x + found.step.unsqueeze(1) * d, rtol=1e-14, atol=1e-14)
    again = evaluate(found.x, None)
    assert torch.equal(found.value, again[0]) and torch.equal(found.g, again[1])
    assert (found.evaluations > 1).any() and found.evaluations.max() <= 20


@pytest.mark.parametrize("step", [1e-2, 1.0])
def test_steps_are_those_of_the_original(step):
    """SciPy's translation of dcsrch, from MINPACK-2, takes the same steps."""
    DCSRCH = pytest.importorskip("scipy.optimize._dcsrch").DCSRCH
    evaluate = waves(1)
    x = torch.tensor(np.random.default_rng(7).uniform(-3, 3, (ROWS, 1)))
    found, value, d, slope = search(evaluate, x, step)
    for i in range(0, ROWS, 5):

        def along(t, i=i):
            v, g = evaluate(x[i : i + 1] + t * d[i : i + 1], torch.tensor([i]))
            return v.item(), (g * d[i]).item()

        original = DCSRCH(lambda t: along(t)[0], lambda t: along(t)[1], DECREASE, CURVATURE, WIDTH, 0.0, 1e10)
        theirs, *_ = original(step, phi0=value[i].item(), derphi0=slope[i].item(), maxiter=20)
        if theirs is not None and found.accepted[i]:
            assert found.step[i].item() == pytest.approx(theirs, rel=1e-6)


def test_rows_do_not_depend_on_their_neighbours():
    evaluate = waves(2)
    x = torch.tensor(np.random.default_rng(2).uniform(-3, 3, (ROWS, 1)))
    found, *_ = search(evaluate, x)
    rows = torch.arange(0, ROWS, 50)
    part, *_ = search(lambda z, index: evaluate(z, rows if index is None else rows[index]), x[rows])
    assert torch.equal(part.step, found.step[rows]) and torch.equal(part.evaluations, found.evaluations[rows])


def test_a_search_that_finds_no_decrease_ends_unaccepted():
    def lying(x, rows):  # the gradient points the wrong way
        return x[:, 0], -torch.ones_like(x)

    found, *_ = search(lying, torch.zeros(4, 1, dtype=torch.float64))
    assert not found.accepted.any() and found.finite.all() and (found.evaluations <= 20).all()


@pytest.mark.parametrize("maxls", [1, 3, 20])
def test_no_more_trials_than_maxls(maxls):
    evaluate = waves(3)
    found, *_ = search(evaluate, torch.full((ROWS, 1), 2.0, dtype=torch.float64), step=1e-4, maxls=maxls)
    assert found.evaluations.max() <= maxls


def flat_valley(x, rows):
    """1000 + ½ 1e-6 (x − 1)²: in float32 every value near 1 is the same, or off by a rounding."""
    z = x[:, 0] - 1
    value = (1000 + 5e-7 * z * z) + 6.1e-5 * torch.sign(torch.sin(1e4 * x[:, 0]))
    return value, 1e-6 * z.unsqueeze(1)


def test_with_its_noise_floor_a_float32_search_accepts_what_rounding_hides():
    x = torch.linspace(0, 0.9, ROWS).unsqueeze(1)
    noise = 4 * torch.finfo(torch.float32).eps * 1000
    found, *_ = search(flat_valley, x, step=5e5, noise=noise)
    blind, *_ = search(flat_valley, x, step=5e5, noise=0.0)
    assert found.accepted.all() and found.evaluations.max() <= 3
    assert not blind.accepted.all() and blind.evaluations.max() <= 20  # without it: lost, but never endless


def test_float32_searches_end():
    evaluate = waves(4, torch.float32, ripple=1e-3)
    x = torch.tensor(np.random.default_rng(4).uniform(-1e-3, 1e-3, (ROWS, 1)), dtype=torch.float32)
    found, *_ = search(evaluate, x, noise=1e-9)
    assert found.finite.all() and found.evaluations.max() <= 20 and found.accepted.float().mean() > 0.98


@pytest.mark.parametrize("bad", [torch.nan, inf])
@pytest.mark.parametrize("where", ["value", "slope"])
def test_a_trial_that_is_not_finite_stops_its_row_alone(bad, where):
    evaluate = waves(5)
    x = torch.tensor(np.random.default_rng(5).uniform(-3, 3, (ROWS, 1)))
    calls = torch.zeros(ROWS)

    def broken(z, rows):
        rows = torch.arange(ROWS) if rows is None else rows
        value, slope = evaluate(z, rows)
        calls[rows] += 1
        hit = (rows % 3 == 0) & (calls[rows] == 3)  # the second trial of every third row (the first call is the start)
        if where == "value":
            return torch.where(hit, bad, value), slope
        return value, torch.where(hit.unsqueeze(1), bad, slope)

    found, *_ = search(broken, x)
    hit = (torch.arange(ROWS) % 3 == 0) & (calls == 3)
    assert hit.any() and not found.finite[hit].any() and not found.accepted[hit].any()
    assert (calls[torch.arange(ROWS) % 3 == 0] <= 3).all()
    calls[:] = -100
    clean, *_ = search(broken, x)
    others = torch.arange(ROWS) % 3 != 0
    assert torch.equal(found.step[others], clean.step[others]) and found.finite[others].all()


def test_it_never_leaves_the_box_and_stops_at_the_longest_step():
    random = np.random.default_rng(6)
    slope = torch.tensor(random.uniform(0.1, 3, (ROWS, 1)), dtype=torch.float32)
    lower, upper = torch.full((ROWS, 1), -0.1), torch.full((ROWS, 1), 0.7)

    def downhill(z, rows):
        assert (z >= -0.1).all() and (z <= 0.7).all()
        own = slope if rows is None else slope[rows]
        return -(own * z).sum(1), -own

    x = torch.tensor(random.uniform(0, 0.3, (ROWS, 1)), dtype=torch.float32)
    value, _ = downhill(x, None)
    room = ((upper - x) / slope).squeeze(1)
    line = Line(x, slope, Box(lower, upper), value, -slope.square().sum(1), 0 * room)
    found = line_search(downhill, line, room / 4, lambda rows: room[rows], 20)
    assert found.accepted.all() and torch.allclose(found.x, upper) and (found.x <= upper).all()
    assert torch.equal(found.step, room) and (found.evaluations > 1).all()
