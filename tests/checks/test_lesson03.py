"""Lesson 03's checks: each classic mistake is told by name."""

from functools import partial

import notebook_tools
import numpy as np
import pytest
from notebook_tools import NOTEBOOKS
from verdicts import assert_caught, said

PATH = NOTEBOOKS / "03_from_gradient_descent_to_bfgs.ipynb"
written = partial(notebook_tools.written, PATH)
GRADIENT = "2 * c * r + A.T @ softmax"


@pytest.mark.parametrize(
    "changes, message",
    [
        ([(GRADIENT, "c * r + A.T @ softmax")], "do not belong together: along r["),
        ([(GRADIENT, "c * r + A.T @ softmax")], "the derivative of c |r|^2 is 2 c r, not c r"),
        ([(GRADIENT, "A.T @ softmax")], "g lacks the derivative of c |r|^2"),
        ([(GRADIENT, f"-({GRADIENT})")], "g has the wrong sign"),
        ([("softmax[l] -= 1", "")], "g lacks the derivative of -z_l"),
        ([(GRADIENT, "2 * c * r + 1.01 * A.T @ softmax")], "value and g do not belong together"),
        ([("c * (r @ r)", "c * np.sqrt(r @ r)")], "the price of r is c |r|, the norm"),
        ([("c * (r @ r)", "c * np.mean(r**2)")], "c should add c |r|^2"),
        (
            [("c * (r @ r) + np.log(powers.sum()) - z[l]", "r @ r + c * (np.log(powers.sum()) - z[l])")],
            "c multiplies",
        ),
        ([("A @ (x + r) + b", "A @ x + b")], "at c = 0 the value should be -log softmax(z)_l"),
        ([("- z[l]", "+ z[l]")], "at c = 0 the value should be -log softmax(z)_l"),
        ([("z = z - z.max()", "z = z + 0")], "with logits of about 1000 exp overflows"),
        ([("return value, ", "return ")], "return two things: the value, and g"),
        ([("z = A @ (x + r) + b", "x += r\n    z = A @ x + b")], "it changes its argument x in place"),
    ],
)
def test_attack_objective_mistakes(capsys, changes, message):
    assert_caught(capsys, "attack_objective", written("attack_objective", *changes), message)


# Mistakes that the check was not written against.
VALUE = "np.log(powers.sum()) - z[l]"


@pytest.mark.parametrize(
    "changes, message",
    [
        ([(VALUE, "-np.log(softmax[l])")], "the probability of l is so small that it is stored as 0"),
        ([(VALUE, "-np.log(softmax[l] + 1e-12)")], "has lost it: take the logarithm of the sum"),
        ([(VALUE, "-np.log(max(softmax[l], 1e-300))")], "has lost it: take the logarithm of the sum"),
        ([(VALUE, "np.log(powers.mean()) - z[l]")], "log sum_j exp(z_j), is wrong"),
        ([(VALUE, "np.log2(powers.sum()) - z[l]")], "log sum_j exp(z_j), is wrong"),
        ([(VALUE, "np.delete(z, l).max() - z[l]")], "at c = 0 the value should be -log softmax(z)_l"),
        ([("A.T @ softmax", "A.T @ -softmax")], "in g the derivative of the loss has the wrong sign"),
        ([(GRADIENT, "2 * c * r")], "g lacks the derivative of the loss"),
        ([(GRADIENT, "2 * r + A.T @ softmax")], "value and g do not belong together"),
        ([("c * (r @ r)", "c * ((x + r) @ (x + r))")], "c should add c |r|^2"),
        ([("c * (r @ r)", "c * (r @ r) / 2")], "c should add c |r|^2"),
        ([("z[l]\n", "z[0]\n")], "at c = 0 the value should be -log softmax(z)_l"),
        ([("softmax = powers / powers.sum()", "softmax = powers")], "value and g do not belong together"),
    ],
)
def test_attack_objective_other_mistakes(capsys, changes, message):
    assert_caught(capsys, "attack_objective", written("attack_objective", *changes), message)


