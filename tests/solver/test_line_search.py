"""The line search: strong Wolfe steps on smooth functions, and what it does with noise, NaN and the box."""

from dataclasses import dataclass
from math import inf

import numpy as np
import pytest
import torch

from helpers.solver.box import Box
from helpers.solver.line_search import CURVATURE, DECREASE, WIDTH, begun, told

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


@dataclass
class Found:
    """Where each row's search ended: its trial, what it was worth, how many there were, and how it ended."""

    x: torch.Tensor
    value: torch.Tensor
    g: torch.Tensor
    step: torch.Tensor
    trials: torch.Tensor
    accepted: torch.Tensor
    finite: torch.Tensor


def along(evaluate, x, p, search, box, maxls=20):
    """Tell the searches along x + step·p what they ask for until all have ended."""
    ended = torch.zeros(len(x), dtype=torch.bool)
    found = None
    for _ in range(maxls + 1):
        if ended.all():
            return found
        trial = box.project(x + search.step.unsqueeze(1) * p)
        value, g = evaluate(torch.where(ended.unsqueeze(1), x, trial), None)
        slope = (g * p).sum(1)
        accepted, given_up, following = told(search, value, slope, maxls)
        now = Found(
            trial, value, g, search.step, following.trials, accepted, torch.isfinite(value) & torch.isfinite(slope)
        )
        if found is None:
            found = now
        for name, new in vars(now).items():
            old = getattr(found, name)
            setattr(found, name, torch.where(ended.view(-1, *[1] * (new.ndim - 1)), old, new))
        ended, search = ended | accepted | given_up, following
    raise AssertionError("a search had more trials than maxls")


def search(evaluate, x, step=1.0, longest=1e10, maxls=20, noise=0.0):
    value, g = evaluate(x, None)
    p = -g
    slope = (p * g).sum(1)
    step, noise, longest = (torch.full_like(value, number) for number in (step, noise, longest))
    found = along(evaluate, x, p, begun(value, slope, noise, step, longest), Box(-inf, inf), maxls)
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
    assert (found.trials > 1).any() and found.trials.max() <= 20


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
    part, *_ = search(lambda z, _: evaluate(z, rows), x[rows])
    assert torch.equal(part.step, found.step[rows]) and torch.equal(part.trials, found.trials[rows])


def test_a_search_that_finds_no_decrease_ends_unaccepted():
    def lying(x, rows):  # the gradient points the wrong way
        return x[:, 0], -torch.ones_like(x)

    found, *_ = search(lying, torch.zeros(4, 1, dtype=torch.float64))
    assert not found.accepted.any() and found.finite.all() and (found.trials <= 20).all()


@pytest.mark.parametrize("maxls", [1, 3, 20])
def test_no_more_trials_than_maxls(maxls):
    evaluate = waves(3)
    found, *_ = search(evaluate, torch.full((ROWS, 1), 2.0, dtype=torch.float64), step=1e-4, maxls=maxls)
    assert found.trials.max() <= maxls


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
    assert found.accepted.all() and found.trials.max() <= 3
    assert not blind.accepted.all() and blind.trials.max() <= 20  # without it: lost, but never endless


def test_float32_searches_end():
    evaluate = waves(4, torch.float32, ripple=1e-3)
    x = torch.tensor(np.random.default_rng(4).uniform(-1e-3, 1e-3, (ROWS, 1)), dtype=torch.float32)
    found, *_ = search(evaluate, x, noise=1e-9)
    assert found.finite.all() and found.trials.max() <= 20 and found.accepted.float().mean() > 0.98


@pytest.mark.parametrize("bad", [torch.nan, inf])
@pytest.mark.parametrize("where", ["value", "slope"])
def test_a_trial_that_is_not_finite_stops_its_row_alone(bad, where):
    evaluate = waves(5)
    x = torch.tensor(np.random.default_rng(5).uniform(-3, 3, (ROWS, 1)))
    calls = 0

    def broken(z, rows):
        nonlocal calls
        value, slope = evaluate(z, rows)
        calls += 1
        hit = (torch.arange(ROWS) % 3 == 0) & (calls == 3)  # the second trial of every third row; first comes the start
        if where == "value":
            return torch.where(hit, bad, value), slope
        return value, torch.where(hit.unsqueeze(1), bad, slope)

    found, *_ = search(broken, x)
    third = torch.arange(ROWS) % 3 == 0
    hit = third & ~found.finite
    assert hit.any() and not found.accepted[hit].any() and (found.trials[hit] == 2).all()
    assert (found.trials[third & ~hit] == 1).all()
    clean, *_ = search(evaluate, x)
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
    start = begun(value, -slope.square().sum(1), 0 * room, room / 4, room)
    found = along(downhill, x, slope, start, Box(lower, upper))
    assert found.accepted.all() and torch.allclose(found.x, upper) and (found.x <= upper).all()
    assert torch.equal(found.step, room) and (found.trials > 1).any()
