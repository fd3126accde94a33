"""Lesson 05's checks: the stopping test, the Cauchy point, the subspace step and the whole of L-BFGS-B."""

import tracemalloc
from itertools import pairwise

import numpy as np

from ._verdict import Wrong, array, check, expect

__all__ = ["cauchy_point", "lbfgsb", "projected_gradient", "subspace_step"]


@check
def projected_gradient(candidate):
    rng = np.random.default_rng(50)
    for kind in ("inside the box", "at its bounds", "with infinite bounds", "with fixed variables"):
        for n in (1, 3, 8):
            x, g = rng.uniform(-1, 1, n), 2 * rng.normal(size=n)
            lower, upper = x - rng.uniform(0.05, 1.5, n), x + rng.uniform(0.05, 1.5, n)
            if kind == "at its bounds":
                x = np.where(rng.random(n) < 0.5, lower, upper)
            elif kind == "with infinite bounds":
                lower[::2], upper[1::2] = -np.inf, np.inf
            elif kind == "with fixed variables":
                lower = upper = x
            p = array(candidate(x, g, lower, upper), (n,))
            _one_projected_gradient(p, x, g, lower, upper, kind)
    return "zero exactly where no coordinate can still fall, and x + p in the box, in 12 cases"


def _one_projected_gradient(p, x, g, lower, upper, kind):
    at_bound = (x == lower) | (x == upper)
    blocked = (x == lower) & (g > 0) | (x == upper) & (g < 0)
    inward = at_bound & ~blocked & (lower < upper)
    expect(
        not np.allclose(p, np.clip(x - g, lower, upper)),
        f"{kind}: this is P(x − g), a point of the box; subtract x, to get the step that leads there",
    )
    expect(np.all(p[blocked] == 0), f"{kind}: a coordinate that g pushes out of the box must give 0, it cannot move")
    expect(
        not (inward.any() and np.all(p[at_bound] == 0)),
        f"{kind}: every coordinate at a bound gives 0, even where g points back into the box: zeroing all active "
        "components calls such a point a minimiser, and it is not",
    )
    expect(
        not np.any(p * g > 0),
        f"{kind}: the sign: p_i must point downhill, against g_i; here p·g = {p @ g:.2f}. It is P(x − g) − x",
    )
    out = np.maximum(lower - (x + p), (x + p) - upper).max()
    expect(
        out < 1e-12,
        f"{kind}: x + p leaves the box by {out:.2f}: a component near a bound must be cut at the bound, not kept whole "
        "until the bound is reached",
    )
    room = np.where(g > 0, x - lower, upper - x)
    error = np.abs(np.abs(p) - np.minimum(np.abs(g), room)).max()
    expect(error < 1e-12, f"{kind}: |p_i| must be the smaller of |g_i| and the room to the bound; off by {error:.1e}")


@check
def cauchy_point(candidate):
    _last_breakpoint(candidate)
    for kind, case in EXACT.items():
        x, g, upper, B = (np.array(numbers, dtype=float) for numbers in case)
        W, M = np.hstack([np.eye(len(x)), 0 * B]), np.kron([[1, 0], [0, 0]], np.eye(len(x)) - B)  # B = I − W M Wᵀ
        _one_cauchy_point(candidate, x, g, 0 * x, upper, 1.0, W, M, B, kind)
    rng = np.random.default_rng(51)
    for kind in ("", "with some g_i = 0: ", "with infinite bounds: ", "with tied breakpoints: ", "with no pairs: "):
        for n in (2, 5, 12, 12):
            x, g, lower, upper = _boxed_point(rng, n, kind)
            theta, W, M, B = _model(rng, n, 0 if "no pairs" in kind else min(3, n))
            _one_cauchy_point(candidate, x, g, lower, upper, theta, W, M, B, kind)
    _flat(candidate, rng)
    _small(candidate, _large_case(rng), "the walk")
    return "the first local minimiser on the path in 26 cases: zero gradients, ties and infinite bounds among them"


# x, g, upper, B for lower = 0: integers and binary fractions, so that every sum is exact on every processor.
EXACT = {
    "with all g_i = 0: ": ([0.5, 0.5], [0.0, 0.0], [1.0, 1.0], [[2.0, 1.0], [1.0, 3.0]]),
    "with tied breakpoints: ": ([0, 0, 0], [-4, -2, -3], [1, 0.5, 3], [[2, 0, 0], [0, 9, 0], [0, 0, 3]]),
    "with tied breakpoints, ": ([0, 0, 0], [-2, -4, -3], [0.5, 1, 3], [[9, 0, 0], [0, 2, 0], [0, 0, 3]]),
    "where the path has two minimisers: ": ([0.36, 0.89], [-0.72, 0.14], [1, 1], [[5.4, 2.79], [2.79, 1.66]]),
    "where all come to rest: ": ([0.1, 0.1, 0.8], [0.8, 0.8, 0], [1, 1, 1], [[3, -1, 0], [-1, 6, -3], [0, -3, 4]]),
}


