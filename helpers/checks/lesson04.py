"""Checks of lesson 04: the two loops, the scale that they start from, the memory of pairs, and the compact form."""

import numpy as np

from ._verdict import Wrong, array, check, expect

__all__ = ["compact", "initial_scale", "remember", "two_loop"]


def _pairs(rng, n, m):
    """m pairs (s, y) of (n,) with y = G s, each with its own positive definite G, so that s'y > 0."""
    steps = rng.normal(size=(m, n))
    return [(s, root @ (root.T @ s) / n + s / 2) for s, root in zip(steps, rng.normal(size=(m, n, n)), strict=True)]


def _norm(v):
    return float(np.linalg.norm(v))


def _coefficients(v, *basis):
    """How v is made of the vectors of ``basis``, and the length of what they cannot make, relative to v."""
    columns = np.column_stack(basis)
    parts = np.linalg.lstsq(columns, v, rcond=None)[0]
    return parts, _norm(v - columns @ parts) / max(_norm(v), 1e-300)


@check
def two_loop(candidate):
    """``candidate(q, pairs, gamma) -> H q``: H is symmetric, maps the newest y to s, and is otherwise the older H."""
    rng = np.random.default_rng(41)

    def product(q, pairs, gamma):
        return array(candidate(q, pairs, gamma), q.shape)

    q = rng.normal(size=4)
    answer = product(q, [], 0.25)
    expect(not np.allclose(answer, -q / 4), "without pairs you return -gamma q: give H q; the minus sign comes later")
    expect(not np.allclose(answer, 4 * q), "without pairs you return q / gamma: gamma is inverted; it multiplies q")
    expect(not np.allclose(answer, q), "without pairs you return q: gamma is missing between the two loops")
    expect(
        np.allclose(answer, q / 4),
        f"without pairs H q = gamma q; with gamma = 0.25 you give {_norm(answer) / _norm(q):.3g} |q|",
    )

    for n, m in ((5, 1), (6, 2), (5, 3), (8, 5), (4, 7)):
        pairs, gamma = _pairs(rng, n, m), rng.uniform(0.2, 2)
        H, older = (
            np.column_stack([product(unit, known, gamma) for unit in np.eye(n)]) for known in (pairs, pairs[:-1])
        )
        _newest_equation(H, pairs, f"for n = {n} and {m} pairs")
        s = pairs[-1][0]
        expect(
            np.allclose(H, H.T, rtol=1e-8, atol=1e-8),
            f"H y = s holds for the newest pair, but H is not symmetric, by {np.abs(H - H.T).max():.2g} ({m} pairs): "
            "the second loop adds (a - b) s to Hq, with b = y'Hq / s'y",
        )
        across = np.linalg.svd(s[None])[2][1:]  # the vectors orthogonal to s, on which the newest update acts as I
        change = np.abs(across @ (H - older) @ across.T).max()
        expect(
            change < 1e-8 * (1 + np.abs(H).max()),
            f"with its newest pair H changes by {change:.2g} between vectors orthogonal to s, where V = I: the older "
            f"pairs or gamma do not enter as they should ({m} pairs)",
        )
    return "H is symmetric, satisfies H y = s for the newest pair, and adds nothing else, with 0 to 7 pairs"


def _newest_equation(H, pairs, where):
    """H y = s for the newest pair; where it fails, which loop runs the wrong way."""
    (s_old, y_old), (s, y) = pairs[0], pairs[-1]
    error = _norm(H @ y - s) / _norm(s)
    if error < 1e-8:
        return
    found = f"H y = s fails for the newest pair, by {error:.2g} |s| {where}"
    if len(pairs) > 1 and np.allclose(H @ y_old, s_old, rtol=1e-7, atol=1e-7):
        raise Wrong(
            f"{found}, and holds for the oldest one. The loop order is wrong: both loops run backwards. The first goes "
            "from new to old, the second from old to new"
        )
    if len(pairs) == 2:
        (own, other), rest = _coefficients(H @ y, s, s_old)
        if rest < 1e-7 and abs(own - 1) < 1e-7:
            raise Wrong(f"{found}. The loop order is wrong: the second loop runs from new to old, like the first")
        if rest < 1e-7 and abs(other - 1) < 1e-7:
            raise Wrong(f"{found}. An a meets the wrong pair: the first loop stores the newest pair's a first")
        (own, other), rest = _coefficients(H @ y_old, s_old, s)
        if rest < 1e-7 and abs(own - 1) < 1e-7:
            raise Wrong(f"{found}. The loop order is wrong: the first loop runs from old to new, like the second")
    raise Wrong(found)


