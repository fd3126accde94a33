"""Lesson 00's check: the lesson's own solution passes, and each way to get the unit wrong is told by name."""

import numpy as np
import pytest
from notebook_tools import NOTEBOOKS, cells

from helpers import checks

PATH = NOTEBOOKS / "00_start_here.ipynb"


def written(tag):
    scope = {"np": np}
    exec(next(cell.source for cell in cells(PATH, tag) if "def distortion(" in cell.source), scope)
    return scope["distortion"]


def said(capsys, candidate):
    checks.distortion(candidate)
    return capsys.readouterr().out


def test_the_lessons_solution_is_correct_and_its_stub_not_attempted(capsys):
    assert said(capsys, written("solution")).startswith("distortion: correct - ")
    assert said(capsys, written("exercise")).startswith("distortion: not attempted yet")


@pytest.mark.parametrize(
    "candidate, message",
    [
        (lambda r: np.linalg.norm(r), "this is the length |r|"),
        (lambda r: np.mean(r**2), "the square root is missing"),
        (lambda r: np.std(r), "do not subtract the mean of r"),
        (lambda r: np.mean(np.abs(r)), "this is the mean of |r|"),
        (lambda r: np.mean(r), "the same size"),
        (lambda r: np.abs(r).max(), "one pixel of 100 changed by 1"),
        (lambda r: np.median(np.abs(r)) if r.all() else 0.1, "must average"),
        (lambda r: np.sqrt(r**2), "it must have shape ()"),
        (lambda r: 2 * np.sqrt(np.mean(r**2)), "the distortion is 0.1, not 0.2"),
    ],
)
def test_distortion_mistakes(capsys, candidate, message):
    out = said(capsys, candidate)
    assert out.startswith("distortion: not yet") and message in out, out
