"""Lesson 05's checks: the lesson's own solutions pass, and each classic mistake is told by name."""

import collections
import heapq

import numpy as np
import pytest
from notebook_tools import NOTEBOOKS, namespace, written
from verdicts import said

from helpers.checks.lesson05 import _target

PATH = NOTEBOOKS / "05_the_box.ipynb"


@pytest.fixture(scope="module")
def lesson():
    return namespace(PATH, until="def slanted")


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


def one_at_a_time(order):
    """A walk that takes coordinates whose bounds are met at once one by one, in ``order`` among equals."""
    return [
        (
            "for t_next in np.unique(t[(t > 0) & (g != 0)]):",
            f"for b in [i for i in np.lexsort(({order} * np.arange(len(t)), t)) if t[i] > 0]:\n        t_next = t[b]",
        ),
        ("if step < t_next - now:", "if slope >= 0 or step < t_next - now:"),
        ("hit = t == now", "hit = np.arange(len(t)) == b"),
    ]


UPDATE = "theta * (g_hit @ delta_hit)"
CAUCHY_MISTAKES = {
    "skips the last breakpoint": (
        [("np.unique(t[(t > 0) & (g != 0)])", "np.unique(t[(t > 0) & (g != 0)])[:-1]")],
        "[1.0, 0.5, 1.0]",
    ),
    "skips every second breakpoint": (
        [("np.unique(t[(t > 0) & (g != 0)])", "np.unique(t[(t > 0) & (g != 0)])[::2]")],
        "every second breakpoint is skipped",
    ),
    "goes on when nothing moves": ([("t[(t > 0) & (g != 0)]", "t[t > 0]")], "nothing moves after"),
    "ties one at a time": (one_at_a_time(1), "two coordinates meet their bounds at once"),
    "ties one at a time, from the end": (one_at_a_time(-1), "two coordinates meet their bounds at once"),
    "no g²": ([("slope += g_hit @ g_hit", "slope += 0 * g_hit @ g_hit")], "g_b² is missing in the new q'"),
    "no θ g δ": ([(UPDATE, "0.0")], "θ g_b δ_b is missing in the new q'"),
    "θ g δ without θ": ([(UPDATE, "g_hit @ delta_hit")], "first local minimiser"),
    "q' without W M v": ([(" - gw @ M @ v", "")], "g_b w_bᵀ M v is missing in the new q'"),
    "q'' not updated": ([("curve = max(curve - theta", "curve = curve or max(curve - theta")], "q'' is not updated"),
    "q'' without θ g²": ([("curve - theta * (g_hit @ g_hit)", "curve")], "θ g_b² is missing in the new q''"),
    "q'' without W M u": ([("(2 * u + gw)", "gw")], "g_b w_bᵀ M u is missing in the new q''"),
    "q'' without W M w": ([("(2 * u + gw)", "(2 * u)")], "g_b² w_bᵀ M w_b is missing in the new q''"),
    "q' without the step": ([("slope += (t_next - now) * curve", "pass")], "q' is not carried along the segment"),
    "v with the new u": (
        [
            ("        v += (t_next - now) * u\n", ""),
            ("        now = t_next\n", "        before, now = now, t_next\n"),
            ("u += gw", "u += gw\n        v += (now - before) * u"),
        ],
        "v must be Wᵀ(x_c − x)",
    ),
    "v forgotten": (
        [("return np.where(t <= now, bound", "v = 0 * v\n    return np.where(t <= now, bound")],
        "v must be",
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
    "no floor under q''": (
        [("max(theta * (d @ d) - u @ M @ u, least)", "theta * (d @ d) - u @ M @ u"), (", least)", ", -np.inf)")],
        "it goes backwards",
    ),
    "a dense matrix": (
        [("u, v, now = W.T @ d,", "B = theta * np.eye(len(x)) - W @ M @ W.T\n    u, v, now = W.T @ d,")],
        "an n × n matrix",
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


def afresh(x, g, lower, upper, theta, W, M):
    """The walk without updates: u, v and both derivatives from their definitions at every bend."""
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where(g > 0, (x - lower) / g, np.where(g < 0, (x - upper) / g, np.inf))
    now, ends = 0.0, sorted({*t[(t > 0) & (g != 0)].tolist()})
    for end in ends:
        d, delta = np.where(t > now, -g, 0.0), np.where(g == 0, 0.0, np.clip(x - now * g, lower, upper) - x)
        u, v = W.T @ d, W.T @ delta
        slope = g @ d + theta * (d @ delta) - u @ M @ v
        curve = max(theta * (d @ d) - u @ M @ u, 1e-16 * theta * (g @ g))
        if slope >= 0:
            break
        now = min(end, now - slope / curve)
        if now < end:
            break
    x_c = np.clip(x - now * g, lower, upper)
    x_c[(t <= now) & (g > 0)], x_c[(t <= now) & (g < 0)] = lower[(t <= now) & (g > 0)], upper[(t <= now) & (g < 0)]
    return x_c, W.T @ (x_c - x), now


def with_a_heap(x, g, lower, upper, theta, W, M):
    """The walk with plain Python: a heap of breakpoints, and the pieces of v kept coordinate by coordinate."""
    t = [((x[i] - (lower[i] if g[i] > 0 else upper[i])) / g[i], i) for i in range(len(x)) if g[i]]
    moving = [i for s, i in t if s > 0]
    d = np.zeros(len(x))
    d[moving] = -g[moving]
    heap = [(s, i) for s, i in t if s > 0]
    heapq.heapify(heap)
    x_c, now, u = x.copy(), 0.0, d @ W
    for s, i in t:
        if s <= 0:
            x_c[i] = lower[i] if g[i] > 0 else upper[i]
    while heap:
        v = (x_c - x) @ W
        slope = g @ d + theta * (d @ (x_c - x)) - u @ M @ v
        curve = max(theta * (d @ d) - u @ M @ u, 1e-16 * theta * (g @ g))
        if slope >= 0:
            break
        end = heap[0][0]
        if now - slope / curve < end:
            x_c, now = x_c - slope / curve * d, now - slope / curve
            break
        x_c = np.where(d != 0, x_c + (end - now) * d, x_c)
        now = end
        while heap and heap[0][0] == end:
            _, i = heapq.heappop(heap)
            x_c[i], d[i] = lower[i] if g[i] > 0 else upper[i], 0.0
        u = d @ W
    x_c = np.clip(x_c, lower, upper)
    return x_c, (x_c - x) @ W, float(now)


@pytest.mark.parametrize("candidate", [afresh, with_a_heap])
def test_a_cauchy_point_written_in_another_way_passes(capsys, candidate):
    out = said(capsys, "cauchy_point", candidate)
    assert out.startswith("cauchy_point: correct"), out


def inverse_block(x, g, x_c, v, theta, W, M, free):
    H = np.linalg.inv(theta * np.eye(len(x)) - W @ M @ W.T)
    r = np.where(free, g + theta * (x_c - x) - W @ (M @ v), 0)
    return np.where(free, -H @ r, 0)


SUBSPACE_MISTAKES = {
    "no W M v": ([(" - W @ (M @ v)", "")], "W M v term is missing"),
    "the gradient at x": ([("g + theta * (x_c - x) - W @ (M @ v)", "g")], "it uses g, the gradient at x"),
    "no Woodbury": ([(" - W_f @ np.linalg.solve(N, M @ (W_f.T @ g_c)) / theta**2", "")], "Woodbury term is missing"),
    "the sign": ([("-g_c / theta - W_f", "g_c / theta + W_f")], "the sign"),
    "all of W in N": ([("W_f.T @ W_f", "W.T @ W")], "components of −B⁻¹ g_c"),
    "theta once": ([("/ theta**2", "/ theta")], "in the free coordinates at x_c + e is not 0"),
    "moves what is held": ([("return step", "return step - 0.1 * ~free")], "held at its bound"),
    "W M v added": ([(" - W @ (M @ v)", " + W @ (M @ v)")], "is not 0 but"),
    "x_c and x exchanged": ([("(x_c - x)", "(x - x_c)")], "is not 0 but"),
    "N transposed": ([("np.linalg.solve(N,", "np.linalg.solve(N.T,")], "is not 0 but"),
    "without M in N": ([("M @ (W_f.T @ W_f) / theta", "(W_f.T @ W_f) / theta")], "is not 0 but"),
    "a dense solve": (
        [
            (
                "step[free] = -g_c / theta - W_f @ np.linalg.solve(N, M @ (W_f.T @ g_c)) / theta**2",
                "step[free] = -np.linalg.solve(theta * np.eye(free.sum()) - W_f @ M @ W_f.T, g_c)",
            )
        ],
        "an n × n matrix",
    ),
}


@pytest.mark.parametrize("mistake", SUBSPACE_MISTAKES)
def test_subspace_step_names_the_mistake(capsys, lesson, mistake):
    changes, message = SUBSPACE_MISTAKES[mistake]
    out = said(capsys, "subspace_step", written(PATH, "subspace_step", *changes, scope=lesson))
    assert out.startswith("subspace_step: not yet - ") and message in out, out


def test_a_mask_on_the_inverse_is_named(capsys):
    assert "zeroing the active components only" in said(capsys, "subspace_step", inverse_block)


def push_through(x, g, x_c, v, theta, W, M, free):
    """Woodbury in the other order: M (θI − ŴᵀŴ M)⁻¹."""
    r, W_f = (g + theta * (x_c - x) - W @ M @ v)[free], W[free]
    core = M @ np.linalg.inv(theta * np.eye(len(M)) - W_f.T @ W_f @ M)
    step = np.zeros(len(x))
    step[free] = -(r + W_f @ (core @ (W_f.T @ r))) / theta
    return step


def conjugate_gradients(x, g, x_c, v, theta, W, M, free):
    """B̂ is only multiplied with: no system is solved by a factorisation."""
    mask = free.astype(float)
    product = lambda z: mask * (theta * z - W @ (M @ (W.T @ z)))  # noqa: E731
    step, r = np.zeros(len(x)), -mask * (g + theta * (x_c - x) - W @ (M @ v))
    p, rr = r.copy(), r @ r
    for _ in range(200):
        if rr < 1e-26:
            break
        Bp = product(p)
        step, r = step + rr / (p @ Bp) * p, r - rr / (p @ Bp) * Bp
        p, rr = r + r @ r / rr * p, r @ r
    return step


@pytest.mark.parametrize("candidate", [push_through, conjugate_gradients])
def test_a_subspace_step_written_in_another_way_passes(capsys, candidate):
    out = said(capsys, "subspace_step", candidate)
    assert out.startswith("subspace_step: correct"), out


def in_cases(x, g, lower, upper):
    p = -g.copy()
    for i in range(len(x)):
        p[i] = min(p[i], upper[i] - x[i]) if g[i] < 0 else max(p[i], lower[i] - x[i])
    return p


@pytest.mark.parametrize(
    "candidate",
    [
        in_cases,
        lambda x, g, l, u: np.maximum(np.minimum(-g, u - x), l - x),
        lambda x, g, l, u: np.clip(-g, l - x, u - x),
    ],
)
def test_a_projected_gradient_written_in_another_way_passes(capsys, candidate):
    out = said(capsys, "projected_gradient", lambda x, g, lower, upper: candidate(x, g, lower, upper))
    assert out.startswith("projected_gradient: correct"), out


def as_solver(lesson, direction):
    def solver(fun, x0, lower, upper, m=10, gtol=1e-5, ftol=2.2e-9, max_iterations=1000):
        f, g = fun(np.clip(x0, lower, upper))
        if not np.isfinite([f, *g]).all():
            raise ValueError
        return lesson["clipped_descent"](fun, x0, lower, upper, lesson[direction])[-1]

    return solver


@pytest.mark.parametrize("direction", ["clip_only", "zero_blocked", "zero_both", "gradient_only"])
def test_a_clipped_direction_is_not_l_bfgs_b(capsys, lesson, direction):
    out = said(capsys, "lbfgsb", as_solver(lesson, direction))
    message = "the pairs are not stored" if direction == "gradient_only" else "−H g, clipped: H mixes blocked"
    assert message in out, out


def solver(lesson, *changes, **others):
    """The lesson's solver with pieces of its source replaced, and functions of the lesson by ``others``."""
    return written(PATH, "lbfgsb", *changes, scope={**lesson, **others})


def always(how):
    def into_the_box(x, g, x_c, step, lower, upper):
        if how == "projected":
            return np.clip(x_c + step, lower, upper), how
        with np.errstate(divide="ignore", invalid="ignore"):
            room = np.where(step == 0, np.inf, np.where(step > 0, upper - x_c, lower - x_c) / step)
        return np.clip(x_c + min(1.0, room.min()) * step, lower, upper), how

    return into_the_box


GUARD = "s @ y > EPS * -(g @ s)"
SOLVER_MISTAKES = {
    "no subspace step": (
        [("step = subspace_step(x, g, x_c, v, theta, W, M, free)", "step = 0 * x")],
        "Cauchy point itself",
    ),
    "start not clipped": ([("x = np.clip(x0, lower, upper)", "x = np.array(x0, float)")], "clip the start"),
    "oldest pairs kept": ([("[*pairs, (s, y)][-m:]", "[*pairs, (s, y)][:m]")], "it keeps the oldest 1, not the newest"),
    "all pairs kept": ([("[-m:]", "")], "it uses all 2 pairs, and m = 1"),
    "one pair too many": ([("[-m:]", "[-m - 1 :]")], "it uses all 2 pairs, and m = 1"),
    "pairs from new to old": ([("compact(pairs, x.size)", "compact(pairs[::-1], x.size)")], "from old to new"),
    "no pair stored": ([(GUARD, "False")], "the pairs are not stored, or not used"),
    "y with the wrong sign": ([("g_new - g", "g - g_new")], "the pairs are not stored, or not used"),
    "s from x̄": ([("s, y = x_new - x, g_new - g", "s, y = x_c - x, g_new - g")], "towards x̄ it is"),
    "no pair guard": ([(f"if {GUARD}:", "if True:")], "must be refused, with it B is not positive definite"),
    "a guard in absolute units": ([(GUARD, "s @ y > 1e-8")], "not in the units of F"),
    "the guard of 1995": ([(GUARD, "s @ y > EPS * (y @ y)")], "not in the units of F"),
    "no second try": ([("if not pairs:\n", "if True:\n")], "forget the pairs and try once more"),
    "a second try with the same pairs": (
        [("pairs = []  # perhaps", "pass  # perhaps"), ("if not pairs:", "if False:")],
        "it goes on without end: after the failure forget the pairs",
    ),
    "a second try without end": (
        [('            if not pairs:\n                status = "line search"\n                break\n', "")],
        "if there are no pairs, a failing search ends the run",
    ),
    "no ValueError": (
        [('raise ValueError("f or its gradient is not finite at x0")', "pass")],
        "must raise a ValueError",
    ),
    "a ValueError for F alone": ([("np.isfinite([f, *g]).all()", "np.isfinite(f)")], "where the gradient is NaN"),
    "the last point": ([('"x": evaluate.x', '"x": x'), ('"f": evaluate.f', '"f": f')], "not the last one"),
    "x and f of different points": ([('"x": evaluate.x', '"x": x')], "x and f must belong together"),
    "free variables at x": (
        [("free = (lower < x_c) & (x_c < upper)", "free = (lower < x) & (x < upper)")],
        "at x_c, not at x",
    ),
    "first trial 1": (
        [("first = trial(p, pairs, lower, upper)", "first = 1.0")],
        "the first trial must be at most 1 long",
    ),
    "gtol not used": ([("g_norm <= gtol or", "g_norm <= 0 or")], "gtol is not used"),
    "ftol not used": ([("or small or", "or")], "ftol is not used"),
    "ftol read as gtol": ([("small = f - f_new <= ftol", "small = f - f_new <= gtol")], "ftol is not used"),
    "max_iterations not used": ([(" or iterations == max_iterations", "")], "with max_iterations = 2: more than"),
}


@pytest.mark.parametrize("mistake", SOLVER_MISTAKES)
def test_lbfgsb_names_what_is_missing(capsys, lesson, mistake):
    changes, message = SOLVER_MISTAKES[mistake]
    out = said(capsys, "lbfgsb", solver(lesson, *changes))
    assert out.startswith("lbfgsb: not yet - ") and message in out, out


def test_always_projecting_and_always_truncating_are_named(capsys, lesson):
    assert "lies uphill" in said(capsys, "lbfgsb", solver(lesson, into_the_box=always("projected")))
    assert "it truncates, although" in said(capsys, "lbfgsb", solver(lesson, into_the_box=always("truncated")))


class Careless:
    """lesson["Best"] without its copy of the gradient."""

    def __init__(self, fun):
        self.fun, self.evaluations, self.x, self.f, self.g = fun, 0, None, np.inf, None

    def __call__(self, x):
        f, g = self.fun(x)
        self.evaluations += 1
        if f <= self.f and np.isfinite([f, *g]).all():
            self.x, self.f, self.g = x.copy(), f, g
        return f, g


def test_a_gradient_that_is_not_copied_is_named(capsys, lesson):
    assert "the same array at every call" in said(capsys, "lbfgsb", solver(lesson, Best=Careless))


def test_a_trial_outside_the_box(capsys, lesson):
    search = written(
        PATH,
        "line_search",
        ("np.clip(x + alpha * p, lower, upper)", "x + alpha * p"),
        ("alpha = min(4 * alpha, longest)", "alpha *= 4"),
        tag=None,
        scope=lesson,
    )
    assert "calls fun outside the box" in said(capsys, "lbfgsb", solver(lesson, line_search=search))


def test_a_nan_gradient_is_not_accepted(capsys, lesson):
    finite = "(falls and np.isfinite([new.value, new.slope]).all())"
    search = written(PATH, "line_search", (finite, "falls"), tag=None, scope=lesson)

    class Trusting(Careless):
        def __call__(self, x):
            f, g = self.fun(x)
            if f <= self.f:
                self.x, self.f, self.g = x.copy(), f, g.copy()
            return f, g.copy()

    out = said(capsys, "lbfgsb", solver(lesson, line_search=search, Best=Trusting))
    assert "must not be accepted" in out, out


def dense_way(fun, x0, lower, upper, m=10, gtol=1e-5, ftol=2.2e-9, max_iterations=1000):
    """L-BFGS-B with a dense B, sums over segments, and a bisection for the Wolfe conditions."""
    seen = []

    def call(x):
        f, g = fun(x)
        seen.append((f if np.isfinite([f, *g]).all() else np.inf, x))
        return f, np.array(g)

    x, pairs, small = np.minimum(np.maximum(x0, lower), upper), [], False
    f, g = call(x)
    if not (np.isfinite(f) and np.isfinite(g).all()):
        raise ValueError("no start")
    for _ in range(max_iterations):
        if small or np.abs(np.clip(x - g, lower, upper) - x).max() <= gtol:
            break
        moved = None
        while moved is None:
            target = _target(x, g, lower, upper, pairs)
            p = target - x
            moved = wolfe_by_bisection(call, x, f, g, p, lower, upper, bool(pairs)) if g @ p < 0 else None
            if moved is None and not pairs:
                break
            if moved is None:
                pairs = []
        if moved is None:
            break
        x_new, f_new, g_new = moved
        s, y = x_new - x, g_new - g
        if s @ y > -1e-15 * (g @ s):
            pairs = [*pairs, (s, y)][max(0, len(pairs) + 1 - m) :]
        small = f - f_new <= ftol * max(abs(f), abs(f_new), 1)
        x, f, g = x_new, f_new, g_new
    value, where = min(seen, key=lambda pair: pair[0])
    return {"f": value, "x": where}


def wolfe_by_bisection(call, x, f, g, p, lower, upper, scaled):
    with np.errstate(divide="ignore", invalid="ignore"):
        end = np.where(p > 0, (upper - x) / p, np.where(p < 0, (lower - x) / p, np.inf)).min()
    slope, a, b = g @ p, 0.0, np.inf
    full = np.isfinite([*lower, *upper]).all()
    alpha, kept = (1.0 if scaled or full else min(1.0, 1 / np.linalg.norm(p))), None
    for _ in range(30):
        z = np.clip(x + alpha * p, lower, upper)
        f_z, g_z = call(z)
        if not np.isfinite([f_z, *g_z]).all() or f_z > f + 1e-4 * alpha * slope + 1e-15 * abs(f):
            b = alpha
        else:
            kept = z, f_z, g_z
            if g_z @ p >= 0.9 * slope or alpha >= max(end, 1.0):
                return kept
            a = alpha
        alpha = min(3 * alpha, max(end, 1.0)) if b == np.inf else (a + b) / 2
    return kept


def with_a_deque(lesson):
    """The lesson's parts put together in another order, as a generator of iterates."""

    def iterates(best, x, lower, upper, m, failed=False):
        f, g = best(x)
        if not np.isfinite([f, *g]).all():
            raise ValueError("no start")
        pairs = collections.deque(maxlen=m)
        yield x, f, g, np.inf
        while True:
            model = lesson["compact"](list(pairs), x.size)
            x_c, v, _ = lesson["cauchy_point"](x, g, lower, upper, *model)
            step = lesson["subspace_step"](x, g, x_c, v, *model, (x_c > lower) & (x_c < upper))
            p = lesson["into_the_box"](x, g, x_c, step, lower, upper)[0] - x
            start = lesson["first_trial"](p, pairs, lower, upper)
            found = lesson["line_search"](best, x, f, g, p, lower, upper, start) if p @ g < 0 else None
            if found:
                _, z, f_z, g_z = found
                if (z - x) @ (g_z - g) > 2e-16 * ((x - z) @ g):
                    pairs.append((z - x, g_z - g))
                fall, x, f, g = f - f_z, z, f_z, g_z
                yield x, f, g, fall
            elif pairs:
                pairs.clear()
            else:
                return

    def minimise(fun, x0, lower, upper, m=10, gtol=1e-5, ftol=2.2e-9, max_iterations=1000):
        best, before = lesson["Best"](fun), 0.0
        for k, (x, f, g, fall) in enumerate(iterates(best, np.clip(x0, lower, upper), lower, upper, m)):
            done = np.abs(lesson["projected_gradient"](x, g, lower, upper)).max() <= gtol
            if done or fall <= ftol * max(abs(before), abs(f), 1.0) or k == max_iterations:
                break
            before = f
        return {"f": best.f, "x": best.x, "calls": best.evaluations}

    return minimise


def test_a_solver_with_a_dense_matrix_passes(capsys):
    out = said(capsys, "lbfgsb", dense_way)
    assert out.startswith("lbfgsb: correct"), out


def test_a_solver_put_together_in_another_way_passes(capsys, lesson):
    out = said(capsys, "lbfgsb", with_a_deque(lesson))
    assert out.startswith("lbfgsb: correct"), out


def test_a_solver_with_its_own_search_and_its_pairs_in_another_order_passes(capsys, lesson):
    """W = [θS, Y] with the blocks of M exchanged is the same B; bisection finds other, equally good steps."""

    def compact(pairs, n):
        theta, W, M = lesson["compact"](pairs, n)
        swap = np.r_[len(pairs) : 2 * len(pairs), : len(pairs)]
        return theta, W[:, swap], M[np.ix_(swap, swap)]

    def line_search(best, x, f, g, p, lower, upper, start):
        moved = wolfe_by_bisection(best, x, f, g, p, lower, upper, start == 1)
        return moved and (None, *moved)

    out = said(capsys, "lbfgsb", with_a_deque({**lesson, "compact": compact, "line_search": line_search}))
    assert out.startswith("lbfgsb: correct"), out


def starts_well(answer):
    """A candidate that refuses a bad start, as it should, and then answers with ``answer(fun, x0, lower, upper)``."""

    def candidate(fun, x0, lower, upper, m=10, **options):
        f, g = fun(np.clip(x0, lower, upper))
        if not np.isfinite([f, *g]).all():
            raise ValueError
        return answer(fun, np.clip(x0, lower, upper), lower, upper)

    return candidate


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        (lambda fun, x0, lower, upper: (x0, fun(x0)[0]), "must return a dict"),
        (lambda fun, x0, lower, upper: {"x": x0}, "must return a dict with the entries 'x' and 'f'"),
        (lambda fun, x0, lower, upper: {"x": x0 + 3, "f": fun(x0)[0] + fun(x0)[0]}, "the answer leaves the box"),
        (lambda fun, x0, lower, upper: {"x": x0, "f": fun(x0)[0] - abs(fun(x0)[0]) - 1}, "must belong together"),
        (lambda fun, x0, lower, upper: {"x": (lower + upper) / 2, "f": fun(x0)[0]}, "never called at the x"),
    ],
)
def test_lbfgsb_names_the_mistake(capsys, mistake, message):
    assert message in said(capsys, "lbfgsb", starts_well(mistake))


def test_a_solver_that_only_looks_at_the_start(capsys):
    assert "called fun 1 times" in said(
        capsys, "lbfgsb", lambda fun, x0, l, u: {"x": np.clip(x0, l, u), "f": fun(np.clip(x0, l, u))[0]}
    )