@check
def initial_scale(candidate):
    """``candidate(s, y) -> gamma`` for which gamma y is as close to s as a multiple of y can be."""
    rng = np.random.default_rng(42)
    s = rng.normal(size=5)
    gamma = float(array(candidate(s, 4 * s), ()))
    expect(
        abs(gamma - 4) > 1e-9,
        "inverted: where the curvature is 4 in every direction, y = 4 s, you return 4. That is theta; gamma stands in "
        "the inverse Hessian, and is 1/4 there",
    )
    expect(
        abs(gamma - 0.25) < 1e-9,
        f"where the curvature is 4 in every direction, y = 4 s, gamma is 1/4; you return {gamma:.3g}",
    )
    for n in (2, 5, 30):
        s, y = _pairs(rng, n, 1)[0]
        gamma = float(array(candidate(s, y), ()))
        residual = gamma * y - s
        expect(
            abs(s @ residual) > 1e-9 * _norm(s) * _norm(y),
            f"you return s's / s'y = {gamma:.3g}. It lies between the inverse eigenvalues too, but it is the larger of "
            "the two averages: it overshoots. Take the one that brings gamma y closest to s",
        )
        slope = y @ residual / (_norm(y) * _norm(s))
        expect(
            abs(slope) < 1e-9,
            f"gamma = {gamma:.3g} does not minimise |gamma y - s|: y'(gamma y - s) = {slope:.2g} |y| |s|",
        )
    s, y = _pairs(rng, 6, 1)[0]
    ratio = float(array(candidate(1e-7 * s, 1e-7 * y), ())) / float(array(candidate(s, y), ()))
    expect(
        abs(ratio - 1) < 1e-9,
        f"with s and y both 1e-7 times as long, gamma is {ratio:.3g} times what it was, and must be the same: a "
        "small number seems to be added somewhere",
    )
    return "1/4 where the curvature is 4, gamma y as close to s as it can be in 3 random cases, and the same when short"


@check
def remember(candidate):
    """``candidate(pairs, s, y, m) -> list``: copies, newest last, at most m, and no pair that keep_pair refuses."""
    rng = np.random.default_rng(43)

    def stored(*arguments):
        pairs = candidate(*arguments)
        expect(isinstance(pairs, list), f"return a list of pairs, not a {type(pairs).__name__}")
        expect(all(isinstance(pair, tuple) and len(pair) == 2 for pair in pairs), "each entry must be a tuple (s, y)")
        return pairs

    for n, m in ((3, 3), (6, 2), (4, 1)):
        offered = _pairs(rng, n, m + 2)
        s, y, pairs = np.empty(n), np.empty(n), []
        for k, (new_s, new_y) in enumerate(offered, 1):
            s[:], y[:] = new_s, new_y
            pairs = stored(pairs, s, y, m)
            s[:], y[:] = np.nan, np.nan  # the caller reuses its arrays
            expect(
                pairs, f"a good pair is refused: s'y = {new_s @ new_y:.2g}, |s| |y| = {_norm(new_s) * _norm(new_y):.2g}"
            )
            for vectors, name in zip(zip(*pairs, strict=True), "sy", strict=True):
                expect(
                    not np.isnan(vectors).any(),
                    f"aliased: the caller reused its array {name}, and the {name} in your memory changed too: copy it",
                )
            _content(pairs, offered[:k], m)

    s, y = _pairs(rng, 5, 1)[0]
    pairs = stored([], s, y, 4)
    for bad, name in ((-y, "s'y < 0"), (0 * y, "y = 0")):
        kept = len(stored(pairs, s, bad, 4))
        expect(
            kept == 1,
            f"a pair with {name} leaves {kept} pairs where there was 1: keep_pair refuses it, so change nothing",
        )
    tiny = stored(pairs, 1e-9 * s, 1e-9 * y, 4)
    expect(
        len(tiny) == 2,
        f"an absolute threshold: a good pair, cosine {s @ y / _norm(s) / _norm(y):.2f}, is refused for being small",
    )
    for of_s, of_y in ((1e9, 1e-9), (1e-9, 1e9)):
        kept = len(stored(pairs, of_s * s, of_y * y, 4))
        expect(
            kept == 2,
            f"a good pair is refused when s is {of_s:.0e} and y {of_y:.0e} times as long, as in other units: "
            "compare s'y with |s| |y|, which has the same units",
        )
    across = np.array([1.0, 1e8]), np.array([1e8 + 1e-8, -1.0])
    kept = len(stored([], *across, 4))
    expect(
        kept == 0,
        f"a pair with s'y = {across[0] @ across[1]:.1e} is kept, but |s| |y| = 1e16: this s'y is rounding, and may "
        "have either sign. keep_pair compares the two; s'y > 0 is not enough",
    )
    for spoilt, name in (((np.full(5, np.nan), y), "s"), ((s, np.where(np.arange(5) == 2, np.nan, y)), "y")):
        kept = len(stored(pairs, *spoilt, 4))
        expect(kept == 1, f"a pair whose {name} holds NaN leaves {kept} pairs where there was 1: keep_pair refuses it")
    return "copies, newest last, at most m pairs, and nothing that keep_pair refuses"


