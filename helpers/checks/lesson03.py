"""Checks of lesson 03: a value with its gradient, a line search, the BFGS update, and which pairs it may use."""

from fractions import Fraction

import numpy as np

from ._verdict import Wrong, array, check, expect

__all__ = ["attack_objective", "bfgs_update", "bisection_search", "keep_pair"]


@check
def attack_objective(candidate):
    """``candidate(r, x, l, c, W, b) -> (f, g)``: f = c |r|² + log Σ exp(z) − z_l, z = W (x + r) + b; g its gradient.

    f is fixed by properties: at c = 0 the exp(−f) are probabilities whose ratios are those of exp(z); c adds c |r|².
    """
    rng = np.random.default_rng(31)

    def call(r, *problem):
        answer = candidate(r, *problem)
        expect(isinstance(answer, tuple) and len(answer) == 2, "return two things: f, g")
        return float(array(answer[0], (), "f")), array(answer[1], r.shape, "g")

    for n, k in ((3, 2), (6, 4), (5, 10)):
        r, x, W, b = rng.normal(size=n), rng.normal(size=n), rng.normal(size=(k, n)), rng.normal(size=k)
        l, c = int(rng.integers(k)), 0.7
        z = W @ (x + r) + b

        losses = np.array([call(r, x, j, 0.0, W, b)[0] for j in range(k)])
        expect(
            not np.allclose(losses, r @ r), "c multiplies the loss, for at c = 0 only |r|^2 is left; c belongs on |r|^2"
        )
        expect(
            np.allclose(losses - losses[0], z[0] - z, atol=1e-8) and abs(np.exp(-losses).sum() - 1) < 1e-8,
            "at c = 0, f should be -log softmax(z)_l with z = W (x + r) + b, so that exp(-f) adds up to 1 over l and "
            f"f(l) - f(j) = z_j - z_l; yours add up to {np.exp(-losses).sum():.3g}",
        )
        price = call(r, x, l, c, W, b)[0] - losses[l]
        expect(
            abs(price - c * np.linalg.norm(r)) > 1e-8,
            "the price of r is c |r|, the norm; the task asks for its square, c |r|^2",
        )
        expect(abs(price - c * r @ r) < 1e-8, f"c should add c |r|^2 = {c * r @ r:.4f} to f, it adds {price:.4f}")
        _belongs_together(call, r, (x, l, c, W, b))

    call_large = (rng.normal(size=5), 1, 0.1, 1000 * rng.normal(size=(4, 5)), np.zeros(4))
    try:
        f, _ = call(np.zeros(5), *call_large)
    except Wrong as wrong:
        raise Wrong(f"with logits of about 1000 exp overflows: subtract the largest logit first ({wrong})") from None
    expect(f >= 0, f"with logits of about 1000, f = {f:.3g}; a loss is never negative")
    return "f has the right price and loss, g agrees with central differences of f, and logits of 1000 do not overflow"


def _belongs_together(call, r, problem):
    """Compare g with central differences of f; where they differ, say how."""
    c, W, h = problem[2], problem[3], 1e-5
    g = call(r, *problem)[1]
    slopes = np.array([(call(r + e, *problem)[0] - call(r - e, *problem)[0]) / (2 * h) for e in h * np.eye(r.size)])
    gap = slopes - g
    if np.abs(gap).max() < 1e-6:
        return
    i = np.abs(gap).argmax()
    found = f"f and g do not belong together: along r[{i}] f changes by {slopes[i]:.4f} a unit, g says {g[i]:.4f}"
    reasons = {
        "the derivative of c |r|^2 is 2 c r, not c r": c * r,
        "g lacks the derivative of c |r|^2": 2 * c * r,
        "g has the wrong sign": 2 * slopes,
        "g lacks the derivative of -z_l": -W[problem[1]],
    }
    for reason, expected in reasons.items():
        expect(not np.allclose(gap, expected, atol=1e-6), f"{found}; {reason}")
    raise Wrong(found)


