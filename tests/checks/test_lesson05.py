"""Lesson 05's checks: the lesson's own solutions pass, and each classic mistake is told by name."""

import numpy as np
import pytest
from notebook_tools import NOTEBOOKS, namespace, written

from helpers import checks

PATH = NOTEBOOKS / "05_the_box.ipynb"


@pytest.fixture(scope="module")
def lesson():
    return namespace(PATH, until="ones = np.ones(3)")


def said(capsys, name, candidate):
    getattr(checks, name)(candidate)
    return capsys.readouterr().out


@pytest.mark.parametrize("name", ["projected_gradient", "cauchy_point", "subspace_step", "lbfgsb"])
def test_the_lessons_solution_is_correct(capsys, lesson, name):
    assert said(capsys, name, lesson[name]).startswith(f"{name}: correct - ")


@pytest.mark.parametrize("name", ["projected_gradient", "cauchy_point", "subspace_step", "lbfgsb"])
def test_the_stub_is_not_attempted(capsys, name):
    assert said(capsys, name, written(PATH, name, tag="exercise")).startswith(f"{name}: not attempted yet")


def blocked(x, g, lower, upper):
    return (x <= lower) & (g > 0) | (x >= upper) & (g < 0)


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        (lambda x, g, l, u: np.clip(x - g, l, u), "subtract x"),
        (lambda x, g, l, u: x - np.clip(x - g, l, u), "the sign"),
        (lambda x, g, l, u: -g, "leaves the box"),
        (lambda x, g, l, u: np.where(blocked(x, g, l, u), 0, -g), "must be cut at the bound"),
        (
            lambda x, g, l, u: np.where((x <= l) | (x >= u), 0, np.clip(x - g, l, u) - x),
            "zeroing all active components",
        ),
        (lambda x, g, l, u: np.clip(x - 0.5 * g, l, u) - x, "smaller of |g_i| and the room"),
        (lambda x, g, l, u: np.clip(x - g, l, u)[:-1] - x[:-1], "shape"),
    ],
)
def test_projected_gradient_names_the_mistake(capsys, mistake, message):
    out = said(capsys, "projected_gradient", lambda x, g, lower, upper: mistake(x, g, lower, upper))
    assert out.startswith("projected_gradient: not yet - ") and message in out


ONE_AT_A_TIME = [
    (
        "for t_next in np.unique(t[(t > 0) & (g != 0)]):",
        "for b in [i for i in np.argsort(t) if t[i] > 0]:\n        t_next = t[b]",
    ),
    ("if step < t_next - now:", "if slope >= 0 or step < t_next - now:"),
    ("hit = t == now", "hit = np.arange(len(t)) == b"),
]

CAUCHY_MISTAKES = {
    "skips the last breakpoint": (
        [("np.unique(t[(t > 0) & (g != 0)])", "np.unique(t[(t > 0) & (g != 0)])[:-1]")],
        "[1.0, 0.5, 1.0]",
    ),
    "skips every second breakpoint": (
        [("np.unique(t[(t > 0) & (g != 0)])", "np.unique(t[(t > 0) & (g != 0)])[::2]")],
        "skip",
    ),
    "goes on when nothing moves": ([("t[(t > 0) & (g != 0)]", "t[t > 0]")], "nothing moves after"),
    "ties one at a time": (ONE_AT_A_TIME, "two coordinates meet their bounds at once"),
    "f' not updated at a bend": (
        [("slope += g_hit @ g_hit", "slope += 0 * g_hit @ g_hit")],
        "f' or f'' is not updated",
    ),
    "f' without W M c": ([(" - q @ M @ c", "")], "local minimiser"),
    "f'' not updated": ([("curve = max(", "curve = curve or max(")], "f'' is not updated"),
    "f' without the step": ([("slope += (t_next - now) * curve", "pass")], "local minimiser"),
    "c with the new p": (
        [
            ("        c += (t_next - now) * p\n", ""),
            ("        now = t_next\n", "        before, now = now, t_next\n"),
            ("p += q", "p += q\n        c += (now - before) * p"),
        ],
        "c must be Wᵀ(x_c − x)",
    ),
    "c forgotten": (
        [("return np.where(t <= now, bound", "c = 0 * c\n    return np.where(t <= now, bound")],
        "c must be",
    ),
    "gradient step clipped once": (
        [("np.where(t <= now, bound, np.clip(x - now * g, lower, upper))", "x - now * g")],
        "leaves the box",
    ),
    "bound times zero": (
        [
            (
                "np.where(t <= now, bound, np.clip(x - now * g, lower, upper))",
                "x + (t <= now) * (bound - x) - (t > now) * now * g",
            )
        ],
        "a bound is infinite",
    ),
    "0/0 where g_i = 0": (
        [
            (
                "t, bound = breakpoints(x, g, lower, upper), np.where(g > 0, lower, upper)",
                "bound = np.where(g > 0, lower, upper)",
            ),
            ("    d = np.where(t > 0", "    t = (x - bound) / g\n    d = np.where(t > 0"),
        ],
        "g_i = 0",
    ),
}


@pytest.mark.parametrize("mistake", CAUCHY_MISTAKES)
def test_cauchy_point_names_the_mistake(capsys, lesson, mistake):
    changes, message = CAUCHY_MISTAKES[mistake]
    out = said(capsys, "cauchy_point", written(PATH, "cauchy_point", *changes, scope=lesson))
    assert out.startswith("cauchy_point: not yet - ") and message in out, out


