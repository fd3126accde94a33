"""The solver: SciPy's answers on the problems of tests/problems.py, and what ``minimize`` promises of every row."""

import dataclasses
from math import inf

import numpy as np
import pytest
import torch
from problems import (
    MORE_GARBOW_HILLSTROM,
    float64,
    logistic_loss,
    logistic_regression,
    projected_gradient,
    quadratic,
    random_quadratics,
    rosenbrock,
    scipy_rows,
    starts,
)

from helpers import minimize


def as_good_as_scipy(name, record, problem, several_minimisers=False, **options):
    """Each row's value at most SciPy's + 1e-8 max(1, |f|); at most 1.2 times its iterations, all rows together."""
    result = minimize(*problem, **options)
    values, iterations, _ = scipy_rows(*problem, **options)
    excess = (result.value - values) / values.abs().clamp(min=1)
    good = excess <= 1e-8
    if several_minimisers:
        good |= (projected_gradient(problem[0], result.x, *problem[2:]) <= 1e-5) | (excess <= 1e-6)
    assert good.all(), f"{name}: row {excess.argmax()} is {excess.max():.1e} worse than SciPy's"
    mine = int(result.iterations.sum())
    record("measured", f"L-BFGS-B, {name}: {mine} iterations, SciPy {iterations}; worst excess {excess.max():.0e}")
    assert mine <= 1.2 * iterations
    assert result.converged.all() or several_minimisers  # a search in the flat valley may end in rounding
    again = problem[0](result.x, *(problem[4] if len(problem) > 4 else ()))  # in another batch than it was found in
    torch.testing.assert_close(result.value, again, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("n", [2, 10, 100])
def test_bounded_rosenbrock_as_scipy(n, record_property):
    random = np.random.default_rng(n)
    lower, upper = float64(random.uniform(-2, -1, (10, n))), float64(random.uniform(0.5, 1.5, (10, n)))
    x0 = lower + (upper - lower) * float64(random.random((10, n)))
    as_good_as_scipy(f"Rosenbrock {n}", record_property, (rosenbrock, x0, lower, upper))


def test_200_boxed_quadratics_as_scipy(record_property):
    x0, lower, upper, args = random_quadratics(200, 15, seed=0)
    assert torch.isinf(lower).any() and torch.isinf(upper).any() and (lower == upper).any()
    as_good_as_scipy("200 quadratics", record_property, (quadratic, x0, lower, upper, args))


def test_boxed_logistic_regression_as_scipy(record_property):
    problem = logistic_regression(10, 12, seed=0)
    as_good_as_scipy("logistic regression", record_property, (logistic_loss, *problem))
    w = minimize(logistic_loss, *problem).x
    assert ((w == problem[1]) | (w == problem[2])).any(1).all()  # the box matters in every row


@pytest.mark.parametrize("name", MORE_GARBOW_HILLSTROM)
def test_more_garbow_hillstrom_as_scipy(name, record_property):
    p = MORE_GARBOW_HILLSTROM[name]
    problem = (p.fun, starts(p, 4), float64(p.lower), float64(p.upper))
    # Along its curved valley Powell's function falls so slowly that both solvers stop at many places, by rounding: some
    # of SciPy's are 1e-6 lower than ours and some of ours lower than SciPy's.
    valley = {"several_minimisers": True, "ftol": 1e-13} if name == "Powell badly scaled" else {}
    as_good_as_scipy(name, record_property, problem, **valley)


def test_the_result_says_what_it_should():
    x0, lower, upper, args = random_quadratics(6, 5, seed=1)
    result = minimize(quadratic, x0, lower, upper, args)
    assert result.x.shape == (6, 5) and result.x.dtype == torch.float64 and not result.x.requires_grad
    assert result.value.shape == result.iterations.shape == result.evaluations.shape == result.converged.shape == (6,)
    assert result.converged.dtype == torch.bool and result.iterations.dtype == result.evaluations.dtype == torch.long
    assert len(result.status) == 6 and all(words.startswith("converged") for words in result.status)
    assert (result.evaluations > result.iterations).all()
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.x = x0


def test_evaluations_are_counted_for_each_row():
    x0, lower, upper, (A, b) = random_quadratics(20, 6, seed=2)
    calls = torch.zeros(20, dtype=torch.long)

    def counted(x, A, b, row):
        calls[row] += 1
        return quadratic(x, A, b)

    result = minimize(counted, x0, lower, upper, (A, b, torch.arange(20)))
    assert torch.equal(calls, result.evaluations)


def test_the_best_point_of_all_evaluations_is_returned_and_every_one_is_in_the_box():
    random = np.random.default_rng(3)
    lower, upper = torch.tensor(random.uniform(-1.1, -0.1, (200, 3))), torch.tensor(random.uniform(0.1, 1.1, (200, 3)))
    lower, upper = lower.float(), upper.float()
    seen, points, last = torch.full((200,), inf), torch.zeros(200, 3), torch.zeros(200)

    def rippled(x, row):  # ripples that mislead the search: an accepted step need not be the lowest point seen
        assert ((x >= lower[row]) & (x <= upper[row])).all()
        value = (x - 0.3).square().sum(1) + 0.02 * torch.sin(300 * x).sum(1)
        v = value.detach()
        better = v < seen[row]
        seen[row[better]], points[row[better]] = v[better], x.detach()[better]
        last[row] = v
        return value

    x0 = lower + (upper - lower) * torch.tensor(random.random((200, 3))).float()
    result = minimize(rippled, x0.clamp(lower, upper), lower, upper, (torch.arange(200),))
    assert (last > seen).any(), "the ripples misled no row: this test shows nothing"
    assert torch.equal(result.value, seen) and torch.equal(result.x, points)
    assert ((result.x >= lower) & (result.x <= upper)).all()


def test_fixed_variables_do_not_move_and_bounds_hold_exactly_in_float32():
    x0, lower, upper, args = random_quadratics(300, 8, seed=4, dtype=torch.float32)
    result = minimize(quadratic, x0, lower, upper, args)
    fixed = lower == upper
    assert fixed.any() and torch.equal(result.x[fixed], lower[fixed])
    assert ((result.x >= lower) & (result.x <= upper)).all()
    assert (result.value <= quadratic(x0, *args)).all()


def test_a_gradient_that_is_not_the_solvers_own_is_not_written_over():
    class Slanted(torch.autograd.Function):
        """x², with the gradient ``a`` as it is, which points past the minimum: some trials are not accepted."""

        @staticmethod
        def forward(ctx, x, a):
            ctx.save_for_backward(a)
            return x.square().sum(1)

        @staticmethod
        def backward(ctx, _):
            return ctx.saved_tensors[0], None

    a, x0 = torch.tensor([[1.0, -2.0], [-3.0, 0.5], [2.0, 2.0]]), torch.full((3, 2), 0.1)
    before = a.clone()
    minimize(lambda x: Slanted.apply(x, a[: len(x)]), x0, -1, 1, maxfun=9)
    assert torch.equal(a, before)
    found = minimize(lambda x: torch.where(x[:, 0] > 0.5, torch.nan, -x.sum(1)), x0, 0, 1)  # its gradient is expanded
    assert not found.converged.any()


def test_everything_fixed_has_nothing_to_do():
    x0 = torch.tensor([[0.25, 0.5]])
    result = minimize(rosenbrock, x0, x0, x0)
    assert torch.equal(result.x, x0) and result.iterations.item() == 0 and result.converged.item()


def test_bounds_may_be_none_numbers_or_anything_that_broadcasts():
    x0 = float64(np.random.default_rng(5).uniform(-0.4, 0.4, (4, 3)))
    full = minimize(rosenbrock, x0, torch.full_like(x0, -0.5), torch.full_like(x0, 0.5))
    shapes = [(), (1,), (3,), (1, 3), (4, 1), (4, 3)]
    pairs = [(float64(-0.5).expand(shape), float64(0.5).expand(shape)) for shape in shapes]
    for lower, upper in [(-0.5, 0.5), *pairs]:
        assert torch.equal(minimize(rosenbrock, x0, lower, upper).x, full.x)
    free = minimize(rosenbrock, x0)
    assert torch.equal(minimize(rosenbrock, x0, -inf, inf).x, free.x)
    assert torch.allclose(free.x, torch.ones_like(x0), atol=1e-3)
    mixed = minimize(rosenbrock, x0, -0.5, torch.full_like(x0, 0.5))
    assert torch.equal(mixed.x, full.x)
    for upper in (0.5, torch.full_like(x0[0], 0.5)):
        one_sided = minimize(rosenbrock, x0, None, upper)
        assert (one_sided.x <= 0.5).all() and torch.allclose(one_sided.value, full.value)


def broken_for_some(x, where, kind):
    """A bowl around 1; beyond ``where`` it is NaN (kind 0), infinite (1), or its gradient is infinite (2)."""
    bowl = (x - 1).square().sum(1) + 0.1 * (x - 1).pow(4).sum(1)
    beyond = x[:, 0] > where
    bowl = torch.where(beyond & (kind == 0), torch.nan, bowl)
    bowl = torch.where(beyond & (kind == 1), torch.inf, bowl)
    spike = torch.where(beyond & (kind == 2), x[:, 0] - x[:, 0].detach(), 1).sqrt()  # its slope at 0 is infinite
    return bowl + torch.where(beyond & (kind == 2), spike, 0)


def test_rows_that_turn_nan_or_infinite_stop_at_their_best_point_and_the_others_go_on():
    x0 = float64(np.random.default_rng(6).uniform(-3, 0, (12, 4)))
    x0[:, 0] = -3
    where, kind = torch.full((12,), inf, dtype=torch.float64), torch.arange(12) % 3
    where[:6] = -1.0
    result = minimize(broken_for_some, x0, None, None, (where, kind))
    assert all("NaN or infinity" in words for words in result.status[:6]) and not result.converged[:6].any()
    assert torch.isfinite(result.x).all() and torch.isfinite(result.value).all()
    start = broken_for_some(x0, where, kind)
    assert (result.value <= start).all()
    assert result.converged[6:].all()
    alone = minimize(broken_for_some, x0[6:], None, None, (where[6:], kind[6:]))
    assert torch.allclose(result.x[6:], alone.x, rtol=0, atol=1e-12)


def test_a_row_whose_start_is_nan_comes_back_as_it_was():
    def log_bowl(x):
        return (x.log() + x).sum(1)

    x0 = torch.tensor([[-1.0, 2.0], [0.5, 2.0]])
    result = minimize(log_bowl, x0, -1.0, 2.0)
    assert torch.equal(result.x[0], x0[0]) and result.value[0].isnan() and "NaN" in result.status[0]
    assert result.evaluations[0] == 1 and result.value[1].isfinite()


def test_maxiter_and_maxfun_hold_for_each_row():
    x0 = float64([[-1.2, 1.0], [1.0, 1.0], [3.0, -2.0]])
    result = minimize(rosenbrock, x0, maxiter=5)
    assert result.iterations.tolist() == [5, 0, 5]
    assert [words.startswith("stopped: maxiter") for words in result.status] == [True, False, True]
    assert result.converged.tolist() == [False, True, False]
    result = minimize(rosenbrock, x0, maxfun=6)
    assert (result.evaluations <= 6 + 20).all() and "maxfun" in result.status[0]
    result = minimize(rosenbrock, x0, maxiter=0)
    assert torch.equal(result.x, x0) and (result.iterations == 0).all() and "maxiter" in result.status[0]


def test_maxls_bounds_the_trials_of_one_iteration():
    x0 = float64([[-1.2, 1.0], [3.0, -2.0]])
    result = minimize(rosenbrock, x0, maxls=2, maxiter=30)
    assert (result.evaluations <= 1 + 2 * result.iterations).all()


@pytest.mark.parametrize("options", [{}, {"ftol": 0.0, "gtol": 0.0}], ids=["defaults", "no tolerance"])
def test_float32_ends_well_on_500_noisy_problems(options, record_property):
    x0, lower, upper, args = random_quadratics(500, 10, seed=7, dtype=torch.float32)
    lift = torch.logspace(-2, 4, 500)  # |f| far above what is left to win: rounding hides the last decreases

    def lifted(x, A, b, lift):
        return quadratic(x, A, b) + lift

    result = minimize(lifted, x0, lower, upper, (*args, lift), **options)
    abnormal = sum("line search" in words for words in result.status)
    record_property("measured", f"float32, {options or 'default tolerances'}: {abnormal} of 500 rows end abnormally")
    assert abnormal <= 5 and result.iterations.max() < 1000
    assert result.converged.sum() >= 495
    problem = (lower.double(), upper.double(), tuple(a.double() for a in args))
    exact = minimize(quadratic, x0.double(), *problem)
    excess = quadratic(result.x.double(), *problem[2]) - exact.value
    assert (excess <= 1e-4 * (exact.value.abs() + lift + 1)).all()


def test_args_stay_with_their_rows_as_rows_leave():
    rows, n = 40, 5
    tag = float64(np.arange(rows))
    steep = torch.logspace(0, 4, rows, dtype=torch.float64)  # so that rows leave at very different times
    centre = float64(np.random.default_rng(8).normal(size=(rows, n)))
    batches = set()

    def tagged(x, centre, steep, tag):
        assert torch.equal(x[:, 0], tag)
        batches.add(len(x))
        bend = torch.linspace(0, 1, n, dtype=x.dtype)
        return ((x - centre)[:, 1:].square() * steep.unsqueeze(1) ** bend[1:]).sum(1)

    lower = torch.full((rows, n), -inf, dtype=torch.float64)
    upper = -lower
    lower[:, 0] = upper[:, 0] = tag
    x0 = torch.zeros(rows, n, dtype=torch.float64)
    x0[:, 0] = tag
    result = minimize(tagged, x0, lower, upper, (centre, steep, tag), gtol=1e-8, ftol=0)
    assert len(batches) > 5
    assert torch.allclose(result.x[:, 1:], centre[:, 1:], atol=1e-6)


def test_a_row_does_not_depend_on_its_neighbours_or_its_place_and_repeats_to_the_bit():
    x0, lower, upper, (A, b) = random_quadratics(30, 8, seed=9)
    whole = minimize(quadratic, x0, lower, upper, (A, b))
    again = minimize(quadratic, x0, lower, upper, (A, b))
    for field in ("x", "value", "iterations", "evaluations"):
        assert torch.equal(getattr(whole, field), getattr(again, field))
    order = torch.as_tensor(np.random.default_rng(9).permutation(30))
    shuffled = minimize(quadratic, x0[order], lower[order], upper[order], (A[order], b[order]))
    assert torch.allclose(shuffled.x, whole.x[order], rtol=0, atol=1e-10)
    assert torch.equal(shuffled.iterations, whole.iterations[order])
    for i in range(0, 30, 3):
        one = slice(i, i + 1)
        alone = minimize(quadratic, x0[one], lower[one], upper[one], (A[one], b[one]))
        assert torch.allclose(alone.x, whole.x[one], rtol=0, atol=1e-10)
        assert torch.equal(alone.iterations, whole.iterations[one])


def test_empty_batch_and_no_variables():
    result = minimize(rosenbrock, torch.zeros(0, 4), 0.0, 1.0)
    assert result.x.shape == (0, 4) and result.value.shape == (0,) and result.status == ()
    result = minimize(lambda x: x.sum(1) + 3, torch.zeros(2, 0))
    assert result.x.shape == (2, 0) and result.value.tolist() == [3, 3] and result.converged.all()


@pytest.mark.parametrize(
    ("fun", "message"),
    [
        (lambda x: x.square().sum(1, keepdim=True), r"one value a row, shape \(3,\); it returned \(3, 1\)"),
        (lambda x: x.square().sum(), r"one value a row, shape \(3,\); it returned \(\)"),
        (lambda x: 1.0, "it returned float"),
        (lambda x: x.detach().square().sum(1), "must be differentiable"),
    ],
)
def test_a_function_that_does_not_fit_is_refused(fun, message):
    with pytest.raises(ValueError, match=message):
        minimize(fun, torch.zeros(3, 2))


def test_nothing_else_is_touched():
    weight = torch.ones(2, dtype=torch.float64, requires_grad=True)
    x0 = float64([[-1.2, 1.0]]).requires_grad_(True)
    copy = x0.detach().clone()
    with torch.no_grad():
        result = minimize(lambda x: rosenbrock(x * weight), x0)
        assert not torch.is_grad_enabled()
    assert torch.is_grad_enabled() and weight.grad is None and x0.grad is None
    assert torch.equal(x0.detach(), copy) and x0.requires_grad and not result.x.requires_grad
    assert torch.allclose(result.x, torch.ones_like(copy), atol=1e-3)