@check
def bisection_search(candidate):
    """``candidate(phi, c1, c2) -> alpha`` satisfies Armijo's condition and the weak curvature condition."""
    shapes = {f"a parabola with its minimum at α = {m}": _parabola(m) for m in (1e-3, 0.03, 0.7, 5.0, 900.0)}
    shapes["a curve that first bends downwards"] = lambda a: (-a - a**2 + 0.02 * a**4, -1 - 2 * a + 0.08 * a**3)
    shapes["a curve with waves"] = lambda a: (
        -np.sin(3 * a) + 0.2 * (a - 12) ** 2,
        -3 * np.cos(3 * a) + 0.4 * (a - 12),
    )
    shapes["a curve that is infinite beyond α = 0.4"] = _wall
    for c1, c2 in ((1e-4, 0.9), (0.3, 0.5)):
        for name, phi in shapes.items():
            _wolfe_step(candidate, name, phi, c1, c2)
    return f"both Wolfe conditions hold on {len(shapes)} curves, for two choices of c1 and c2"


def _parabola(minimum):
    return lambda a: ((a - minimum) ** 2, 2 * (a - minimum))


def _wall(a):
    return (-np.log(0.4 - a) - 9 * a, 1 / (0.4 - a) - 9) if a < 0.4 else (np.inf, np.nan)


def _wolfe_step(candidate, name, phi, c1, c2):
    calls = 0

    def counted(alpha):
        nonlocal calls
        calls += 1
        expect(calls <= 200, f"200 trials on {name} and no end: low and high must close in on each other")
        return phi(alpha)

    (f0, slope0), alpha = phi(0.0), candidate(counted, c1, c2)
    alpha = float(array(alpha, (), "alpha"))
    expect(alpha > 0, f"on {name} you return α = {alpha:.4g}: a step must be positive")
    f, slope = phi(alpha)
    where = f"on {name}, with c1 = {c1} and c2 = {c2}, you return α = {alpha:.4g}"
    line = f0 + c1 * alpha * slope0
    expect(f <= line, f"{where}, where Armijo's condition fails: φ(α) = {f:.4g} is above its line, {line:.4g}")
    expect(
        slope >= c2 * slope0,
        f"{where}. That is Armijo only: the curvature condition fails, φ'(α) = {slope:.4g} is below "
        f"c2 φ'(0) = {c2 * slope0:.4g}. Nothing then keeps s'y positive, here {alpha * (slope - slope0):.4g}",
    )


@check
def bfgs_update(candidate):
    """``candidate(H, s, y) -> H+``, fixed by three properties: symmetric, H+ y = s, unchanged between vectors ⟂ s."""
    rng = np.random.default_rng(33)
    cases = 0
    for n in (2, 3, 5, 9):
        for _ in range(3):
            root, (s, y) = rng.normal(size=(n, n)), rng.normal(size=(2, n))
            H, y = root @ root.T / n + np.eye(n), y * np.sign(s @ y)
            _least_change(array(candidate(H, s, y), (n, n), "H+"), H, s, y)
            cases += 1
    return f"symmetric, maps y to s, and changes nothing between vectors orthogonal to s, in {cases} random cases"


def _least_change(new, H, s, y):
    n, scale = len(s), 1e-8 * (1 + np.abs(H).max() + s @ s / (s @ y) + y @ H @ y * (s @ s) / (s @ y) ** 2)
    error = np.abs(new @ y - s).max()
    if error > scale * (1 + np.abs(y).max()):
        found = f"H+ y = s fails by {error:.2g} for n = {n}"
        image = new @ s
        if np.allclose(image, y, atol=1e-6):
            raise Wrong(f"{found}; your matrix maps s to y: that is what B must do, and H stands where B belongs")
        if np.allclose(new @ y, 0, atol=1e-6):
            raise Wrong(f"{found}; your matrix maps y to 0: the term rho s s' is missing")
        if np.linalg.norm(image) > 1e-6 and np.isclose(abs(image @ s), np.linalg.norm(image) * np.linalg.norm(s)):
            raise Wrong(f"{found}; I - rho y s', which takes y to 0, belongs on the right of H; yours is transposed")
        raise Wrong(found)
    expect(np.allclose(new, new.T, atol=scale), f"H+ is not symmetric: off by {np.abs(new - new.T).max():.2g}")

    change = _change_on_complement(new - H, s)
    if change > 1e2 * scale:
        found = "symmetric, and H+ y = s, but not the least change of H: z'H+ z must be z'H z for every z ⟂ s"
        if _is_dfp(new, H, y):
            raise Wrong(f"{found}. This is DFP, the least change of B, the inverse of H (n = {n})")
        raise Wrong(f"{found}; it changes by up to {change:.2g} (n = {n})")


