"""Lesson 04's checks: the lesson's own solutions pass, and each classic mistake is told by name."""

from functools import partial

import notebook_tools
import numpy as np
import pytest
from notebook_tools import NOTEBOOKS, source

from helpers import checks

PATH = NOTEBOOKS / "04_l_bfgs.ipynb"
written = partial(notebook_tools.written, PATH, needs=["keep_pair"])
NAMES = ["compact", "initial_scale", "remember", "two_loop"]


def said(capsys, name, candidate):
    getattr(checks, name)(candidate)
    return capsys.readouterr().out


@pytest.mark.parametrize("name", NAMES)
def test_the_lessons_solution_is_correct(capsys, name):
    assert said(capsys, name, written(name)).startswith(f"{name}: correct - ")


@pytest.mark.parametrize("name", NAMES)
def test_the_stub_is_not_attempted(capsys, name):
    assert said(capsys, name, written(name, tag="exercise")).startswith(f"{name}: not attempted yet")


def test_every_exercise_has_its_check():
    assert sorted(checks.lesson04.__all__) == NAMES
    assert [name for name in NAMES if not source(PATH, name, "exercise")] == []


BACKWARDS = ("for s, y in reversed(pairs):", "for s, y in pairs:")
FORWARDS = ("zip(pairs, reversed(alphas), strict=True)", "zip(reversed(pairs), alphas, strict=True)")
OWN_ALPHA = ("zip(pairs, reversed(alphas), strict=True)", "zip(pairs, alphas, strict=True)")
BOTH_BACKWARDS = ("zip(pairs, reversed(alphas), strict=True)", "zip(reversed(pairs), reversed(alphas), strict=True)")


@pytest.mark.parametrize(
    "changes, message",
    [
        ([BACKWARDS, BOTH_BACKWARDS], "holds for the oldest one. The loop order is wrong: both loops run backwards"),
        ([FORWARDS], "The loop order is wrong: the second loop runs from new to old, like the first"),
        ([BACKWARDS, OWN_ALPHA], "The loop order is wrong: the first loop runs from old to new, like the second"),
        ([OWN_ALPHA], "An alpha meets the wrong pair"),
        ([("gamma * q", "q")], "gamma is missing between the two loops"),
        ([("gamma * q", "q / gamma")], "gamma is inverted; it multiplies q"),
        ([("return r", "return -r")], "the minus sign comes later"),
        ([("alpha - beta", "alpha + beta")], "but H is not symmetric, by"),
        ([("q = q - alphas[-1] * y", "q -= alphas[-1] * y")], "it changes its argument q in place"),
        ([("reversed(pairs)", "pairs[:0:-1]"), ("zip(pairs,", "zip(pairs[1:],")], "H y = s fails for the newest pair"),
        ([("gamma * q", "(gamma if len(pairs) < 2 else 2 * gamma) * q")], "the older pairs or gamma do not enter"),
    ],
)
def test_two_loop_mistakes(capsys, changes, message):
    out = said(capsys, "two_loop", written("two_loop", *changes))
    assert out.startswith("two_loop: not yet") and message in out


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
    out = said(capsys, "initial_scale", written("initial_scale", ("(s @ y) / (y @ y)", formula)))
    assert out.startswith("initial_scale: not yet") and message in out


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
    out = said(capsys, "remember", written("remember", *changes))
    assert out.startswith("remember: not yet") and message in out


INVERSE = "np.linalg.inv(K)"


def with_cholesky(S, Y, theta):
    SY = S.T @ Y
    L = np.tril(SY, -1)
    K = np.block([[-np.diag(np.diag(SY)), L.T], [L, theta * S.T @ S]])
    half = np.linalg.inv(np.linalg.cholesky(K))
    return np.hstack([Y, theta * S]), half.T @ half


@pytest.mark.parametrize(
    "changes, message",
    [
        ([("np.tril(SY, -1)", "np.tril(SY)")], "L with its diagonal"),
        ([("np.tril(SY, -1)", "np.triu(SY, 1)")], "L is the strictly upper triangle"),
        ([("[-D, L.T], [L,", "[-D, L], [L.T,")], "L stands where its transpose belongs"),
        ([("np.tril(SY, -1)", "np.tril(Y.T @ S, -1)")], "B s = y fails for the newest of 2 pairs"),
        ([("np.tril(SY, -1)", "0 * SY")], "B s = y fails for the newest of 2 pairs"),
        ([("np.block([[-D", "np.block([[D")], "the sign of D"),
        ([(INVERSE, "K")], "not inverted"),
        ([("theta * S.T @ S]]", "S.T @ S]]")], "is the lower right block theta S'S"),
        ([("np.hstack([Y, theta * S])", "np.hstack([Y, S])")], "theta is missing"),
        ([("np.hstack([Y, theta * S])", "np.hstack([theta * S, Y])")], "in this order: yours begins with S"),
        ([("np.hstack([Y, theta * S]), np.linalg.inv(K)", "K")], "return two things: W, M"),
    ],
)
def test_compact_mistakes(capsys, changes, message):
    out = said(capsys, "compact", written("compact", *changes))
    assert out.startswith("compact: not yet") and message in out


def test_compact_with_m_assumed_definite(capsys):
    out = said(capsys, "compact", with_cholesky)
    assert out.startswith("compact: not yet - M assumed definite") and "as many negative as positive eigenvalues" in out


def test_compact_with_the_negative_eigenvalues_turned_round(capsys):
    def absolute(S, Y, theta):
        W, M = written("compact")(S, Y, theta)
        values, vectors = np.linalg.eigh(M)
        return W, vectors * np.abs(values) @ vectors.T

    assert "the sign of D" in said(capsys, "compact", absolute)