def _last_breakpoint(candidate):
    """B = I on the unit box: every coordinate runs into its bound, at t = 1/8, 1/4 and 1/2."""
    x, g = np.zeros(3), np.array([-8.0, -2.0, -4.0])
    answer = candidate(x, g, np.zeros(3), np.ones(3), 1.0, np.empty((3, 0)), np.empty((0, 0)))
    expect(isinstance(answer, tuple) and len(answer) == 3, "it must return three things: x_c, v and t")
    x_c = array(answer[0], (3,), "x_c")
    if not (np.allclose(x_c, 1) or x_c.max() > 1):
        slip = _slip(candidate) or "it skips a breakpoint, or q'' is not updated when the path bends"
        expect(False, f"with B = I it returns {x_c.round(2).tolist()} where [1, 1, 1] is right: {slip}")


def _one_cauchy_point(candidate, x, g, lower, upper, theta, W, M, B, kind):
    x_c, v, t = candidate(x, g, lower, upper, theta, W, M)
    expect(
        np.isfinite(np.asarray(x_c, dtype=float)).all() and np.isfinite(t),
        f"{kind}x_c or t is NaN or infinite: 0/0 where g_i = 0, or inf · 0 where a bound is infinite (t = {t})",
    )
    x_c, v = array(x_c, x.shape, "x_c"), array(v, (W.shape[1],), "v")
    out = np.maximum(lower - x_c, x_c - upper).max()
    expect(out <= 0, f"{kind}x_c leaves the box by {out:.1e}: put a coordinate that meets its bound exactly there")
    on_path = np.clip(x - t * g, lower, upper)
    i = np.abs(x_c - on_path).argmax()
    expect(
        abs(x_c[i] - on_path[i]) < 1e-9 * (1 + t),
        f"{kind}x_c is not on the path: coordinate {i} is {x_c[i]:.3f}, at t = {t:.3f} the path has {on_path[i]:.3f}",
    )
    error = np.abs(v - W.T @ (x_c - x)).max(initial=0.0)
    expect(error < 1e-8, f"{kind}v must be Wᵀ(x_c − x), it is off by {error:.1e}: add step times u on every segment")
    first = _first_minimiser(x, g, lower, upper, B)
    right = np.allclose(x_c, np.clip(x - first * g, lower, upper))
    if not right:
        slip = _slip(candidate)
        if not slip and t < first and "tied" in kind:
            slip = "two coordinates meet their bounds at once: bend for both before you look at q'"
        where = f"{kind}it stops at t = {t:.4f}, the model's first local minimiser on the path is at t = {first:.4f}: "
        early, late = "it stops too early, the model still falls there", "it goes past the first local minimiser"
        guess = "a breakpoint is skipped, or q' or q'' is not updated" if t < first else "it looks for the best one"
        expect(False, f"{where}{early if t < first else late}. {slip or 'Perhaps ' + guess}")
    over = f"{kind}x_c is right, t = {t:.4f} is not: nothing moves after t = {first:.4f}, the q' left there is rounding"
    expect(abs(t - first) < 1e-6 * (1 + first), over)


def _flat(candidate, rng):
    """B has curvature 1e-20 along −g and θ = 1: the q'' that one computes is rounding, of either sign."""
    for _ in range(40):
        flat, steep = np.linalg.qr(rng.normal(size=(6, 2)))[0].T
        theta, W, M = _compact(np.stack([flat, steep], 1), np.stack([1e-20 * flat, steep], 1))
        x_c, _, t = candidate(np.zeros(6), -flat, -np.ones(6), np.ones(6), theta, W, M)
        expect(
            t > 0 and np.asarray(x_c) @ flat > 0,
            f"where B is flat along −g it goes backwards, to t = {t:.1e}: the computed q'' is only rounding there, "
            "and may be negative; never let it fall below ε θ dᵀd",
        )


SLIPS = {
    "g²": "g_b² is missing in the new q'",
    "θgδ": "θ g_b δ_b is missing in the new q'",
    "WMv": "g_b w_bᵀ M v is missing in the new q'",
    "arrival": "q' is not carried along the segment: add Δt q'' before the bend's own terms",
    "q''": "q'' is not updated when the path bends",
    "θg²": "θ g_b² is missing in the new q''",
    "WMu": "g_b w_bᵀ M u is missing in the new q''",
    "WMw": "g_b² w_bᵀ M w_b is missing in the new q''",
    "last": "the last breakpoint is skipped",
    "second": "every second breakpoint is skipped",
}


