"""Lesson 02, from constraint to penalty: the hull, the search over c, the two prices, the sharpened loss."""

import numpy as np

from ._verdict import Wrong, array, check, expect

__all__ = ["price_for_norm", "reachable", "search", "sharpened_loss"]


@check
def reachable(candidate):
    """Against all prices that matter: between two critical slopes the minimiser does not change."""
    rng = np.random.default_rng(21)
    for k in (1, 2, 3, 8, 30):
        for _ in range(5):
            lengths = rng.permutation(rng.uniform(0, 2, k))
            losses = np.empty(k)
            losses[np.argsort(lengths)] = np.sort(rng.exponential(size=k))[::-1]  # a frontier falls
            bought = _bought(lengths, losses)
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
                    f"{every}Point {i} of {k} (length {lengths[i]:.3f}, loss {losses[i]:.3f}) lies above the lower "
                    f"convex hull: no c chooses it{_neighbours(lengths, losses, i, bought)}"
                )
            if missing.size:
                i, c = missing[0], _price(lengths, losses, missing[0])
                raise Wrong(
                    f"point {i} of {k} (length {lengths[i]:.3f}, loss {losses[i]:.3f}) minimises c · length + loss "
                    f"at c = {c:.3f}, but is not marked"
                )
    return "25 random frontiers, against every price that matters"


def _critical_prices(lengths, losses):
    i, j = np.triu_indices(len(lengths), 1)
    slopes = np.sort(-(losses[i] - losses[j]) / (lengths[i] - lengths[j]))
    slopes = np.concatenate([[0.0], slopes[slopes > 0]])
    return np.append((slopes[1:] + slopes[:-1]) / 2, slopes[-1] + 1)


def _bought(lengths, losses):
    chosen = [np.argmin(c * lengths + losses) for c in _critical_prices(lengths, losses)]
    return np.isin(np.arange(len(lengths)), chosen)


def _price(lengths, losses, point):
    return next(c for c in _critical_prices(lengths, losses) if np.argmin(c * lengths + losses) == point)


def _neighbours(lengths, losses, i, bought):
    """Words for the two bought points whose chord passes below point i."""
    left = max((j for j in np.flatnonzero(bought) if lengths[j] < lengths[i]), key=lambda j: lengths[j])
    right = min((j for j in np.flatnonzero(bought) if lengths[j] > lengths[i]), key=lambda j: lengths[j])
    return f"; the chord from point {left} to point {right} passes below it"


@check
def search(candidate):
    """Made-up attacks whose shortest success is known, some with a failure in the middle, in both conventions."""
    for edge in (0.7, 0.023, 11.0):
        for multiplies in ("norm", "loss"):
            _monotone(candidate, edge, multiplies)
    for multiplies in ("norm", "loss"):
        _with_a_hole(candidate, multiplies)
        _detour(candidate, multiplies)
        c, length = candidate(_Attack(lambda c: False, lambda c: 1.0, multiplies), 1e-3, 1e2, multiplies)
        expect(np.isnan(c) and np.isinf(length), f"nothing succeeds, so return (nan, inf), not ({c}, {length})")
        _, length = _run(candidate, _Attack(lambda c: True, lambda c: 1 / c, multiplies))
        expect(
            np.isclose(length, 1e-2, rtol=1e-6), f"everything succeeds: the hardest price gives 0.01, not {length:.4g}"
        )
    return "finds the shortest success in both conventions, with holes, detours, no success and nothing but success"


class _Attack:
    """An attack in the paper's convention, called in either; it remembers every success."""

    def __init__(self, succeeds, length, multiplies):
        self.succeeds, self.length, self.multiplies = succeeds, length, multiplies
        self.calls, self.seen = 0, []

    def on_norm(self, c):
        return 1 / c if self.multiplies == "loss" else c

    def __call__(self, c):
        self.calls += 1
        if self.calls > 400:
            raise Wrong("more than 400 attacks in one search: 13 for the scan and 20 for the bisection are enough")
        if not np.isfinite(c) or c <= 0:
            raise Wrong(f"the attack was called with c = {c}: prices are positive")
        c = self.on_norm(c)
        success, length = bool(self.succeeds(c)), float(self.length(c))
        if success:
            self.seen.append((length, c))
        return success, length