def with_logaddexp(r, x, l, c, A, b):
    z = A @ (x + r) + b
    total = np.logaddexp.reduce(z)
    p = np.exp(z - total)
    return c * sum(r**2) + total - z[l], 2 * c * r + p @ A - A[l]


def with_margins(r, x, l, c, A, b):
    """log(sum exp(z_j - z_l)), its exp kept from overflowing by the largest difference."""
    D = A - A[l]
    d = D @ (x + r) + b - b[l]
    top = d.max()
    e = np.exp(d - top)
    return np.float64(c * np.linalg.norm(r) ** 2 + top + np.log(e.sum())), list(2 * c * r + e @ D / e.sum())


@pytest.mark.parametrize("right", [with_logaddexp, with_margins])
def test_attack_objective_written_in_another_way(capsys, right):
    assert said(capsys, "attack_objective", right).startswith("attack_objective: correct")


@pytest.mark.parametrize(
    "changes, message",
    [
        ([("elif slope < c2 * slope0", "elif False")], "That is Armijo only: the curvature condition fails"),
        ([("if f > f0 + c1 * alpha * slope0", "if False")], "Armijo's condition fails"),
        ([("if f > f0 + c1 * alpha * slope0", "if f >= f0")], "Armijo's condition fails"),
        ([("slope < c2 * slope0", "slope < -c2 * slope0")], "200 trials"),
        ([("slope < c2 * slope0", "slope < 0.99 * slope0")], "Armijo only"),
        ([("c1=1e-4, c2=0.9):", "c1=1e-4, c2=0.9):\n    c1, c2 = 1e-4, 0.9")], "with c1 = 0.3 and c2 = 0.5"),
        ([("2 * low if np.isinf(high) else (low + high) / 2", "alpha / 2")], "200 trials"),
        ([("low, high, alpha = 0.0, np.inf, 1.0", "return 0.0")], "a step must be positive"),
    ],
)
def test_bisection_search_mistakes(capsys, changes, message):
    assert_caught(capsys, "bisection_search", written("bisection_search", *changes), message)


def test_armijo_backtracking_is_told_what_it_risks(capsys):
    def backtracking(phi, c1, c2):
        (f0, slope0), alpha = phi(0.0), 1.0
        while phi(alpha)[0] > f0 + c1 * alpha * slope0:
            alpha /= 2
        return alpha

    out = said(capsys, "bisection_search", backtracking)
    assert "That is Armijo only" in out and "Nothing then keeps s'y positive, here" in out


def growing_and_halving(grow, shrink):
    """No bracket: a step too long is shrunk, one too short is grown, whatever came before."""

    def search(phi, c1, c2):
        (f0, slope0), alpha = phi(0.0), 1.0
        while True:
            f, slope = phi(alpha)
            if f > f0 + c1 * alpha * slope0:
                alpha *= shrink
            elif slope < c2 * slope0:
                alpha *= grow
            else:
                return alpha

    return search


@pytest.mark.parametrize("grow, shrink", [(2, 0.5), (1.5, 0.5), (2, 0.6), (1.1, 0.9), (3, 0.1)])
def test_growing_and_halving_without_a_bracket_is_refused(capsys, grow, shrink):
    out = said(capsys, "bisection_search", growing_and_halving(grow, shrink))
    assert out.startswith("bisection_search: not yet"), out
    assert "a search that forgets what it has tried, as by halving" in out


def on_a_grid(phi, c1, c2):
    f0, slope0 = phi(0.0)
    for alpha in np.geomspace(1e-4, 1e4, 190):
        f, slope = phi(alpha)
        if f <= f0 + c1 * alpha * slope0 and slope >= c2 * slope0:
            break
    return alpha


def with_a_random_factor(phi, c1, c2):
    (f0, slope0), alpha, rng = phi(0.0), 1.0, np.random.default_rng(0)
    while True:
        f, slope = phi(alpha)
        if f > f0 + c1 * alpha * slope0:
            alpha *= rng.uniform(0.1, 1)
        elif slope < c2 * slope0:
            alpha /= rng.uniform(0.1, 1)
        else:
            return alpha


