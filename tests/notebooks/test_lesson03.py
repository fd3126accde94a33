"""Lesson 03's functions, taken out of the notebook: against SciPy, finite differences and exact arithmetic."""

import ast
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from notebook_tools import NOTEBOOKS, cells, namespace
from scipy.optimize import BFGS, approx_fprime, minimize, rosen, rosen_der, rosen_hess
from scipy.special import log_softmax

PATH = NOTEBOOKS / "03_from_gradient_descent_to_bfgs.ipynb"
C1, C2 = 1e-4, 0.9


@pytest.fixture(scope="module")
def lesson():
    return namespace(PATH, until="read_idx")  # the digit at the end defines nothing that is tested here


def random_case(rng, n):
    """A positive definite H and a pair with s'y > 0, not too badly conditioned."""
    root, (s, y) = rng.normal(size=(n, n)), rng.normal(size=(2, n))
    return root @ root.T / n + 0.5 * np.eye(n), s, y * np.sign(s @ y) + 0.2 * s


def scipy_update(s, y, kind):
    """One update of the identity by SciPy's BFGS class, which works on B ("hess") or on H ("inv_hess")."""
    strategy = BFGS(init_scale=1.0)
    strategy.initialize(len(s), kind)
    strategy.update(s, y)
    return strategy.get_matrix()


def test_scipy_is_imported_only_where_it_is_the_reference():
    imports = [
        name
        for cell in cells(PATH)
        for node in ast.walk(ast.parse(cell.source))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names])
    ]
    assert imports.count("scipy.optimize") == 1
    assert {name.split(".")[0] for name in imports} == {"matplotlib", "numpy", "helpers", "scipy", "itertools"}


def test_test_functions_equal_scipys(lesson):
    rng = np.random.default_rng(0)
    for _ in range(50):
        x = rng.normal(size=2)
        for name in ("rosenbrock", "chained_rosenbrock"):
            f, g = lesson[name](x)
            assert np.isclose(f, rosen(x)) and np.allclose(g, rosen_der(x))
        assert np.allclose(lesson["rosenbrock_hessian"](x), rosen_hess(x))
        x = rng.normal(size=9)
        f, g = lesson["chained_rosenbrock"](x)
        assert np.isclose(f, rosen(x)) and np.allclose(g, rosen_der(x))


def test_gradient_error_tells_right_from_wrong(lesson):
    rng = np.random.default_rng(1)
    for n in (1, 3, 10):
        A = rng.normal(size=(n, n))
        x = rng.normal(size=n)
        assert lesson["gradient_error"](lambda x, A=A: (np.sin(A @ x).sum(), A.T @ np.cos(A @ x)), x) < 1e-7
        wrong = lesson["gradient_error"](lambda x, A=A: (np.sin(A @ x).sum(), 1.01 * A.T @ np.cos(A @ x)), x)
        assert 0.005 < wrong < 0.02


def test_attack_objective_equals_scipys_log_softmax(lesson):
    rng = np.random.default_rng(2)
    for scale in (1, 300):
        W, b, x, r = scale * rng.normal(size=(4, 6)), rng.normal(size=4), rng.normal(size=6), rng.normal(size=6)

        def value(r, x=x, W=W, b=b):
            return 0.3 * r @ r - log_softmax(W @ (x + r) + b)[2]

        f, g = lesson["attack_objective"](r, x, 2, 0.3, W, b)
        assert np.isclose(f, value(r))
        assert np.allclose(g, approx_fprime(r, value, 1e-8), rtol=1e-4, atol=1e-4 * scale)


def test_steepest_descent_keeps_kantorovichs_bound(lesson):
    rng = np.random.default_rng(3)
    for _ in range(20):
        A, x, _ = random_case(rng, 4)
        iterates, values = lesson["steepest_descent"](A, x)
        kappa = np.linalg.cond(A)
        assert (values[1:] <= (1 + 1e-9) * ((kappa - 1) / (kappa + 1)) ** 2 * values[:-1]).all()
        gradients = iterates @ A
        cosines = np.einsum("ki,ki->k", gradients[1:], gradients[:-1])
        assert (
            np.abs(cosines / np.linalg.norm(gradients[1:], axis=1) / np.linalg.norm(gradients[:-1], axis=1)).max()
            < 1e-6
        )