def _change_on_complement(difference, v):
    """The largest entry of ``difference`` as a quadratic form on the vectors orthogonal to ``v``."""
    basis = np.linalg.svd(v[None])[2][1:]
    return np.abs(basis @ difference @ basis.T).max()


def _is_dfp(new, H, y):
    try:
        return _change_on_complement(np.linalg.inv(new) - np.linalg.inv(H), y) < 1e-6
    except np.linalg.LinAlgError:
        return False


@check
def keep_pair(candidate):
    """``candidate(s, y) -> bool``: s'y > 0 beyond rounding, whatever the one unit of x and the one unit of f."""
    rng = np.random.default_rng(34)

    def keeps(s, y):
        answer = candidate(s, y)
        expect(isinstance(answer, bool | np.bool_), f"return True or False, not {answer!r}")
        return bool(answer)

    for n in (1, 4, 50):
        s, y = rng.normal(size=(2, n))
        y = y * np.sign(s @ y) + 0.1 * s
        cosine = s @ y / np.linalg.norm(s) / np.linalg.norm(y)
        expect(not keeps(s, -y), f"it keeps a pair with s'y = {-s @ y:.2g}: no positive definite B maps s to such a y")
        expect(not keeps(s, 0 * y), "it keeps a pair with y = 0: s'y must be positive, not only not negative")
        expect(keeps(s, y), f"it refuses a good pair: s'y = {s @ y:.2g}, cosine {cosine:.2g}")
        for power in (-9, -6, -3, 3, 6, 9):
            expect(
                keeps(10.0**power * s, 10.0**power * y),
                f"an absolute threshold: it keeps s, y with s'y = {s @ y:.2g} and refuses 1e{power} s, 1e{power} y, "
                f"which say the same (cosine {cosine:.2g}, s'y = {s @ y * 100.0**power:.2g})",
            )
        for power in (-18, -6, 6, 18):
            expect(
                keeps(s, 10.0**power * y) and keeps(10.0**power * s, y),
                f"it changes its mind when s or y alone is multiplied by 1e{power}, as other units of x or f may do: "
                "s'y can only be compared with |s| |y|",
            )
    flat = np.array([1.0, 0.0, 0.0]), np.array([1e-4, 0.7, -0.7])
    expect(keeps(*flat), "it refuses a pair with cosine 1e-4; badly scaled problems have no better ones")
    for s, y in _positive_by_rounding(rng):
        expect(
            not keeps(s, y),
            f"it keeps a pair whose s'y = {s @ y:.1e} is positive through rounding alone: exactly it is "
            f"{float(_exact(s, y)):.1e}, with |s| |y| = {np.linalg.norm(s) * np.linalg.norm(y):.1f}",
        )
    return "it keeps good pairs in any units, and refuses s'y <= 0, y = 0 and what is positive through rounding alone"


def _exact(s, y):
    return sum(Fraction(a) * Fraction(b) for a, b in zip(s.tolist(), y.tolist(), strict=True))


def _positive_by_rounding(rng, wanted=5):
    """Nearly orthogonal pairs whose computed s'y is positive while the exact one is not."""
    found = []
    while len(found) < wanted:
        s, y = rng.normal(size=(2, 50))
        y = y - (s @ y) / (s @ s) * s
        if s @ y > 0 and _exact(s, y) <= 0:
            found.append((s, y))
    return found
