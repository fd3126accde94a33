"""Lesson 01's checks: right answers in any form pass, every classic mistake is caught and named."""

import math

import numpy as np
import pytest
from notebook_tools import NOTEBOOKS, cells
from scipy.optimize import minimize
from scipy.special import betainc
from scipy.stats import norm
from verdicts import said

from helpers import checks

LESSON = NOTEBOOKS / "01_the_closest_wrong_image.ipynb"
SCOPE = {"np": np, "math": math, "checks": checks}
for _cell in cells(LESSON, "solution"):
    exec(_cell.source, SCOPE)


@pytest.mark.parametrize("name", ["closest_on_plane", "closest_in_box", "log10_chance"])
def test_the_solutions_are_correct_and_the_stubs_not_attempted(capsys, name):
    assert said(capsys, name, SCOPE[name]).startswith(f"{name}: correct - ")
    stubs = [cell.source for cell in cells(LESSON, "exercise")]
    scope = {}
    exec(next(source for source in stubs if f"def {name}(" in source), scope)
    assert "not attempted yet" in said(capsys, name, scope[name])


def on_plane(x, A, b):
    return -(A @ x + b) / (A @ A) * A


def by_least_norm(x, A, b):
    return np.linalg.lstsq(A[None], np.array([-(A @ x + b)]), rcond=None)[0]


def by_unit_normal(x, A, b):
    length = math.sqrt(sum(float(a) ** 2 for a in A))
    return np.array([-(float(x @ A) + b) / length * a / length for a in A])


def to_the_plane_then_back_along_it(x, A, b):
    """Any way to the plane, less what lies along it."""
    r = np.zeros_like(x)
    r[0] = -(A @ x + b) / A[0]
    return A * (A @ r) / (A @ A)


@pytest.mark.parametrize("candidate", [by_least_norm, by_unit_normal, to_the_plane_then_back_along_it])
def test_closest_on_plane_in_another_form(capsys, candidate):
    assert ": correct - " in said(capsys, "closest_on_plane", candidate)


@pytest.mark.parametrize(
    "candidate, message",
    [
        (lambda x, A, b: -(A @ x + b) * A / np.linalg.norm(A), "divide by ‖A‖² = ⟨A, A⟩, not by ‖A‖"),
        (lambda x, A, b: -on_plane(x, A, b), "r points away from the plane"),
        (lambda x, A, b: on_plane(x, A, 0), "the offset b is missing"),
        (lambda x, A, b: 0 * x, "x + r is not on the plane"),
        (lambda x, A, b: -(A @ x + b) / (A[0] + A[1]) * (np.arange(x.size) < 2), "longer than the distance |z|/‖A‖"),
        (lambda x, A, b: on_plane(x, A, b)[:, None], r"has shape (2, 1)"),
        # and others
        (lambda x, A, b: x + on_plane(x, A, b), "this is the image x + r"),
        (lambda x, A, b: -b / (A @ A) * A, "and not b = "),
        (lambda x, A, b: abs(A @ x + b) / (A @ A) * A, "the sign of z says which way"),
        (lambda x, A, b: -(A @ x + b) / (abs(A) @ abs(A)) * abs(A), "x + r is not on the plane"),
        (lambda x, A, b: -(A @ x + b) / A.sum() * np.ones_like(A), "longer than the distance"),
        (lambda x, A, b: -(A @ x + b) / np.abs(A).sum() * np.sign(A), "longer than the distance"),
        (lambda x, A, b: -(A @ x + b) / A / x.size, "longer than the distance"),
        (lambda x, A, b: -(A @ x + b) / (A @ x) * x, "longer than the distance"),
        (lambda x, A, b: -0.999 * (A @ x + b) / (A @ A) * A, "x + r is not on the plane"),
        (lambda x, A, b: np.clip(x + on_plane(x, A, b), 0, 1) - x, "x + r is not on the plane"),
        (lambda x, A, b: abs(A @ x + b) / np.linalg.norm(A), "it must have shape (2,)"),
        (lambda x, A, b: -(A @ x + b) / A @ A, "it must have shape (2,)"),
    ],
)
def test_closest_on_plane(capsys, candidate, message):
    out = said(capsys, "closest_on_plane", candidate)
    assert "not yet" in out and message in out


def moved(x, A, mu):
    return np.clip(x + mu * A, 0, 1) - x


