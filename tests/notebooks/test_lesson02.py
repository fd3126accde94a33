"""The functions that lesson 02 defines, taken from the notebook and tested against independent references."""

import math

import numpy as np
import pytest
from notebook_tools import NOTEBOOKS, namespace
from scipy.optimize import linprog, minimize
from scipy.spatial import ConvexHull
from scipy.special import logsumexp


@pytest.fixture(scope="module")
def lesson():
    return namespace(NOTEBOOKS / "02_from_constraint_to_penalty.ipynb")


def value_and_gradient(lesson, x, target, c, beta):
    """c |u - x|² + CE(beta z(u), target) / beta, written independently of the lesson."""
    A, b = lesson["A"], lesson["b"]

    def function(u):
        z = beta * (A @ u + b)
        p = np.exp(z - logsumexp(z))
        p[target] -= 1
        return c * (u - x) @ (u - x) + (logsumexp(z) - z[target]) / beta, p @ A + 2 * c * (u - x)

    return function


def test_log_sum_exp(lesson):
    z = np.random.default_rng(0).normal(scale=300, size=(50, 7))
    assert lesson["log_sum_exp"](z) == pytest.approx(logsumexp(z, axis=1))
    assert lesson["softmax"](z).sum(axis=1) == pytest.approx(1)


@pytest.mark.parametrize("c", [0.05, 0.5, 5.0])
@pytest.mark.parametrize("beta", [1.0, 16.0])
def test_the_stand_in_solver_finds_scipys_minimisers(lesson, c, beta):
    X, goals = lesson["X"][:3], lesson["goals"][:3]
    ours = lesson["attack"](X, goals, np.full(3, c), beta)
    for x, goal, r in zip(X, goals, ours, strict=True):
        function = value_and_gradient(lesson, x, goal, c, beta)
        options = {"maxiter": 5000, "maxfun": 10_000, "ftol": 1e-15, "gtol": 1e-9}
        theirs = minimize(function, x, jac=True, method="L-BFGS-B", bounds=[(0, 1)] * 784, options=options)
        assert 0 <= (x + r).min() and (x + r).max() <= 1
        assert function(x + r)[0] <= theirs.fun + 1e-9
        assert x + r == pytest.approx(theirs.x, abs=2e-4)


def test_rows_do_not_influence_each_other(lesson):
    X, goals, c = lesson["X"][:4], lesson["goals"][:4], np.array([0.1, 0.3, 1.0, 3.0])
    together = lesson["attack"](X, goals, c)
    for i in range(4):
        alone = lesson["attack"](X[i : i + 1], goals[i : i + 1], c[i : i + 1])[0]
        assert together[i] == pytest.approx(alone, abs=1e-6)


def test_closest_satisfies_the_optimality_conditions(lesson):
    """KKT by a linear programme: r plus the box's multipliers is a nonnegative mix of the active planes' normals."""
    A, b = lesson["A"], lesson["b"]
    for x, goal, r in list(zip(lesson["X"], lesson["goals"], lesson["exact"], strict=True))[:6]:
        a, d = np.delete(A[goal] - A, goal, axis=0), np.delete(b[goal] - b, goal)
        slack = a @ (x + r) + d
        assert slack.min() > -1e-8
        active, u = slack < 1e-6, x + r
        mix = a[active].T
        free, low, high = (u > 1e-9) & (u < 1 - 1e-9), u <= 1e-9, u >= 1 - 1e-9
        # minimise the largest violation of: r = mix mu on free pixels, r >= mix mu at 0, r <= mix mu at 1
        one = np.ones((784, 1))
        rows = np.vstack([np.hstack([mix, -one])[free | low], np.hstack([-mix, -one])[free | high]])
        found = linprog(np.append(np.zeros(active.sum()), 1.0), rows, np.concatenate([r[free | low], -r[free | high]]))
        assert found.success and found.fun < 1e-6


def test_lower_hull_is_qhulls(lesson):
    rng = np.random.default_rng(3)
    for _ in range(20):
        x, y = np.sort(rng.uniform(size=40)), rng.uniform(size=40)
        corners = lesson["lower_hull"](x, y)
        hull = ConvexHull(np.stack([x, y], axis=1))
        below = {
            int(v)
            for simplex, (_, ny, _) in zip(hull.simplices, hull.equations, strict=True)
            if ny < 0
            for v in simplex
        }
        assert set(corners.tolist()) == below


