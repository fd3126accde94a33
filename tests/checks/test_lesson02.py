"""Lesson 02's checks: the lesson's own solutions pass, every classic mistake is caught and named."""

import math

import numpy as np
import pytest
from notebook_tools import NOTEBOOKS, source
from scipy.special import logsumexp
from verdicts import said

PATH = NOTEBOOKS / "02_from_constraint_to_penalty.ipynb"
NAMES = ["price_for_norm", "reachable", "search", "sharpened_loss"]
SCOPE = {"np": np, "math": math}
for _name in NAMES:
    exec(source(PATH, _name, "solution"), SCOPE)


@pytest.mark.parametrize("name", NAMES)
def test_the_solutions_are_correct_and_the_stubs_not_attempted(capsys, name):
    assert said(capsys, name, SCOPE[name]).startswith(f"{name}: correct - ")
    scope = {}
    exec(source(PATH, name, "exercise"), scope)
    assert "not attempted yet" in said(capsys, name, scope[name])


def hull_by_cross_products(lengths, losses, sign=1):
    order, corners = np.argsort(lengths), []
    for i in order:
        while len(corners) > 1:
            j, k = corners[-2:]
            turn = (lengths[k] - lengths[j]) * (losses[i] - losses[j]) - (lengths[i] - lengths[j]) * (
                losses[k] - losses[j]
            )
            if sign * turn >= 0:  # straight on: a point on an edge stays
                break
            corners.pop()
        corners.append(i)
    return np.isin(np.arange(len(lengths)), corners)


def locally_convex(lengths, losses):
    order, answer = np.argsort(lengths), np.ones(len(lengths), dtype=bool)
    slopes = np.diff(losses[order]) / np.diff(lengths[order])
    answer[order[1:-1]] = np.diff(slopes) > 0
    return answer


def dual_intervals(lengths, losses):
    """Sort, then give each point the interval of prices between the slopes of the hull's edges next to it."""
    order = np.argsort(lengths)
    N, L = lengths[order], losses[order]
    with np.errstate(divide="ignore", invalid="ignore"):
        slopes = (L[:, None] - L) / (N - N[:, None])  # [i, j]: the price at which i and j are equal
    later = np.triu(np.ones(slopes.shape, dtype=bool), 1)
    low = np.where(later, slopes, 0.0).max(axis=1)
    high = np.where(later.T, slopes, np.inf).min(axis=1)
    answer = np.empty(len(N), dtype=bool)
    answer[order] = np.maximum(low, 0) <= high
    return answer


def at_every_crossing(lengths, losses):
    """Try every price at which two points are equal, and count all that come within rounding of the least."""
    i, j = np.triu_indices(len(lengths), 1)
    crossings = (losses[i] - losses[j]) / (lengths[j] - lengths[i])
    prices = np.unique(np.concatenate([[0.0], crossings[crossings > 0], [crossings.max(initial=0) + 1]]))
    values = prices[:, None] * lengths + losses
    return (values <= values.min(axis=1, keepdims=True) + 4e-15 * abs(values).max()).any(axis=0)


@pytest.mark.parametrize("candidate", [hull_by_cross_products, dual_intervals, at_every_crossing])
def test_reachable_accepts_another_way_to_the_hull(capsys, candidate):
    assert "correct" in said(capsys, "reachable", candidate)


def strict(lengths, losses):
    """lo < hi instead of lo <= hi."""
    answer = np.zeros(len(lengths), dtype=bool)
    for i in range(len(lengths)):
        longer, shorter = lengths > lengths[i], lengths < lengths[i]
        low = np.max((losses[i] - losses[longer]) / (lengths[longer] - lengths[i]), initial=0.0)
        high = np.min((losses[shorter] - losses[i]) / (lengths[i] - lengths[shorter]), initial=np.inf)
        answer[i] = low < high
    return answer


def grid_of_prices(lengths, losses, highest=1e6, slack=0.0):
    prices = np.append(0.0, np.geomspace(1e-6, highest, 5000))
    values = prices[:, None] * lengths + losses
    return (values <= values.min(axis=1, keepdims=True) + slack).any(axis=0)


def linear_grid(lengths, losses):
    values = np.linspace(0, 100, 50_001)[:, None] * lengths + losses
    return np.isin(np.arange(len(lengths)), values.argmin(axis=1))


def upper_bound_forgotten(lengths, losses):
    low = [max([(losses[i] - b) / (a - n) for a, b in zip(lengths, losses, strict=True) if a > n] or [0.0]) for i, n in
           enumerate(lengths)]  # fmt: skip
    return np.array(low) < np.median(low) + 1e-12


