"""Lesson 04's checks: each classic mistake is told by name."""

from functools import partial

import notebook_tools
import numpy as np
import pytest
from notebook_tools import NOTEBOOKS
from verdicts import assert_caught, said

PATH = NOTEBOOKS / "04_l_bfgs.ipynb"
written = partial(notebook_tools.written, PATH, needs=["keep_pair"])
BACKWARDS = ("for s, y in reversed(pairs):", "for s, y in pairs:")
FORWARDS = ("zip(pairs, reversed(a), strict=True)", "zip(reversed(pairs), a, strict=True)")
OWN_A = ("zip(pairs, reversed(a), strict=True)", "zip(pairs, a, strict=True)")
BOTH_BACKWARDS = ("zip(pairs, reversed(a), strict=True)", "zip(reversed(pairs), reversed(a), strict=True)")


@pytest.mark.parametrize(
    "changes, message",
    [
        ([BACKWARDS, BOTH_BACKWARDS], "holds for the oldest one. The loop order is wrong: both loops run backwards"),
        ([FORWARDS], "The loop order is wrong: the second loop runs from new to old, like the first"),
        ([BACKWARDS, OWN_A], "The loop order is wrong: the first loop runs from old to new, like the second"),
        ([OWN_A], "An a meets the wrong pair"),
        ([("gamma * q", "q")], "gamma is missing between the two loops"),
        ([("gamma * q", "q / gamma")], "gamma is inverted; it multiplies q"),
        ([("return Hq", "return -Hq")], "the minus sign comes later"),
        ([("a_i - b", "a_i + b")], "but H is not symmetric, by"),
        ([("q = q - a[-1] * y", "q -= a[-1] * y")], "it changes its argument q in place"),
        ([("reversed(pairs)", "pairs[:0:-1]"), ("zip(pairs,", "zip(pairs[1:],")], "H y = s fails for the newest pair"),
        ([("gamma * q", "(gamma if len(pairs) < 2 else 2 * gamma) * q")], "the older pairs or gamma do not enter"),
    ],
)
def test_two_loop_mistakes(capsys, changes, message):
    assert_caught(capsys, "two_loop", written("two_loop", *changes), message)


def test_two_loop_that_forgets_the_older_pairs(capsys):
    right = written("two_loop")
    out = said(capsys, "two_loop", lambda q, pairs, gamma: right(q, pairs[-1:], gamma))
    assert "not yet" in out


@pytest.mark.parametrize(
    "formula, message",
    [
        ("(y @ y) / (s @ y)", "inverted: where the curvature is 4 in every direction, y = 4 s, you return 4"),
        ("(s @ y) / (s @ s)", "inverted"),
        ("(s @ s) / (s @ y)", "it overshoots"),
        ("np.sqrt((s @ s) / (y @ y))", "does not minimise |gamma y - s|"),
        ("1.0", "gamma is 1/4; you return 1"),
    ],
)
def test_initial_scale_mistakes(capsys, formula, message):
    assert_caught(capsys, "initial_scale", written("initial_scale", ("(s @ y) / (y @ y)", formula)), message)


NEW = "[*pairs, (s.copy(), y.copy())][-m:]"


@pytest.mark.parametrize(
    "changes, message",
    [
        ([(NEW, "[*pairs, (s, y)][-m:]")], "aliased: the caller reused its array s"),
        ([(NEW, "[*pairs, (s.copy(), y)][-m:]")], "aliased: the caller reused its array y"),
        ([(NEW, "[*pairs, (s[:], y[:])][-m:]")], "aliased"),
        ([(NEW, "[*pairs, (s.copy(), y.copy())][:m]")], "the first pairs are still there: the oldest must leave"),
        ([(NEW, "[*pairs, (s.copy(), y.copy())]")], "with m = 3 the memory holds 4 pairs"),
        ([(NEW, "[*pairs, (s.copy(), y.copy())][-m + 1:]")], "pairs are kept of"),
        ([(NEW, "[(s.copy(), y.copy()), *pairs][:m]")], "the newest pair stands first"),
        ([(NEW, "[*pairs, (y.copy(), s.copy())][-m:]")], "stored as (y, s)"),
        ([("if not keep_pair(s, y)", "if False")], "a pair with s'y < 0 leaves 2 pairs"),
        ([("if not keep_pair(s, y)", "if s @ y < 0")], "a pair with y = 0 leaves 2 pairs"),
        ([("return pairs\n", "return []\n")], "a pair with s'y < 0 leaves 0 pairs"),
        ([("not keep_pair(s, y)", "s @ y < 1e-10")], "an absolute threshold"),
        ([(f"return {NEW}", "pairs.append((s.copy(), y.copy()))\n    return pairs")], "its argument pairs in place"),
        ([(NEW, f"tuple({NEW})")], "return a list of pairs, not a tuple"),
    ],
)
def test_remember_mistakes(capsys, changes, message):
    assert_caught(capsys, "remember", written("remember", *changes), message)


