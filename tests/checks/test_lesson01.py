"""Lesson 01's checks: the lesson's own solutions pass, every classic mistake is caught and named."""

import math

import numpy as np
import pytest
from notebook_tools import NOTEBOOKS, cells

from helpers import checks

SCOPE = {"np": np, "math": math}
for _cell in cells(NOTEBOOKS / "01_the_closest_wrong_image.ipynb", "solution"):
    exec(_cell.source, SCOPE)


def verdict(capsys, name, candidate):
    getattr(checks, name)(candidate)
    return capsys.readouterr().out


@pytest.mark.parametrize("name", ["closest_on_plane", "closest_in_box", "noise_of_length"])
def test_the_solutions_are_correct_and_the_stubs_not_attempted(capsys, name):
    assert verdict(capsys, name, SCOPE[name]).startswith(f"{name}: correct - ")
    stubs = [cell.source for cell in cells(NOTEBOOKS / "01_the_closest_wrong_image.ipynb", "exercise")]
    scope = {}
    exec(next(source for source in stubs if f"def {name}(" in source), scope)
    assert "not attempted yet" in verdict(capsys, name, scope[name])


def on_plane(x, w, b):
    return -(w @ x + b) / (w @ w) * w


@pytest.mark.parametrize(
    "candidate, message",
    [
        (lambda x, w, b: -(w @ x + b) * w / np.linalg.norm(w), "divide by ‖w‖² = ⟨w, w⟩, not by ‖w‖"),
        (lambda x, w, b: -on_plane(x, w, b), "r points away from the plane"),
        (lambda x, w, b: on_plane(x, w, 0), "the offset b is missing"),
        (lambda x, w, b: 0 * x, "x + r is not on the plane"),
        (lambda x, w, b: -(w @ x + b) / (w[0] + w[1]) * (np.arange(x.size) < 2), "longer than the distance |z|/‖w‖"),
        (lambda x, w, b: on_plane(x, w, b)[:, None], r"has shape (2, 1)"),
    ],
)
def test_closest_on_plane(capsys, candidate, message):
    out = verdict(capsys, "closest_on_plane", candidate)
    assert "not yet" in out and message in out


def clipped(x, w, b):
    return np.clip(x + on_plane(x, w, b), 0, 1) - x


def pushed(x, w, b):
    """Along w, clipped, until well beyond the boundary."""
    mu = 0.01
    while w @ (u := np.clip(x + mu * w, 0, 1)) + b <= 0:
        mu *= 1.5
    return u - x


def one_pixel_at_a_time(x, w, b):
    """Feasible and on the boundary: spends the pixels with the largest weights first."""
    r, z = np.zeros_like(x), w @ x + b
    for i in np.argsort(-abs(w)):
        room = (1 - x[i] if w[i] > 0 else x[i]) * abs(w[i])
        gain = min(max(-z, 0.0), room)
        if gain:
            r[i], z = gain / w[i], z + gain
    return r


def frozen(x, w, b):
    """The plane's answer, the pixels that leave the box frozen at its edge, the others solved once more."""
    r = on_plane(x, w, b)
    out = (x + r < 0) | (x + r > 1)
    r[out] = np.clip(x + r, 0, 1)[out] - x[out]
    if not out.all():
        r[~out] = -(w @ x + b + w[out] @ r[out]) / (w[~out] @ w[~out]) * w[~out]
    return r


def shrunk(x, w, b):
    r = on_plane(x, w, b)
    with np.errstate(divide="ignore", invalid="ignore"):
        room = np.where(r > 0, (1 - x) / r, np.where(r < 0, -x / r, np.inf))
    return min(1.0, room.min()) * r


@pytest.mark.parametrize(
    "candidate, message",
    [
        (on_plane, "the box is forgotten"),
        (frozen, "the box is forgotten"),
        (clipped, "clipped after solving"),
        (shrunk, "still on the wrong side"),
        (pushed, "beyond the boundary"),
        (one_pixel_at_a_time, "feasible, but not the shortest"),
        (lambda x, w, b: SCOPE["closest_in_box"](x, w, b) + 0.1 * (w == 0) * (x < 0.5), "a pixel with w = 0 has moved"),
        (lambda x, w, b: np.where(w @ x + b < 0, SCOPE["closest_in_box"](x, w, b), 0.01), "so r must be zero"),
        (lambda x, w, b: np.full_like(x, np.nan), "NaN or infinite"),
    ],
)
def test_closest_in_box(capsys, candidate, message):
    out = verdict(capsys, "closest_in_box", candidate)
    assert "not yet" in out and message in out


def unit(v, length):
    return length * v / np.linalg.norm(v)


@pytest.mark.parametrize(
    "candidate, message",
    [
        (lambda rng, n, length: length * rng.standard_normal(n), "is not a length; divide by the norm"),
        (lambda rng, n, length: unit(rng.uniform(size=n), length), "signs must be as likely positive as negative"),
        (lambda rng, n, length: unit(rng.uniform(-1, 1, n), length), "A cube has more room towards its corners"),
        (lambda rng, n, length: unit(np.sign(rng.standard_normal(n)), length), "the diagonals are preferred"),
        (lambda rng, n, length: unit(np.random.standard_normal(n), length), "draw from rng, not from np.random"),
        (lambda rng, n, length: unit(np.arange(1.0, n + 1), length), "the same vector comes out every time"),
        (lambda rng, n, length: unit(rng.standard_normal(n), 1.0), "its length is 1.0000, not 1.5"),
    ],
)
def test_noise_of_length(capsys, candidate, message):
    out = verdict(capsys, "noise_of_length", candidate)
    assert "not yet" in out and message in out
