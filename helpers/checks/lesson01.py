"""Lesson 01, the closest wrong image: a plane, a plane in a box, and how rare a good direction is."""

import math

import numpy as np

from ._verdict import array, check, expect

__all__ = ["closest_in_box", "closest_on_plane", "log10_chance"]


@check
def closest_on_plane(candidate):
    """The shortest way to the plane: it arrives (z = 0), and it runs along the normal A."""
    rng = np.random.default_rng(11)
    for n in (2, 5, 784):
        for side in (-1.0, 1.0):
            x, A = rng.uniform(size=n), rng.normal(size=n)
            b = side * rng.uniform(0.5, 2.0) - A @ x
            _one_plane(array(candidate(x, A, b), (n,), "r"), x, A, b)
    return "z = 0 and length |z|/‖A‖ in 6 random cases, from both sides"


def _one_plane(r, x, A, b):
    z, norm = A @ x + b, np.linalg.norm(A)
    right = -z / norm**2 * A
    expect(
        not np.allclose(r, right * norm) or np.isclose(norm, 1.0),
        f"the length is |z| = {abs(z):.3f}; it must be |z|/‖A‖ = {abs(z) / norm:.3f}: "
        "A is not a unit vector, so divide by ‖A‖² = ⟨A, A⟩, not by ‖A‖",
    )
    expect(not np.allclose(r, x + right), "this is the image x + r, on the plane; the change r alone is asked for")
    after = A @ (x + r) + b
    expect(
        not np.allclose(r, abs(z) / norm**2 * A) or z < 0,
        f"from z = {z:.3f} > 0 it goes further up, to {after:.3f}: the sign of z says which way r points",
    )
    expect(abs(after - 2 * z) > 1e-9 * norm, f"r points away from the plane: z goes from {z:.3f} to {after:.3f}")
    expect(
        abs(after - b) > 1e-9 * norm,
        f"A·(x + r) is 0, but z = A·(x + r) + b is {after:.3f}: the offset b is missing",
    )
    expect(
        not np.allclose(r, -b / norm**2 * A),
        f"z at the new point is {after:.3f}: r must bring z(x) = A·x + b = {z:.3f} to zero, and not b = {b:.3f} alone",
    )
    expect(abs(after) < 1e-9 * norm, f"x + r is not on the plane: z is {after:.3e} there, for n = {x.size}")
    excess = np.linalg.norm(r) / (abs(z) / norm) - 1
    expect(excess < 1e-9, f"x + r is on the plane, but r is {excess:.1%} longer than the distance |z|/‖A‖")


CLOSE = 1e-5  # in pixel units: 20 halvings of a bracket are good enough


@check
def closest_in_box(candidate):
    """Inside the box, on the boundary z = 0, and every pixel that still moves has moved by the same multiple of A."""
    rng = np.random.default_rng(12)
    _one_box(
        candidate, np.array([0.9, 0.8, 0.7]), np.array([1.0, -1.0, 1.0]), -1.75
    )  # the third stops before the second
    tried = 1
    for n in (6, 2, 784):
        for ties in (False, True):
            x, A = rng.uniform(size=n), rng.normal(size=n)
            if ties:  # paper, ink, dead pixels and equal breakpoints
                x, A = rng.choice([0.0, 0.25, 1.0], n), rng.choice([-1.0, 0.0, 0.5, 2.0], n)
                x[0], A[0] = 0.0, 2.0
            ways = np.where(A > 0, 1 - x, -x) * A  # what each pixel can add to the score
            for share in (0.35, 0.9, 0.02):
                _one_box(candidate, x, A, -A @ x - share * ways.sum())
                tried += 1
    x, A = np.array([0.3, 0.0, 0.8]), np.array([1.0, -2.0, 0.5])
    r = array(candidate(x, A, 1.0), (3,), "r")
    expect(
        not r.any(),
        f"x is on the right side already (z = {A @ x + 1.0:.2f}), so r must be zero; its length is "
        f"{np.linalg.norm(r):.3f}",
    )
    return (
        f"the shortest change to within {CLOSE:g} a pixel in {tried} random cases, with ties, dead and stopped pixels"
    )


def _moved_along(x, A, mu):
    return np.clip(x + mu * A, 0, 1) - x


def _multiplier(x, A, b):
    """The root of z(x + r(μ)) by halving; some point of the box is known to have a positive score."""
    high = 1.0
    while A @ (x + _moved_along(x, A, high)) + b < 0:
        high *= 2
    low = 0.0
    for _ in range(80):
        mu = (low + high) / 2
        low, high = (mu, high) if A @ (x + _moved_along(x, A, mu)) + b < 0 else (low, mu)
    return high


