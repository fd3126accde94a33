"""Lesson 05's checks: the stopping test, the Cauchy point, the subspace step and the whole of L-BFGS-B."""

from itertools import pairwise

import numpy as np

from ._verdict import array, check, expect

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
    rng = np.random.default_rng(51)
    for kind in ("", "with some g_i = 0: ", "with infinite bounds: ", "with tied breakpoints: ", "with no pairs: "):
        for n in (2, 5, 12, 12):
            x, g, lower, upper = _boxed_point(rng, n, kind)
            theta, W, M, B = _model(rng, n, 0 if "no pairs" in kind else min(3, n))
            _one_cauchy_point(candidate(x, g, lower, upper, theta, W, M), x, g, lower, upper, W, B, kind)
    hard = {
        "with g = 0: ": ([0.5, 0.5], [0.0, 0.0], [1.0, 1.0], [[2.0, 1.0], [1.0, 3.0]]),
        "with tied breakpoints: ": ([0, 0, 0], [-2, -3, -2], [0.5, 0.75, 3], [[6, -3, -3], [-3, 10, -3], [-3, -3, 7]]),
        "where the path has two minimisers: ": ([0.36, 0.89], [-0.72, 0.14], [1, 1], [[5.4, 2.79], [2.79, 1.66]]),
        "where all come to rest: ": ([0.1, 0.1, 0.8], [0.8, 0.8, 0], [1, 1, 1], [[3, -1, 0], [-1, 6, -3], [0, -3, 4]]),
    }
    for kind, case in hard.items():
        x, g, upper, B = (np.array(numbers, dtype=float) for numbers in case)
        W, M = np.hstack([np.eye(len(x)), 0 * B]), np.kron([[1, 0], [0, 0]], np.eye(len(x)) - B)  # B = I − W M Wᵀ
        _one_cauchy_point(candidate(x, g, 0 * x, upper, 1.0, W, M), x, g, 0 * x, upper, W, B, kind)
    return "the first local minimiser on the path in 24 cases: zero gradients, ties and infinite bounds among them"


def _last_breakpoint(candidate):
    """B = I on the unit box: every coordinate runs into its bound, at t = 1/8, 1/4 and 1/2."""
    x, g = np.zeros(3), np.array([-8.0, -2.0, -4.0])
    answer = candidate(x, g, np.zeros(3), np.ones(3), 1.0, np.empty((3, 0)), np.empty((0, 0)))
    expect(isinstance(answer, tuple) and len(answer) == 3, "it must return three things: x_c, c and t")
    x_c = array(answer[0], (3,), "x_c")
    expect(
        np.allclose(x_c, 1) or x_c.max() > 1,
        f"with B = I it returns {x_c.round(2).tolist()} where [1, 1, 1] is right, and the model still falls: "
        "it skips a breakpoint, or f'' is not updated when the path bends",
    )


