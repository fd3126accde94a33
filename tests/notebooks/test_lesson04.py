"""Lesson 04's functions, taken out of the notebook: against dense BFGS, SciPy and finite differences."""

import ast
import re
from itertools import pairwise

import nbformat
import numpy as np
import pytest
from notebook_tools import NOTEBOOKS, cells, namespace
from scipy.optimize import approx_fprime, minimize, rosen, rosen_der

PATH = NOTEBOOKS / "04_l_bfgs.ipynb"


@pytest.fixture(scope="module")
def lesson():
    return namespace(PATH)


def random_pairs(rng, n, m):
    A = rng.normal(size=(n, n))
    A = A @ A.T / n + 0.05 * np.eye(n)
    pairs = []
    for _ in range(m):
        s = rng.normal(size=n) * 10 ** rng.uniform(-4, 1)
        pairs.append((s, A @ s + rng.uniform(0, 0.5) * s))
    return pairs


def product_form(pairs, gamma, n):
    """H by the update in its product form, V' H V + rho s s', which the notebook's bfgs_update does not use."""
    H = gamma * np.eye(n)
    for s, y in pairs:
        rho = 1 / (s @ y)
        V = np.eye(n) - rho * np.outer(y, s)
        H = V.T @ H @ V + rho * np.outer(s, s)
    return H


@pytest.mark.parametrize("name", ["two_loop", "apply_h"])
def test_products_with_h_equal_dense_bfgs(lesson, name):
    rng = np.random.default_rng(1)
    for _ in range(200):
        n, m = rng.integers(1, 30), rng.integers(0, 12)
        pairs, gamma, q = random_pairs(rng, n, m), rng.uniform(0.01, 10), rng.normal(size=n)
        H = product_form(pairs, gamma, n)
        error = np.linalg.norm(lesson[name](q, pairs, gamma) - H @ q)
        assert error < 1e-12 * np.linalg.norm(H, 2) * np.linalg.norm(q)


def test_with_full_memory_it_is_bfgs_at_every_iterate_of_a_run(lesson):
    x0 = np.array([-1.2, 1.0, -0.5, 0.8, 1.5, -1.0])
    points = [x0]
    minimize(
        rosen, x0, jac=rosen_der, method="BFGS", callback=lambda x: points.append(x.copy()), options={"gtol": 1e-6}
    )
    assert len(points) > 30
    pairs = []
    for x, x_new in pairwise(points):
        pairs.append((x_new - x, rosen_der(x_new) - rosen_der(x)))
        wanted = product_form(pairs, 1.0, 6) @ rosen_der(x_new)
        found = lesson["two_loop"](rosen_der(x_new), pairs, 1.0)
        assert np.linalg.norm(found - wanted) < 1e-12 * np.linalg.norm(wanted)


def test_the_unrolled_sum_and_the_updates(lesson):
    rng = np.random.default_rng(2)
    for m in range(6):
        pairs = random_pairs(rng, 7, m)
        H = product_form(pairs, 0.3, 7)
        for name in ("unrolled_h", "dense_h"):
            assert np.allclose(lesson[name](pairs, 0.3, 7), H, rtol=1e-10, atol=1e-12 * np.abs(H).max())


def test_two_loop_leaves_its_arguments_alone(lesson):
    pairs, q = random_pairs(np.random.default_rng(3), 5, 3), np.ones(5)
    before = [(s.copy(), y.copy()) for s, y in pairs]
    lesson["two_loop"](q, pairs, 1.0)
    assert (q == 1).all()
    assert all((s == a).all() and (y == b).all() for (s, y), (a, b) in zip(pairs, before, strict=True))


def test_the_compact_form_equals_dense_bfgs(lesson):
    rng = np.random.default_rng(4)
    for _ in range(200):
        n = int(rng.integers(2, 40))
        m, theta = int(rng.integers(1, min(n, 12) + 1)), rng.uniform(0.1, 10)
        pairs = random_pairs(rng, n, m)
        W, M = lesson["compact"](*lesson["stack"](pairs), theta)
        H = product_form(pairs, 1 / theta, n)
        B = theta * np.eye(n) - W @ M @ W.T
        assert np.abs(B @ H - np.eye(n)).max() < 1e-10 * np.linalg.cond(H)
        dense = lesson["dense_b"](pairs, theta, n)
        assert np.abs(B - dense).max() < 1e-10 * np.abs(dense).max()
        values = np.linalg.eigvalsh(M)
        assert (values < 0).sum() == (values > 0).sum() == m


def test_the_middle_system_by_one_cholesky_factorisation(lesson):
    rng = np.random.default_rng(5)
    for m in (1, 2, 5, 10):
        S, Y = lesson["stack"](random_pairs(rng, 30, m))
        v = rng.normal(size=2 * m)
        SY, theta = S.T @ Y, 0.7
        lower = np.tril(SY, -1)
        K = np.block([[-np.diag(np.diag(SY)), lower.T], [lower, theta * S.T @ S]])
        assert np.allclose(lesson["middle"](S, Y, theta), K, rtol=1e-12, atol=0)
        found = lesson["solve_middle"](S, Y, theta, v)
        assert np.linalg.norm(K @ found - v) < 1e-8 * np.linalg.norm(v)


