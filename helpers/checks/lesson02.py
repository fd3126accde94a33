"""Lesson 02, from constraint to price: the search over c, the sharpened loss, the hull, the two prices."""

from fractions import Fraction

import numpy as np

from ._verdict import Wrong, array, check, expect

__all__ = ["price_for_norm", "reachable", "search", "sharpened_loss"]


@check
def reachable(candidate):
    """Against exact fractions: random frontiers, points on an edge of the hull, windows too narrow for a grid."""
    rng = np.random.default_rng(21)
    for k in (1, 2, 3, 8, 30):
        for _ in range(5):
            lengths = rng.permutation(rng.uniform(0, 2, k))
            losses = np.empty(k)
            losses[np.argsort(lengths)] = np.sort(rng.exponential(size=k))[::-1]  # a frontier falls
            _one_frontier(candidate, lengths, losses)
    steps = np.arange(9.0)
    _one_frontier(candidate, steps, 20 - steps + 1e-7 * steps**2)  # a corner at each, prices 2e-7 apart
    _one_frontier(candidate, np.array([3.0, 1.0, 0.0, 2.0]), np.array([0.0, 2.0, 3.0, 1.0001]))
    _one_frontier(candidate, steps, np.array([9.0, 7.0, 5.0, 3.0, 2.0, 1.0, 0.875, 0.75, 0.5]))
    return "25 random frontiers, points on an edge of the hull, and corners with a narrow window of prices"


def _one_frontier(candidate, lengths, losses):
    k, windows = len(lengths), [_window(lengths, losses, i) for i in range(len(lengths))]
    bought = np.array([low <= high for low, high in windows])
    answer = np.asarray(candidate(lengths, losses))
    expect(
        answer.shape == (k,) and answer.dtype == bool,
        f"the answer must be booleans of shape ({k},), it is {answer.dtype} of shape {answer.shape}",
    )
    extra, missing = np.flatnonzero(answer & ~bought), np.flatnonzero(bought & ~answer)
    if extra.size:
        i = extra[0]
        every = "all points are marked: that is the frontier itself. " if answer.all() else ""
        raise Wrong(
            f"{every}Point {i} of {k} (length {lengths[i]:.3f}, loss {losses[i]:.4f}) lies above the lower "
            f"convex hull: no c chooses it{_neighbours(lengths, losses, i, bought)}"
        )
    if missing.size:
        i = missing[0]
        low, high = map(float, windows[i])
        point = f"point {i} of {k} (length {lengths[i]:.3f}, loss {losses[i]:.3f})"
        if low == high:
            raise Wrong(
                f"{point} lies exactly on an edge of the hull: at c = {low:g} it does as well as its neighbours, so "
                "it is one of the minimisers. Its lower and its upper bound on c are equal: that is allowed, and a "
                "grid of prices meets it by luck only"
            )
        if high - low < 1e-5 * high:
            raise Wrong(
                f"{point} minimises c · length + loss for c from {low:.9f} to {high:.9f} and is not marked: a grid of "
                "prices steps over so narrow a window. Compare the bounds on c that the other points give"
            )
        c = (low + high) / 2 if high < np.inf else low + 1
        raise Wrong(f"{point} minimises c · length + loss at c = {c:.3f}, but is not marked")


def _window(lengths, losses, i):
    """The lowest and the highest price that choose point i, as fractions; lowest > highest where none does."""
    N, L = [Fraction(float(v)) for v in lengths], [Fraction(float(v)) for v in losses]
    others = [j for j in range(len(N)) if j != i]
    low = max([(L[i] - L[j]) / (N[j] - N[i]) for j in others if N[j] > N[i]], default=Fraction(0))
    high = min([(L[j] - L[i]) / (N[i] - N[j]) for j in others if N[j] < N[i]], default=np.inf)
    return max(low, Fraction(0)), high


def _neighbours(lengths, losses, i, bought):
    """Words for the two bought points whose chord passes below point i."""
    left = max((j for j in np.flatnonzero(bought) if lengths[j] < lengths[i]), key=lambda j: lengths[j])
    right = min((j for j in np.flatnonzero(bought) if lengths[j] > lengths[i]), key=lambda j: lengths[j])
    return f"; the chord from point {left} to point {right} passes below it"