def _slip(candidate):
    """The one mistake with which the walk ends where the candidate's does, in a dozen cases; None if there is none."""
    rng, left = np.random.default_rng(54), dict(SLIPS)
    for n in (2, 3, 4, 6, 8, 10) * 2:
        x, g, lower, upper = _boxed_point(rng, n, "")
        theta, W, M, _ = _model(rng, n, min(3, n))
        t = candidate(x, g, lower, upper, theta, W, M)[2]
        left = {k: v for k, v in left.items() if np.isclose(_walk(x, g, lower, upper, theta, W, M, k), t, rtol=1e-6)}
    return next(iter(left.values()), None)


def _walk(x, g, lower, upper, theta, W, M, slip):
    """Where the walk with the updates ends if it makes the mistake ``slip``."""
    with np.errstate(all="ignore"):
        t = np.where(g == 0, np.inf, (x - np.where(g > 0, lower, upper)) / g)
        d = np.where(t > 0, -g, 0.0)
        u, v, now = W.T @ d, np.zeros(W.shape[1]), 0.0
        slope, curve = -(d @ d), theta * (d @ d) - u @ M @ u
        bends = np.unique(t[(t > 0) & (g != 0)])
        for bend in bends[:-1] if slip == "last" else bends[::2] if slip == "second" else bends:
            step = -slope / max(curve, 1e-16 * theta * (g @ g)) if slope < 0 else 0.0
            if step < bend - now:
                return now + step
            v = v + (bend - now) * u
            slope += 0 if slip == "arrival" else (bend - now) * curve
            now, hit = bend, t == bend
            delta, q, gg = np.clip(x - now * g, lower, upper)[hit] - x[hit], W[hit].T @ g[hit], g[hit] @ g[hit]
            slope += 0 if slip == "g²" else gg
            slope += 0 if slip == "θgδ" else theta * (g[hit] @ delta)
            slope -= 0 if slip == "WMv" else q @ M @ v
            if slip != "q''":
                curve -= 0 if slip == "θg²" else theta * gg
                curve -= 0 if slip == "WMu" else 2 * (q @ M @ u)
                curve -= 0 if slip == "WMw" else q @ M @ q
            u = u + q
        return now


def _first_minimiser(x, g, lower, upper, B):
    """The first t at which the model along the path stops falling: each segment by definition, with the dense B."""
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where(g == 0, np.inf, (x - np.where(g > 0, lower, upper)) / g)
    bends = np.unique(np.r_[0.0, t[np.isfinite(t)], np.inf])
    for start, end in pairwise(bends):  # the last segment has no end, so the walk stops there at the latest
        d, z = np.where(t > start, -g, 0.0), np.clip(x - start * g, lower, upper) - x
        slope = d @ (g + B @ z)
        if slope >= 0:
            return start
        if start - slope / (d @ B @ d) < end:
            return start - slope / (d @ B @ d)


def _large_case(rng):
    """x, g, bounds, θ, W, M in 1500 variables, in which an n × n matrix takes 18 MB."""
    n = 1500
    x, g, lower, upper = _boxed_point(rng, n, "")
    S = rng.normal(size=(n, 2))
    Y = S * np.linspace(0.5, 2, n)[:, None]
    return x, g, lower, upper, *_compact(S, Y)


def _small(candidate, arguments, what):
    """Refuse a candidate that allocates anything like an n × n matrix."""
    n = len(arguments[0])
    tracemalloc.start()
    try:
        candidate(*arguments)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    expect(
        peak < 2 * n * n,
        f"{what} takes {peak / 1e6:.0f} MB for n = {n} and 2 pairs, where W has {4 * 8 * n / 1e6:.2f}: an n × n matrix "
        f"takes {8 * n * n / 1e6:.0f}. Use θ, W and M, in which nothing is larger than n × 2m",
    )


@check
def subspace_step(candidate):
    rng = np.random.default_rng(52)
    for kind in ("all variables free: ", "some variables held: ", "no pairs: ", "no variable free: "):
        for n in (3, 6, 12):
            x, g, lower, upper = _boxed_point(rng, n, "")
            theta, W, M, B = _model(rng, n, 0 if "no pairs" in kind else 3)
            x_c = np.clip(x - _first_minimiser(x, g, lower, upper, B) * g, lower, upper)
            free = np.ones(n, bool)
            if "some" in kind:
                free = np.arange(n) % 3 > 0
            elif "no variable" in kind:
                free[:] = False
            d = array(candidate(x, g, x_c, W.T @ (x_c - x), theta, W, M, free), (n,))
            _one_subspace_step(d, x, g, x_c, theta, B, free, kind)
    x, g, _, _, theta, W, M = _large_case(rng)
    x_c = x - 0.1 * g
    _small(candidate, (x, g, x_c, W.T @ (x_c - x), theta, W, M, np.full(len(x), True)), "the step")
    return "the model's gradient vanishes in the free coordinates, the others do not move, in 12 cases"