def _content(pairs, offered, m):
    """``pairs`` must be the last m of ``offered``, in that order."""
    expect(len(pairs) <= m, f"with m = {m} the memory holds {len(pairs)} pairs after {len(offered)} steps")
    expect(len(pairs) == min(m, len(offered)), f"with m = {m} only {len(pairs)} good pairs are kept of {len(offered)}")

    def same(found, wanted):
        return all(
            np.array_equal(a, b)
            for pair, other in zip(found, wanted, strict=True)
            for a, b in zip(pair, other, strict=True)
        )

    wanted = offered[-m:]
    expect(
        same(pairs, wanted) or not same(pairs, [(y, s) for s, y in wanted]),
        "a pair is stored as (y, s): it must be (s, y)",
    )
    expect(
        same(pairs, wanted) or not same(pairs[::-1], wanted) or m == 1,
        "the newest pair stands first: the list must run from old to new",
    )
    expect(
        same(pairs, wanted) or not same(pairs, offered[:m]),
        f"with m = {m} and {len(offered)} steps the first pairs are still there: the oldest must leave",
    )
    expect(
        same(pairs, wanted),
        f"after {len(offered)} steps with m = {m} the memory is not the last pairs, from old to new",
    )


@check
def compact(candidate):
    """``candidate(S, Y, theta) -> (W, M)``: B = theta I - W M W' maps s to y, and grows pair by pair as BFGS does.

    Only B is looked at: W may hold its columns in another order, or at another scale, if M goes with it.
    """
    rng = np.random.default_rng(44)

    def matrices(S, Y, theta):
        try:
            answer = candidate(S, Y, theta)
        except Wrong as wrong:
            if "positive definite" in str(wrong) or "positive-definite" in str(wrong):
                raise Wrong(
                    "M assumed definite: a Cholesky factorisation needs a positive definite matrix, this one has as "
                    f"many negative as positive eigenvalues. Invert it with np.linalg.inv ({wrong})"
                ) from None
            raise
        expect(isinstance(answer, tuple) and len(answer) == 2, "return two things: W, M")
        n, k = S.shape
        return array(answer[0], (n, 2 * k), "W"), array(answer[1], (2 * k, 2 * k), "M")

    for n, k in ((3, 1), (6, 1), (4, 2), (6, 3), (9, 6), (30, 10)):
        S, Y = (np.column_stack(vectors) for vectors in zip(*_pairs(rng, n, k), strict=True))
        theta = rng.uniform(1.2, 3)
        W, M = matrices(S, Y, theta)
        if _distance(_model(W, M, theta), S, Y, theta) > 1e-7:
            _repaired(W, M, S, Y, theta)
            (_one_pair if k == 1 else _many_pairs)(W, M, S, Y, theta)
    return "B is symmetric, maps s to y, and is the BFGS update of the B without the newest pair, with 1 to 10 pairs"


def _model(W, M, theta):
    return theta * np.eye(len(W)) - W @ M @ W.T


def _distance(B, S, Y, theta):
    """How far B is from the BFGS matrix of the pairs, relative to the largest entry of that."""
    wanted = theta * np.eye(len(B))
    for s, y in zip(S.T, Y.T, strict=True):
        Bs = wanted @ s
        wanted = wanted - np.outer(Bs, Bs) / (s @ Bs) + np.outer(y, y) / (s @ y)
    return np.abs(B - wanted).max() / np.abs(wanted).max()