def _one_cauchy_point(answer, x, g, lower, upper, W, B, kind):
    x_c, c, t = answer
    expect(
        np.isfinite(np.asarray(x_c, dtype=float)).all() and np.isfinite(t),
        f"{kind}x_c or t is NaN or infinite: 0/0 where g_i = 0, or inf · 0 where a bound is infinite (t = {t})",
    )
    x_c, c = array(x_c, x.shape, "x_c"), array(c, (W.shape[1],), "c")
    out = np.maximum(lower - x_c, x_c - upper).max()
    expect(out <= 0, f"{kind}x_c leaves the box by {out:.1e}: put a coordinate that meets its bound exactly there")
    on_path = np.clip(x - t * g, lower, upper)
    i = np.abs(x_c - on_path).argmax()
    expect(
        abs(x_c[i] - on_path[i]) < 1e-9 * (1 + t),
        f"{kind}x_c is not on the path: coordinate {i} is {x_c[i]:.3f}, at t = {t:.3f} the path has {on_path[i]:.3f}",
    )
    error = np.abs(c - W.T @ (x_c - x)).max(initial=0.0)
    expect(error < 1e-8, f"{kind}c must be Wᵀ(x_c − x), it is off by {error:.1e}: add step times p on every segment")
    first = _first_minimiser(x, g, lower, upper, B)
    slack = 1e-7 * (1 + first)
    tied = " (two coordinates meet their bounds at once: bend for both before you look at f')" if "tied" in kind else ""
    expect(
        t > first - slack or np.allclose(x_c, np.clip(x - first * g, lower, upper)),
        f"{kind}it stops too early: at t = {t:.4f} the model still falls, its first local minimiser on the path is at "
        f"t = {first:.4f}. A breakpoint is skipped, or f' is not updated when the path bends{tied}",
    )
    expect(
        t < first + slack or np.allclose(x_c, np.clip(x - first * g, lower, upper)),
        f"{kind}it goes past the first local minimiser of the model on the path (t = {first:.3f}) to t = {t:.3f}: it "
        "looks for the best one, or f' or f'' is not updated when the path bends",
    )
    over = f"{kind}x_c is right, t = {t:.4f} is not: nothing moves after t = {first:.4f}, the f' left there is rounding"
    expect(abs(t - first) < 1e-6 * (1 + first), over)


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
    return "the model's gradient vanishes in the free coordinates, the others do not move, in 12 cases"


def _one_subspace_step(d, x, g, x_c, theta, B, free, kind):
    moved = np.abs(d[~free]).max(initial=0.0)
    expect(moved == 0, f"{kind}it moves a variable that is held at its bound, by {moved:.2f}: d must be 0 there")
    if not free.any():
        return
    z, F = x_c - x, np.ix_(free, free)
    r = (g + B @ z)[free]
    scale = np.abs(r).max() + np.abs(g).max()
    residual = np.abs(B[F] @ d[free] + r).max() / scale
    if residual < 1e-7:
        return
    mistakes = {
        "the W M c term is missing: r = g + θ(x_c − x) − W M c is the model's gradient at x_c, and c is not 0": (
            -np.linalg.solve(B[F], (g + theta * z)[free])
        ),
        "it uses g, the gradient at x: the step starts at x_c, so r must be the model's gradient there": (
            -np.linalg.solve(B[F], g[free])
        ),
        "these are the free components of −B⁻¹ r: zeroing the active components only, as a two-loop direction with a "
        "mask does. The inverse of a block is not the block of the inverse": -(np.linalg.inv(B)[F] @ r),
        "this is −r/θ alone, a gradient step: the Woodbury term is missing": -r / theta,
        "the sign: d must go down, d = −B̂⁻¹ r": np.linalg.solve(B[F], r),
    }
    if np.abs(r).max() > 1e-9:
        for name, wrong in mistakes.items():
            expect(np.abs(B[F] @ (d[free] - wrong)).max() > 1e-7 * scale, f"{kind}{name}")
    expect(False, f"{kind}the model's gradient in the free coordinates at x_c + d is not 0 but {residual:.1e} of r")


@check
def lbfgsb(candidate):
    rng = np.random.default_rng(53)
    for case in range(12):
        _one_quadratic(candidate, rng, case)
    _noise(candidate)
    _one_quadratic(candidate, rng, 1, scale=1e18)
    return "13 boxed quadratics solved, and one function with noise: always in the box, the best point returned"