def _one_subspace_step(d, x, g, x_c, theta, B, free, kind):
    moved = np.abs(d[~free]).max(initial=0.0)
    expect(moved == 0, f"{kind}it moves a variable that is held at its bound, by {moved:.2f}: the step must be 0 there")
    if not free.any():
        return
    z, F = x_c - x, np.ix_(free, free)
    r = (g + B @ z)[free]
    scale = np.abs(r).max() + np.abs(g).max()
    residual = np.abs(B[F] @ d[free] + r).max() / scale
    if residual < 1e-7:
        return
    mistakes = {
        "the W M v term is missing: g_c = g + θ(x_c − x) − W M v is the model's gradient at x_c, and v is not 0": (
            -np.linalg.solve(B[F], (g + theta * z)[free])
        ),
        "it uses g, the gradient at x: the step starts at x_c, so it needs g_c, the model's gradient there": (
            -np.linalg.solve(B[F], g[free])
        ),
        "these are the free components of −B⁻¹ g_c: zeroing the active components only, as a two-loop direction with a "
        "mask does. The inverse of a block is not the block of the inverse": -(np.linalg.inv(B)[F] @ r),
        "this is −ĝ_c/θ alone, a gradient step: the Woodbury term is missing": -r / theta,
        "the sign: it must go down, ê = −B̂⁻¹ ĝ_c": np.linalg.solve(B[F], r),
    }
    if np.abs(r).max() > 1e-9:
        for name, wrong in mistakes.items():
            expect(np.abs(B[F] @ (d[free] - wrong)).max() > 1e-7 * scale, f"{kind}{name}")
    expect(False, f"{kind}the model's gradient in the free coordinates at x_c + e is not 0 but {residual:.1e} of ĝ_c")


@check
def lbfgsb(candidate):
    _start(candidate)
    for what, problem in SEARCHES.items():
        _searches(candidate, what, *problem)
    what = "whose gradient comes in the same array at every call (Best copies it)"
    _searches(candidate, what, *SEARCHES["with m = 2"], reuse=True)
    _options(candidate)
    rng = np.random.default_rng(53)
    for case in range(12):
        _one_quadratic(candidate, rng, case)
    _one_quadratic(candidate, rng, 1, scale=1e18)
    _one_quadratic(candidate, rng, 1, scale=1e-9, gtol=1e-14, ftol=0.0)
    _first_trial(candidate)
    _second_try(candidate)
    _no_descent(candidate)
    _nan(candidate)
    _noise(candidate)
    return "14 boxed quadratics solved, 7 runs followed search by search, NaN, noise and a failing search survived"


def _start(candidate):
    fun = _Recorded(lambda x: (x @ x / 2, x.copy()), np.ones(3), np.full(3, 2.0), 20, "from a start outside the box")
    x = _solution(candidate(fun, np.array([5.0, -3.0, 1.5]), fun.lower, fun.upper), fun)
    expect(np.array_equal(x, np.ones(3)), f"from a start outside the box: min ½|x|² over [1, 2]³ is at 1, not at {x}")
    for what, f, slope in (("F", np.nan, 1.0), ("F", np.inf, 1.0), ("the gradient", 1.0, np.nan)):
        name = f"where {what} is NaN or infinite at the start"
        try:
            answer = candidate(lambda x, f=f, slope=slope: (f, slope + x), np.zeros(2), np.zeros(2), np.ones(2))
        except Wrong as wrong:
            expect("raised ValueError" in str(wrong), f"{name} it must raise a ValueError; {wrong}")
        else:
            expect(False, f"{name} it must raise a ValueError, there is nothing to return; it returned {answer}")


