"""Lesson 05's functions, taken out of the notebook: against dense linear algebra, brute force and SciPy."""

import re
from itertools import pairwise

import numpy as np
import pytest
from notebook_tools import NOTEBOOKS, cells, namespace
from scipy.optimize import minimize

from helpers.digits.mnist import read_idx

PATH = NOTEBOOKS / "05_the_box.ipynb"


@pytest.fixture(scope="module")
def lesson():
    return namespace(PATH, until="def slanted")


def random_model(rng, n, k, valley=0.1):
    """θ, W, M and the dense B of k pairs of a random convex quadratic; the smaller ``valley``, the narrower."""
    A = rng.normal(size=(n, n))
    A = A @ A.T / n + valley * np.eye(n)
    S = rng.normal(size=(n, k))
    Y = A @ S
    theta = (Y[:, -1] @ Y[:, -1]) / (S[:, -1] @ Y[:, -1]) if k else 1.0
    L, D = np.tril(S.T @ Y, -1), np.diag(np.diag(S.T @ Y))
    W, M = np.hstack([Y, theta * S]), np.linalg.inv(np.block([[-D, L.T], [L, theta * (S.T @ S)]]))
    return theta, W, M, theta * np.eye(n) - W @ M @ W.T


def random_box(rng, n):
    """x, g and bounds with ties (exact in binary), zero gradients, infinite bounds, fixed and blocked variables."""
    x = rng.integers(-16, 17, n) / 16
    g = np.where(rng.random(n) < 0.2, 0.0, rng.choice([-5.0, -3.0, -2.0, -1.0, 1.0, 2.0, 3.0, 7.0], n))
    t = rng.choice([0, 0.0625, 0.125, 0.25, 0.5, 1, 2], n)
    lower, upper = x - np.where(g > 0, t * g, rng.random(n)), x - np.where(g < 0, t * g, -rng.random(n))
    lower[rng.random(n) < 0.2], upper[rng.random(n) < 0.2] = -np.inf, np.inf
    fixed = rng.random(n) < 0.1
    lower[fixed] = upper[fixed] = x[fixed]
    return x, g, lower, upper


def path(x, g, lower, upper, t):
    return np.clip(x - np.expand_dims(t, -1) * g, lower, upper)