def unsorted_hull(lengths, losses):
    """Walks the points in the order in which they come."""
    corners = []
    for i in range(len(lengths)):
        while len(corners) > 1:
            j, k = corners[-2:]
            if (lengths[k] - lengths[j]) * (losses[i] - losses[j]) >= (lengths[i] - lengths[j]) * (
                losses[k] - losses[j]
            ):
                break
            corners.pop()
        corners.append(i)
    return np.isin(np.arange(len(lengths)), corners)


@pytest.mark.parametrize(
    "candidate, message",
    [
        (
            lambda lengths, losses: np.ones(len(lengths), dtype=bool),
            "all points are marked: that is the frontier itself",
        ),
        (lambda lengths, losses: hull_by_cross_products(lengths, losses, -1), "but is not marked"),
        (locally_convex, "lies above the lower convex hull: no c chooses it; the chord from point"),
        (lambda lengths, losses: SCOPE["reachable"](lengths, losses) & (lengths > lengths.min()), "but is not marked"),
        (lambda lengths, losses: np.flatnonzero(SCOPE["reachable"](lengths, losses)), "must be booleans of shape"),
        (strict, "lies exactly on an edge of the hull: at c = 1 it does as well as its neighbours"),
        (grid_of_prices, "a grid of prices steps over"),
        (lambda *a: grid_of_prices(*a, slack=1e-3), "a grid of prices steps over"),
        (linear_grid, "a grid of prices steps over"),
        (unsorted_hull, "but is not marked"),
        (upper_bound_forgotten, "but is not marked"),
        (lambda lengths, losses: SCOPE["reachable"](lengths, losses).astype(int), "must be booleans"),
        (lambda lengths, losses: SCOPE["reachable"](np.sort(lengths), -np.sort(-losses)), "lies above the lower"),
    ],
)
def test_reachable(capsys, candidate, message):
    out = said(capsys, "reachable", candidate)
    assert "not yet" in out and message in out


def bisection(try_price, low, high, multiplies, *, larger_after_success=None, best=True, scan=False, steps=40):
    """A search with one thing wrong with it."""
    if larger_after_success is None:
        larger_after_success = multiplies == "norm"
    seen = []
    for c in np.geomspace(low, high, 13) if scan else ():
        seen.append((try_price(c), c))
    for _ in range(steps):
        c = math.sqrt(low * high)
        answer = try_price(c)
        seen.append((answer, c))
        if answer[0] == larger_after_success:
            low = c
        else:
            high = c
    if not best:
        return seen[-1][1], seen[-1][0][1]
    wins = [(length, c) for (success, length), c in seen if success]
    return (min(wins)[1], min(wins)[0]) if wins else (math.nan, math.inf)


def grows_on_success(try_price, low, high, multiplies):
    """Right for the paper's form, wrong for Carlini and Wagner's."""
    wins, last = [], math.inf
    for _ in range(40):
        c = math.sqrt(low * high)
        success, length = try_price(c)
        low, high = (c, high) if success else (low, c)
        if success:
            wins.append((c, length))
            last = length
    return wins[-1] if wins else (high, last)


def shrinks_on_success(try_price, low, high, multiplies):
    """Right for Carlini and Wagner's form, wrong for the paper's. Reports the last success."""
    wins = []
    for _ in range(40):
        c = math.sqrt(low * high)
        success, length = try_price(c)
        low, high = (low, c) if success else (c, high)
        if success:
            wins.append((c, length))
    return wins[-1] if wins else (math.nan, math.inf)


def hardest_success(try_price, low, high, multiplies):
    """Scans and bisects, but returns the hardest price that succeeded rather than the shortest result."""
    seen = []
    SCOPE["search"](lambda c: seen.append((c, *try_price(c))) or seen[-1][1:], low, high, multiplies)
    wins = [(c, length) for c, success, length in seen if success]
    return (max(wins) if multiplies == "norm" else min(wins)) if wins else (math.nan, math.inf)


def zero_for_nothing(*a):
    answer = SCOPE["search"](*a)
    return answer if answer[1] < math.inf else (0.0, 0.0)


def greedy(try_price, low, high, multiplies):
    return bisection(try_price, low, high, multiplies, steps=1000)