def test_closest_success_agrees_with_a_scan_of_prices(lesson):
    """The hull's answer against the definition: the best over many prices."""
    R, V = lesson["R"], lesson["V"]
    for power in (1, 2, 4):
        picks = np.array([np.argmin(c * R**power + V) for c in np.geomspace(0.05, 50, 3000)])
        best = R[picks][V[picks] < math.log(2)].min()
        assert lesson["closest_success"](power) <= best
        assert lesson["closest_success"](power) == pytest.approx(best, abs=3e-3)


def test_small_descent_follows_the_gradient(lesson):
    """Its end points are stationary: no feasible direction lowers c |r|² + loss (finite differences)."""
    cs = np.array([0.05, 1.0, 5.0])
    _, _, ends = lesson["small_descent"](cs, steps=20_000)
    start, network = lesson["start"], lesson["small_network"]

    def objective(u, c):
        return c * ((u - start) ** 2).sum() + np.logaddexp(0, -network(u))

    for end, c in zip(ends, cs, strict=True):
        steps = 1e-5 * np.vstack([np.eye(2), -np.eye(2)])
        around = [objective(np.clip(end + step, 0, 1), c) for step in steps]
        assert min(around) > objective(end, c) - 1e-9


def test_flat_path_minimises_on_the_grid(lesson):
    cs = np.array([0.3, 3.0])
    u, v, z = lesson["plane"](lambda p: p @ lesson["flat_A"].T + lesson["flat_b"], points=501)
    loss = logsumexp(z, axis=-1) - z[..., lesson["flat_target"]]
    for point, c in zip(lesson["flat_path"](cs), cs, strict=True):
        objective = c * ((u - lesson["flat_x"][0]) ** 2 + (v - lesson["flat_x"][1]) ** 2) + loss
        at = np.unravel_index(objective.argmin(), objective.shape)
        assert point == pytest.approx([u[at], v[at]], abs=4e-3)


@pytest.mark.parametrize("factor", [0.3, 1.0, 1.7])
def test_the_hinges_minimiser_is_scipys(lesson, factor):
    """min c |r|² + t over the box with t >= 0 and t >= z_j - z_l: SLSQP knows nothing of multipliers or caps."""
    A, b = lesson["A"], lesson["b"]
    x, goal, c = lesson["X"][1], lesson["goals"][1], factor * lesson["c_star"][1]
    a, d = np.delete(A[goal] - A, goal, axis=0), np.delete(b[goal] - b, goal)
    ours = lesson["closest"](x[None], np.array([goal]), 1 / c)[0][0]
    slope = np.hstack([a, np.ones((9, 1))])
    theirs = minimize(
        lambda v: (c * v[:-1] @ v[:-1] + v[-1], np.append(2 * c * v[:-1], 1)),
        np.append(np.zeros(784), 10.0),
        jac=True,
        method="SLSQP",
        bounds=[*np.stack([-x, 1 - x], axis=1), (0, None)],
        constraints={"type": "ineq", "fun": lambda v: a @ (x + v[:-1]) + d + v[-1], "jac": lambda v: slope},
        options={"ftol": 1e-13, "maxiter": 300},
    )
    assert theirs.success and ours == pytest.approx(theirs.x[:-1], abs=2e-4)
    hinge = max(0.0, -(a @ (x + ours) + d).min())
    assert c * ours @ ours + hinge <= theirs.fun + 1e-8
    assert (hinge > 1e-3) == (factor > 1)


def test_downhill_ends_are_where_single_steps_lead(lesson):
    rng = np.random.default_rng(4)
    R = lesson["R"]
    for _ in range(5):
        F = np.convolve(rng.normal(size=R.size + 999), np.ones(1000), mode="valid")  # many local minima
        ends = lesson["downhill_ends"](F)
        for i in rng.integers(R.size, size=20):
            k = i
            right = k + 1 < R.size and F[k + 1] < F[k]
            step = 1 if right else -1
            while 0 <= k + step < R.size and F[k + step] < F[k]:
                k += step
            assert ends[i] == R[k]