def _one_quadratic(candidate, rng, case, scale=1):
    n = (2, 5, 20)[case % 3]
    Q = np.linalg.qr(rng.normal(size=(n, n)))[0]
    A, a = scale * Q * 10 ** rng.uniform(-3, 0, n) @ Q.T, 1.5 * rng.normal(size=n)
    lower, upper = -rng.random(n), rng.random(n)
    what = f"on a convex quadratic in {n} variables"
    if case % 2:
        lower[rng.random(n) < 0.3], upper[rng.random(n) < 0.3] = -np.inf, np.inf
        lower[0] = upper[0] = 0.25
        what += ", some bounds infinite, one variable fixed"
    if scale > 1:
        what += f", f times {scale:g} (a pair test that is not in the units of f refuses every pair here)"
    fun = _Recorded(lambda x: (0.5 * (x - a) @ A @ (x - a), A @ (x - a)), lower, upper, 100 + 5 * n, what)
    x = _solution(candidate(fun, np.clip(rng.normal(size=n), lower, upper), lower, upper), fun)
    left = np.abs(np.clip(x - A @ (x - a) / scale, lower, upper) - x).max()
    expect(
        left < 2e-3,
        f"{what}: it ends where max |P(x − g) − x| = {left:.1e}, which is no minimiser. A clipped two-loop direction "
        "is not L-BFGS-B, nor is one whose active components are only zeroed: H mixes blocked components into the free "
        "ones, and the run stalls",
    )


def _noise(candidate):
    """f has noise that its gradient does not know of: in the end the line search fails, and its last trial is poor."""
    weight, lower, upper = np.logspace(-2, 0, 9), -np.ones(9), np.ones(9)

    def noisy(x):
        z = x - np.linspace(-2, 0.5, 9)
        return weight @ z**2 + z.sum() ** 2 + 1e-3 * np.sin(1e5 * x.sum()), 2 * weight * z + 2 * z.sum()

    fun = _Recorded(noisy, lower, upper, 10**5, "with noise in f")
    _solution(candidate(fun, np.full(9, 0.1), lower, upper), fun)


def _solution(answer, fun):
    expect(isinstance(answer, dict) and {"x", "f"} <= set(answer), "it must return a dict with the entries 'x' and 'f'")
    x, f = array(answer["x"], fun.lower.shape, "x"), float(answer["f"])
    out = np.maximum(fun.lower - x, x - fun.upper).max()
    expect(out <= 0, f"{fun.what}: the answer leaves the box by {out:.1e}")
    expect(len(fun.values) > 1, f"{fun.what}: it called fun {len(fun.values)} times, the start is all that it knows")
    true, best = fun.function(x)[0], min(fun.values)
    expect(f == true, f"{fun.what}: 'f' is {f:.6g} but fun(x) is {true:.6g}: x and f must belong together")
    expect(f <= fun.values[0], f"{fun.what}: f = {f:.6g} is worse than the start, {fun.values[0]:.6g}")
    expect(
        f <= best,
        f"{fun.what}: it returns f = {f:.6g} although it had evaluated one that is {f - best:.1e} lower: return the "
        "best point seen, not the last one",
    )
    return x


class _Recorded:
    """A function that remembers its values, and refuses points outside the box and calls without end."""

    def __init__(self, function, lower, upper, most, what):
        self.function, self.lower, self.upper, self.most, self.what = function, lower, upper, most, what
        self.values = []

    def __call__(self, x):
        out = np.maximum(self.lower - x, x - self.upper).max()
        expect(out <= 0, f"{self.what}: it calls fun outside the box, by {out:.1e}: clip the trial point first")
        expect(
            len(self.values) < self.most,
            f"{self.what}: more than {self.most} calls of fun: that is the pace of a projected gradient, or a loop "
            "without a stopping test",
        )
        f, g = self.function(x)
        self.values.append(f)
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
    Y = A @ S
    theta = (Y[:, -1] @ Y[:, -1]) / (S[:, -1] @ Y[:, -1]) if k else 1.0
    SY, W = S.T @ Y, np.hstack([Y, theta * S])
    D, L = np.diag(np.diag(SY)), np.tril(SY, -1)
    M = np.linalg.inv(np.block([[-D, L.T], [L, theta * (S.T @ S)]]))
    return theta, W, M, theta * np.eye(n) - W @ M @ W.T
