"""Checks of lesson 03: a value with its gradient, a line search, the BFGS update, and which pairs it may use."""

from fractions import Fraction

import numpy as np

from ._verdict import Wrong, array, check, expect

__all__ = ["attack_objective", "bfgs_update", "bisection_search", "keep_pair"]


@check
def attack_objective(candidate):
    """``candidate(r, x, l, c, A, b) -> (value, g)``: c |r|² + log Σ exp(z) − z_l, z = A (x + r) + b; g its gradient.

    The value is fixed by properties: at c = 0 the exp(−value) are probabilities whose ratios are those of exp(z); c
    adds c |r|².
    """
    rng = np.random.default_rng(31)

    def raw(r, *problem):
        answer = candidate(r, *problem)
        expect(isinstance(answer, tuple) and len(answer) == 2, "return two things: the value, and g")
        return answer

    def call(r, *problem):
        value, g = raw(r, *problem)
        return float(array(value, (), "the value")), array(g, r.shape, "g")

    for n, labels in ((3, 2), (6, 4), (5, 10)):
        r, x, A, b = rng.normal(size=n), rng.normal(size=n), rng.normal(size=(labels, n)), rng.normal(size=labels)
        l, c = int(rng.integers(labels)), 0.7
        z = A @ (x + r) + b

        losses = np.array([call(r, x, j, 0.0, A, b)[0] for j in range(labels)])
        expect(
            not np.allclose(losses, r @ r), "c multiplies the loss, for at c = 0 only |r|^2 is left; c belongs on |r|^2"
        )
        expect(
            not np.allclose(losses, losses[0] - z + z[0]) or abs(np.exp(-losses).sum() - 1) < 1e-8,
            f"at c = 0 the exp(-value) of all labels should add up to 1, yours add up to {np.exp(-losses).sum():.3g}: "
            "the part of the value that is the same for every label, log sum_j exp(z_j), is wrong",
        )
        expect(
            np.allclose(losses - losses[0], z[0] - z, atol=1e-8) and abs(np.exp(-losses).sum() - 1) < 1e-8,
            "at c = 0 the value should be -log softmax(z)_l with z = A (x + r) + b: two labels' values should differ "
            f"by {z[0] - z[1]:.4f} = z_0 - z_1, yours differ by {losses[1] - losses[0]:.4f}",
        )
        price = call(r, x, l, c, A, b)[0] - losses[l]
        expect(
            abs(price - c * np.linalg.norm(r)) > 1e-8,
            "the price of r is c |r|, the norm; the task asks for its square, c |r|^2",
        )
        expect(
            abs(price - c * r @ r) < 1e-8, f"c should add c |r|^2 = {c * r @ r:.4f} to the value, it adds {price:.4f}"
        )
        _belongs_together(call, r, (x, l, c, A, b))
    _large_logits(raw, rng)
    return (
        "the value has the right price and loss, g agrees with its central differences, and logits of 1000 do no harm"
    )


def _belongs_together(call, r, problem):
    """Compare g with central differences of the value; where they differ, say how."""
    l, c, A, step = problem[1], problem[2], problem[3], 1e-5
    g = call(r, *problem)[1]
    slopes = np.array(
        [(call(r + e, *problem)[0] - call(r - e, *problem)[0]) / (2 * step) for e in step * np.eye(r.size)]
    )
    gap = slopes - g
    if np.abs(gap).max() < 1e-6:
        return
    i = np.abs(gap).argmax()
    found = f"value and g do not belong together: along r[{i}] the value changes by {slopes[i]:.4f} a unit, "
    found += f"g says {g[i]:.4f}"
    loss_slopes = slopes - 2 * c * r
    reasons = {
        "the derivative of c |r|^2 is 2 c r, not c r": c * r,
        "g lacks the derivative of c |r|^2": 2 * c * r,
        "g has the wrong sign": 2 * slopes,
        "g lacks the derivative of -z_l": -A[l],
        "in g the derivative of the loss has the wrong sign": 2 * loss_slopes,
        "g lacks the derivative of the loss": loss_slopes,
    }
    for reason, expected in reasons.items():
        expect(not np.allclose(gap, expected, atol=1e-6), f"{found}; {reason}")
    raise Wrong(found)