def scan_and_bisect(
    try_price, low, high, multiplies, *, prices=np.geomspace, halvings=25, easy_side=False, from_last=False
):
    """Written another way: a dictionary of all that was tried, steps in log c; right without options."""
    tried = {}

    def ask(logc):
        c = math.exp(logc)
        tried[c] = try_price(c)
        return tried[c][0]

    def shortest():
        wins = {c: length for c, (success, length) in tried.items() if success}
        return min(wins, key=wins.get) if wins else None

    scan = np.log(prices(low, high, 16))
    for logc in scan:
        ask(logc)
    if shortest() is None:
        return float("nan"), float("inf")
    harder = 1 if (multiplies == "norm") != easy_side else -1
    good = np.log(shortest()) if not from_last else max(harder * np.log(c) for c, a in tried.items() if a[0]) * harder
    beyond = [logc for logc in scan if harder * (logc - good) > 1e-9]
    if beyond:
        bad = min(beyond, key=lambda logc: abs(logc - good))
        for _ in range(halvings):
            middle = (good + bad) / 2
            good, bad = (middle, bad) if ask(middle) else (good, middle)
    c = shortest() if not from_last else math.exp(good)
    return c, try_price(c)[1]


def dense_scan(try_price, low, high, multiplies):
    """Four scans, each finer, round the best so far."""
    best, lo, hi = (math.inf, math.nan), low, high
    for _ in range(6):
        grid = np.geomspace(lo, hi, 40)
        best = min([best, *[(length, c) for c in grid for success, length in [try_price(c)] if success]])
        if math.isinf(best[0]):
            return math.nan, math.inf
        i = int(np.argmin(abs(np.log(grid / best[1]))))
        lo, hi = grid[max(i - 1, 0)], grid[min(i + 1, 39)]
    return best[1], best[0]


@pytest.mark.parametrize("candidate", [scan_and_bisect, dense_scan])
def test_search_accepts_other_ways(capsys, candidate):
    assert "search: correct" in said(capsys, "search", candidate)


@pytest.mark.parametrize(
    "candidate, message",
    [
        (shrinks_on_success, "here c multiplies the norm, and the shortest success has the largest c"),
        (
            lambda try_price, low, high, multiplies: (SCOPE["search"] if multiplies == "norm" else grows_on_success)(
                try_price, low, high, multiplies
            ),
            "here c multiplies the loss, and the shortest success has the smallest c",
        ),
        (bisection, "Bisection was trusted blindly"),
        (
            lambda *a: bisection(*a, best=False, steps=39),
            "fails. Return the best success seen, not the last c tried",
        ),
        (lambda *a: bisection(*a, scan=True, steps=0), "bisect further towards the harder side"),
        (hardest_success, "the hardest success need not be the shortest"),
        (lambda *a: (0.5 if a[3] == "norm" else 2.0, 99.0), "does not belong to the c returned"),
        (lambda *a: (math.nan, math.inf), "After a failure c must become smaller"),
        (greedy, "more than 400 prices tried"),
        (zero_for_nothing, "nothing succeeds, so return (nan, inf), not (0.0, 0.0)"),
        (lambda try_price, low, high, multiplies: try_price(low - 2 * low), "prices are positive"),
        (lambda try_price, low, high, multiplies: SCOPE["search"](try_price, low, high), "`multiplies` is ignored"),
        (
            lambda try_price, low, high, multiplies: SCOPE["search"](try_price, low, high, "loss"),
            "bisect further towards the harder side",
        ),
        (grows_on_success, "Bisection was trusted blindly"),
        (lambda *a: scan_and_bisect(*a, prices=np.linspace), "Scan first"),
        (lambda *a: scan_and_bisect(*a, easy_side=True), "bisect further towards the harder side"),
        (lambda *a: scan_and_bisect(*a, halvings=3), "bisect further towards the harder side"),
        (lambda *a: scan_and_bisect(*a, from_last=True), "on the way"),
        (lambda *a: (lambda c, length: (c, 1.001 * length))(*SCOPE["search"](*a)), "does not belong to the c"),
    ],
)
def test_search(capsys, candidate, message):
    out = said(capsys, "search", candidate)
    assert "not yet" in out and message in out