# Quadratics ½ (x − centre)ᵀ G (x − centre) on which every search ends at its first trial, α = 1: G, centre, x0,
# the bounds of every coordinate, m, the number of searches to follow.
SEARCHES = {
    "where the second step is projected": ([[2.8, -0.5], [-0.5, 0.2]], [0.3, -3.1], [0.8, 0.7], (0, 1), 10, 2),
    "where the second step is projected, two variables being free": (
        *([[3.8, -0.3, -0.2], [-0.3, 0.4, 0.0], [-0.2, 0.0, 0.4]], [0.1, 0.6, 1.6], [0.2, 0.9, 0.4]),
        *((0, 1), 10, 2),
    ),
    "where the second step must be truncated": (
        *([[24.11, -8.24], [-8.24, 2.93]], [2.5, 6.6], [0.3, 0.2]),
        *((0, 1), 10, 2),
    ),
    "whose second pair has sᵀy < 0": (
        *([[0.6, 0.7, 0.9], [0.7, 0.1, -1.6], [0.9, -1.6, -0.4]], [-0.6, 0.5, 0.5], [0.6, 1.0, 0.7]),
        *((0, 1), 10, 3),
    ),
    "with m = 1": (
        *([[0.7, 0.3, 0.7], [0.3, 0.6, 0.7], [0.7, 0.7, 2.3]], [0.9, -1.4, 1.1], [0.8, 0.5, 0.3]),
        *((-9, 9), 1, 4),
    ),
    "with m = 2": (
        *([[0.7, -0.7, -0.3], [-0.7, 1.4, 0.6], [-0.3, 0.6, 0.5]], [-1.5, 0.3, -0.5], [0.7, 1.0, 0.3]),
        *((-9, 9), 2, 4),
    ),
}


def _searches(candidate, what, G, centre, x0, bounds, m, searches, reuse=False):
    """Compare the direction of each search with that of the dense model, and name the mistake that it belongs to."""
    G, centre, x0 = np.array(G), np.array(centre), np.array(x0)
    lower, upper = np.full(len(x0), float(bounds[0])), np.full(len(x0), float(bounds[1]))
    what = f"on a quadratic {what}"
    buffer = np.empty(len(x0))

    def function(x):
        buffer[:] = G @ (x - centre)
        return (x - centre) @ buffer / 2, buffer if reuse else buffer.copy()

    fun = _Recorded(function, lower, upper, 200, what)
    failed, answer = None, None
    try:
        answer = candidate(fun, x0, lower, upper, m=m)
    except Wrong as wrong:  # first see where it went wrong
        failed = wrong
    points = [x for i, x in enumerate(fun.points) if not i or not np.array_equal(x, fun.points[i - 1])]
    pairs = []
    for k in range(searches):
        if len(points) <= k + 1:
            break
        x, g = points[k], G @ (points[k] - centre)
        name = _direction(points[k + 1] - x, x, g, lower, upper, pairs, m)
        expect(name is None, f"{what}, search {k + 1} (from {x.round(3).tolist()}): {name}")
        s = points[k + 1] - x
        pairs.append((s, G @ s))
    if failed:
        raise failed
    _solution(answer, fun)
    expect(len(points) > searches, f"{what}: it evaluates {len(points)} points and stops, the minimiser is not reached")


def _direction(taken, x, g, lower, upper, pairs, m):
    """None if the direction ``taken`` leads to the target x̄ of the dense model, else the mistake that it shows."""
    good = [(s, y) for s, y in pairs if s @ y > 0]
    right = _target(x, g, lower, upper, good[-m:]) - x
    if _parallel(taken, right):
        return None
    H, blocked = np.linalg.inv(_dense(good[-m:], len(x))), (x <= lower) & (g > 0) | (x >= upper) & (g < 0)
    clipped = "H mixes blocked components into the free ones, zeroing them before or after does not mend it"
    mistakes = {
        "that is the Cauchy point itself: the subspace step is missing": _target(x, g, lower, upper, good[-m:], "x_c"),
        "the projected point P(x_c + e) lies uphill, so x̄ is the truncated one": (
            _target(x, g, lower, upper, good[-m:], "project")
        ),
        "it truncates, although the projected point P(x_c + e) lies downhill": (
            _target(x, g, lower, upper, good[-m:], "truncate")
        ),
        "the free variables must be those strictly inside the box at x_c, not at x": (
            _target(x, g, lower, upper, good[-m:], "free at x")
        ),
    }
    if len(good) > m:
        mistakes |= {
            f"of {len(good)} pairs it keeps the oldest {m}, not the newest": _target(x, g, lower, upper, good[:m]),
            f"it uses all {len(good)} pairs, and m = {m}": _target(x, g, lower, upper, good),
        }
    if good:
        mistakes = {
            f"it goes along −H g, clipped: {clipped}": np.clip(x - H @ g, lower, upper),
            f"it goes along −H g with the blocked components set to zero: {clipped}": (
                np.clip(np.where(blocked, x, x - H @ g), lower, upper)
            ),
            "it sets blocked components of g and H g to zero; the free variables are those at x_c, and the inverse of "
            "a block of B is not the block of H": np.clip(
                np.where(blocked, x, x - H @ np.where(blocked, 0, g)), lower, upper
            ),
        } | mistakes
        uphill = g @ (_target(x, g, lower, upper, good[-m:], "project") - x) >= 0
        restart = "the pairs are not stored, or not used"
        if uphill:
            restart = "P(x_c + e) lies uphill, and starting again from B = I is not called for: truncate"
        mistakes |= {
            f"this is the direction for B = I: {restart}": _target(x, g, lower, upper, []),
        }
        if len(good) > 1:
            mistakes["the pairs stand in the wrong order, they go from old to new"] = _target(
                x, g, lower, upper, good[-m:][::-1]
            )
    found, wanted = (v / np.linalg.norm(v) if v.any() else v for v in (taken, right))
    if len(good) < len(pairs):  # until then all was right
        s, y = next((s, y) for s, y in pairs if s @ y <= 0)
        refused = f"the pair with sᵀy = {s @ y:.2f} must be refused, with it B is not positive definite"
        return f"{refused}; it goes along {found.round(2).tolist()}, without the pair {wanted.round(2).tolist()}"
    for name, target in mistakes.items():
        if _parallel(taken, target - x):
            return name
    return f"it goes along {found.round(2).tolist()}, towards x̄ it is {wanted.round(2).tolist()}"