def test_lbfgs_finds_scipys_minimiser_with_a_comparable_number_of_calls(lesson, record_property):
    rng = np.random.default_rng(6)
    ratios = []
    for _ in range(20):
        n = int(rng.integers(2, 60))
        basis = np.linalg.qr(rng.normal(size=(n, n)))[0]
        A, b = basis * np.geomspace(1, 10 ** rng.uniform(0, 3), n) @ basis.T, rng.normal(size=n)

        def fun(x, A=A, b=b):
            return x @ A @ x / 2 - b @ x + np.logaddexp(0, x).sum(), A @ x - b + 1 / (1 + np.exp(-x))

        x0 = rng.normal(size=n)
        ours, theirs = lesson["Counted"](fun), lesson["Counted"](fun)
        x, trace = lesson["lbfgs"](ours, x0, gtol=1e-6)
        options = {"maxcor": 10, "gtol": 1e-6, "ftol": 0}
        reference = minimize(theirs, x0, jac=True, method="L-BFGS-B", options=options)
        assert trace[-1]["g_norm"] <= 1e-6 and np.abs(x - reference.x).max() < 1e-5
        ratios.append(ours.calls / theirs.calls)
    record_property(
        "measured", f"lesson 04: L-BFGS takes {np.mean(ratios):.2f} times the calls of SciPy's, 20 problems"
    )
    assert np.mean(ratios) < 1.2 and max(ratios) < 2


def test_the_trace_tells_what_happened(lesson):
    x, trace = lesson["lbfgs"](lesson["chained_rosenbrock"], np.full(4, -1.0))
    assert (x == trace[-1]["x"]).all() and trace[0]["alpha"] is None
    assert trace[-1]["g_norm"] <= 1e-8 < trace[-2]["g_norm"]
    assert all(new["f"] <= old["f"] and new["alpha"] > 0 for old, new in pairwise(trace))
    assert len(lesson["lbfgs"](lesson["chained_rosenbrock"], np.full(4, -1.0), max_iterations=3)[1]) == 4
    assert len(lesson["lbfgs"](lesson["bowl"], np.zeros(30))[1]) == 1, "a start at the minimum is the end"


@pytest.mark.parametrize("name, n", [("chained_rosenbrock", 7), ("quadratic", 100), ("digits", 784), ("bowl", 30)])
def test_values_and_gradients_belong_together(lesson, name, n):
    x = np.random.default_rng(7).normal(size=n) * 0.3
    slopes = approx_fprime(x, lambda z: lesson[name](z)[0], 1e-7)
    g = lesson[name](x)[1]
    assert np.abs(slopes - g).max() < 1e-4 * np.abs(g).max()


def test_the_chain_is_rosenbrocks_function(lesson):
    x = np.random.default_rng(8).normal(size=9)
    f, g = lesson["chained_rosenbrock"](x)
    assert np.isclose(f, rosen(x)) and np.allclose(g, rosen_der(x))


def test_the_surprise_is_measured_with_the_matrix_that_proposed_the_step(lesson):
    trace = lesson["lbfgs"](lesson["bowl"], np.ones(30), m=4, max_iterations=12)[1]
    pairs, found = lesson["pairs_of"](lesson["bowl"], trace), lesson["surprise"](lesson["bowl"], trace)
    for k in range(1, len(pairs)):
        s, y = pairs[k - 1]
        H = product_form(pairs[max(0, k - 4) : k], (s @ y) / (y @ y), 30)
        s, y = pairs[k]
        assert np.isclose(found[k], np.linalg.norm(y - np.linalg.solve(H, s)) / np.linalg.norm(y), rtol=1e-6)


def definitions(path):
    """The source of each function and class that the notebook defines at top level, the last one of each name."""
    found = {}
    for cell in cells(path):
        for node in ast.parse(cell.source).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                node.decorator_list = []  # a solution bears @checks.reference, its copy does not
                found[node.name] = ast.dump(node)
    return found


@pytest.mark.parametrize("name", ["wolfe_line_search", "bfgs_update", "keep_pair", "bfgs", "Counted"])
def test_what_is_repeated_from_lesson_03_is_lesson_03s(name):
    lesson_03 = next(NOTEBOOKS.glob("03_*.ipynb"))
    assert definitions(PATH)[name] == definitions(lesson_03)[name]


@pytest.mark.parametrize("m", [1, 2, 99])
def test_the_models_of_a_run_are_those_of_its_pairs(lesson, m):
    fun = lesson["chained_rosenbrock"]
    steps = lesson["with_models"](fun, np.array([-1.2, 1.0]), m)
    pairs = lesson["pairs_of"](fun, steps)
    for k, (old, new) in enumerate(pairwise(steps)):
        B = old["theta"] * np.eye(2) - old["W"] @ old["M"] @ old["W"].T
        known = pairs[max(0, k - m) : k]
        H = product_form(known, 1 / old["theta"], 2)
        assert np.allclose(B @ H, np.eye(2), atol=1e-6) and len(old["M"]) == 2 * len(known)
        assert np.allclose(old["target"], old["x"] - H @ old["g"], rtol=1e-6, atol=1e-9)
        assert np.allclose(old["x"] + old["alpha"] * (old["target"] - old["x"]), new["x"], rtol=1e-6, atol=1e-9)
    assert steps[-1]["g_norm"] < 1e-8 and steps[-1]["alpha"] is None