def _repaired(W, M, S, Y, theta):
    """Name the mistake if undoing one well-known slip makes B right."""
    k = S.shape[1]
    halves = np.roll(np.arange(2 * k), k)
    with np.errstate(all="ignore"):
        inverse = np.linalg.pinv(M)
    repairs = [
        (W, inverse, "not inverted: you return the matrix with -D in its corner; M is the inverse of that matrix"),
        (
            W[:, halves],
            M,
            "the halves of W and the blocks of M stand in different orders: with W = [Y, theta S], -D is the upper "
            "left block of the inverse of M; yours begins with S"
            if np.allclose(W[:, k:], Y)
            else "the halves of W and the blocks of M stand in different orders: with W = [Y, theta S], -D is the "
            "upper left block of the inverse of M, and theta S'S the lower right one",
        ),
        (W, -M, "the sign of M: B = theta I - W M W' with a minus, and M is the inverse of [[-D, Λ'], [Λ, theta S'S]]"),
        (np.hstack([Y, theta * S]), M, "W is not [Y, theta S], for which your M is right"),
    ]
    if np.allclose(W, np.hstack([Y, S])):
        repairs.insert(
            0, (np.hstack([Y, theta * S]), M, "theta is missing: the second half of W is theta S, yours is S")
        )
    for other_w, other_m, message in repairs:
        if _distance(_model(other_w, other_m, theta), S, Y, theta) < 1e-7:
            raise Wrong(message)


def _one_pair(W, M, S, Y, theta):
    """With one pair Λ is empty. Vectors v orthogonal to s show the rest: B v = theta v + y (y'v) / s'y."""
    B, s, y = _model(W, M, theta), S[:, 0], Y[:, 0]
    v = np.linspace(-1, 1, len(s)) ** 2 + 0.3 * np.arange(len(s))
    v -= (s @ v) / (s @ s) * s
    (of_y, of_s), rest = _coefficients(B @ v - theta * v, y, s)
    expect(
        rest > 1e-7 or abs(of_s) < 1e-8,
        f"Λ with its diagonal: with a single pair there is nothing below the diagonal, Λ = 0; in your B the step s "
        f"leaks into B v, by {of_s:.2g}, for v orthogonal to s. s'y belongs to D alone",
    )
    expect(
        not np.isclose(of_y, -(y @ v) / (s @ y)),
        "the sign of D: with one pair B must gain + y y' / s'y, yours loses it. The corner of the inverse of M is -D; "
        "M is indefinite, and must be",
    )
    expect(
        np.isclose(of_y, (y @ v) / (s @ y)),
        f"with one pair B should gain y y' / s'y, it gains {of_y * (s @ y) / (y @ v):.3g} times that",
    )
    error = _norm(B @ s - y) / _norm(y)
    raise Wrong(
        f"with one pair B s = y fails by {error:.2g} |y|: the lower right block must be theta S'S, with its theta"
    )


def _many_pairs(W, M, S, Y, theta):
    B, k = _model(W, M, theta), S.shape[1]
    expect(
        np.allclose(M, M.T, rtol=1e-6, atol=1e-9 * np.abs(M).max()),
        f"M is not symmetric, off by {np.abs(M - M.T).max():.2g}",
    )
    errors = np.linalg.norm(B @ S - Y, axis=0) / np.linalg.norm(Y, axis=0)
    found = f"B s = y fails for the newest of {k} pairs, by {errors[-1]:.2g} |y|"
    if errors[-1] > 1e-7:
        if errors[0] < 1e-7:
            raise Wrong(
                f"{found}, and holds for the oldest. Λ is the strictly upper triangle of S'Y, and must be the strictly "
                "lower one: entry (i, j) pairs step i with an older y_j. Or the pairs were taken from new to old"
            )
        above = np.abs(np.triu(np.linalg.pinv(M)[k:, :k])).max()
        expect(
            above < 1e-7 or not np.allclose(W[:, :k], Y),
            f"{found}. Λ stands where its transpose belongs: the inverse of M is [[-D, Λ'], [Λ, theta S'S]]",
        )
        raise Wrong(found)
    raise Wrong(
        f"B s = y holds for the newest of {k} pairs, but B is not the BFGS update of the B without it: off by "
        f"{_distance(B, S, Y, theta):.2g} of its largest entry"
    )