def _parallel(a, b):
    lengths = np.linalg.norm(a) * np.linalg.norm(b)
    return bool(lengths > 0 and a @ b > (1 - 1e-9) * lengths)


def _target(x, g, lower, upper, pairs, how=None):
    """x̄ by dense linear algebra; with ``how`` the point that a mistake leads to."""
    B = _dense(pairs, len(x))
    with np.errstate(all="ignore"):
        t = _first_minimiser(x, g, lower, upper, B)
        x_c = np.clip(x - (0.0 if t is None or not np.isfinite(t) else t) * g, lower, upper)
        at = x if how == "free at x" else x_c
        free, d = (lower < at) & (at < upper), np.zeros_like(x)
        d[free] = -np.linalg.solve(B[np.ix_(free, free)], (g + B @ (x_c - x))[free])
        projected = np.clip(x_c + d, lower, upper)
        if how == "x_c":
            return x_c
        if how == "project" or (how != "truncate" and g @ (projected - x) < 0):
            return projected
        room = np.where(d == 0, np.inf, np.where(d > 0, upper - x_c, lower - x_c) / d)
        return np.clip(x_c + min(1.0, room.min()) * d, lower, upper)


def _dense(pairs, n):
    """B of the pairs, old to new, by the BFGS formula of lesson 03 from θI."""
    B = np.eye(n)
    if pairs:
        s, y = pairs[-1]
        B *= (y @ y) / (s @ y)
    for s, y in pairs:
        B = B - np.outer(B @ s, B @ s) / (s @ B @ s) + np.outer(y, y) / (s @ y)
    return B


def _one_quadratic(candidate, rng, case, scale=1, **options):
    n = (2, 5, 20)[case % 3]
    Q = np.linalg.qr(rng.normal(size=(n, n)))[0]
    G, centre = scale * Q * 10 ** rng.uniform(-3, 0, n) @ Q.T, 1.5 * rng.normal(size=n)
    lower, upper = -rng.random(n), rng.random(n)
    what = f"on a convex quadratic in {n} variables"
    if case % 2:
        lower[rng.random(n) < 0.3], upper[rng.random(n) < 0.3] = -np.inf, np.inf
        lower[0] = upper[0] = 0.25
        what += ", some bounds infinite, one variable fixed"
    if scale != 1:
        what += f", F times {scale:g} (a pair test that is not in the units of F refuses every pair here)"

    def function(x):
        return 0.5 * (x - centre) @ G @ (x - centre), G @ (x - centre)

    fun = _Recorded(function, lower, upper, 100 + 5 * n, what)
    x = _solution(candidate(fun, np.clip(rng.normal(size=n), lower, upper), lower, upper, **options), fun)
    left = np.abs(np.clip(x - G @ (x - centre) / scale, lower, upper) - x).max()
    expect(
        left < 2e-3,
        f"{what}: it ends where max |P(x − g) − x| = {left:.1e}, which is no minimiser. A clipped two-loop direction "
        "is not L-BFGS-B, nor is one whose active components are only zeroed: H mixes blocked components into the free "
        "ones, and the run stalls",
    )


def _first_trial(candidate):
    far, what = np.full(3, np.inf), "on Σ cosh x_i from 20, without bounds"
    fun = _Recorded(lambda x: (np.cosh(x).sum(), np.sinh(x)), -far, far, 150, what)
    x = _solution(candidate(fun, np.array([20.0, 19.0, 18.0]), -far, far), fun)
    expect(
        np.abs(x).max() < 1e-2,
        f"{what}: it ends at {x.round(2).tolist()} after {len(fun.values)} calls. With B = I the step is −g, here 10⁸ "
        "long: without pairs and without a full box the first trial must be at most 1 long (first_trial)",
    )


