"""Check of lesson 00: the paper's unit of length, the root mean square change per pixel."""

import numpy as np

from ._verdict import array, check, expect

__all__ = ["distortion"]

# What a function may compute instead. The first that agrees with it names the mistake.
MISTAKES = {
    "this is the length ‖r‖, which grows with the number of pixels: take the mean of the squares, not their sum": (
        np.linalg.norm
    ),
    "the square root is missing: this is the mean of the squares": lambda r: np.mean(r**2),
    "this is the sum of the squares: take their mean, then the square root": lambda r: np.sum(r**2),
    "this is ‖r‖ divided by n: divide by n under the square root": lambda r: np.linalg.norm(r) / r.size,
    "this divides by √784, whatever r is: divide by the number of entries of r": lambda r: np.linalg.norm(r) / 28,
    "this divides by n − 1: it is no sample, divide by n": lambda r: np.linalg.norm(r) / np.sqrt(r.size - 1),
    "do not subtract the mean of r: a change that is the same for all pixels is a change": np.std,
    "this is the mean of r, in which changes up and down cancel: square before you average": np.mean,
    "this is the mean of |r|; the root mean square weighs a large change more": lambda r: np.mean(np.abs(r)),
    "this is the square root of the mean of |r|: square r, do not take |r|": lambda r: np.sqrt(np.mean(np.abs(r))),
    "this is the largest change; the distortion averages over all pixels": lambda r: np.abs(r).max(),
    "this averages over the changed pixels only: divide by the number of all pixels": (
        lambda r: np.sqrt(np.sum(r**2) / np.count_nonzero(r))
    ),
    "this ignores the pixels that lose ink: r may be negative": lambda r: np.sqrt(np.mean(np.clip(r, 0, None) ** 2)),
}


@check
def distortion(candidate):
    """``candidate(r) -> d``, the root mean square: the size of a constant change, and Pythagorean over halves."""
    rng = np.random.default_rng(0)

    def call(r):
        return float(array(candidate(r), (), "the distortion"))

    # Changes of either sign, some of them zero, in which no two of the functions above agree.
    for n in (50, 7):
        r = rng.normal(0.02, 0.1, size=n)
        r[::3] = 0
        d, right = call(r), np.sqrt(np.mean(r**2))
        if not np.isclose(d, right, rtol=1e-6):
            named = (sentence for sentence, function in MISTAKES.items() if np.isclose(d, function(r), rtol=1e-6))
            name = next((f"{sentence}. " for sentence in named), "")
            expect(False, f"{name}Of {n} random changes the distortion is {right:.6g}, not {d:.6g}")
    for n in (1, 7, 784):
        d = call(np.full(n, -0.1))
        expect(np.isclose(d, 0.1), f"where every one of {n} pixels changes by −0.1 the distortion is 0.1, not {d:.6g}")
    d = call(np.zeros(5))
    expect(d == 0, f"where nothing changes the distortion is 0, not {d:.6g}")
    d = call(np.array([1e-6, -1e-6]))
    expect(np.isclose(d, 1e-6, rtol=1e-3), f"a change of 0.000001 has the distortion 1e-06, not {d:.6g}")
    spike = np.zeros(100)
    spike[3] = 1
    d = call(spike)
    expect(np.isclose(d, 0.1), f"one pixel of 100 changed by 1 has distortion 0.1, not {d:.6g}")
    a, b = np.split(rng.normal(size=80), 2)
    both = np.sqrt((call(a) ** 2 + call(b) ** 2) / 2)
    expect(np.isclose(call(np.append(a, b)), both), "the squares of two halves must average to the square of the whole")
    return "a constant change, a single pixel and random changes have the root mean square that they should"