def test_one_steepest_step_keeps_the_bound_in_the_norm_of_the_function(lesson):
    rng = np.random.default_rng(13)
    euclidean = []
    for _ in range(200):
        Q = np.diag(np.geomspace(1, rng.uniform(2, 100), 3))
        in_Q, in_plane, bound = lesson["step_ratios"](Q, rng.normal(size=3))
        assert in_Q <= bound
        euclidean.append(in_plane > bound)
    assert any(euclidean), "the Euclidean norm would do as well, which the lesson denies"
    in_Q, in_plane, bound = lesson["step_ratios"](np.diag([1.0, 10.0]), np.array([1.0, 0.21]))
    assert in_Q < 0.75 < 0.81 < bound < 0.83 < 0.86 < in_plane  # the lesson's example


def test_the_newton_bound_is_kept_and_is_not_idle(lesson):
    rng = np.random.default_rng(14)
    shares = []
    for _ in range(300):
        v = rng.normal(size=2)
        x = 1 + 10 ** rng.uniform(-4, -1) * v / np.linalg.norm(v)
        after = x - np.linalg.solve(rosen_hess(x), rosen_der(x))
        assert np.isclose(lesson["newton_error"](x), np.linalg.norm(after - 1), rtol=1e-4)
        shares.append(np.linalg.norm(after - 1) / lesson["newton_bound"](x))
    assert 0.4 < max(shares) <= 1