def _second_try(candidate):
    """After some calls every point gives NaN but those straight down the gradient from the best point."""
    n, far, weight = 4, np.full(4, np.inf), np.array([1.0, 4.0, 20.0, 100.0])
    what = "where one line search finds nothing but NaN"
    home = {"f": np.inf, "open": False, "refused": 0}

    def function(x):
        f, g = weight @ x**2 / 2, weight * x
        if len(fun.values) >= 8 and not home["open"]:
            home["open"] = _parallel(x - home["x"], -home["g"])
            if not home["open"]:
                home["refused"] += 1
                expect(
                    home["refused"] < 100,
                    f"{what}: it goes on without end: after the failure forget the pairs, and stop if there are none",
                )
                return np.nan, np.full(n, np.nan)
        if f < home["f"]:
            home.update(f=f, x=x.copy(), g=g.copy())
        return f, g

    fun = _Recorded(function, -far, far, 400, what)
    x = _solution(candidate(fun, np.ones(4), -far, far), fun)
    expect(home["refused"] > 0, f"{what}: it stops after {len(fun.values)} calls, at F = {home['f']:.1e}")
    expect(
        home["open"],
        f"{what}: it gives up at F = {home['f']:.1e}. The model may be to blame: forget the pairs and try once more, "
        "with B = I",
    )
    expect(np.abs(x).max() < 1e-2, f"{what}: after the second try it must go on; it ends at {x.round(3).tolist()}")


def _no_descent(candidate):
    """The gradient promises a million times the fall that comes: no trial gives a sufficient decrease."""
    centre = np.array([0.3, -0.4, 0.5])

    def function(x):
        return 1e-6 * (x - centre) @ (x - centre) / 2, x - centre

    what = "where no step gives a sufficient decrease (if there are no pairs, a failing search ends the run)"
    fun = _Recorded(function, -np.ones(3), np.ones(3), 100, what)
    _solution(candidate(fun, np.zeros(3), fun.lower, fun.upper), fun)


def _nan(candidate):
    centre = np.array([2.0, -1.0])
    for what, f_there in (
        ("where F is NaN for x₁ > 1.2", np.nan),
        ("where only the gradient is NaN for x₁ > 1.2", 1.0),
    ):

        def function(x, f_there=f_there):
            z = x - centre
            beyond = x[0] > 1.2
            return f_there * (z @ z) / 2 if beyond else z @ z / 2, np.full(2, np.nan) if beyond else z

        fun = _Recorded(function, np.full(2, -3.0), np.full(2, 3.0), 300, what)
        x = _solution(candidate(fun, np.zeros(2), fun.lower, fun.upper), fun)
        expect(x[0] <= 1.2, f"{what}: it returns {x.round(3).tolist()}; a trial with NaN in it must not be accepted")
        expect(
            function(x)[0] < 2.5, f"{what}: it returns its start; shorten the step until F and its gradient are numbers"
        )


def _noise(candidate):
    """F has noise that its gradient does not know of: in the end the line search fails, and its last trial is poor."""
    weight, lower, upper = np.logspace(-2, 0, 9), -np.ones(9), np.ones(9)

    def noisy(x):
        z = x - np.linspace(-2, 0.5, 9)
        return weight @ z**2 + z.sum() ** 2 + 1e-3 * np.sin(1e5 * x.sum()), 2 * weight * z + 2 * z.sum()

    fun = _Recorded(noisy, lower, upper, 10**4, "with noise in F")
    _solution(candidate(fun, np.full(9, 0.1), lower, upper), fun)


def _options(candidate):
    def valley(x):
        g = np.zeros_like(x)
        r = x[1:] - x[:-1] ** 2
        g[1:] += 200 * r
        g[:-1] -= 400 * r * x[:-1] + 2 * (1 - x[:-1])
        return 100 * (r @ r) + ((1 - x[:-1]) ** 2).sum(), g

    def calls(what, most, **options):
        fun = _Recorded(valley, np.full(6, -2.0), np.full(6, 2.0), most, what)
        _solution(candidate(fun, np.full(6, -1.0), fun.lower, fun.upper, **options), fun)
        return len(fun.values)

    calls("with max_iterations = 2", 43, max_iterations=2, gtol=1e-9, ftol=0.0)
    loose, tight = (calls(f"with gtol = {gtol}", 1000, gtol=gtol, ftol=0.0) for gtol in (0.5, 1e-6))
    expect(loose < tight, f"it makes {tight} calls with gtol = 1e-6 and {loose} with gtol = 0.5: gtol is not used")
    loose = calls("with ftol = 0.5", 1000, gtol=0.0, ftol=0.5)
    expect(loose < tight, f"it makes {tight} calls with ftol = 0 and {loose} with ftol = 0.5: ftol is not used")