def test_the_certificate_never_exceeds_the_optimum_even_far_from_a_minimiser(lesson):
    rng, X, goals = np.random.default_rng(5), lesson["X"], lesson["goals"]
    for beta in (1, 16):
        for scale in (0.0, 0.01, 0.1):
            c = lesson["c_star"] * rng.uniform(0.2, 3, size=40)
            r = lesson["attack"](X, goals, c, beta) + scale * rng.normal(size=X.shape)
            r = np.clip(X + r, 0, 1) - X
            assert (lesson["certificate"](X, goals, c, beta, r) <= lesson["best_known"] ** 2 + 1e-9).all()


def test_capped_multipliers_keep_to_the_cap(lesson):
    """From outside: the capped climb keeps mu >= 0 and sum(mu) <= cap, and puts all weight on the worst rivals."""
    caps = 0.4 * lesson["mu"].sum(axis=1)
    _, slack, nu = lesson["closest"](lesson["X"], lesson["goals"], caps)
    assert nu.min() >= 0 and nu.sum(axis=1) == pytest.approx(caps)
    worst = slack.min(axis=1, keepdims=True)
    assert nu[slack > worst + 1e-3].max() < 1e-6  # all weight is on the rivals that are furthest ahead


def test_the_lessons_claims(lesson):
    """The numbers that the prose leans on, with room for another machine's rounding."""
    ratios = [(lesson["found"][beta][0] / lesson["best_known"]).mean() for beta in (1, 4, 16, 64)]
    assert 1.02 < ratios[0] < 1.035 and ratios[0] > ratios[1] > ratios[2] > ratios[3] > 1 and ratios[3] < 1.0005
    assert 60 < (ratios[0] - 1) / (ratios[3] - 1) < 150  # "about a hundred times closer"
    for beta, ratio in zip((1, 4, 16, 64), ratios, strict=True):
        bound = math.log(5) / (beta * lesson["found"][beta][2]) / lesson["best_known"] ** 2
        assert 14 < (np.sqrt(1 + bound).mean() - 1) / (ratio - 1) < 31  # "fifteen to thirty times smaller"
    assert lesson["closest_success"](1) / lesson["answer"] > 1.5
    assert lesson["closest_success"](2) == pytest.approx(lesson["answer"])
    assert lesson["runs"] == [1, 0, 1, 0]


def test_the_claims_about_bounds_and_hulls(lesson):
    """What the prose says of the proved bound's fall, of the certificate at the search's own price and of the hulls."""
    excess, bound, own = {}, {}, {}
    for beta in (1, 64):
        length, r, c = lesson["found"][beta]
        excess[beta] = (length / lesson["best_known"]).mean() - 1
        bound[beta] = np.sqrt(1 + math.log(5) / (beta * c) / lesson["best_known"] ** 2).mean() - 1
        proved = np.maximum(lesson["certificate"](lesson["X"], lesson["goals"], c, beta, r), 0)
        own[beta] = (np.sqrt(proved) / lesson["best_known"]).mean()
    assert excess[1] / excess[64] == pytest.approx(95, abs=10)  # "about 95 times"
    assert bound[1] / bound[64] == pytest.approx(50, abs=5)  # "the bound about 50 times"
    assert own[1] == pytest.approx(0.5, abs=0.03)  # "about 50% of the length"
    assert lesson["proved"][1].max(axis=0).mean() == pytest.approx(0.71, abs=0.03)
    assert lesson["distortions"][-1] / lesson["distortions"][np.argmax(lesson["wins"])] == pytest.approx(2.9, abs=0.05)

    R, V, hull = lesson["R"], lesson["V"], lesson["lower_hull"]
    assert set(hull(R, 2 * V)) == set(hull(R, V))  # a multiple changes no hull
    assert set(hull(R, np.tanh(V))) < set(hull(R, V)) < set(hull(R, np.exp(2 * V)))


def test_a_rebound_fails_everetts_test_but_no_minimiser_does(lesson):
    R, rebound, solves = lesson["R"], lesson["rebound"], lesson["solves_its_problem"]
    assert all(solves(np.argmin(c * R + rebound)) for c in np.geomspace(0.01, 20, 40))
    assert not any(solves(k) for k in np.flatnonzero((R > 0.52) & (R < 0.6)))