INVERSE = "np.linalg.inv(M_inverse)"


def with_cholesky(S, Y, theta):
    SY = S.T @ Y
    L = np.tril(SY, -1)
    K = np.block([[-np.diag(np.diag(SY)), L.T], [L, theta * S.T @ S]])
    half = np.linalg.inv(np.linalg.cholesky(K))
    return np.hstack([Y, theta * S]), half.T @ half


LOWER = "np.tril(SY, -1)"


@pytest.mark.parametrize(
    "changes, message",
    [
        ([(LOWER, "np.tril(SY)")], "Λ with its diagonal"),
        ([(LOWER, "np.triu(SY, 1)")], "Λ is the strictly upper triangle"),
        ([("[-D, strictly_lower.T], [strictly_lower,", "[-D, strictly_lower], [strictly_lower.T,")], "Λ stands where"),
        ([(LOWER, "np.tril(Y.T @ S, -1)")], "B s = y fails for the newest of 2 pairs"),
        ([(LOWER, "0 * SY")], "B s = y fails for the newest of 2 pairs"),
        ([("np.block([[-D", "np.block([[D")], "the sign of D"),
        ([(INVERSE, "M_inverse")], "not inverted"),
        ([("theta * S.T @ S]]", "S.T @ S]]")], "the lower right block must be theta S'S"),
        ([("np.hstack([Y, theta * S])", "np.hstack([Y, S])")], "theta is missing"),
        ([("np.hstack([Y, theta * S])", "np.hstack([theta * S, Y])")], "in different orders"),
        ([("np.hstack([Y, theta * S]), np.linalg.inv(M_inverse)", "M_inverse")], "return two things: W, M"),
    ],
)
def test_compact_mistakes(capsys, changes, message):
    assert_caught(capsys, "compact", written("compact", *changes), message)


def test_compact_with_m_assumed_definite(capsys):
    out = said(capsys, "compact", with_cholesky)
    assert out.startswith("compact: not yet - M assumed definite") and "as many negative as positive eigenvalues" in out


def test_compact_with_the_negative_eigenvalues_turned_round(capsys):
    def absolute(S, Y, theta):
        W, M = written("compact")(S, Y, theta)
        values, vectors = np.linalg.eigh(M)
        return W, vectors * np.abs(values) @ vectors.T

    assert "the sign of D" in said(capsys, "compact", absolute)


# Right answers in another form, and wrong ones that the checks were not written against.


def by_matrices(q, pairs, gamma):
    H = gamma * np.eye(q.size)
    for s, y in pairs:
        V = np.eye(q.size) - np.outer(y, s) / s.dot(y)
        H = V.T @ H @ V + np.outer(s, s) / s.dot(y)
    return H @ q


def by_recursion(q, pairs, gamma):
    if len(pairs) == 0:
        return gamma * q
    s, y = pairs[-1]
    rho = 1 / (y @ s)
    r = by_recursion(q - rho * (s @ q) * y, pairs[:-1], gamma)
    return r - rho * (y @ r) * s + rho * (s @ q) * s


def by_index(q, pairs, gamma):
    a, r = np.zeros(len(pairs)), q.copy()
    for i in range(len(pairs) - 1, -1, -1):
        s, y = pairs[i]
        a[i] = s @ r / (s @ y)
        r -= a[i] * y
    r *= gamma
    for i, (s, y) in enumerate(pairs):
        r += (a[i] - y @ r / (s @ y)) * s
    return r