def brute_force(x, g, lower, upper, B):
    """The first t at which the model stops falling along the path: each segment from two of its points and the dense B.

    Returns t and the number of bends before it.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        bends = np.concatenate([(x - lower) / g, (x - upper) / g])
    bends = np.unique(bends[np.isfinite(bends) & (bends > 0)])
    for i, (a, b) in enumerate(zip([0.0, *bends], [*bends, np.inf], strict=True)):
        far = b if np.isfinite(b) else a + 1
        start, end = path(x, g, lower, upper, a), path(x, g, lower, upper, far)
        d = (end - start) / (far - a)
        slope, curve = d @ (g + B @ (start - x)), d @ B @ d
        if slope >= -1e-13:
            return a, i
        if a - slope / curve < b:
            return a - slope / curve, i
    raise AssertionError("the last segment has no end, so it has a minimiser")


def test_the_cauchy_point_is_that_of_brute_force_in_2000_cases(lesson):
    rng = np.random.default_rng(0)
    worst, bends, ties, zeros, infinite = 0.0, 0, 0, 0, 0
    for case in range(2000):
        n = int(rng.integers(1, 20))
        x, g, lower, upper = random_box(rng, n)
        theta, W, M, B = random_model(rng, n, min(n, case % 6))
        x_c, c, t = lesson["cauchy_point"](x, g, lower, upper, theta, W, M)
        first, bent = brute_force(x, g, lower, upper, B)
        assert np.all((lower <= x_c) & (x_c <= upper))
        assert np.abs(x_c - path(x, g, lower, upper, t)).max() < 1e-12 * (1 + t)
        worst = max(worst, abs(t - first) / (1 + first))
        scale = 1 + np.abs(x_c - x).max()
        worst = max(worst, np.abs(x_c - path(x, g, lower, upper, first)).max() / scale)
        worst = max(worst, np.abs(c - W.T @ (x_c - x)).max(initial=0.0) / (scale * (1 + np.abs(W).sum())))
        breakpoints = lesson["breakpoints"](x, g, lower, upper)
        before = breakpoints[(breakpoints > 0) & (breakpoints < first)]
        ties += len(np.unique(before)) < len(before)
        bends, zeros, infinite = (
            bends + (bent > 0),
            zeros + (g == 0).any(),
            infinite + np.isinf(breakpoints[g != 0]).any(),
        )
    assert worst < 1e-10
    assert min(bends, zeros, infinite) > 900 and ties > 300  # the cases are the hard ones


def test_the_model_falls_up_to_the_cauchy_point_and_rises_after_it(lesson):
    rng = np.random.default_rng(1)
    for _ in range(200):
        x, g, lower, upper = random_box(rng, 8)
        theta, W, M, B = random_model(rng, 8, 3)
        t = lesson["cauchy_point"](x, g, lower, upper, theta, W, M)[2]
        model = lesson["quadratic_model"](x, g, B)
        samples = model(path(x, g, lower, upper, np.linspace(0, t, 3000)))
        assert np.all(np.diff(samples) <= 1e-12 * (1 + np.abs(samples[1:])))
        assert model(path(x, g, lower, upper, t * (1 + 1e-4) + 1e-9)) >= samples[-1] - 1e-12


def test_a_cauchy_point_of_badly_scaled_gradients_stays_sound(lesson):
    rng = np.random.default_rng(2)
    for _ in range(200):
        n = 12
        x, g = rng.uniform(-1, 1, n), rng.normal(size=n) * 10.0 ** rng.integers(-8, 6, n)
        theta, W, M, B = random_model(rng, n, 4)
        lower, upper = x - rng.random(n), x + rng.random(n)
        x_c, _, t = lesson["cauchy_point"](x, g, lower, upper, theta, W, M)
        assert np.isfinite(t) and np.all((lower <= x_c) & (x_c <= upper))
        assert lesson["quadratic_model"](x, g, B)(x_c) < 0


def test_p_is_zero_exactly_at_kkt_points(lesson):
    rng = np.random.default_rng(3)
    n = 50_000
    lower, upper = rng.choice([-np.inf, -1.0, 0.5], n), rng.choice([0.5, 1.0, np.inf], n)
    x, g = np.clip(rng.choice([-2.0, 0.6, 2.0], n), lower, upper), rng.choice([-1.5, 0.0, 0.3], n)
    down = (g > 0) & (x > lower) | (g < 0) & (x < upper)  # a feasible direction in which f falls
    assert np.array_equal(lesson["projected_gradient"](x, g, lower, upper) != 0, down)


def test_the_subspace_step_is_the_dense_solve(lesson):
    rng = np.random.default_rng(4)
    for case in range(500):
        n = int(rng.integers(1, 20))
        theta, W, M, B = random_model(rng, n, min(n, case % 6))
        x, g, x_c = rng.normal(size=(3, n))
        free = rng.random(n) < 0.6
        d = lesson["subspace_step"](x, g, x_c, W.T @ (x_c - x), theta, W, M, free)
        r = (g + B @ (x_c - x))[free]
        assert not d[~free].any()
        np.testing.assert_allclose(B[np.ix_(free, free)] @ d[free], -r, atol=1e-9 * (1 + np.abs(r).max(initial=0)))


def test_without_bounds_the_step_is_that_of_dense_bfgs(lesson):
    rng = np.random.default_rng(5)
    for n, k in ((3, 2), (10, 5), (10, 10)):
        A = rng.normal(size=(n, n))
        A = A @ A.T / n + 0.1 * np.eye(n)
        pairs = [(s, A @ s) for s in rng.normal(size=(k, n))]
        s, y = pairs[-1]
        H = (s @ y) / (y @ y) * np.eye(n)
        for s, y in pairs:
            V = np.eye(n) - np.outer(y, s) / (s @ y)
            H = V.T @ H @ V + np.outer(s, s) / (s @ y)
        theta, W, M = lesson["compact"](pairs, n)
        x, g, infinite = rng.normal(size=n), rng.normal(size=n), np.full(n, np.inf)
        x_c, c, _ = lesson["cauchy_point"](x, g, -infinite, infinite, theta, W, M)
        d = lesson["subspace_step"](x, g, x_c, c, theta, W, M, np.full(n, True))
        np.testing.assert_allclose(x_c + d - x, -H @ g, rtol=1e-7, atol=1e-9 * np.abs(H @ g).max())
        np.testing.assert_allclose(lesson["two_loop"](g, pairs), H @ g, rtol=1e-9, atol=1e-11 * np.abs(H @ g).max())


def test_every_target_is_in_the_box_and_downhill(lesson):
    rng = np.random.default_rng(6)
    ways, lower, upper = [], np.zeros(2), np.ones(2)
    for _ in range(3000):
        v = rng.normal(size=2)
        B = np.outer(v, v) + rng.uniform(0.02, 0.2) * np.eye(2)  # a narrow valley
        x, g = rng.random(2), 0.5 * rng.normal(size=2)
        x_c = path(x, g, lower, upper, brute_force(x, g, lower, upper, B)[0])
        free, d = (lower < x_c) & (x_c < upper), np.zeros(2)
        d[free] = -np.linalg.solve(B[np.ix_(free, free)], (g + B @ (x_c - x))[free])
        target, how = lesson["into_the_box"](x, g, x_c, d, lower, upper)
        ways.append(how)
        assert np.all((lower <= target) & (target <= upper)) and g @ (target - x) < 0
        assert (how == "truncated") == (g @ (np.clip(x_c + d, lower, upper) - x) >= 0)
    assert 20 < ways.count("truncated") < 1000


def test_the_line_search_meets_wolfe_or_the_wall(lesson):
    rng = np.random.default_rng(7)
    walls = 0
    for _ in range(300):
        n = 4
        centre, scale = rng.normal(size=n), 10 ** rng.uniform(-2, 3, n)
        lower, upper = -np.ones(n), np.ones(n)
        x = rng.uniform(-1, 1, n)
        calls = []

        def fun(z, centre=centre, scale=scale, calls=calls):
            assert np.all(np.abs(z) <= 1)
            calls.append(z)
            w = scale * (z - centre)
            return np.log1p(w @ w), 2 * scale * w / (1 + w @ w)  # not convex

        f, g = fun(x)
        p = rng.uniform(-1, 1, n) - x
        p *= -np.sign(g @ p)
        p *= min(1.0, lesson["longest_step"](x, p, lower, upper))
        found = lesson["line_search"](fun, x, f, g, p, lower, upper)
        assert found is not None
        alpha, x_new, f_new, g_new = found
        np.testing.assert_allclose(x_new, np.clip(x + alpha * p, -1, 1), atol=1e-14)
        assert (f_new, *g_new) == (fun(x_new)[0], *fun(x_new)[1])
        assert f_new <= f + 1e-4 * alpha * (g @ p)
        at_wall = np.isclose(alpha, max(1.0, lesson["longest_step"](x, p, lower, upper)))
        walls += at_wall
        assert at_wall or abs(g_new @ p) <= 0.9 * abs(g @ p)
    assert 20 < walls < 280


def test_a_line_search_that_finds_nothing_says_so(lesson):
    x, g = np.zeros(2), np.array([1.0, 0.0])
    climbs = lambda z: (1.0 + np.abs(z).sum(), g)  # noqa: E731 - f and g contradict each other
    nan = lambda z: (np.nan, g)  # noqa: E731
    for fun in (climbs, nan):
        assert lesson["line_search"](fun, x, 1.0, g, -0.5 * g, -np.ones(2), np.ones(2)) is None


OPTIONS = {"gtol": 1e-6, "ftol": 1e-14, "maxiter": 2000, "maxfun": 20_000}


def compare(lesson, fun, x0, lower, upper):
    """Solve with both; return (iterations, SciPy's iterations, relative gap of f, distance of the solutions)."""

    def inside(x):
        assert np.all((lower <= x) & (x <= upper)), "called outside the box"
        return fun(x)

    mine = lesson["lbfgsb_with_trace"](inside, x0, lower, upper, gtol=1e-6, ftol=1e-14)
    scipys = minimize(fun, x0, jac=True, method="L-BFGS-B", bounds=np.c_[lower, upper], options=OPTIONS)
    gap = (mine["f"] - scipys.fun) / max(1.0, abs(scipys.fun))
    assert mine["f"] == fun(mine["x"])[0] and mine["g_norm"] < 1e-4
    return np.array([mine["iterations"], scipys.nit]), gap, np.abs(mine["x"] - scipys.x).max()


def test_200_boxed_quadratics_as_scipy_solves_them(lesson):
    rng = np.random.default_rng(11)
    results = [compare(lesson, *lesson["quadratic"](rng)) for _ in range(200)]
    mine, scipys = sum(count for count, _, _ in results)
    assert mine <= 1.2 * scipys
    assert max(gap for _, gap, _ in results) < 1e-8 and max(distance for *_, distance in results) < 1e-3


def rosenbrock(x):
    u, v = x[1:] - x[:-1] ** 2, 1 - x[:-1]
    g = np.zeros_like(x)
    g[1:] += 200 * u
    g[:-1] -= 400 * u * x[:-1] + 2 * v
    return 100 * (u @ u) + v @ v, g


@pytest.mark.parametrize("n", [2, 10, 100])
def test_bounded_rosenbrock_as_scipy_solves_it(lesson, n):
    even = np.arange(n) % 2 == 0
    total = np.zeros(2)
    for x0, lower, upper in (
        (np.where(even, -1.2, 0.5), np.full(n, -2.0), np.full(n, 0.5)),
        (np.full(n, 2.5), np.where(even, 1.1, -np.inf), np.full(n, np.inf)),
        (np.full(n, 3.0), np.where(even, 1.0, -100.0), np.full(n, 100.0)),
    ):
        counts, gap, distance = compare(lesson, rosenbrock, x0, lower, upper)
        total += counts
        assert gap < 1e-8 and distance < 1e-4
    assert total[0] <= 1.2 * total[1]


def test_boxed_logistic_regression_on_digits_as_scipy_solves_it(lesson):
    images, labels = read_idx("test")
    chosen = (labels == 3) | (labels == 8)
    A, sigma = images[chosen][:800], np.where(labels[chosen] == 8, 1.0, -1.0)[:800]

    def fun(w):
        margin = sigma * (A @ w)
        return np.logaddexp(0, -margin).mean() + 5e-3 * (w @ w), -A.T @ (sigma / (1 + np.exp(margin))) / 800 + 1e-2 * w

    counts, gap, distance = compare(lesson, fun, np.zeros(784), np.full(784, -0.1), np.full(784, 0.1))
    assert counts[0] <= 1.2 * counts[1] and gap < 1e-8 and distance < 1e-3


def test_the_best_point_is_returned_when_the_run_ends_badly(lesson):
    rng = np.random.default_rng(8)
    C, b = rng.normal(size=(60, 20)), rng.normal(size=60)
    values = []

    def kinks(x):
        values.append(np.abs(C @ x - b).sum())
        return values[-1], C.T @ np.sign(C @ x - b)

    result = lesson["lbfgsb_with_trace"](kinks, np.full(20, 0.5), np.zeros(20), np.ones(20), ftol=0.0)
    assert (
        result["status"] in ("line search", "ftol")
        and sum(value > min(values[: k + 1]) for k, value in enumerate(values)) > 20
    )
    assert result["f"] == min(values) == np.abs(C @ result["x"] - b).sum()
    assert result["evaluations"] == len(values)


def test_a_function_that_turns_nan_leaves_a_finite_answer(lesson):
    def fun(x):
        return (np.nan, x) if x[0] > 0.5 else ((x[0] - 1) ** 2, np.array([2 * (x[0] - 1)]))

    result = lesson["lbfgsb_with_trace"](fun, np.zeros(1), np.zeros(1), np.ones(1))
    assert 0.4 < result["x"][0] <= 0.5 and np.isfinite(result["f"])


@pytest.mark.parametrize("value, slope", [(np.nan, 1.0), (np.inf, 1.0), (1.0, np.nan)])
def test_a_start_without_a_value_or_a_gradient_is_refused(lesson, value, slope):
    with pytest.raises(ValueError, match="not finite at x0"):
        lesson["lbfgsb"](lambda x: (value, slope + x), np.zeros(2), np.zeros(2), np.ones(2))


def test_a_function_may_reuse_its_array_for_the_gradient(lesson):
    buffer, x0 = np.empty(10), np.full(10, -1.0)

    def reusing(x):
        f, buffer[:] = rosenbrock(x)
        return f, buffer

    once, again = (lesson["lbfgsb_with_trace"](fun, x0, 2 * x0, -2 * x0) for fun in (rosenbrock, reusing))
    assert again["evaluations"] == once["evaluations"] and np.array_equal(again["x"], once["x"])
    assert any(step.get("stored") for step in again["trace"])


@pytest.mark.parametrize("f_unit, x_unit", [(1.0, 1.0), (1e18, 1.0), (1.0, 1e-9)])
def test_the_test_for_pairs_does_not_depend_on_units(lesson, f_unit, x_unit):
    rng, n = np.random.default_rng(9), 8
    Q, a = np.linalg.qr(rng.normal(size=(n, n)))[0], rng.normal(size=n)
    A = Q * np.geomspace(0.1, 10, n) @ Q.T

    def fun(x):
        z = x / x_unit - a
        return f_unit * (z @ A @ z) / 2, f_unit / x_unit * (A @ z)

    far = np.full(n, np.inf)
    result = lesson["lbfgsb_with_trace"](fun, np.zeros(n), -far, far, gtol=0.0, ftol=0.0, max_iterations=60)
    steps = [step for step in result["trace"] if step.get("alpha")]
    assert sum(step["stored"] for step in steps[:5]) == 5


def test_corners_of_the_interface(lesson):
    bowl = lambda x: (float(x @ x), 2 * x)  # noqa: E731
    solve = lesson["lbfgsb_with_trace"]
    outside = solve(bowl, np.full(3, 5.0), np.ones(3), np.full(3, 2.0))
    assert np.array_equal(outside["x"], np.ones(3)) and outside["status"] == "gtol"
    fixed = solve(bowl, np.ones(3), np.ones(3), np.ones(3))
    assert fixed["iterations"] == 0 and fixed["evaluations"] == 1
    stopped = solve(rosenbrock, np.full(4, -1.0), np.full(4, -2.0), np.full(4, 2.0), max_iterations=3)
    assert stopped["iterations"] == 3 and stopped["status"] == "max_iterations"
    loose = solve(rosenbrock, np.full(4, -1.0), np.full(4, -2.0), np.full(4, 2.0), gtol=0.0, ftol=1e-2)
    assert loose["status"] == "ftol"


def test_the_trace_can_be_stepped_through(lesson):
    lower, upper = np.array([-1.5, -0.5]), np.array([0.6, 1.6])
    result = lesson["lbfgsb_with_trace"](rosenbrock, np.array([-1.2, 1.2]), lower, upper, gtol=1e-8, ftol=0.0)
    trace = result["trace"]
    assert len(trace) == result["iterations"] + 1 and trace[-1]["evaluations"] == result["evaluations"]
    assert set(trace[-1]) == {"x", "f", "g", "g_norm", "theta", "W", "M", "evaluations"}
    described = set(re.findall(r"`([a-zA-Z_]+)`", next_markdown("### What the trace holds")))
    assert set(trace[0]) <= described
    for step, following in pairwise(trace):
        assert set(step) == set(trace[0])
        B = step["theta"] * np.eye(2) - step["W"] @ step["M"] @ step["W"].T
        assert np.linalg.eigvalsh(B).min() > 0
        for point in ("x", "cauchy", "target"):
            assert np.all((lower <= step[point]) & (step[point] <= upper))
        assert np.array_equal(step["free"], (lower < step["cauchy"]) & (step["cauchy"] < upper))
        moved = np.clip(step["x"] + step["alpha"] * (step["target"] - step["x"]), lower, upper)
        np.testing.assert_allclose(following["x"], moved, atol=1e-15)
        gradient = step["g"] + B @ (step["subspace"] - step["x"])
        assert np.abs(gradient[step["free"]]).max(initial=0.0) < 1e-6 * (1 + np.abs(step["g"]).max())


def next_markdown(text):
    import nbformat

    return next(cell.source for cell in nbformat.read(PATH, as_version=4).cells if text in cell.source)


def test_clipping_fails_and_l_bfgs_b_does_not(lesson):
    rng = np.random.default_rng(12)
    problems = [lesson["quadratic"](rng) for _ in range(40)]
    for direction in ("clip_only", "zero_blocked"):
        ends = [lesson["clipped_descent"](*problem, lesson[direction])[-1]["g_norm"] for problem in problems]
        assert sum(end > 1e-4 for end in ends) > 30
    assert all(lesson["lbfgsb_with_trace"](*problem, gtol=1e-6, ftol=0.0)["g_norm"] < 1e-4 for problem in problems)


def test_it_is_about_150_lines():
    source = "\n".join(cell.source for cell in cells(PATH) if "exercise" not in cell.metadata.get("tags", []))
    parts = (
        "projected_gradient breakpoints compact cauchy_point subspace_step longest_step into_the_box between "
        "first_trial line_search Best lbfgsb_with_trace"
    )
    lines = 0
    for part in parts.split():
        block = re.search(rf"^(?:def|class) {part}\b.*?(?=^[^\s)]|\Z)", source, flags=re.DOTALL | re.MULTILINE).group()
        body = re.sub(r'""".*?"""', "", block, flags=re.DOTALL)
        lines += sum(bool(line.strip()) and not line.strip().startswith("#") for line in body.splitlines())
    assert 140 <= lines <= 160, lines


FAR = np.full(5, np.inf)
STEEP = {
    "x^4": (lambda x: ((x**4).sum(), 4 * x**3), 1e6),
    "cosh": (lambda x: (np.cosh(x).sum(), np.sinh(x)), 30.0),
    "exp x^2": (lambda x: (np.exp(x**2).sum(), 2 * x * np.exp(x**2)), 5.0),
}


@pytest.mark.parametrize("name", STEEP)
@pytest.mark.parametrize("lower", [-FAR, np.full(5, -1.0), np.full(5, 0.5)], ids=["free", "minimum inside", "at bound"])
def test_steep_functions_as_scipy_solves_them(lesson, name, lower):
    fun, size = STEEP[name]
    for x0 in (np.full(5, size), np.linspace(0.7, 1, 5) * size):
        mine = lesson["lbfgsb_with_trace"](fun, x0, lower, FAR)
        scipys = minimize(fun, x0, jac=True, method="L-BFGS-B", bounds=np.c_[lower, FAR])
        assert mine["g_norm"] <= 1e-5 and mine["evaluations"] <= 2 * scipys.nfev


@pytest.mark.parametrize("lift", [1.0, 1e8])
def test_a_large_constant_costs_nothing(lesson, lift):
    rng = np.random.default_rng(13)
    counts, worst = np.zeros(2), 0.0
    for fun, x0, lower, upper in (lesson["quadratic"](rng) for _ in range(60)):
        lifted = lambda x, fun=fun: (fun(x)[0] + lift, fun(x)[1])  # noqa: E731
        mine = lesson["lbfgsb_with_trace"](lifted, x0, lower, upper, ftol=0.0)
        scipys = minimize(lifted, x0, jac=True, method="L-BFGS-B", bounds=np.c_[lower, upper], options={"ftol": 0.0})
        counts += mine["evaluations"], scipys.nfev
        left = np.abs(np.clip(scipys.x - fun(scipys.x)[1], lower, upper) - scipys.x).max()
        worst = max(worst, mine["g_norm"] / max(left, 1e-5))
    assert counts[0] <= 1.25 * counts[1] and worst < 5


def test_badly_scaled_quartics_do_not_stick(lesson):
    rng = np.random.default_rng(14)
    stuck, counts = np.zeros(2, int), np.zeros(2)
    for _ in range(60):
        n = int(rng.integers(1, 10))
        Q, weight, centre = np.linalg.qr(rng.normal(size=(n, n)))[0], 10 ** rng.uniform(-2, 6, n), rng.normal(size=n)
        G = Q * 10 ** rng.uniform(-3, 3, n) @ Q.T

        def fun(x, G=G, weight=weight, centre=centre):
            z = x - centre
            return z @ G @ z / 2 + (weight * z**4).sum(), G @ z + 4 * weight * z**3

        lower, upper = centre - np.where(rng.random(n) < 0.3, 0.5, np.inf), np.full(n, np.inf)
        x0 = np.clip(centre + 10 ** rng.uniform(0, 5) * rng.normal(size=n), lower, upper)
        mine = lesson["lbfgsb_with_trace"](fun, x0, lower, upper)
        always_1 = lesson["lbfgsb_with_trace"](fun, x0, lower, upper, trial=lambda *_: 1.0)
        scipys = minimize(fun, x0, jac=True, method="L-BFGS-B", bounds=np.c_[lower, upper])
        stuck += mine["f"] > 1e-2, always_1["f"] > 1e-2
        counts += mine["evaluations"], scipys.nfev
    assert stuck[0] == 0 and stuck[1] > 10  # the second: what a first trial of 1 would do
    assert counts[0] <= 1.25 * counts[1]


def test_a_nan_gradient_is_not_accepted(lesson):
    def fun(x):
        z = x - 2.0
        return z @ z, np.full(2, np.nan) if x[0] > 1.2 else 2 * z

    for upper in (np.full(2, 3.0), np.full(2, np.inf)):
        result = lesson["lbfgsb_with_trace"](fun, np.zeros(2), np.full(2, -3.0), upper)
        assert 0.5 < result["x"][0] <= 1.2 and np.isfinite(result["g_norm"])


def test_a_flat_direction_does_not_send_the_walk_backwards(lesson):
    rng = np.random.default_rng(15)
    for _ in range(200):
        flat, steep = np.linalg.qr(rng.normal(size=(6, 2)))[0].T
        theta, W, M = lesson["compact"]([(flat, 1e-20 * flat), (steep, steep)], 6)
        x_c, _, t = lesson["cauchy_point"](np.zeros(6), -flat, -np.ones(6), np.ones(6), theta, W, M)
        assert t > 0 and flat @ x_c > 0