def test_smallest_curvature_equals_scipys_hessian(lesson):
    rng = np.random.default_rng(15)
    for n in (2, 5, 12):
        x = rng.normal(size=n)
        expected = np.linalg.eigvalsh(rosen_hess(x))[0]
        assert np.isclose(lesson["smallest_curvature"](lesson["chained_rosenbrock"], x), expected, rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize("n", [31, 50, 100])
def test_the_chained_function_has_a_second_minimum_beyond_30(n):
    """Not by the lesson's own code."""
    found = minimize(rosen, np.append(-1.0, np.ones(n - 1)), jac=rosen_der, hess=rosen_hess, method="trust-exact")
    assert np.isclose(found.fun, 3.98662, atol=1e-5) and np.linalg.norm(found.jac) < 1e-4
    assert np.linalg.eigvalsh(rosen_hess(found.x))[0] > 0.4


def test_secant_matrix(lesson):
    rng = np.random.default_rng(4)
    for _ in range(200):
        A, s, y = random_case(rng, rng.integers(1, 9))
        B = lesson["secant_matrix"](A, s, y)
        assert np.allclose(B @ s, y) and np.array_equal(B, B.T) and np.linalg.eigvalsh(B)[0] > 0
        assert np.allclose(lesson["secant_matrix"](np.eye(len(s)), s, y), scipy_update(s, y, "hess"))


CURVES = {
    "parabola": lambda a: ((a - 1) ** 2, 2 * (a - 1)),
    "far minimum": lambda a: ((a - 3000) ** 2, 2 * (a - 3000)),
    "near minimum": lambda a: ((a - 1e-5) ** 2, 2 * (a - 1e-5)),
    "bends down first": lambda a: (-a - a**2 + 0.02 * a**4, -1 - 2 * a + 0.08 * a**3),
    "waves": lambda a: (-np.sin(3 * a) + 0.2 * (a - 12) ** 2, -3 * np.cos(3 * a) + 0.4 * (a - 12)),
    "flat tail": lambda a: (np.exp(-a), -np.exp(-a)),
    "kink": lambda a: (np.sqrt((a - 0.3) ** 2 + 1e-6), (a - 0.3) / np.sqrt((a - 0.3) ** 2 + 1e-6)),
    "infinite beyond 0.4": lambda a: (-np.log(0.4 - a) - 9 * a, 1 / (0.4 - a) - 9) if a < 0.4 else (np.inf, np.nan),
    "NaN beyond 0.4": lambda a: (-np.log(0.4 - a) - 9 * a, 1 / (0.4 - a) - 9) if a < 0.4 else (np.nan, np.nan),
}


@pytest.mark.parametrize("scale", [1e-3, 1.0, 40.0])
@pytest.mark.parametrize("c1, c2", [(C1, C2), (0.1, 0.2), (1e-4, 0.01)])
@pytest.mark.parametrize("name", CURVES)
def test_the_line_search_finds_strong_wolfe_steps(lesson, name, c1, c2, scale):
    def fun(x):
        f, slope = CURVES[name](x[0] * scale)
        return f, np.array([slope * scale])

    x = np.zeros(1)
    (f, g), p = fun(x), np.ones(1)
    alpha, x_new, f_new, g_new = lesson["wolfe_line_search"](fun, x, f, g, p, c1, c2)
    assert np.array_equal(x_new, x + alpha * p) and f_new == fun(x_new)[0] and np.array_equal(g_new, fun(x_new)[1])
    assert f_new <= f + c1 * alpha * (g @ p) + 1e-12 * abs(f) and abs(g_new @ p) <= c2 * abs(g @ p)
    assert (x_new - x) @ (g_new - g) > 0


@pytest.mark.parametrize("name", [name for name in CURVES if not name.startswith("NaN")])
def test_bisection_finds_wolfe_steps(lesson, name):
    f0, slope0 = CURVES[name](0.0)
    alpha = lesson["bisection_search"](CURVES[name])
    f, slope = CURVES[name](alpha)
    assert alpha > 0 and f <= f0 + C1 * alpha * slope0 and slope >= C2 * slope0


def test_the_line_search_refuses_what_it_cannot_do(lesson):
    search, x, p = lesson["wolfe_line_search"], np.zeros(1), np.ones(1)
    for slope in (1.0, 0.0, np.nan):
        with pytest.raises(ValueError, match="does not go downhill"):
            search(lambda x, slope=slope: (0.0, np.array([slope])), x, 0.0, np.array([slope]), p)
    with pytest.raises(RuntimeError, match="bounded below"):
        search(lambda x: (-x[0], np.array([-1.0])), x, 0.0, np.array([-1.0]), p)
    with pytest.raises(RuntimeError, match="gradient_error"):
        search(lambda x: (x[0], np.array([-1.0])), x, 0.0, np.array([-1.0]), p)


def test_the_updates_equal_scipys(lesson):
    rng = np.random.default_rng(5)
    for _ in range(100):
        n = rng.integers(1, 12)
        _, s, y = random_case(rng, n)
        identity = np.eye(n)
        assert np.allclose(lesson["bfgs_update"](identity, s, y), scipy_update(s, y, "inv_hess"))
        assert np.allclose(lesson["dfp_update"](identity, s, y), scipy_update(y, s, "hess"))


def test_a_chain_of_updates_equals_scipys(lesson):
    rng = np.random.default_rng(6)
    n = 6
    strategy = BFGS(init_scale=1.0)
    strategy.initialize(n, "inv_hess")
    H, (A, _, _) = np.eye(n), random_case(rng, n)
    for _ in range(15):
        s = rng.normal(size=n)
        strategy.update(s, A @ s)
        H = lesson["bfgs_update"](H, s, A @ s)
        assert np.allclose(H, strategy.get_matrix(), rtol=1e-9) and np.array_equal(H, H.T)
        assert np.linalg.eigvalsh(H)[0] > 0


def test_least_change_is_feasible_and_no_feasible_matrix_is_closer(lesson):
    rng = np.random.default_rng(7)
    for n in (2, 3, 5):
        H, s, y = random_case(rng, n)
        W, _, _ = random_case(rng, n)
        root = np.linalg.cholesky(W)

        def distance(candidate, H=H, root=root):
            return np.linalg.norm(root.T @ (candidate - H) @ root)

        best = lesson["least_change"](H, s, y, W)
        assert np.allclose(best, best.T) and np.allclose(best @ y, s)
        P = np.eye(n) - np.outer(y, y) / (y @ y)  # symmetric matrices P E P vanish on y: the feasible directions
        for _ in range(50):
            E = rng.normal(size=(n, n))
            assert distance(best + 1e-3 * P @ (E + E.T) @ P) > distance(best)


def test_the_weight_does_not_matter_when_it_maps_s_to_y(lesson):
    rng = np.random.default_rng(8)
    for _ in range(20):
        H, s, y = random_case(rng, 4)
        W = lesson["secant_matrix"](random_case(rng, 4)[0], s, y)
        assert np.allclose(lesson["least_change"](H, s, y, W), lesson["bfgs_update"](H, s, y), atol=1e-7)


def test_keep_pair_never_keeps_what_exact_arithmetic_refuses(lesson):
    rng = np.random.default_rng(9)
    for _ in range(300):
        s, y = rng.normal(size=(2, 30))
        y = y - (s @ y) / (s @ s) * s
        exact = sum(Fraction(a) * Fraction(b) for a, b in zip(s.tolist(), y.tolist(), strict=True))
        assert exact > 0 or not lesson["keep_pair"](s, y)
        assert lesson["keep_pair"](s, y + 1e-10 * s) and lesson["keep_pair"](1e-30 * s, 1e20 * (y + 1e-10 * s))
    assert not lesson["keep_pair"](np.zeros(3), np.zeros(3))


@pytest.mark.parametrize("n", [1, 2, 7, 20])
def test_bfgs_finds_scipys_minimisers(lesson, n):
    rng = np.random.default_rng(n)
    A, b = rng.normal(size=(3 * n, n)), rng.normal(size=3 * n)

    def fun(x):
        z = A @ x + b
        return np.logaddexp(0, z).sum() + 0.1 * x @ x, A.T @ (1 / (1 + np.exp(-z))) + 0.2 * x

    x, trace = lesson["bfgs"](fun, np.ones(n))
    reference = minimize(fun, np.ones(n), jac=True, method="BFGS", options={"gtol": 1e-8})
    # where F is large SciPy may stop for loss of precision just above gtol: then the gradient has to be small
    assert reference.success or np.abs(reference.jac).max() < 1e-6
    assert np.abs(x - reference.x).max() < 1e-6
    assert len(trace) - 1 <= 1.3 * reference.nit + 5
    assert trace[-1]["g_norm"] <= 1e-8 and np.array_equal(trace[-1]["x"], x) and trace[0]["alpha"] is None
    assert (np.diff([entry["f"] for entry in trace]) <= 1e-11 * abs(trace[0]["f"])).all()


def test_n_updates_with_exact_searches_on_a_quadratic_give_its_inverse_hessian(lesson):
    """A classic property of BFGS, which the lesson does not use: after n exact steps H is the inverse of A."""
    rng = np.random.default_rng(10)
    for n in (2, 4, 7):
        A, x, _ = random_case(rng, n)
        H = np.eye(n)
        for _ in range(n):
            g = A @ x
            p = -H @ g
            s = -(g @ p) / (p @ A @ p) * p
            H, x = lesson["bfgs_update"](H, s, A @ s), x + s
        assert np.allclose(H, np.linalg.inv(A), atol=1e-6) and np.linalg.norm(x) < 1e-6


def test_after_k_updates_h_minus_i_has_rank_2k_for_any_pairs_and_k_plus_1_in_a_run(lesson):
    rng, n = np.random.default_rng(16), 30
    for k in (1, 2, 4, 7):
        H = np.eye(n)
        for _ in range(k):
            H = lesson["bfgs_update"](H, *random_case(rng, n)[1:])
        assert np.linalg.matrix_rank(H - np.eye(n), tol=1e-8 * np.abs(H).max()) == 2 * k

        points = [entry["x"] for entry in lesson["bfgs"](rosen_pair, rng.normal(size=n), max_iterations=k)[1]]
        H, gradients = np.eye(n), [rosen_der(x) for x in points]
        for i in range(k):
            H = lesson["bfgs_update"](H, points[i + 1] - points[i], gradients[i + 1] - gradients[i])
        assert np.linalg.matrix_rank(H - np.eye(n), tol=1e-8 * np.abs(H - np.eye(n)).max()) == k + 1
        basis = np.linalg.qr(np.array(gradients).T)[0]
        assert np.allclose(basis @ (basis.T @ (H - np.eye(n))), H - np.eye(n), atol=1e-8)


def rosen_pair(x):
    return rosen(x), rosen_der(x)


def test_bfgs_stops_at_once_at_a_minimum_and_after_the_iterations_allowed(lesson):
    assert len(lesson["bfgs"](lesson["rosenbrock"], np.ones(2))[1]) == 1
    assert len(lesson["bfgs"](lesson["rosenbrock"], np.array([-1.2, 1.0]), max_iterations=3)[1]) == 4


def test_newton_and_gradient_descent_converge(lesson):
    points = lesson["newton"](lesson["rosenbrock"], lesson["rosenbrock_hessian"], np.array([1.2, 1.2]))
    assert np.allclose(points[-1], 1, atol=1e-7)
    points = lesson["gradient_descent"](lesson["quadratic"], np.ones(4))
    assert np.allclose(points[-1], 1 / np.logspace(0, 3, 4), atol=1e-7)


def test_the_replay_holds_the_models_of_the_run(lesson):
    """B maps the last step to the change of the gradient, the first trial minimises the model, alpha leads on."""
    replay = lesson["replay"]
    assert len(replay) == len(lesson["paths"]["BFGS"]) > 30
    for old, new in pairwise(replay):
        f, g = lesson["rosenbrock"](old["x"])
        assert old["f"] == f and np.array_equal(old["g"], g)
        assert np.allclose(old["B"] @ (old["target"] - old["x"]), -g, rtol=1e-6)
        assert np.allclose(old["x"] + old["alpha"] * (old["target"] - old["x"]), new["x"], rtol=1e-9, atol=1e-12)
        s, y = new["x"] - old["x"], new["g"] - g
        assert np.allclose(new["B"] @ s, y, rtol=1e-4, atol=1e-9)