@pytest.mark.parametrize("candidate", [by_matrices, by_recursion, by_index])
def test_two_loop_in_another_form(capsys, candidate):
    assert said(capsys, "two_loop", candidate).startswith("two_loop: correct")


@pytest.mark.parametrize(
    "changes",
    [
        [("/ (s @ y))\n", "/ (y @ y))\n")],  # rho with y'y
        [("b = (y @ Hq) / (s @ y)", "b = (y @ q) / (s @ y)")],  # b from q, without gamma
        [("b = (y @ Hq) / (s @ y)", "b = (s @ Hq) / (s @ y)")],  # b with s
        [("q - a[-1] * y", "q - a[-1] * s"), ("(a_i - b) * s", "(a_i - b) * y")],  # s and y exchanged half-way
        [("for s, y in reversed", "for y, s in reversed"), ("for (s, y), a_i", "for (y, s), a_i")],  # the B of DFP
        [("gamma * q", "gamma * gamma * q")],
        [("return Hq", "return gamma * Hq")],
        [("return Hq", "return Hq if len(pairs) < 7 else Hq + 1e-3")],
        [("reversed(pairs)", "reversed(pairs[-5:])"), ("zip(pairs,", "zip(pairs[-5:],")],  # a memory of five
        [("(a_i - b) * s", "(b - a_i) * s")],
        [("gamma * q", "gamma * q + 0 * np.nan")],
    ],
)
def test_two_loop_refuses(capsys, changes):
    assert said(capsys, "two_loop", written("two_loop", *changes)).startswith("two_loop: not yet")


@pytest.mark.parametrize(
    "candidate",
    [
        lambda s, y: 1 / ((y @ y) / (y @ s)),
        lambda s, y: np.linalg.lstsq(y[:, None], s, rcond=None)[0][0],
        lambda s, y: np.sum(s * y) / np.linalg.norm(y) ** 2,
    ],
)
def test_initial_scale_in_another_form(capsys, candidate):
    assert said(capsys, "initial_scale", candidate).startswith("initial_scale: correct")


@pytest.mark.parametrize(
    "candidate",
    [
        lambda s, y: np.linalg.norm(s) / np.linalg.norm(y),
        lambda s, y: (s @ y) / (y @ y + 1e-10),
        lambda s, y: min(1.0, (s @ y) / (y @ y)),
        lambda s, y: np.mean(s / y),
        lambda s, y: s.sum() / y.sum(),
        lambda s, y: np.abs(s).max() / np.abs(y).max(),
        lambda s, y: ((s @ y) / (y @ y) + (s @ s) / (s @ y)) / 2,
        lambda s, y: -(s @ y) / (y @ y),
        lambda s, y: (s @ y) / (y @ y) * np.eye(len(s)),
    ],
)
def test_initial_scale_refuses(capsys, candidate):
    assert said(capsys, "initial_scale", candidate).startswith("initial_scale: not yet")


def keep(s, y):
    return s @ y > len(s) * np.finfo(float).eps * np.sqrt((s @ s) * (y @ y))


def by_pop(pairs, s, y, m):
    new = list(pairs)
    if keep(s, y):
        new.append((np.array(s), np.array(y)))
    while len(new) > m:
        new.pop(0)
    return new


def by_slices(pairs, s, y, m):
    if not keep(s, y):
        return pairs[:]
    return (pairs[1:] if len(pairs) == m else pairs) + [(1.0 * s, 1.0 * y)]


@pytest.mark.parametrize("candidate", [by_pop, by_slices])
def test_remember_in_another_form(capsys, candidate):
    assert said(capsys, "remember", candidate).startswith("remember: correct")


TEST = "if not keep_pair(s, y)"


