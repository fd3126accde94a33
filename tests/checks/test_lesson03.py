"""Lesson 03's checks: the lesson's own solutions pass, and each classic mistake is told by name."""

from functools import partial

import notebook_tools
import pytest
from notebook_tools import NOTEBOOKS, source

from helpers import checks

PATH = NOTEBOOKS / "03_from_gradient_descent_to_bfgs.ipynb"
written = partial(notebook_tools.written, PATH)
NAMES = ["attack_objective", "bfgs_update", "bisection_search", "keep_pair"]


def said(capsys, name, candidate):
    getattr(checks, name)(candidate)
    return capsys.readouterr().out


def assert_caught(capsys, name, message, *changes):
    out = said(capsys, name, written(name, *changes))
    assert out.startswith(f"{name}: not yet") and message in out, out


@pytest.mark.parametrize("name", NAMES)
def test_the_lessons_solution_is_correct(capsys, name):
    assert said(capsys, name, written(name)).startswith(f"{name}: correct - ")


@pytest.mark.parametrize("name", NAMES)
def test_the_stub_is_not_attempted(capsys, name):
    assert said(capsys, name, written(name, tag="exercise")).startswith(f"{name}: not attempted yet")


def test_every_exercise_has_its_check():
    assert sorted(checks.lesson03.__all__) == NAMES
    assert [name for name in NAMES if not source(PATH, name, "exercise")] == []


GRADIENT = "2 * c * r + W.T @ softmax"


@pytest.mark.parametrize(
    "changes, message",
    [
        ([(GRADIENT, "c * r + W.T @ softmax")], "do not belong together: along r["),
        ([(GRADIENT, "c * r + W.T @ softmax")], "the derivative of c |r|^2 is 2 c r, not c r"),
        ([(GRADIENT, "W.T @ softmax")], "g lacks the derivative of c |r|^2"),
        ([(GRADIENT, f"-({GRADIENT})")], "g has the wrong sign"),
        ([("softmax[l] -= 1", "")], "g lacks the derivative of -z_l"),
        ([(GRADIENT, "2 * c * r + 1.01 * W.T @ softmax")], "f and g do not belong together"),
        ([("c * (r @ r)", "c * np.sqrt(r @ r)")], "the price of r is c |r|, the norm"),
        ([("c * (r @ r)", "c * np.mean(r**2)")], "c should add c |r|^2"),
        (
            [("c * (r @ r) + np.log(weights.sum()) - z[l]", "r @ r + c * (np.log(weights.sum()) - z[l])")],
            "c multiplies",
        ),
        ([("W @ (x + r) + b", "W @ x + b")], "at c = 0, f should be -log softmax(z)_l"),
        ([("- z[l]", "+ z[l]")], "at c = 0, f should be -log softmax(z)_l"),
        ([("z = z - z.max()", "z = z + 0")], "with logits of about 1000 exp overflows"),
        ([("return f, ", "return ")], "return two things: f, g"),
        ([("z = W @ (x + r) + b", "x += r\n    z = W @ x + b")], "it changes its argument x in place"),
    ],
)
def test_attack_objective_mistakes(capsys, changes, message):
    assert_caught(capsys, "attack_objective", message, *changes)


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
    assert_caught(capsys, "bisection_search", message, *changes)


def test_armijo_backtracking_is_told_what_it_risks(capsys):
    def backtracking(phi, c1, c2):
        (f0, slope0), alpha = phi(0.0), 1.0
        while phi(alpha)[0] > f0 + c1 * alpha * slope0:
            alpha /= 2
        return alpha

    out = said(capsys, "bisection_search", backtracking)
    assert "That is Armijo only" in out and "Nothing then keeps s'y positive, here" in out


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
    assert_caught(capsys, "bfgs_update", message, (RETURN[0], RETURN[1].format(formula)))


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
        ("s @ y > 0.1 * rounding / s.size / np.finfo(float).eps", "it refuses a pair with cosine 1e-4"),
        ("abs(s @ y) > rounding", "no positive definite B maps s to such a y"),
        ("s @ y < rounding", "no positive definite B maps s to such a y"),
        ("False", "it refuses a good pair"),
    ],
)
def test_keep_pair_mistakes(capsys, rule, message):
    assert_caught(capsys, "keep_pair", message, ("s @ y > rounding", rule))


def test_keep_pair_must_answer_yes_or_no(capsys):
    assert "return True or False, not" in said(capsys, "keep_pair", lambda s, y: s @ y)