def at_the_lowest_of_many(phi, c1, c2):
    alphas = np.geomspace(1e-4, 1e4, 150)
    return alphas[np.argmin([phi(alpha)[0] for alpha in alphas])]


def curvature_first(phi, c1, c2):
    (f0, slope0), alpha = phi(0.0), 1.0
    while phi(alpha)[1] < c2 * slope0:
        alpha *= 2
    while phi(alpha)[0] > f0 + c1 * alpha * slope0:
        alpha /= 2
    return alpha


@pytest.mark.parametrize(
    "wrong, message",
    [
        (on_a_grid, "a search that forgets"),
        (with_a_random_factor, "a search that forgets"),
        (at_the_lowest_of_many, "bisection_search: not yet"),
        (curvature_first, "That is Armijo only"),
        (lambda phi, c1, c2: 1.0, "you return α = 1"),
    ],
)
def test_other_line_searches_that_are_none(capsys, wrong, message):
    assert_caught(capsys, "bisection_search", wrong, message)


@pytest.mark.parametrize(
    "changes, message",
    [
        ([("f0 + c1 * alpha * slope0", "f0 + c1 * slope0")], "bisection_search: not yet"),
        ([("np.inf, 1.0", "1.0, 1.0")], "you never try beyond α = 1: grow the step"),
        ([("slope < c2 * slope0", "slope < c1 * slope0")], "bisection_search: correct"),  # stricter than asked
        ([("elif slope < c2 * slope0", "elif slope > -c2 * slope0")], "bisection_search: not yet"),
        ([("f > f0 +", "f >= f0 -")], "Armijo's condition fails"),
    ],
)
def test_other_slips_in_the_bisection(capsys, changes, message):
    assert message in said(capsys, "bisection_search", written("bisection_search", *changes))


def bracket_first(phi, c1, c2):
    """Doubling, then halving the bracket, in two loops, with the two conditions as a function."""
    f0, slope0 = phi(0)

    def verdict(alpha):
        f, slope = phi(alpha)
        return 1 if not f <= f0 + c1 * alpha * slope0 else -1 if slope < c2 * slope0 else 0

    low, high = 0, 1
    while (side := verdict(high)) < 0:
        low, high = high, 2 * high
    alpha = high
    while side:
        alpha = (low + high) / 2
        side = verdict(alpha)
        low, high = (alpha, high) if side < 0 else (low, alpha)
    return alpha


def by_zoom(phi, c1, c2):
    """The lesson's own search of the strong conditions, on a ray."""
    zoom = written("wolfe_line_search", tag=None)

    def fun(x):
        f, slope = phi(x[0])
        return f, np.array([slope])

    return zoom(fun, np.zeros(1), *fun(np.zeros(1)), np.ones(1), c1, c2)[0]


@pytest.mark.parametrize("right", [bracket_first, by_zoom])
def test_a_line_search_written_in_another_way_is_correct(capsys, right):
    assert said(capsys, "bisection_search", right).startswith("bisection_search: correct")


RHO, HY, OUTER = "1 / (s @ y)", "    Hy = H @ y\n", "np.outer(s, s)"
RETURN = (
    "return H - rho * (np.outer(s, Hy) + np.outer(Hy, s)) + rho * (1 + rho * (y @ Hy)) * np.outer(s, s)",
    "return {}",
)
B_FORM = "H - np.outer(H @ s, H @ s) / (s @ H @ s) + np.outer(y, y) / (s @ y)"
DFP = "H - np.outer(Hy, Hy) / (y @ Hy) + np.outer(s, s) / (s @ y)"
SR1 = "H + np.outer(s - Hy, s - Hy) / ((s - Hy) @ y)"
V = "(np.eye(len(s)) - rho * np.outer(y, s))"
TRANSPOSED = f"{V} @ H @ {V}.T + rho * np.outer(s, s)"
NO_SS = f"{V}.T @ H @ {V}"
BROYDEN = "H + np.outer(s - Hy, y) / (y @ y)"