def _large_logits(raw, rng):
    """At logits of about 1000 the value is a difference of two logits; where it is not, say why."""
    A, x, c = 1000 * rng.normal(size=(4, 5)), rng.normal(size=5), 0.1
    r, z = np.zeros(5), A @ x
    l = int(np.argmin(z))
    expected = z.max() - z[l] + np.log(np.exp(z - z.max()).sum())
    value, g = (np.asarray(part, dtype=float) for part in raw(r, x, l, c, A, np.zeros(4)))
    if value.shape == () and not np.isfinite(value) and np.isfinite(g).all():
        raise Wrong(
            f"with logits of about 1000 the value is {value}: the largest logit is subtracted, but then the "
            "probability of l is so small that it is stored as 0, and its logarithm is infinite. The value is "
            f"{expected:.1f}: "
            "take the logarithm of the sum and subtract z_l, without forming the probability"
        )
    if not (np.isfinite(value).all() and np.isfinite(g).all()):
        raise Wrong(
            "with logits of about 1000 exp overflows, and the value or g is infinite or not a number: subtract the "
            "largest logit first"
        )
    expect(
        abs(value - expected) < 1e-6 * expected,
        f"with logits of about 1000 the value should be {expected:.1f}, the largest logit less z_l; yours is "
        f"{value:.1f}. A probability stored as 0, with a small number added or put in its place, has lost it: take the "
        "logarithm of the sum and subtract z_l",
    )


@check
def bisection_search(candidate):
    """``candidate(phi, c1, c2) -> alpha`` satisfies Armijo's condition and the weak curvature condition.

    On the curves with one bend a step is either too short or too long, so there no trial may lie outside what the
    trials before it have shown.
    """
    shapes = {f"a parabola with its minimum at α = {m}": _parabola(m) for m in (1e-3, 0.03, 0.7, 5.0, 900.0)}
    shapes["a curve that first bends downwards"] = lambda a: (-a - a**2 + 0.02 * a**4, -1 - 2 * a + 0.08 * a**3)
    shapes["a curve with waves"] = lambda a: (
        -np.sin(3 * a) + 0.2 * (a - 12) ** 2,
        -3 * np.cos(3 * a) + 0.4 * (a - 12),
    )
    shapes["a curve that tends to infinity at α = 0.4, and is infinite beyond"] = _wall
    bends = {f"a curve that falls straight until α = {m} and then rises steeply": _hook(m) for m in (0.043, 0.7, 37.0)}
    for c1, c2 in ((1e-4, 0.9), (0.3, 0.5)):
        for name, phi in (shapes | bends).items():
            _wolfe_step(candidate, name, phi, c1, c2, name in bends)
    return f"both Wolfe conditions hold on {len(shapes | bends)} curves, for two choices of c1 and c2"


def _parabola(minimum):
    return lambda a: ((a - minimum) ** 2, 2 * (a - minimum))


def _hook(bend):
    """Slope −1 up to ``bend``, then so steep that the acceptable steps end 1% beyond it."""
    sharp = 1e4 / bend
    return lambda a: (-a + sharp * max(0.0, a - bend) ** 2, -1 + 2 * sharp * max(0.0, a - bend))


def _wall(a):
    return (-np.log(0.4 - a) - 9 * a, 1 / (0.4 - a) - 9) if a < 0.4 else (np.inf, np.nan)