def _run(candidate, attack, low=1e-3, high=1e2):
    """Call the candidate with the bracket in the attack's convention; return its c, on the norm, and its length."""
    if attack.multiplies == "loss":
        low, high = 1 / high, 1 / low
    c, length = candidate(attack, low, high, attack.multiplies)
    where = f"c multiplies the {attack.multiplies}"
    easier = "smaller" if attack.multiplies == "norm" else "larger"
    expect(
        np.isfinite(length) and np.isfinite(c),
        f"{where}: there are successes, but the answer is ({c}, {length}). After a failure c must become {easier}",
    )
    on_norm = attack.on_norm(c)
    expect(
        attack.succeeds(on_norm),
        f"{where}: the c returned, {c:.4g}, fails. Return the best success seen, not the last c tried",
    )
    expect(
        np.isclose(length, attack.length(on_norm), rtol=1e-6),
        f"{where}: the length returned, {length:.4g}, does not belong to the c returned",
    )
    return on_norm, length


def _monotone(candidate, edge, multiplies):
    attack = _Attack(lambda c: c <= edge, lambda c: 1 / (0.1 + c), multiplies)
    c, length = _run(candidate, attack)
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
        c > edge / 30, f"c multiplies the {multiplies}: {hint}. Length {length:.3g}, possible {attack.length(edge):.3g}"
    )
    expect(
        c > edge * (1 - 1e-4),
        f"c multiplies the {multiplies}: length {length:.5g}, possible {attack.length(edge):.5g}: bisect further "
        "towards the harder side",
    )


def _with_a_hole(candidate, multiplies):
    """Success, then failure, then success again at harder prices: a bisection alone settles below the hole."""
    attack = _Attack(lambda c: c <= 0.05 or 1.5 <= c <= 20, lambda c: 1 / (0.1 + c), multiplies)
    _, length = _run(candidate, attack)
    expect(
        length < attack.length(1.5),
        f"c multiplies the {multiplies}: length {length:.3g}, though there are successes of length "
        f"{attack.length(20):.3g} beyond a stretch of failures. Bisection was trusted blindly: it finds one switch "
        "from success to failure, whichever. Scan first",
    )
    expect(
        np.isclose(length, attack.length(20), rtol=1e-3),
        f"c multiplies the {multiplies}: length {length:.5g}, possible {attack.length(20):.5g}: bisect between the "
        "shortest success of the scan and its neighbour on the harder side",
    )


def _detour(candidate, multiplies):
    """A local minimiser far away at the hardest succeeding prices: the shortest success is not the hardest one."""
    attack = _Attack(lambda c: c <= 9, lambda c: 1 / (0.1 + c) + 5 * (c > 2), multiplies)
    _, length = _run(candidate, attack)
    shortest = min(attack.seen)[0]
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
    """Between the hinge and the hinge + log(k)/beta, equal to cross-entropy at beta = 1, finite for large beta."""
    rng = np.random.default_rng(23)
    for k in (2, 3, 10):
        z, target = 3 * rng.normal(size=k), int(rng.integers(k))
        plain = -np.log(np.exp(z[target]) / np.exp(z).sum())
        value = float(array(candidate(z, target, 1.0), (), "the loss"))
        expect(abs(value - plain) < 1e-9, f"for beta = 1 it must be -log p = {plain:.4f}, it is {value:.4f}")
    for z, target in (
        (np.array([2.0, 5.0, 4.9]), 0),
        (np.array([40.0, -30.0, 10.0, 3.0]), 1),
        (np.array([3.0, 1.0]), 0),
    ):
        k, hinge = z.size, max(0.0, np.delete(z, target).max() - z[target])
        for beta in (4.0, 1000.0, 0.5):
            value = np.asarray(candidate(z, target, beta), dtype=float)
            expect(
                value.shape == () and np.isfinite(value),
                f"for beta = {beta:g} and z = {z.tolist()} it is {value}: exp overflows above 709; subtract the "
                "largest exponent first",
            )
            inside = hinge - 1e-9 <= value <= hinge + np.log(k) / beta + 1e-9
            undivided = beta * hinge - 1e-9 <= value <= beta * hinge + np.log(k) + 1e-9
            expect(
                inside or not undivided,
                f"for beta = {beta:g} it is {value:.3f}, which is near beta times the hinge {hinge:.3f}: divide by "
                "beta, or the loss outgrows the norm and c changes its meaning",
            )
            expect(
                inside,
                f"for beta = {beta:g} it is {value:.5f}, outside [{hinge:.5f}, {hinge + np.log(k) / beta:.5f}] = "
                "hinge to hinge + log(k)/beta",
            )
    return "cross-entropy at beta = 1, within log(k)/beta of the hinge up to beta = 1000"