@pytest.mark.parametrize(
    "changes, message",
    [
        ([(TEST, "if not s @ y > 0")], "a pair with s'y = 1.5e-08 is kept"),
        ([(TEST, "if s @ y <= 7e-16 * np.linalg.norm(s) * np.linalg.norm(y)")], "holds NaN leaves 2 pairs"),
        ([(TEST, "if not s @ y > 2.2e-16")], "an absolute threshold"),
        ([(TEST, "if not s @ y > 1e-8 * (s @ s)")], "compare s'y with |s| |y|"),
        ([(TEST, "if not s @ y > 2.2e-16 * (y @ y)")], "compare s'y with |s| |y|"),
        ([(TEST, "if not keep_pair(y, -s)")], "a good pair is refused"),
        ([(NEW, "[*pairs[1:], (s.copy(), y.copy())]")], ""),
        ([("return pairs\n", "return pairs[1:]\n")], "leaves 0 pairs"),
        ([(NEW, "[*pairs[-m:], (s.copy(), y.copy())]")], "with m = 3 the memory holds 4 pairs"),
        ([(NEW, "[*pairs, (s.copy(), 0 + s)][-m:]")], ""),
        ([(NEW, "sorted([*pairs, (s.copy(), y.copy())][-m:], key=lambda pair: pair[0][0])")], ""),
    ],
)
def test_remember_refuses(capsys, changes, message):
    assert_caught(capsys, "remember", written("remember", *changes), message)


def blocks(S, Y):
    SY = S.T @ Y
    return np.diag(np.diag(SY)), np.tril(SY, -1)


def steps_first(S, Y, theta):
    D, lower = blocks(S, Y)
    return np.hstack([theta * S, Y]), np.linalg.inv(np.block([[theta * S.T @ S, lower], [lower.T, -D]]))


def theta_in_the_middle(S, Y, theta):
    D, lower = blocks(S, Y)
    return np.hstack([Y, S]), np.linalg.inv(np.block([[-D, lower.T / theta], [lower / theta, S.T @ S / theta]]))


def pair_by_pair(S, Y, theta):
    n, k = S.shape
    B = theta * np.eye(n)
    for s, y in zip(S.T, Y.T, strict=True):
        Bs = B @ s
        B += np.outer(y, y) / (s @ y) - np.outer(Bs, Bs) / (s @ Bs)
    values, vectors = np.linalg.eigh(theta * np.eye(n) - B)
    chosen = np.argsort(-np.abs(values))[: 2 * k]
    W, M = np.zeros((n, 2 * k)), np.zeros((2 * k, 2 * k))
    W[:, : len(chosen)], M[: len(chosen), : len(chosen)] = vectors[:, chosen], np.diag(values[chosen])
    return W, M


@pytest.mark.parametrize("candidate", [steps_first, theta_in_the_middle, pair_by_pair])
def test_compact_in_another_form(capsys, candidate):
    assert said(capsys, "compact", candidate).startswith("compact: correct")


def two_at_a_time(S, Y, theta):
    """Right for one and two pairs, later pairs forgotten."""
    W, M = np.zeros((len(S), 2 * S.shape[1])), np.zeros((2 * S.shape[1],) * 2)
    w, m = written("compact")(S[:, -2:], Y[:, -2:], theta)
    W[:, : w.shape[1]], M[: len(m), : len(m)] = w, m
    return W, M


@pytest.mark.parametrize(
    "candidate, message",
    [
        (lambda S, Y, theta: steps_first(S, Y, theta)[:1] + written("compact")(S, Y, theta)[1:], "in different orders"),
        (lambda S, Y, theta: written("compact")(S, Y, theta)[:1] + steps_first(S, Y, theta)[1:], "in different orders"),
        (lambda S, Y, theta: (np.hstack([Y, theta * S]), -written("compact")(S, Y, theta)[1]), "the sign of M"),
        (lambda S, Y, theta: written("compact")(S[:, ::-1], Y[:, ::-1], theta), ""),
        (lambda S, Y, theta: written("compact")(Y, S, theta), ""),
        (lambda S, Y, theta: written("compact")(S, Y, 1 / theta), ""),
        (lambda S, Y, theta: written("compact")(S, Y, 1.0), ""),
        (lambda S, Y, theta: (S, np.linalg.inv(theta * S.T @ S)), "W has shape"),
        (two_at_a_time, ""),
        (lambda S, Y, theta: (np.hstack([S, Y]), written("compact")(S, Y, theta)[1]), "W is not [Y, theta S]"),
    ],
)
def test_compact_refuses(capsys, candidate, message):
    assert_caught(capsys, "compact", candidate, message)