def halved(x, A, b, halvings=60):
    if A @ x + b >= 0:
        return np.zeros_like(x)
    high = 1e-3
    while A @ (x + moved(x, A, high)) + b < 0:
        high *= 2
    low = 0.0
    for _ in range(halvings):
        mu = (low + high) / 2
        low, high = (mu, high) if A @ (x + moved(x, A, mu)) + b < 0 else (low, mu)
    return moved(x, A, mu)


def frozen(x, A, b, rounds=1):
    """The plane's answer, the pixels that leave the box frozen at its edge, the others solved once more, and again."""
    if A @ x + b >= 0:
        return np.zeros_like(x)
    r, out = on_plane(x, A, b), np.zeros(x.size, dtype=bool)
    for _ in range(rounds):
        new = out | (x + r < 0) | (x + r > 1)
        if (new == out).all():
            break
        out = new
        r[out] = np.where(A > 0, 1 - x, -x)[out]
        if not out.all():
            r[~out] = -(A @ x + b + A[out] @ r[out]) / (A[~out] @ A[~out]) * A[~out]
    return r


def by_newton(x, A, b):
    """The score is concave in μ, so Newton's method from the left never overshoots."""
    mu = 0.0
    for _ in range(200):
        u = np.clip(x + mu * A, 0, 1)
        z = A @ u + b
        if z >= -1e-13:
            break
        still = ((A > 0) & (u < 1)) | ((A < 0) & (u > 0))
        mu -= z / (A[still] @ A[still])
    return np.clip(x + mu * A, 0, 1) - x


def by_slsqp(x, A, b):
    if x.size > 100:  # minutes, otherwise
        return by_newton(x, A, b)
    return minimize(
        lambda r: 0.5 * r @ r,
        np.zeros_like(x),
        jac=lambda r: r,
        method="SLSQP",
        bounds=np.stack([-x, 1 - x], axis=1),
        constraints={"type": "ineq", "fun": lambda r: A @ (x + r) + b, "jac": lambda r: A},
        options={"ftol": 1e-15, "maxiter": 500},
    ).x * (A @ x + b < 0)


def stretched(x, A, b):
    """Clip, stretch what is left until it would reach the plane, and again: every μ in turn is too small."""
    if A @ x + b >= 0:
        return np.zeros_like(x)
    mu = 0.0
    for _ in range(20_000):
        z = A @ (x + moved(x, A, mu)) + b
        if z > -1e-10:
            break
        mu -= z / (A @ A)
    return moved(x, A, mu)


@pytest.mark.parametrize(
    "candidate",
    [
        halved,
        lambda x, A, b: halved(x, A, b, halvings=20),
        lambda x, A, b: frozen(x, A, b, rounds=1000),
        by_newton,
        by_slsqp,
        stretched,
    ],
)
def test_closest_in_box_in_another_form(capsys, candidate):
    assert ": correct - " in said(capsys, "closest_in_box", candidate)


def clipped(x, A, b):
    return np.clip(x + on_plane(x, A, b), 0, 1) - x


def pushed(x, A, b):
    """Along A, clipped, until well beyond the boundary."""
    mu = 0.01
    while A @ (u := np.clip(x + mu * A, 0, 1)) + b <= 0:
        mu *= 1.5
    return u - x


def one_pixel_at_a_time(x, A, b):
    """Feasible and on the boundary: spends the pixels with the largest weights first."""
    r, z = np.zeros_like(x), A @ x + b
    for i in np.argsort(-abs(A)):
        room = (1 - x[i] if A[i] > 0 else x[i]) * abs(A[i])
        gain = min(max(-z, 0.0), room)
        if gain:
            r[i], z = gain / A[i], z + gain
    return r


def shrunk(x, A, b):
    r = on_plane(x, A, b)
    with np.errstate(divide="ignore", invalid="ignore"):
        room = np.where(r > 0, (1 - x) / r, np.where(r < 0, -x / r, np.inf))
    return min(1.0, room.min()) * r


def towards(direction, x, A, b):
    """On the boundary and in the box, along another direction than A."""
    if A @ x + b >= 0:
        return np.zeros_like(x)
    high = 1.0
    while A @ np.clip(x + high * direction, 0, 1) + b < 0:
        high *= 2
    low = 0.0
    for _ in range(80):
        mu = (low + high) / 2
        low, high = (mu, high) if A @ np.clip(x + mu * direction, 0, 1) + b < 0 else (low, mu)
    return np.clip(x + high * direction, 0, 1) - x


