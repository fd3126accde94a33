"""Lesson 00's check: each way to get the unit wrong is told by name."""

import numpy as np
import pytest
from verdicts import assert_caught, said

from helpers.checks import lesson00


@pytest.mark.parametrize(
    "candidate",
    [
        lambda r: np.linalg.norm(r) / np.sqrt(len(r)),
        lambda r: (r @ r / r.size) ** 0.5,
        lambda r: np.hypot(np.std(r), np.mean(r)),
        lambda r: sum(value**2 for value in r) ** 0.5 / len(r) ** 0.5,
        lambda r: np.float32(np.sqrt(np.square(r).mean())),
    ],
)
def test_right_answers_in_other_words(capsys, candidate):
    assert said(capsys, "distortion", candidate).startswith("distortion: correct")


@pytest.mark.parametrize(
    "candidate, message",
    [
        (lambda r: np.linalg.norm(r), "this is the length ‖r‖"),
        (lambda r: np.mean(r**2), "the square root is missing"),
        (lambda r: np.std(r), "do not subtract the mean of r"),
        (lambda r: np.mean(np.abs(r)), "this is the mean of |r|"),
        (lambda r: np.mean(r), "changes up and down cancel"),
        (lambda r: np.abs(r).max(), "this is the largest change"),
        (lambda r: np.median(np.abs(r)), "Of 50 random changes the distortion is 0.0"),
        (lambda r: np.sqrt(r**2), "it must have shape ()"),
        (lambda r: 2 * np.sqrt(np.mean(r**2)), "Of 50 random changes"),
    ],
)
def test_distortion_mistakes(capsys, candidate, message):
    assert_caught(capsys, "distortion", candidate, message)


# Mistakes that the check was not written against when these were thought of, and what it must say of them.
@pytest.mark.parametrize(
    "candidate, message",
    [
        (lambda r: np.sum(r**2), "this is the sum of the squares"),
        (lambda r: np.sqrt(np.sum(r**2)) / len(r), "divide by n under the square root"),
        (lambda r: np.sqrt(np.sum(r**2) / 784), "divides by √784, whatever r is"),
        (lambda r: np.sqrt(np.sum(r**2) / (len(r) - 1)), "this divides by n − 1"),
        (lambda r: np.sqrt(np.mean(r[r != 0] ** 2)), "over the changed pixels only"),
        (lambda r: np.sqrt(np.mean(r[r > 0] ** 2)), "Of 50 random"),
        (lambda r: np.sqrt(np.mean(np.clip(r, 0, 1) ** 2)), "ignores the pixels that lose ink"),
        (lambda r: np.sqrt(np.mean(np.abs(r))), "the square root of the mean of |r|"),
        (lambda r: np.mean(np.sqrt(r**2)), "this is the mean of |r|"),
        (lambda r: np.sqrt(np.mean(r) ** 2), "changes up and down cancel"),
        (lambda r: round(float(np.sqrt(np.mean(r**2))), 3), "Of 50 random changes"),
        (lambda r: np.sqrt(np.mean(r**2) + 1e-16), "where nothing changes the distortion is 0"),
        (lambda r: np.sqrt(np.mean((255 * r) ** 2)), "Of 50 random changes"),
        (lambda r: (np.linalg.norm(r), r.size), "it must have shape ()"),
    ],
)
def test_other_mistakes(capsys, candidate, message):
    assert_caught(capsys, "distortion", candidate, message)


def test_no_two_mistakes_are_confused():
    r = np.random.default_rng(0).normal(0.02, 0.1, size=50)
    r[::3] = 0
    values = [float(function(r)) for function in lesson00.MISTAKES.values()]
    values.append(float(np.sqrt(np.mean(r**2))))
    assert all(abs(a - b) > 1e-4 for i, a in enumerate(values) for b in values[:i])