def _wolfe_step(candidate, name, phi, c1, c2, one_bend):
    trials, known = [], [0.0, np.inf]  # known: the longest step that was too short, the shortest that was too long
    f0, slope0 = phi(0.0)

    def counted(alpha):
        trials.append(float(alpha))
        if one_bend:
            _keeps_its_bracket(alpha, known, f"on {name}")
        if len(trials) > 200:
            few = len(set(trials)) < 60
            repeats = f"The same {len(set(trials))} steps come again and again: {FORGETS}"
            closing = f"The last ones are near α = {trials[-1]:.4g}: low and high must close in on each other"
            short = (
                f"No step has been too long yet, and you never try beyond α = {max(trials):.4g}: grow the step until "
            )
            short += "one is too long"
            reason = short if np.isinf(known[1]) and max(trials) < 1e6 else repeats if few else closing
            raise Wrong(f"200 trials on {name} and no end. {reason}")
        f, slope = phi(alpha)
        if not f <= f0 + c1 * alpha * slope0:
            known[1] = min(known[1], alpha)
        elif slope < c2 * slope0:
            known[0] = max(known[0], alpha)
        return f, slope

    alpha = float(array(candidate(counted, c1, c2), (), "alpha"))
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


FORGETS = (
    "a search that forgets what it has tried, as by halving and growing in turn, may never meet a narrow interval of "
    "good steps. Keep low, the last step that was too short, and high, the last that was too long, and try between them"
)


def _keeps_its_bracket(alpha, known, where):
    low, high = known
    if 0 < alpha < low:
        raise Wrong(f"{where} α = {low:.4g} was too short, and yet you try α = {alpha:.4g}: {FORGETS}")
    if alpha > high:
        raise Wrong(f"{where} α = {high:.4g} was too long, and yet you try α = {alpha:.4g}: {FORGETS}")


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
        for mistake, matrix in _mistaken(H, s, y):
            expect(not np.allclose(new, matrix, rtol=1e-6, atol=scale), f"{found}; {mistake}")
        raise Wrong(found)
    expect(np.allclose(new, new.T, atol=scale), f"H+ is not symmetric: off by {np.abs(new - new.T).max():.2g}")

    change = _change_on_complement(new - H, s)
    if change > 1e2 * scale:
        found = "symmetric, and H+ y = s, but not the least change of H: z'H+ z must be z'H z for every z ⟂ s"
        if _is_dfp(new, H, y):
            raise Wrong(f"{found}. This is DFP, the least change of B, the inverse of H (n = {n})")
        if _change_on_complement(new - np.eye(n), s) < 1e-6:
            raise Wrong(f"{found}. Between such z it agrees with the identity: I stands where H belongs (n = {n})")
        raise Wrong(f"{found}; it changes by up to {change:.2g} (n = {n})")


def _mistaken(H, s, y):
    """Pairs of a mistake in words and the matrix that it gives."""
    sy, Hy = s @ y, H @ y

    def update(rho, mixed, last):
        return H - rho * mixed + last * np.outer(s, s)

    both = np.outer(s, Hy) + np.outer(Hy, s)
    for rho, text in ((sy, "s'y"), (1 / (y @ y), "1 / y'y"), (1 / (s @ s), "1 / s's"), (-1 / sy, "-1 / s'y")):
        yield f"rho must be 1 / s'y, yours is {text}", update(rho, both, rho + rho**2 * (y @ Hy))
    rho, size = 1 / sy, 1 / sy + (y @ Hy) / sy**2
    one = "one of the two mixed terms, rho s (Hy)' and rho (Hy) s', is missing"
    yield one, update(rho, np.outer(s, Hy), size)
    yield one, update(rho, np.outer(Hy, s), size)
    yield "the two mixed terms rho (s (Hy)' + (Hy) s') are subtracted, not added", update(-rho, both, size)
    factor = "the factor of s s' is rho + rho^2 y'Hy, yours is"
    yield f"{factor} rho + rho y'Hy: that rho must be squared", update(rho, both, rho + rho * (y @ Hy))
    yield f"{factor} rho: y'Hy is missing", update(rho, both, rho)
    yield f"{factor} rho + rho^2 y'y: H is missing", update(rho, both, rho + rho**2 * (y @ y))


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
    for cosine in (1e-4, 1e-6):
        flat = np.array([1.0, 0.0, 0.0]), np.array([cosine, 0.7, -0.7])
        expect(
            keeps(*flat),
            f"it refuses a pair with cosine {cosine:.0e}, which is far above rounding; badly scaled problems have "
            "no better ones",
        )
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