@pytest.mark.parametrize(
    "formula, message",
    [
        (B_FORM, "your matrix maps s to y: that is what B must do, and H stands where B belongs"),
        (DFP, "This is DFP, the least change of B"),
        (SR1, "but not the least change of H"),
        (TRANSPOSED, "yours is transposed"),
        (NO_SS, "your matrix maps y to 0: the term rho s s' is missing"),
        (BROYDEN, "H+ is not symmetric"),
        ("H + rho * np.outer(s, s)", "H+ y = s fails by"),
        ("Hy", "it must have shape"),
    ],
)
def test_bfgs_update_mistakes(capsys, formula, message):
    assert_caught(capsys, "bfgs_update", written("bfgs_update", (RETURN[0], RETURN[1].format(formula))), message)


BFGS = "H - {rho} * ({mixed}) + {last} * np.outer(s, s)"
MIXED, LAST = "np.outer(s, Hy) + np.outer(Hy, s)", "rho * (1 + rho * (y @ Hy))"


@pytest.mark.parametrize(
    "rho, mixed, last, message",
    [
        ("rho", "np.outer(s, Hy)", LAST, "one of the two mixed terms"),
        ("rho", MIXED, "(rho + rho * (y @ Hy))", "rho + rho y'Hy: that rho must be squared"),
        ("rho", MIXED, "rho", "yours is rho: y'Hy is missing"),
        ("rho", MIXED, "(rho + rho**2 * (y @ y))", "rho + rho^2 y'y: H is missing"),
        ("(-rho)", MIXED, LAST, "are subtracted, not added"),
        ("rho", MIXED, "(rho**2 * (y @ Hy))", "the term rho s s' is missing"),
        ("rho", MIXED, "(rho + 2 * rho**2 * (y @ Hy))", "H+ y = s fails by"),
    ],
)
def test_bfgs_update_slips_in_the_expanded_form(capsys, rho, mixed, last, message):
    formula = BFGS.format(rho=rho, mixed=mixed, last=last)
    assert_caught(capsys, "bfgs_update", written("bfgs_update", (RETURN[0], RETURN[1].format(formula))), message)


@pytest.mark.parametrize("rho, name", [("s @ y", "s'y"), ("1 / (y @ y)", "1 / y'y"), ("1 / (s @ s)", "1 / s's")])
def test_bfgs_update_with_another_rho(capsys, rho, name):
    candidate = written("bfgs_update", ("rho = 1 / (s @ y)", f"rho = {rho}"))
    assert_caught(capsys, "bfgs_update", candidate, f"rho must be 1 / s'y, yours is {name}")


@pytest.mark.parametrize(
    "formula, message",
    [
        (f"{V}.T @ {V} + rho * np.outer(s, s)", "I stands where H belongs"),
        (f"({DFP} + {V}.T @ H @ {V} + rho * np.outer(s, s)) / 2", "but not the least change of H"),
        # Greenstadt's: the least change with the weight I
        (
            "H + (np.outer(s - Hy, y) + np.outer(y, s - Hy)) / (y @ y) "
            "- ((s - Hy) @ y) * np.outer(y, y) / (y @ y) ** 2",
            "but not the least change of H",
        ),
        ("H", "H+ y = s fails by"),
        ("np.outer(s, s) * rho", "but not the least change of H"),
        (f"np.triu({V}.T @ H @ {V} + rho * np.outer(s, s))", "H+ y = s fails by"),
    ],
)
def test_bfgs_update_other_mistakes(capsys, formula, message):
    assert_caught(capsys, "bfgs_update", written("bfgs_update", (RETURN[0], RETURN[1].format(formula))), message)


def through_B(H, s, y):
    B = np.linalg.inv(H)
    Bs = B @ s
    return np.linalg.inv(B - np.outer(Bs, Bs) / (s @ Bs) + np.outer(y, y) / (s @ y))