def _one_box(candidate, x, A, b):
    r = array(candidate(x, A, b), x.shape, "r")
    mu = _multiplier(x, A, b)
    right = _moved_along(x, A, mu)
    off = abs(r - right)
    if off.max() < CLOSE:
        return
    _name_the_mistake(r, right, mu, x, A, b)
    worst = off.argmax()
    expect(
        False,
        f"pixel {worst} should change by {right[worst]:.6f}, yours changes by {r[worst]:.6f}, for n = {x.size}: "
        f"each pixel moves by μ A, here with μ = {mu:.4f}, and stops at the edge of the box",
    )


def _name_the_mistake(r, right, mu, x, A, b):
    u, z_before, z = x + r, A @ x + b, A @ (x + r) + b
    n, scale = x.size, 1e-6 * np.linalg.norm(A)
    expect(abs(r - x - right).max() > CLOSE, "this is the image x + r; the change r alone is asked for")
    expect(
        abs(r - np.clip(_unboxed(r, A), 0, 1)).max() > CLOSE or (right >= -CLOSE).all(),
        "no pixel loses ink: it is the image x + r that must lie in [0, 1], so clip x + r, not r",
    )
    worst = np.maximum(-u, u - 1).argmax()
    stopped = (abs(r) > 1e-7) & (np.minimum(abs(u), abs(u - 1)) < 1e-12)
    expect(
        not stopped.any() or -1e-6 <= u[worst] <= 1 + 1e-6,
        f"pixel {stopped.argmax()} stops at the edge of the box, but pixel {worst} of x + r is {u[worst]:.6g}: when "
        "the others move further, more of them reach the edge, and these must stop too",
    )
    expect(
        -1e-6 <= u[worst] <= 1 + 1e-6,
        f"pixel {worst} of x + r is {u[worst]:.6g}: the box is forgotten, no image has such a pixel",
    )
    clipped = np.clip(x - z_before / (A @ A) * A, 0, 1)
    expect(
        abs(u - clipped).max() > 1e-7 or z > -scale,
        f"this is the answer without the box, clipped after solving: clipping took back what the stopped pixels had "
        f"contributed, so z is {z:.3f}, still negative. The other pixels must move further",
    )
    moved = abs(r) > 1e-7
    expect(
        np.all(A[moved] != 0),
        "a pixel with weight 0 has moved: that costs length and changes nothing",
    )
    expect(np.all(r * A >= -1e-7 * abs(A)), "a pixel moves against its weight: that lowers the score")
    weighty = A != 0
    free = weighty & (u > 1e-6) & (u < 1 - 1e-6)
    multiples = r[free] / A[free]
    if free.any():
        low, high = multiples.min(), multiples.max()
        its_own = abs(r - _moved_along(x, A, np.median(multiples))).max()
        if its_own < CLOSE:  # the right shape with the wrong multiplier
            expect(
                z > -scale,
                f"x + r is still on the wrong side: z is {z:.3e}, for n = {n}; your μ is {np.median(multiples):.6f}, "
                f"it must be {mu:.6f}",
            )
            expect(
                z < scale,
                f"x + r is beyond the boundary, z = {z:.3e}, for n = {n}: a shorter r stops at z = 0; your μ is "
                f"{np.median(multiples):.6f}, it must be {mu:.6f}",
            )
    expect(z > -scale, f"x + r is still on the wrong side: z is {z:.3e}, for n = {n}")
    expect(z < scale, f"x + r is beyond the boundary, z = {z:.3e}: a shorter r stops at z = 0")
    if free.any():
        expect(
            high - low < 1e-4 * (1 + high),
            f"feasible, but not the shortest: all pixels that can still move must have moved by the same multiple μ of "
            f"A; yours lie between {low:.4f} and {high:.4f}",
        )
        should = _moved_along(x, A, high)
        left = abs(should - r).argmax()
        expect(
            abs(should - r).max() < CLOSE,
            f"feasible, but not the shortest: with μ = {high:.4f} pixel {left} should change by {should[left]:.4f}, "
            f"yours changes by {r[left]:.4f}; each one moves by μ A and stops at the edge of the box",
        )


def _unboxed(r, A):
    """μ A with the multiplier that ``r`` shows where it lies strictly between 0 and 1."""
    inside = (r > 1e-9) & (r < 1 - 1e-9) & (A != 0)
    return np.median(r[inside] / A[inside]) * A if inside.any() else np.full_like(A, np.inf)