@check
def search(candidate):
    """Made-up attacks whose shortest success is known, some with a failure in the middle, in both conventions."""
    _one_convention(candidate, "norm")
    try:
        _one_convention(candidate, "loss")
    except Wrong:
        _uses_multiplies(candidate)
        raise
    return "finds the shortest success in both conventions, with holes, detours, no success and nothing but success"


def _one_convention(candidate, multiplies):
    for edge in (0.7, 0.023, 11.0):
        _monotone(candidate, edge, multiplies)
    _with_a_hole(candidate, multiplies)
    _detour(candidate, multiplies)
    c, length = candidate(_TryPrice(lambda c: False, lambda c: 1.0, multiplies), 1e-3, 1e2, multiplies)
    expect(np.isnan(c) and np.isinf(length), f"nothing succeeds, so return (nan, inf), not ({c}, {length})")
    _, length = _run(candidate, _TryPrice(lambda c: True, lambda c: 1 / c, multiplies))
    expect(np.isclose(length, 1e-2, rtol=1e-6), f"everything succeeds: the hardest price gives 0.01, not {length:.4g}")


def _uses_multiplies(candidate):
    """For a search that has failed: does it try the same prices in both conventions, given the same answers?"""
    calls = {"norm": [], "loss": []}
    for multiplies, seen in calls.items():

        def try_price(c, seen=seen):
            seen.append(float(c))
            if len(seen) > 400:
                raise Wrong(
                    "more than 400 prices tried in one search: 13 for the scan and 20 for the bisection are enough"
                )
            return True, float(1 / c)

        candidate(try_price, 1e-3, 1e2, multiplies)
    expect(
        calls["norm"] != calls["loss"],
        f'`multiplies` is ignored: given the same answers, "norm" and "loss" make the same {len(calls["norm"])} calls. '
        "Where c multiplies the loss, the hard side is the smaller c",
    )


class _TryPrice:
    """A made-up attack in the paper's convention, called in either; it remembers every success."""

    def __init__(self, succeeds, length, multiplies):
        self.succeeds, self.length, self.multiplies = succeeds, length, multiplies
        self.calls, self.seen = 0, []

    def on_norm(self, c):
        return 1 / c if self.multiplies == "loss" else c

    def __call__(self, c):
        self.calls += 1
        if self.calls > 400:
            raise Wrong("more than 400 prices tried in one search: 13 for the scan and 20 for the bisection are enough")
        if not np.isfinite(c) or c <= 0:
            raise Wrong(f"try_price was called with c = {c}: prices are positive")
        c = self.on_norm(c)
        success, length = bool(self.succeeds(c)), float(self.length(c))
        if success:
            self.seen.append((length, c))
        return success, length


def _run(candidate, try_price, low=1e-3, high=1e2):
    """Call the candidate with the bracket in try_price's convention; return its c, on the norm, and its length."""
    if try_price.multiplies == "loss":
        low, high = 1 / high, 1 / low
    c, length = candidate(try_price, low, high, try_price.multiplies)
    where = f"c multiplies the {try_price.multiplies}"
    easier = "smaller" if try_price.multiplies == "norm" else "larger"
    expect(
        np.isfinite(length) and np.isfinite(c),
        f"{where}: there are successes, but the answer is ({c}, {length}). After a failure c must become {easier}",
    )
    on_norm = try_price.on_norm(c)
    expect(
        try_price.succeeds(on_norm),
        f"{where}: the c returned, {c:.4g}, fails. Return the best success seen, not the last c tried",
    )
    expect(
        np.isclose(length, try_price.length(on_norm), rtol=1e-6),
        f"{where}: the length returned, {length:.4g}, does not belong to the c returned",
    )
    return on_norm, length