def walked(x, A, b, finish=True, slope=lambda A: A**2, order=np.argsort, late=0):
    """The walk over the breakpoints with a mistake in one place."""
    z = A @ x + b
    if z >= 0:
        return np.zeros_like(x)
    moving = np.flatnonzero(A)
    t = np.where(A > 0, 1 - x, x)[moving] / np.abs(A[moving])
    sorting = order(t)
    t = t[sorting]
    slopes = np.cumsum(slope(A[moving][sorting])[::-1])[::-1]
    score = z + np.cumsum(slopes * np.diff(t, prepend=0.0))
    j = min(np.argmax(score >= 0) + late, t.size - 1)
    return moved(x, A, t[j] - score[j] / slopes[j] if finish else t[j])


def clip_of_the_change(x, A, b):
    low, high = 0.0, 1e6
    for _ in range(100):
        mu = (low + high) / 2
        low, high = (mu, high) if A @ (x + np.clip(mu * A, 0, 1)) + b < 0 else (low, mu)
    return np.clip(high * A, 0, 1)


@pytest.mark.parametrize(
    "candidate, message",
    [
        (on_plane, "the box is forgotten"),
        (frozen, "when the others move further, more of them reach the edge"),
        (clipped, "clipped after solving"),
        (shrunk, "still on the wrong side"),
        (pushed, "beyond the boundary"),
        (one_pixel_at_a_time, "feasible, but not the shortest"),
        (lambda x, A, b: SCOPE["closest_in_box"](x, A, b) + 0.1 * (A == 0) * (x < 0.5), "with weight 0 has moved"),
        (lambda x, A, b: np.where(A @ x + b < 0, SCOPE["closest_in_box"](x, A, b), 0.01), "so r must be zero"),
        (lambda x, A, b: np.full_like(x, np.nan), "NaN or infinite"),
        # and others
        (lambda x, A, b: x + halved(x, A, b), "this is the image x + r"),
        (clip_of_the_change, "clip x + r, not r"),
        (lambda x, A, b: towards(np.sign(A), x, A, b), "must have moved by the same multiple μ of A"),
        (lambda x, A, b: towards((A > 0) - x, x, A, b), "must have moved by the same multiple μ of A"),
        (lambda x, A, b: towards(A**3, x, A, b), "must have moved by the same multiple μ of A"),
        (lambda x, A, b: halved(x, A, b, halvings=8), "your μ is"),
        (lambda x, A, b: walked(x, A, b, finish=False), "beyond the boundary"),
        (lambda x, A, b: walked(x, A, b, slope=np.abs), "your μ is"),
        (lambda x, A, b: walked(x, A, b, order=lambda t: np.arange(t.size)), "your μ is"),
        (lambda x, A, b: walked(x, A, b, late=1), "your μ is"),
        (lambda x, A, b: halved(x, A, b) * 1.001, "the box is forgotten"),
        (lambda x, A, b: halved(x, A, 0.99 * b), "x + r is"),
        (lambda x, A, b: moved(x, A, -(A @ x + b) / (A @ A)), "so z is"),
        (lambda x, A, b: towards(A * (x > 0) * (x < 1), x, A, b) if (0 < x).all() else halved(x, A, b), "correct"),
        (lambda x, A, b: by_newton(x, A, b) if A @ x + b < 0 else on_plane(x, A, b), "so r must be zero"),
        (lambda x, A, b: halved(x, A, b) if x.size < 100 else frozen(x, A, b, rounds=2), "these must stop too"),
        (lambda x, A, b: halved(x, A, b).__imul__(np.where(x > 0, 1, 0)), "x + r is still on the wrong side"),
        (lambda x, A, b: np.argmax(A), "must have shape (3,)"),
    ],
)
def test_closest_in_box(capsys, candidate, message):
    out = said(capsys, "closest_in_box", candidate)
    assert message in out and ("not yet" in out or message == "correct")