def test_the_best_point_of_the_path_is_not_the_cauchy_point(capsys, lesson):
    def best_of_all(x, g, lower, upper, theta, W, M):
        B = lesson["dense"](theta, W, M) if W.shape[1] else theta * np.eye(len(x))
        times = lesson["minimisers_dense"](lesson["walk_dense"](x, g, lower, upper, B))
        points = [np.clip(x - t * g, lower, upper) for t in times]
        i = np.argmin([lesson["quadratic_model"](x, g, B)(point) for point in points])
        return points[i], W.T @ (points[i] - x), times[i]

    assert "past the first local minimiser" in said(capsys, "cauchy_point", best_of_all)


def inverse_block(x, g, x_c, c, theta, W, M, free):
    H = np.linalg.inv(theta * np.eye(len(x)) - W @ M @ W.T)
    r = np.where(free, g + theta * (x_c - x) - W @ (M @ c), 0)
    return np.where(free, -H @ r, 0)


SUBSPACE_MISTAKES = {
    "no W M c": ([(" - W @ (M @ c)", "")], "W M c term is missing"),
    "the gradient at x": ([("g + theta * (x_c - x) - W @ (M @ c)", "g")], "it uses g, the gradient at x"),
    "no Woodbury": ([(" - W_f @ np.linalg.solve(N, M @ (W_f.T @ r)) / theta**2", "")], "Woodbury term is missing"),
    "the sign": ([("-r / theta - W_f", "r / theta + W_f")], "the sign"),
    "all of W in N": ([("W_f.T @ W_f", "W.T @ W")], "components of −B⁻¹ r"),
    "theta once": ([("/ theta**2", "/ theta")], "in the free coordinates at x_c + d is not 0"),
    "moves what is held": ([("return d", "return d - 0.1 * ~free")], "held at its bound"),
}


@pytest.mark.parametrize("mistake", SUBSPACE_MISTAKES)
def test_subspace_step_names_the_mistake(capsys, lesson, mistake):
    changes, message = SUBSPACE_MISTAKES[mistake]
    out = said(capsys, "subspace_step", written(PATH, "subspace_step", *changes, scope=lesson))
    assert out.startswith("subspace_step: not yet - ") and message in out, out


def test_a_mask_on_the_inverse_is_named(capsys):
    assert "zeroing the active components only" in said(capsys, "subspace_step", inverse_block)


def as_solver(lesson, direction):
    def solver(fun, x0, lower, upper):
        return lesson["clipped_descent"](fun, x0, lower, upper, lesson[direction])[-1]

    return solver


@pytest.mark.parametrize("direction", ["clip_only", "zero_blocked"])
def test_a_clipped_two_loop_direction_is_not_l_bfgs_b(capsys, lesson, direction):
    out = said(capsys, "lbfgsb", as_solver(lesson, direction))
    assert "clipped two-loop direction is not L-BFGS-B" in out and "active components are only zeroed" in out, out


def test_a_projected_gradient_is_too_slow(capsys, lesson):
    assert "the pace of a projected gradient" in said(capsys, "lbfgsb", as_solver(lesson, "gradient_only"))


def with_line_search(lesson, *changes):
    """The lesson's solver with another line search inside, and the last point returned instead of the best."""
    last = written(PATH, "lbfgsb", ('"x": evaluate.x,', '"x": x,'), ('"f": evaluate.f,', '"f": f,'), scope=lesson)
    last.__globals__["wolfe_in_the_box"] = written(PATH, "wolfe_in_the_box", *changes, tag=None, scope=lesson)
    return last


def test_the_last_point_instead_of_the_best(capsys, lesson):
    solver = with_line_search(lesson, ("return low if low[0] > 0 else None", "return new"), ("trials=20", "trials=5"))
    assert "not the last one" in said(capsys, "lbfgsb", solver)


def test_a_trial_outside_the_box(capsys, lesson):
    changes = [
        ("np.clip(x + alpha * p, lower, upper)", "x + alpha * p"),
        ("alpha = min(4 * alpha, longest)", "alpha *= 4"),
    ]
    assert "calls fun outside the box" in said(capsys, "lbfgsb", with_line_search(lesson, *changes))


def test_a_pair_test_that_is_not_in_the_units_of_f(capsys, lesson):
    solver = written(PATH, "lbfgsb", ("eps * -(g @ s)", "eps * (y @ y)"), scope=lesson)
    assert "not in the units of f" in said(capsys, "lbfgsb", solver)


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        (lambda fun, x0, lower, upper: (x0, fun(x0)[0]), "must return a dict"),
        (lambda fun, x0, lower, upper: {"x": x0, "f": fun(x0)[0]}, "called fun 1 times"),
        (lambda fun, x0, lower, upper: {"x": x0 + 3, "f": fun(x0)[0] + fun(x0)[0]}, "the answer leaves the box"),
        (lambda fun, x0, lower, upper: {"x": x0, "f": fun(x0)[0] - abs(fun(x0)[0]) - 1}, "must belong together"),
    ],
)
def test_lbfgsb_names_the_mistake(capsys, mistake, message):
    assert message in said(capsys, "lbfgsb", mistake)
