"""Lesson 02's checks: the lesson's own solutions pass, every classic mistake is caught and named."""

import math

import numpy as np
import pytest
from notebook_tools import NOTEBOOKS, cells

from helpers import checks

PATH = NOTEBOOKS / "02_from_constraint_to_penalty.ipynb"
SCOPE = {"np": np, "math": math}
for _cell in cells(PATH, "solution"):
    exec(_cell.source, SCOPE)


def verdict(capsys, name, candidate):
    getattr(checks, name)(candidate)
    return capsys.readouterr().out


@pytest.mark.parametrize("name", ["reachable", "search", "price_for_norm", "sharpened_loss"])
def test_the_solutions_are_correct_and_the_stubs_not_attempted(capsys, name):
    assert verdict(capsys, name, SCOPE[name]).startswith(f"{name}: correct - ")
    scope = {}
    exec(next(cell.source for cell in cells(PATH, "exercise") if f"def {name}(" in cell.source), scope)
    assert "not attempted yet" in verdict(capsys, name, scope[name])


def hull_by_cross_products(lengths, losses, sign=1):
    order, corners = np.argsort(lengths), []
    for i in order:
        while len(corners) > 1:
            j, k = corners[-2:]
            turn = (lengths[k] - lengths[j]) * (losses[i] - losses[j]) - (lengths[i] - lengths[j]) * (
                losses[k] - losses[j]
            )
            if sign * turn > 0:
                break
            corners.pop()
        corners.append(i)
    return np.isin(np.arange(len(lengths)), corners)


def locally_convex(lengths, losses):
    order, answer = np.argsort(lengths), np.ones(len(lengths), dtype=bool)
    slopes = np.diff(losses[order]) / np.diff(lengths[order])
    answer[order[1:-1]] = np.diff(slopes) > 0
    return answer


def test_reachable_accepts_another_way_to_the_hull(capsys):
    assert "correct" in verdict(capsys, "reachable", hull_by_cross_products)


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
    ],
)
def test_reachable(capsys, candidate, message):
    out = verdict(capsys, "reachable", candidate)
    assert "not yet" in out and message in out


def bisection(attack, low, high, multiplies, *, larger_after_success=None, best=True, scan=False, steps=40):
    """A search with one thing wrong with it."""
    if larger_after_success is None:
        larger_after_success = multiplies == "norm"
    seen = []
    for c in np.geomspace(low, high, 13) if scan else ():
        seen.append((attack(c), c))
    for _ in range(steps):
        c = math.sqrt(low * high)
        answer = attack(c)
        seen.append((answer, c))
        if answer[0] == larger_after_success:
            low = c
        else:
            high = c
    if not best:
        return seen[-1][1], seen[-1][0][1]
    wins = [(length, c) for (success, length), c in seen if success]
    return (min(wins)[1], min(wins)[0]) if wins else (math.nan, math.inf)


def grows_on_success(attack, low, high, multiplies):
    """Right for the paper's form, wrong for Carlini and Wagner's."""
    wins, last = [], math.inf
    for _ in range(40):
        c = math.sqrt(low * high)
        success, length = attack(c)
        low, high = (c, high) if success else (low, c)
        if success:
            wins.append((c, length))
            last = length
    return wins[-1] if wins else (high, last)


def shrinks_on_success(attack, low, high, multiplies):
    """Right for Carlini and Wagner's form, wrong for the paper's. Reports the last success."""
    wins = []
    for _ in range(40):
        c = math.sqrt(low * high)
        success, length = attack(c)
        low, high = (low, c) if success else (c, high)
        if success:
            wins.append((c, length))
    return wins[-1] if wins else (math.nan, math.inf)


def hardest_success(attack, low, high, multiplies):
    """Scans and bisects, but returns the hardest price that succeeded rather than the shortest result."""
    seen = []
    SCOPE["search"](lambda c: seen.append((c, *attack(c))) or seen[-1][1:], low, high, multiplies)
    wins = [(c, length) for c, success, length in seen if success]
    return (max(wins) if multiplies == "norm" else min(wins)) if wins else (math.nan, math.inf)


def zero_for_nothing(*a):
    answer = SCOPE["search"](*a)
    return answer if answer[1] < math.inf else (0.0, 0.0)


def greedy(attack, low, high, multiplies):
    return bisection(attack, low, high, multiplies, steps=1000)


@pytest.mark.parametrize(
    "candidate, message",
    [
        (shrinks_on_success, "here c multiplies the norm, and the shortest success has the largest c"),
        (
            lambda attack, low, high, multiplies: (SCOPE["search"] if multiplies == "norm" else grows_on_success)(
                attack, low, high, multiplies
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
        (greedy, "more than 400 attacks"),
        (zero_for_nothing, "nothing succeeds, so return (nan, inf), not (0.0, 0.0)"),
        (lambda attack, low, high, multiplies: attack(low - 2 * low), "prices are positive"),
    ],
)
def test_search(capsys, candidate, message):
    out = verdict(capsys, "search", candidate)
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
    ],
)
def test_price_for_norm(capsys, candidate, message):
    out = verdict(capsys, "price_for_norm", candidate)
    assert "not yet" in out and message in out


def naive(z, target, beta):
    return np.log(np.exp(beta * (z - z[target])).sum()) / beta


@pytest.mark.parametrize(
    "candidate, message",
    [
        (naive, "exp overflows"),
        (lambda z, target, beta: beta * SCOPE["sharpened_loss"](z, target, beta), "divide by beta"),
        (lambda z, target, beta: SCOPE["sharpened_loss"](z, target, 1.0), "for beta = 4 it is"),
        (lambda z, target, beta: SCOPE["sharpened_loss"](z, target, 1 / beta), "for beta = 4 it is"),
        (lambda z, target, beta: max(0.0, np.delete(z, target).max() - z[target]), "for beta = 1 it must be -log p"),
        (lambda z, target, beta: SCOPE["sharpened_loss"](z, target, beta) * np.ones(2), "the loss has shape"),
    ],
)
def test_sharpened_loss(capsys, candidate, message):
    out = verdict(capsys, "sharpened_loss", candidate)
    assert "not yet" in out and message in out