@pytest.mark.parametrize(
    "candidate, message",
    [
        (lambda c, r: c, "this is c_squared itself"),
        (lambda c, r: c * np.linalg.norm(r), "a factor 2 is missing"),
        (lambda c, r: 2 * c * (r @ r), "one ‖r‖ too many"),
        (lambda c, r: c / (2 * np.linalg.norm(r)), "the other way round"),
        (lambda c, r: 2 * c * abs(r).sum() + 1, "the gradient of c‖r‖ + loss at r has length"),
        (lambda c, r: 2 * c * r, "the price has shape"),
        (lambda c, r: 2 * c * abs(r).sum(), "the gradient of c‖r‖ + loss at r has length"),
        (lambda c, r: 2 * c * abs(r).max(), "the gradient of c‖r‖ + loss at r has length"),
        (lambda c, r: 2 * c * np.linalg.norm(r) / math.sqrt(r.size), "the gradient of c‖r‖ + loss at r has length"),
        (lambda c, r: -2 * c * np.linalg.norm(r), "the gradient of c‖r‖ + loss at r has length"),
        (lambda c, r: 2 * c / np.linalg.norm(r), "the gradient of c‖r‖ + loss at r has length"),
        (lambda c, r: math.sqrt(c) * np.linalg.norm(r), "the gradient of c‖r‖ + loss at r has length"),
    ],
)
def test_price_for_norm(capsys, candidate, message):
    out = said(capsys, "price_for_norm", candidate)
    assert "not yet" in out and message in out


@pytest.mark.parametrize(
    "candidate",
    [lambda c, r: np.linalg.norm(2 * c * r), lambda c, r: np.array(c * math.sqrt(4 * (r**2).sum()))],
)
def test_price_for_norm_accepts_other_ways(capsys, candidate):
    assert "correct" in said(capsys, "price_for_norm", candidate)


def softmax_then_log(z, target, beta, floor=0.0, added=0.0):
    """The likeliest mistake of all: the largest exponent is subtracted, and p still becomes 0."""
    e = np.exp(beta * z - (beta * z).max())
    return -np.log(np.maximum(e[target] / e.sum() + added, floor)) / beta


def softmax_unguarded(z, target, beta):
    return -np.log(np.exp(beta * z)[target] / np.exp(beta * z).sum()) / beta


def one_term_lost(z, target, beta):
    exponents = beta * (np.delete(z, target) - z[target])
    return (exponents.max() + np.log(np.exp(exponents - exponents.max()).sum())) / beta


def by_a_loop(z, target, beta):
    top, total = max(float(v) for v in z), 0.0
    for v in z:
        total += math.exp(max(beta * (float(v) - top), -745.0))
    return top - float(z[target]) + math.log(total) / beta


@pytest.mark.parametrize(
    "candidate",
    [
        lambda z, target, beta: np.logaddexp.reduce(beta * (z - z[target])) / beta,
        lambda z, target, beta: logsumexp(beta * z) / beta - z[target],
        by_a_loop,
    ],
)
def test_sharpened_loss_accepts_other_ways(capsys, candidate):
    assert "correct" in said(capsys, "sharpened_loss", candidate)


def naive(z, target, beta):
    return np.log(np.exp(beta * (z - z[target])).sum()) / beta


@pytest.mark.parametrize(
    "candidate, message",
    [
        (naive, "exp overflows"),
        (softmax_unguarded, "exp overflows"),
        (softmax_then_log, "nothing overflowed, but the probability of the target, about exp(-3000)"),
        (lambda *a: softmax_then_log(*a, added=1e-12), "exp(-loss) is p + 1.0e-12, not p = "),
        (lambda *a: softmax_then_log(*a, added=1e-8), "a small number was added inside the logarithm"),
        (lambda *a: softmax_then_log(*a, floor=1e-12), "the probability is kept above 1.0e-12"),
        (lambda *a: softmax_then_log(*a, floor=1e-300), "the probability is kept above 1.0e-300"),
        (one_term_lost, "for beta = 1 it must be -log p"),
        (lambda z, target, beta: SCOPE["sharpened_loss"](z, int(z.argmax()), beta), "for beta = 1 it must be -log p"),
        (lambda z, target, beta: SCOPE["sharpened_loss"](z, target, beta) / math.log(2), "must be -log p"),
        (lambda z, target, beta: SCOPE["sharpened_loss"](z, target, min(beta, 50.0)), "logits within"),
        (lambda z, target, beta: -SCOPE["sharpened_loss"](z, target, beta), "must be -log p"),
        (lambda z, target, beta: beta * SCOPE["sharpened_loss"](z, target, beta), "divide by beta"),
        (lambda z, target, beta: SCOPE["sharpened_loss"](z, target, 1.0), "for beta = 4 it is"),
        (lambda z, target, beta: SCOPE["sharpened_loss"](z, target, 1 / beta), "for beta = 4 it is"),
        (lambda z, target, beta: max(0.0, np.delete(z, target).max() - z[target]), "for beta = 1 it must be -log p"),
        (lambda z, target, beta: SCOPE["sharpened_loss"](z, target, beta) * np.ones(2), "the loss has shape"),
    ],
)
def test_sharpened_loss(capsys, candidate, message):
    out = said(capsys, "sharpened_loss", candidate)
    assert "not yet" in out and message in out