def by_beta_function(n, cosine):
    """In the log, since the cap of a photograph underflows: the leading factor of the incomplete beta function."""
    if n < 1000:
        cap = 0.5 * betainc((n - 1) / 2, 0.5, 1 - cosine**2)
        return np.log10(cap if cosine >= 0 else 1 - cap)
    a, x = (n - 1) / 2, 1 - cosine**2
    log_beta = math.lgamma(a) + math.lgamma(0.5) - math.lgamma(a + 0.5)
    return (a * math.log(x) - math.log(2 * a) - log_beta - math.log(1 - x) / 2) / math.log(10)


def by_simpson(n, cosine):
    """The logarithm of the integral by Simpson's rule, on a grid that is fine where the integrand is large."""

    def log_integral(end):
        width = end if n < 50 else min(end, 40 / ((n - 2) * abs(1 / math.tan(end)) + math.sqrt(n)))
        angle = np.linspace(end - width, end, 40_001)[1:]
        angle = np.append(max(end - width, 1e-12), angle)
        value = (n - 2) * np.log(np.sin(angle))
        weights = np.ones(40_001)
        weights[1:-1:2], weights[2:-1:2] = 4, 2
        return value.max() + math.log((np.exp(value - value.max()) * weights).sum() * width / 120_000)

    total = math.log(2) + log_integral(math.pi / 2)
    if cosine < 0:
        return math.log10(1 - math.exp(log_integral(math.acos(-cosine)) - total))
    return (log_integral(math.acos(cosine)) - total) / math.log(10)


@pytest.mark.parametrize("candidate", [by_beta_function, by_simpson, lambda n, c: np.float64(by_simpson(n, c))])
def test_log10_chance_in_another_form(capsys, candidate):
    assert ": correct - " in said(capsys, "log10_chance", candidate)


def capped(n, cosine, power=None, end=None, total=math.pi, base=10, safe=True):
    """The solution with a mistake in one place."""
    power = n - 2 if power is None else power(n)

    def log_integral(end, points=20_000):
        angle = (np.arange(points) + 0.5) * end / points
        if not safe:
            return np.log((np.sin(angle) ** power).mean() * end)
        value = power * np.log(np.sin(angle))
        return value.max() + math.log(np.exp(value - value.max()).mean() * end)

    end = math.acos(cosine) if end is None else end(cosine)
    return (log_integral(end) - (log_integral(total) if total else 0.0)) / math.log(base)


def drawn(n, cosine):
    xi = np.random.default_rng(0).standard_normal((2000, min(n, 784)))
    return np.log10((xi[:, 0] > cosine * np.linalg.norm(xi, axis=1)).mean())


@pytest.mark.parametrize(
    "candidate, message",
    [
        (lambda n, c: capped(n, c, safe=False), "Work with the logarithm of sinⁿ⁻²"),
        (lambda n, c: capped(n, c, base=math.e), "the natural logarithm"),
        (lambda n, c: capped(n, c, power=lambda n: n - 1), "what the exponent 783 gives"),
        (lambda n, c: capped(n, c, power=lambda n: n), "what the exponent 784 gives"),
        (lambda n, c: capped(n, c, power=lambda n: n - 3), "what the exponent 781 gives"),
        (lambda n, c: capped(n, c, power=lambda n: 0), "as if every angle were equally likely"),
        (lambda n, c: capped(n, c, total=math.pi / 2), "twice the share"),
        (lambda n, c: capped(n, c, total=None), "divide by the integral over all angles"),
        (lambda n, c: capped(n, c, end=lambda c: c), "not at the cosine"),
        (lambda n, c: norm.logsf(c * math.sqrt(n)) / math.log(10), "what the normal distribution gives"),
        (lambda n, c: 10 ** capped(n, c), "the share itself"),
        (lambda n, c: -capped(n, c), "a share is at most 1"),
        (lambda n, c: math.log10(1 - 10 ** capped(n, c)), "whose cosine is less than 0.5"),
        (drawn, "no draw hit"),
        (lambda n, c: capped(n, abs(c)), "for n = 2 and cosine -0.5"),
        (lambda n, c: capped(n, c) if n < 1000 else -9000.0, "it must be -9406.013"),
        (lambda n, c: math.nan, "it is nan"),
        (lambda n, c: np.array([capped(n, c)]), "it must be a number"),
        (lambda n, c: math.log10((1 - c) / 2), "it must be -50.460"),
    ],
)
def test_log10_chance(capsys, candidate, message):
    out = said(capsys, "log10_chance", candidate)
    assert "not yet" in out and message in out
