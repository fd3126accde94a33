"""Check of lesson 00: the paper's unit of length, the root mean square change per pixel."""

import numpy as np

from ._verdict import array, check, expect

__all__ = ["distortion"]


@check
def distortion(candidate):
    """``candidate(r) -> d``, the root mean square: the size of a constant change, and Pythagorean over halves."""
    rng = np.random.default_rng(0)

    def call(r):
        return float(array(candidate(r), (), "the distortion"))

    for n in (7, 784):
        d = call(np.full(n, 0.1))
        expect(
            not np.isclose(d, 0.1 * np.sqrt(n)),
            "this is the length |r|, which grows with the number of pixels: divide by n",
        )
        expect(abs(d) > 1e-9, "every pixel changed by 0.1, and you return 0: do not subtract the mean of r")
        expect(not np.isclose(d, 0.01), "the square root is missing: this is the mean of the squares")
        expect(np.isclose(d, 0.1), f"where every one of {n} pixels changes by 0.1 the distortion is 0.1, not {d:.4g}")
    r = rng.normal(size=50)
    expect(
        np.isclose(call(-r), call(r)) and call(r) > 0, "r and -r are changes of the same size; square before you sum"
    )
    spike = np.zeros(100)
    spike[3] = 1
    d = call(spike)
    expect(
        not np.isclose(d, 0.01), "this is the mean of |r|; the root mean square weighs one large change more, 0.1 here"
    )
    expect(np.isclose(d, 0.1), f"one pixel of 100 changed by 1 has distortion 0.1, not {d:.4g}")
    a, b = np.split(rng.normal(size=80), 2)
    both = np.sqrt((call(a) ** 2 + call(b) ** 2) / 2)
    expect(np.isclose(call(np.append(a, b)), both), "the squares of two halves must average to the square of the whole")
    return "a constant change, a single pixel and random changes have the root mean square that they should"