def _monotone(candidate, edge, multiplies):
    try_price = _TryPrice(lambda c: c <= edge, lambda c: 1 / (0.1 + c), multiplies)
    c, length = _run(candidate, try_price)
    if multiplies == "norm":
        hint = (
            "after a success you made c smaller. That is right when c multiplies the loss (Carlini and Wagner); here c "
            "multiplies the norm, and the shortest success has the largest c"
        )
    else:
        hint = (
            "after a success you made c larger. That is right when c multiplies the norm (the paper); here c "
            "multiplies the loss, and the shortest success has the smallest c"
        )
    expect(
        c > edge / 30,
        f"c multiplies the {multiplies}: {hint}. Length {length:.3g}, possible {try_price.length(edge):.3g}",
    )
    expect(
        c > edge * (1 - 1e-4),
        f"c multiplies the {multiplies}: length {length:.5g}, possible {try_price.length(edge):.5g}: bisect further "
        "towards the harder side",
    )


def _with_a_hole(candidate, multiplies):
    """Success, then failure, then success again at harder prices: a bisection alone settles below the hole."""
    try_price = _TryPrice(lambda c: c <= 0.05 or 1.5 <= c <= 20, lambda c: 1 / (0.1 + c), multiplies)
    _, length = _run(candidate, try_price)
    expect(
        length < try_price.length(1.5),
        f"c multiplies the {multiplies}: length {length:.3g}, though there are successes of length "
        f"{try_price.length(20):.3g} beyond a stretch of failures. Bisection was trusted blindly: it finds one switch "
        "from success to failure, whichever. Scan first",
    )
    expect(
        np.isclose(length, try_price.length(20), rtol=1e-3),
        f"c multiplies the {multiplies}: length {length:.5g}, possible {try_price.length(20):.5g}: bisect between the "
        "shortest success of the scan and its neighbour on the harder side",
    )


def _detour(candidate, multiplies):
    """A local minimiser far away at the hardest succeeding prices: the shortest success is not the hardest one."""
    try_price = _TryPrice(lambda c: c <= 9, lambda c: 1 / (0.1 + c) + 5 * (c > 2), multiplies)
    _, length = _run(candidate, try_price)
    shortest = min(try_price.seen)[0]
    expect(
        length < shortest * (1 + 1e-9),
        f"c multiplies the {multiplies}: the answer has length {length:.3g}, but a success of length {shortest:.3g} "
        "was seen on the way: the hardest success need not be the shortest, keep the best seen",
    )


@check
def price_for_norm(candidate):
    """At that price the objective with the norm is stationary where the one with the square is."""
    rng = np.random.default_rng(22)
    for n in (1, 3, 784):
        r, c = rng.normal(size=n) * rng.uniform(0.2, 3), rng.uniform(0.1, 5)
        gradient_of_loss = -2 * c * r  # what a minimiser of c |r|² + loss has
        price = float(array(candidate(c, r), (), "the price"))
        length = np.linalg.norm(r)
        at = f"for c_squared = {c:.3f} and ‖r‖ = {length:.3f}"
        known = {
            c: "this is c_squared itself: the number c means different things in the two forms, nats per length and "
            "nats per squared length",
            c * length: "a factor 2 is missing: the gradient of ‖r‖² is 2r",
            2 * c * length**2: "one ‖r‖ too many: the gradient of ‖r‖ is r/‖r‖, of length 1 whatever r",
            c / (2 * length): "this is the other way round: it turns a price of the norm into one of the square",
        }
        residual = np.linalg.norm(price * r / length + gradient_of_loss)
        for value, mistake in known.items():
            expect(not (np.isclose(price, value) and residual > 1e-6), f"{mistake} ({at})")
        expect(residual < 1e-8 * c * length, f"{at} the gradient of c‖r‖ + loss at r has length {residual:.3f}, not 0")
    return "stationary in 3 random cases"