def test_the_bounds_behind_the_factor_of_each_step(lesson):
    """Steps 1 to 3 of the proof of (4.1), on pairs of Hessians whose eigenvalues lie between known constants."""
    rng = np.random.default_rng(9)
    for _ in range(200):
        n, m = int(rng.integers(2, 20)), int(rng.integers(1, 6))
        least, most = 10 ** rng.uniform(-3, 0), 10 ** rng.uniform(0.1, 3)
        pairs = []
        for _ in range(m):
            basis = np.linalg.qr(rng.normal(size=(n, n)))[0]
            s = basis @ (rng.normal(size=n) * 10 ** rng.uniform(-3, 3, n))
            pairs.append((s, basis @ (rng.uniform(least, most, n) * (basis.T @ s))))
        H = product_form(pairs, lesson["initial_scale"](*pairs[-1]), n)
        nu = (1 + np.sqrt(most / least)) ** 2
        values = np.linalg.eigvalsh(H)
        assert values[-1] <= sum(nu**i for i in range(m + 1)) / least
        B = lesson["dense_b"](pairs, 1 / lesson["initial_scale"](*pairs[-1]), n)
        b_most = np.linalg.norm(B, 2)
        assert b_most <= (m + 1) * most
        p = -H @ (g := rng.normal(size=n))
        cosine = -(g @ p) / np.linalg.norm(g) / np.linalg.norm(p)
        assert cosine**2 >= np.linalg.eigvalsh(B)[0] / b_most * (1 - 1e-6)


def test_the_factor_of_each_step_holds_in_runs_of_any_memory(lesson):
    bowl, start = lesson["bowl"], np.ones(30)
    most = 100 + 6 * np.sqrt(bowl(start)[0])
    for m in (1, 2, 5, 10):
        values = np.array([entry["f"] for entry in lesson["lbfgs"](bowl, start, m, gtol=1e-12)[1]])
        nu = (1 + np.sqrt(most)) ** 2
        delta_squared = 1 / sum(nu**i for i in range(m + 1)) / ((m + 1) * most)
        assert (1 - values[1:] / values[:-1] > 2e-5 / most * delta_squared).all()


def test_buffers_in_the_memory_are_one_pair(lesson):
    bowl, run = lesson["bowl"], lesson["iterations_with_buffers"]
    one, ten = (len(lesson["lbfgs"](bowl, np.ones(30), m, gtol=1e-6)[1]) - 1 for m in (1, 10))
    assert abs(run(bowl, np.ones(30), lesson["remember"]) - ten) <= 0.1 * ten
    aliased = run(bowl, np.ones(30), lambda pairs, s, y, m: [*pairs, (s, y)][-m:])
    assert abs(aliased - one) <= 0.2 * one


def test_the_inverse_of_a_block_of_b(lesson):
    """(5.7), and that its N is invertible: det B_FF = theta^|F| det N."""
    rng = np.random.default_rng(10)
    for _ in range(100):
        n, m = int(rng.integers(3, 25)), int(rng.integers(1, 6))
        pairs, theta = random_pairs(rng, n, min(m, n - 1)), rng.uniform(0.2, 5)
        W, M = lesson["compact"](*lesson["stack"](pairs), theta)
        free = rng.random(n) < 0.6
        B_FF = lesson["dense_b"](pairs, theta, n)[np.ix_(free, free)]
        N = np.eye(len(M)) - M @ W[free].T @ W[free] / theta
        assert np.isclose(theta ** free.sum() * np.linalg.det(N), np.linalg.det(B_FF), rtol=1e-5) or not free.any()
        inverse = np.eye(free.sum()) / theta + W[free] @ np.linalg.solve(N, M @ W[free].T) / theta**2
        assert np.allclose(inverse @ B_FF, np.eye(free.sum()), atol=1e-5)


def test_every_link_inside_the_lesson_finds_its_heading():
    prose = [cell.source for cell in nbformat.read(PATH, as_version=4).cells if cell.cell_type == "markdown"]
    headings = {
        re.sub(r"^#+ ", "", line).replace(" ", "-") for text in prose for line in text.splitlines() if "# " in line
    }
    links = re.findall(r"\]\(#([^)]+)\)", "\n".join(prose))
    assert len(links) >= 10 and set(links) <= headings


def test_nothing_on_the_main_line_needs_what_goes_deeper():
    """The main line runs alone: its cells use no name that only a later cell defines."""
    scope = namespace(PATH, until="dense_bytes, pair_bytes")
    assert {"two_loop", "initial_scale", "lbfgs", "stack", "dense_b"} <= set(scope)
    assert not {"remember", "compact", "bowl", "unrolled_h"} & set(scope)