def _solution(answer, fun):
    expect(isinstance(answer, dict) and {"x", "f"} <= set(answer), "it must return a dict with the entries 'x' and 'f'")
    expect(fun.values, f"{fun.what}: it never calls fun")
    x, f = array(answer["x"], fun.lower.shape, "x"), float(answer["f"])
    out = np.maximum(fun.lower - x, x - fun.upper).max()
    expect(out <= 0, f"{fun.what}: the answer leaves the box by {out:.1e}")
    expect(len(fun.values) > 1, f"{fun.what}: it called fun {len(fun.values)} times, the start is all that it knows")
    seen = [value for point, value in zip(fun.points, fun.values, strict=True) if np.array_equal(point, x)]
    expect(seen, f"{fun.what}: fun was never called at the x that it returns")
    expect(f in seen, f"{fun.what}: 'f' is {f:.6g} but fun(x) is {seen[0]:.6g}: x and f must belong together")
    expect(f <= fun.values[0], f"{fun.what}: f = {f:.6g} is worse than the start, {fun.values[0]:.6g}")
    best = min(fun.sound)
    expect(
        f <= best,
        f"{fun.what}: it returns f = {f:.6g} although it had evaluated one that is {f - best:.1e} lower: return the "
        "best point seen, not the last one",
    )
    return x


class _Recorded:
    """A function that remembers its points and values, and refuses points outside the box and calls without end."""

    def __init__(self, function, lower, upper, most, what):
        self.function, self.lower, self.upper, self.most, self.what = function, lower, upper, most, what
        self.points, self.values, self.sound = [], [], []  # sound: the values without NaN in F or its gradient

    def __call__(self, x):
        x = np.array(x, dtype=float)
        expect(x.shape == self.lower.shape, f"{self.what}: it calls fun with shape {x.shape}")
        out = np.maximum(self.lower - x, x - self.upper).max()
        first = "the first call is already outside the box, by {:.1e}: clip the start"
        trial = "it calls fun outside the box, by {:.1e}: clip the trial point first"
        expect(out <= 0, f"{self.what}: {(trial if self.values else first).format(out)}")
        expect(
            len(self.values) < self.most,
            f"{self.what}: more than {self.most} calls of fun: that is the pace of a projected gradient, or a loop "
            "without a stopping test",
        )
        f, g = self.function(x)
        self.points.append(x)
        self.values.append(f)
        if np.isfinite([f, *g]).all():
            self.sound.append(f)
        return f, g


def _boxed_point(rng, n, kind):
    """x inside a box, and a gradient that drives about half of its coordinates into a bound before t = 1."""
    x, g = rng.uniform(-1, 1, n), 2 * rng.normal(size=n)
    t = rng.uniform(0.02, 0.8, n)
    if "tied" in kind:  # exact in binary, so that the ties are ties
        x, g, t = np.round(8 * x) / 8, np.ceil(np.abs(g)) * np.sign(g), rng.choice([0.125, 0.25], n)
    lower = np.where(g > 0, x - t * g, x - rng.uniform(0, 1, n))
    upper = np.where(g < 0, x - t * g, x + rng.uniform(0, 1, n))
    if "g_i = 0" in kind:
        g[rng.random(n) < 0.5] = 0.0
        g[0] = 0.0
        lower[0] = x[0]
    if "infinite" in kind:
        lower[rng.random(n) < 0.6], upper[rng.random(n) < 0.6] = -np.inf, np.inf
        lower[0], upper[0] = -np.inf, np.inf
    return x, g, lower, upper


def _model(rng, n, k):
    """θ, W, M and the dense B of k pairs from a random quadratic, by the definition in lesson 04."""
    A = rng.normal(size=(n, n))
    A = A @ A.T / n + 0.1 * np.eye(n)
    S = rng.normal(size=(n, k))
    theta, W, M = _compact(S, A @ S)
    return theta, W, M, theta * np.eye(n) - W @ M @ W.T


def _compact(S, Y):
    theta = (Y[:, -1] @ Y[:, -1]) / (S[:, -1] @ Y[:, -1]) if S.shape[1] else 1.0
    SY, W = S.T @ Y, np.hstack([Y, theta * S])
    D, Lam = np.diag(np.diag(SY)), np.tril(SY, -1)
    return theta, W, np.linalg.inv(np.block([[-D, Lam.T], [Lam, theta * (S.T @ S)]]))
