"""Lesson 01, the closest wrong image: a plane, a plane in a box, and noise that hits neither."""

import numpy as np

from ._verdict import array, check, expect

__all__ = ["closest_in_box", "closest_on_plane", "noise_of_length"]


@check
def closest_on_plane(candidate):
    """The shortest way to the plane: it arrives (z = 0), and it runs along the normal w."""
    rng = np.random.default_rng(11)
    for n in (2, 5, 784):
        for side in (-1.0, 1.0):
            x, w = rng.uniform(size=n), rng.normal(size=n)
            b = side * rng.uniform(0.5, 2.0) - w @ x
            z, norm = w @ x + b, np.linalg.norm(w)
            r = array(candidate(x, w, b), (n,), "r")
            after = w @ (x + r) + b
            expect(
                not np.allclose(r, -z * w / norm) or np.isclose(norm, 1.0),
                f"the length is |z| = {abs(z):.3f}; it must be |z|/‖w‖ = {abs(z) / norm:.3f}: "
                "w is not a unit vector, so divide by ‖w‖² = ⟨w, w⟩, not by ‖w‖",
            )
            expect(
                abs(after - 2 * z) > 1e-9 * norm, f"r points away from the plane: z goes from {z:.3f} to {after:.3f}"
            )
            expect(
                abs(after - b) > 1e-9 * norm,
                f"w·(x + r) is 0, but z = w·(x + r) + b is {after:.3f}: the offset b is missing",
            )
            expect(abs(after) < 1e-9 * norm, f"x + r is not on the plane: z is {after:.3e} there, for n = {n}")
            excess = np.linalg.norm(r) / (abs(z) / norm) - 1
            expect(excess < 1e-9, f"x + r is on the plane, but r is {excess:.1%} longer than the distance |z|/‖w‖")
    return "z = 0 and length |z|/‖w‖ in 6 random cases, from both sides"


@check
def closest_in_box(candidate):
    """Inside the box, on the boundary z = 0, and every pixel that still moves has moved by the same multiple of w."""
    rng = np.random.default_rng(12)
    tried = 0
    for n in (2, 6, 784):
        for ties in (False, True):
            x, w = rng.uniform(size=n), rng.normal(size=n)
            if ties:  # paper, ink, dead pixels and equal breakpoints
                x, w = rng.choice([0.0, 0.25, 1.0], n), rng.choice([-1.0, 0.0, 0.5, 2.0], n)
                x[0], w[0] = 0.0, 2.0
            ways = np.where(w > 0, 1 - x, -x) * w  # what each pixel can add to the score
            for share in (0.35, 0.9):
                _one_box(candidate, x, w, -w @ x - share * ways.sum())
                tried += 1
    x, w = np.array([0.3, 0.0, 0.8]), np.array([1.0, -2.0, 0.5])
    r = array(candidate(x, w, 1.0), (3,), "r")
    expect(
        not r.any(),
        f"x is on the right side already (z = {w @ x + 1.0:.2f}), so r must be zero; its length is "
        f"{np.linalg.norm(r):.3f}",
    )
    return f"inside, on the boundary and shortest in {tried} random cases, with ties, dead pixels and pixels at 0 and 1"


def _one_box(candidate, x, w, b):
    r = array(candidate(x, w, b), x.shape, "r")
    u, scale = x + r, np.linalg.norm(w)
    worst = np.maximum(-u, u - 1).argmax()
    expect(
        -1e-9 <= u[worst] <= 1 + 1e-9,
        f"pixel {worst} of x + r is {u[worst]:.3f}: the box is forgotten, no image has such a pixel",
    )
    z, moved = w @ u + b, r != 0
    clipped = np.clip(x - (w @ x + b) / scale**2 * w, 0, 1)
    expect(
        not np.allclose(u, clipped) or z > -1e-9 * scale,
        f"this is the answer without the box, clipped after solving: clipping took back what the stopped pixels had "
        f"contributed, so z is {z:.3f}, still negative. The other pixels must move further",
    )
    expect(z > -1e-8 * scale, f"x + r is still on the wrong side: z is {z:.3e}, for n = {x.size}")
    expect(z < 1e-8 * scale, f"x + r is beyond the boundary, z = {z:.3e}: a shorter r stops at z = 0")
    free = moved & (u > 1e-12) & (u < 1 - 1e-12)
    expect(np.all(w[moved] != 0), "a pixel with w = 0 has moved: that costs length and changes nothing")
    expect(np.all(r * w >= -1e-12), "a pixel moves against w: that lowers the score")
    multiples = np.where(free, r / np.where(w == 0, 1.0, w), np.nan)
    if free.any():
        low, mu = np.nanmin(multiples), np.nanmax(multiples)
        expect(
            mu - low < 1e-7 * (1 + mu),
            f"feasible, but not the shortest: all pixels that can still move must have moved by the same multiple μ of "
            f"w; yours lie between {low:.4f} and {mu:.4f}",
        )
        stopped = np.abs(np.clip(x + mu * w, 0, 1) - u).max()
        expect(
            stopped < 1e-7,
            f"feasible, but not the shortest: with μ = {mu:.4f} a pixel should be elsewhere by {stopped:.1e}; each "
            "one moves by μ w and stops at the edge of the box",
        )


@check
def noise_of_length(candidate):
    """The right length, reproducible, and no preferred direction."""
    for n, length in ((784, 1.5), (784, 0.02), (2, 1.0)):
        r = array(candidate(np.random.default_rng(n), n, length), (n,), "r")
        found = np.linalg.norm(r)
        expect(
            not 0.8 < found / (length * np.sqrt(n)) < 1.2 or n < 10,
            f"its length is {found:.2f}, about √n = 28 times the {length} asked for: a standard deviation of {length} "
            "a pixel is not a length; divide by the norm",
        )
        expect(np.isclose(found, length, rtol=1e-9), f"its length is {found:.4f}, not {length}, for n = {n}")
        again = array(candidate(np.random.default_rng(n), n, length), (n,), "r")
        expect(
            np.array_equal(r, again),
            "two generators in the same state gave two different answers: draw from rng, not from np.random",
        )
    rng = np.random.default_rng(13)
    r = np.array([array(candidate(rng, 2, 1.0), (2,), "r") for _ in range(4000)])
    expect(np.ptp(r, axis=0).max() > 0, "the same vector comes out every time: let rng go on")
    mean = np.abs(r.mean(axis=0)).max()
    expect(
        mean < 0.06, f"the mean of 4,000 draws is off zero by {mean:.2f}: signs must be as likely positive as negative"
    )
    corners = -np.mean(np.cos(4 * np.arctan2(r[:, 1], r[:, 0])))  # 0 for a circle, 1 if only diagonals occur
    expect(
        abs(corners) < 0.06,
        f"directions are not equally likely: the diagonals are preferred by {corners:.2f} (0 for a circle). A cube has "
        "more room towards its corners; start from normal numbers",
    )
    return "exact length, reproducible, and no direction preferred in 4,000 draws"