@check
def sharpened_loss(candidate):
    """Between the hinge and the hinge + log(K)/beta, equal to cross-entropy at beta = 1, finite for large beta."""
    rng = np.random.default_rng(23)
    for k in (2, 3, 10):
        z, target = 3 * rng.normal(size=k), int(rng.integers(k))
        p = np.exp(z[target]) / np.exp(z).sum()
        value = float(array(candidate(z, target, 1.0), (), "the loss"))
        added = np.exp(-value) - p
        expect(
            abs(value + np.log(p)) < 1e-13 * (1 - np.log(p)) or not 0 < added < 1e-5,
            f"for beta = 1, exp(-loss) is p + {added:.1e}, not p = {p:.3e}: a small number was added inside the "
            "logarithm. It makes every loss a little too small, and for large beta it hides the loss altogether",
        )
        expect(abs(value + np.log(p)) < 1e-9, f"for beta = 1 it must be -log p = {-np.log(p):.6f}, it is {value:.6f}")
    for z, target in (
        (np.array([2.0, 5.0, 4.9]), 0),
        (np.array([40.0, -30.0, 10.0, 3.0]), 1),
        (np.array([3.0, 1.0]), 0),
    ):
        k, hinge = z.size, max(0.0, np.delete(z, target).max() - z[target])
        for beta in (4.0, 1000.0, 0.5):
            value, overflowed = _with_overflow(candidate, z, target, beta)
            at = f"for beta = {beta:g} and z = {z.tolist()}"
            expect(value.shape == (), f"the loss has shape {value.shape}, it must be one number")
            expect(
                np.isfinite(value) or overflowed,
                f"{at} it is {value}: nothing overflowed, but the probability of the target, about "
                f"exp({-beta * hinge:.0f}), is too small for a float and became 0, and log 0 is -inf. Don't form the "
                "probability: take the logarithm of the sum, and subtract the target's exponent outside it",
            )
            expect(
                np.isfinite(value),
                f"{at} it is {value}: exp overflows above 709; subtract the largest exponent first",
            )
            inside = hinge - 1e-9 <= value <= hinge + np.log(k) / beta + 1e-9
            undivided = beta * hinge - 1e-9 <= value <= beta * hinge + np.log(k) + 1e-9
            expect(
                inside or not undivided,
                f"for beta = {beta:g} it is {value:.3f}, which is near beta times the hinge {hinge:.3f}: divide by "
                "beta, or the loss outgrows the norm and c changes its meaning",
            )
            floor = float(np.exp(-beta * value))
            expect(
                inside or not 0 < floor < 1e-4 or value > hinge or not _floored(candidate, beta, floor),
                f"{at} it is {value:.5f}, which is -log({floor:.1e}) / beta, and must be at least {hinge:.5f}: the "
                f"probability is kept above {floor:.1e}, so no loss can exceed -log({floor:.1e}) / beta. Don't form "
                "the probability",
            )
            expect(
                inside,
                f"for beta = {beta:g} it is {value:.5f}, outside [{hinge:.5f}, {hinge + np.log(k) / beta:.5f}] = "
                "hinge to hinge + log(K)/beta",
            )
    for beta in (0.5, 4.0, 1000.0):
        z = rng.normal(size=5) / beta
        value, right = float(candidate(z, 2, beta)), np.logaddexp.reduce(beta * (z - z[2])) / beta
        expect(
            abs(value - right) < 1e-9 * (1 + 1 / beta),
            f"for beta = {beta:g} and logits within {np.ptp(z):.4f} of each other it must be {right:.6g}, it is "
            f"{value:.6g}",
        )
    return "cross-entropy at beta = 1, within log(K)/beta of the hinge up to beta = 1000"


def _with_overflow(candidate, z, target, beta):
    """The candidate's answer as an array, and whether a NumPy function overflowed on the way."""
    kinds = []
    with np.errstate(over="call", call=lambda kind, _: kinds.append(kind)):
        value = np.asarray(candidate(z, target, beta), dtype=float)
    return value, bool(kinds)


def _floored(candidate, beta, floor):
    """Is ``floor`` the least probability, whatever the logits? Two labels that are far behind, by different margins."""
    others = [candidate(np.array([0.0, margin]), 0, beta) for margin in (4e3, 9e3)]
    return np.allclose(np.exp(-beta * np.array(others, dtype=float)), floor, rtol=1e-6)