def by_rank_two(H, s, y):
    """H + U C U' with U = [s, Hy]."""
    rho, U = 1 / s.dot(y), np.stack([s, H @ y], axis=1)
    return H + U @ np.array([[rho + rho**2 * (y @ H @ y), -rho], [-rho, 0]]) @ U.T


@pytest.mark.parametrize("right", [through_B, by_rank_two])
def test_bfgs_update_written_in_another_way_is_correct(capsys, right):
    assert said(capsys, "bfgs_update", right).startswith("bfgs_update: correct")


def test_bfgs_update_in_place_is_caught(capsys):
    def in_place(H, s, y):
        H += 1
        return H

    assert "it changes its argument H in place" in said(capsys, "bfgs_update", in_place)


def test_bfgs_update_in_product_form_is_correct(capsys):
    product = written("bfgs_update", (RETURN[0], f"return {V}.T @ H @ {V} + rho * np.outer(s, s)"))
    assert said(capsys, "bfgs_update", product).startswith("bfgs_update: correct")


@pytest.mark.parametrize(
    "rule, message",
    [
        ("s @ y > 1e-10", "an absolute threshold"),
        ("s @ y > 1e-8 and s @ y > rounding", "an absolute threshold"),
        ("s @ y > np.finfo(float).eps * (y @ y)", "changes its mind when s or y alone is multiplied by"),
        ("s @ y > 1e-8 * (s @ s)", "changes its mind when s or y alone is multiplied by"),
        ("s @ y > 0", "positive through rounding alone"),
        ("s @ y >= rounding", "it keeps a pair with y = 0"),
        ("s @ y > 0.1 * rounding / s.size / np.finfo(float).eps", "it refuses a pair with cosine 1e-04"),
        ("abs(s @ y) > rounding", "no positive definite B maps s to such a y"),
        ("s @ y < rounding", "no positive definite B maps s to such a y"),
        ("False", "it refuses a good pair"),
    ],
)
def test_keep_pair_mistakes(capsys, rule, message):
    assert_caught(capsys, "keep_pair", written("keep_pair", ("s @ y > rounding", rule)), message)


@pytest.mark.parametrize(
    "rule, message",
    [
        ("not np.isclose(s @ y, 0)", "no positive definite B maps s to such a y"),
        ("bool(np.all(s * y > 0))", "it refuses a good pair"),
        ("s @ y > 1e-3 * np.linalg.norm(s) * np.linalg.norm(y)", "it refuses a pair with cosine 1e-04"),
        ("s @ y > 1e-12 * max(s @ s, y @ y)", "changes its mind when s or y alone is multiplied by"),
        ("s @ y > s.size * np.finfo(float).eps", "an absolute threshold"),
        ("s @ y > 1e-20 * np.linalg.norm(s) * np.linalg.norm(y)", "positive through rounding alone"),
        ("(s @ y) ** 2 > rounding**2", "no positive definite B maps s to such a y"),
        ("s @ y > rounding and np.linalg.norm(s) > 1e-8", "an absolute threshold"),
    ],
)
def test_keep_pair_other_mistakes(capsys, rule, message):
    assert_caught(capsys, "keep_pair", written("keep_pair", ("s @ y > rounding", rule)), message)


def by_the_cosine(s, y):
    lengths = np.sqrt(s @ s) * np.sqrt(y @ y)
    return lengths > 0 and s.dot(y) / lengths > 1e-13


def by_the_sum_of_products(s, y):
    """The error of a sum is at most n eps times the sum of the absolute values of its terms."""
    return np.sum(s * y) > len(s) * 2.3e-16 * np.sum(np.abs(s * y))


@pytest.mark.parametrize("right", [by_the_cosine, by_the_sum_of_products])
def test_keep_pair_written_in_another_way(capsys, right):
    assert said(capsys, "keep_pair", right).startswith("keep_pair: correct")


def test_keep_pair_must_answer_yes_or_no(capsys):
    assert "return True or False, not" in said(capsys, "keep_pair", lambda s, y: s @ y)
