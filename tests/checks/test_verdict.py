"""The exercise checks' machinery: what it prints for an answer that is right, wrong, broken or missing."""

import re
import subprocess
import sys

import numpy as np
import pytest

from helpers.checks import _verdict
from helpers.checks._verdict import Wrong, array, check, expect, reference


@check
def doubled(candidate):
    for n in (2, 3):
        x = np.arange(1.0, n + 1)
        answer = array(candidate(x, 2), (n,))
        expect(not np.array_equal(answer, x * x), f"x is squared, not doubled, for n = {n}")
        expect(np.array_equal(answer, 2 * x), f"the largest error is {abs(answer - 2 * x).max():.1f} for n = {n}")
    return "2x for n = 2 and 3"


def test_a_right_answer(capsys):
    assert doubled(lambda x, factor: factor * x) is None
    assert capsys.readouterr().out == "doubled: correct - 2x for n = 2 and 3.\n"


def test_the_stub(capsys):
    def stub(x, factor):
        raise NotImplementedError

    doubled(stub)
    out = capsys.readouterr().out
    assert out == "doubled: not attempted yet - fill in the function above and run this cell again.\n"


@pytest.mark.parametrize("nothing", [None, ...])
def test_an_answer_that_returns_nothing(capsys, nothing):
    doubled(lambda x, factor: nothing)
    assert capsys.readouterr().out.startswith("doubled: not attempted yet - it returns nothing;")


def test_a_wrong_answer_is_told_by_name_with_numbers(capsys):
    doubled(lambda x, factor: x**factor)
    doubled(lambda x, factor: 3 * x)
    first, second = capsys.readouterr().out.splitlines()
    assert first == "doubled: not yet - x is squared, not doubled, for n = 2."
    assert second == "doubled: not yet - the largest error is 2.0 for n = 2."


def test_an_answer_that_raises_is_told_in_one_line_with_the_shapes(capsys):
    doubled(lambda x, factor: x @ np.ones((3, 3)))
    out = capsys.readouterr().out
    assert out.count("\n") == 1 and "Traceback" not in out
    assert re.fullmatch(
        r"doubled: not yet - it raised ValueError: matmul: .* \(called with x: shape \(2,\), factor: 2\)\.\n", out
    )


def test_an_answer_with_another_signature(capsys):
    doubled(lambda x: x)
    assert re.search(
        r"not yet - it raised TypeError: .* \(called with argument 1: shape \(2,\)", capsys.readouterr().out
    )


def test_an_answer_of_the_wrong_kind(capsys):
    @check
    def pair(candidate):
        a, b = candidate(1.5)
        return f"{a} and {b}"

    pair(lambda x: (1, 2, 3))
    assert capsys.readouterr().out.startswith(
        "pair: not yet - it returned tuple of 3, which the check cannot use: ValueError: too many values"
    )
    pair(3)
    assert capsys.readouterr().out == "pair: not yet - pass the function itself, without calling it; this is 3.\n"


@pytest.mark.parametrize(
    "candidate, message",
    [
        (lambda x, factor: (2 * x)[:, None], r"the answer has shape \(2, 1\), it must have shape \(2,\)"),
        (lambda x, factor: 2 * x / 0, r"the answer has 2 entries that are NaN or infinite"),
        (lambda x, factor: {"x": x}, r"the answer must be numbers of shape \(2,\), it is a dict"),
    ],
)
def test_shape_type_and_nan(capsys, candidate, message):
    doubled(candidate)
    captured = capsys.readouterr()
    assert re.search(message, captured.out) and captured.err == ""


def test_arguments_changed_in_place_are_caught(capsys):
    def in_place(x, factor):
        x *= factor
        return x

    doubled(in_place)
    assert capsys.readouterr().out.startswith("doubled: not yet - it changes its argument x in place")

    @check
    def summed(candidate):
        candidate([np.ones(2), np.array([np.nan, 1.0])])
        return "a list of arrays"

    summed(lambda pairs: pairs.pop())
    assert "changes its argument pairs in place" in capsys.readouterr().out
    summed(lambda pairs: pairs[0])
    assert "correct" in capsys.readouterr().out


def test_wrong_passes_through_the_candidate(capsys):
    @check
    def calls(candidate):
        def function(x):
            raise Wrong("the function was called outside the box")

        candidate(function)
        return "never"

    calls(lambda function: function(2.0))
    assert capsys.readouterr().out == "calls: not yet - the function was called outside the box.\n"


def test_the_example_in_the_documentation_works(capsys):
    text = re.search(r"    import numpy as np\n.*?cases\"\n", _verdict.__doc__, re.S).group()
    scope = {"__name__": "helpers.checks.example", "__package__": "helpers.checks"}
    exec("\n".join(line[4:] for line in text.splitlines()), scope)
    verdict = scope["secant_update"]

    def bfgs(B, s, y):
        return B - np.outer(B @ s, B @ s) / (s @ B @ s) + np.outer(y, y) / (s @ y)

    verdict(bfgs)
    verdict(lambda B, s, y: np.linalg.inv(bfgs(B, s, y)))
    verdict(lambda B, s, y: B)
    right, inverse, identity = capsys.readouterr().out.splitlines()
    assert right == "secant_update: correct - B s = y in 3 random cases."
    assert "that is H, the inverse" in inverse
    assert re.search(r"the secant equation B s = y fails by \d\.\de[+-]\d\d for n = 2", identity)


def test_a_readers_function_that_passed_stays_and_one_that_no_longer_does_goes(capsys):
    def solution(x, factor):
        return factor * x

    solution.__name__ = "doubled"

    def mine(x, factor):
        return x + x

    assert reference(solution) is solution
    doubled(mine)
    assert reference(solution) is mine
    doubled(lambda x, factor: x)
    assert reference(solution) is solution
    assert capsys.readouterr().out.count("the lesson goes on with yours") == 1


def test_the_checks_need_no_torch():
    code = "import sys; from helpers import checks; assert 'torch' not in sys.modules; print(len(checks.__all__))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