@check
def log10_chance(candidate):
    """The share of a spherical cap: closed forms in few dimensions, a series in many, a half at the equator."""
    for n, cosine in ((784, 0.5), (2, 0.5), (2, -0.5), (3, 0.3), (4, 0.8), (10, 0.0), (10, 0.5), (100, 0.25)):
        _one_cap(candidate, n, cosine)
    _one_cap(candidate, 150_528, 0.5)
    return "right in 9 cases, from the circle to the 150,528 numbers of a colour photograph"


def _one_cap(candidate, n, cosine):
    value = np.asarray(candidate(n, cosine), dtype=float)
    expect(value.shape == (), f"the answer has shape {value.shape}, it must be a number")
    value, right, case = float(value), _log10_cap(n, cosine), f"for n = {n} and cosine {cosine}"
    expect(
        value != -math.inf,
        f"{case} it is −inf: sinⁿ⁻² or the share itself has underflowed to 0, or no draw hit; the share is "
        f"10^{right:.1f}. Work with the logarithm of sinⁿ⁻², and subtract its largest value before you take exp",
    )
    expect(math.isfinite(value), f"{case} it is {value}; it must be {right:.3f}")

    def near(other):
        return abs(value - other) < 0.02 + 1e-4 * abs(other)

    if near(right):
        return
    angle = math.acos(cosine)
    expect(
        not math.isclose(value, 10**right, rel_tol=0.05),
        f"{case} it is {value:.3g}, the share itself; its logarithm to base 10 is asked for",
    )
    expect(not near(-right), f"{case} it is {value:.3f}: a share is at most 1, so its logarithm is at most 0")
    expect(
        not near(right * math.log(10)),
        f"{case} it is {value:.3f}, the natural logarithm; divide by log 10 = 2.303 to get {right:.3f}",
    )
    expect(
        not near(math.log10(angle / math.pi)),
        f"{case} it is {value:.3f}, as if every angle were equally likely; the density of the angle is sinⁿ⁻²",
    )
    for exponent, wrong in ((n - 1, n + 1), (n - 3, n - 1), (n, n + 2)):
        expect(
            wrong < 2 or not near(_log10_cap(wrong, cosine)),
            f"{case} it is {value:.3f}, what the exponent {exponent} gives; in R^n it is n − 2 = {n - 2}",
        )
    if right < -0.25:
        expect(
            not near(right + math.log10(2)),
            f"{case} it is {value:.3f}, twice the share: divide by the integral over all angles, 0 to π, and count "
            "one side only",
        )
    if 0 < cosine < 1:
        expect(
            not near(_log10_cap(n, math.cos(cosine))),
            f"{case} it is {value:.3f}: the integral ends at arccos {cosine} = {angle:.3f}, not at the cosine",
        )
    expect(
        not near(math.log10(-math.expm1(right * math.log(10)))),
        f"{case} it is {value:.3f}, the share of the directions whose cosine is less than {cosine}",
    )
    bell = 0.5 * math.erfc(cosine * math.sqrt(n / 2))
    expect(
        bell == 0 or not near(math.log10(bell)),
        f"{case} it is {value:.3f}, what the normal distribution gives; it is good near the middle, and wrong by a "
        f"power of ten or more out here: {right:.3f}",
    )
    everything = _log10_all_angles(n)
    expect(
        not near(right + everything),
        f"{case} it is {value:.3f}: divide by the integral over all angles, 0 to π, which is 10^{everything:.3f}",
    )
    expect(False, f"{case} it is {value:.3f}; it must be {right:.3f}")


def _log10_all_angles(n):
    """log10 of the integral of sinⁿ⁻² from 0 to π."""
    return (math.log(math.pi) / 2 + math.lgamma((n - 1) / 2) - math.lgamma(n / 2)) / math.log(10)


def _log10_cap(n, cosine):
    """log10 of half the regularised incomplete beta function I(sin²; (n−1)/2, 1/2), by its series (Li, 2011)."""
    if cosine < 0:
        return math.log10(1 - 10 ** _log10_cap(n, -cosine))
    if cosine == 0:
        return math.log10(0.5)
    a, x = (n - 1) / 2, 1 - cosine**2
    k = np.arange(int(60 / -math.log(x)) + 1)  # until what is left out is less than 1e-26 of the first term
    terms = np.cumprod(np.append(1.0, (a + 0.5 + k) / (a + 1 + k) * x))
    log_all = math.log(math.pi) / 2 + math.lgamma(a) - math.lgamma(a + 0.5)
    log_cap = a * math.log(x) + math.log(cosine) - math.log(a) - log_all + math.log(terms.sum()) - math.log(2)
    return log_cap / math.log(10)
