"""Lesson 08's checks: each classic mistake is told by name."""

from functools import partial

import notebook_tools
import numpy as np
import pytest
import torch
from notebook_tools import NOTEBOOKS
from scipy.optimize import brentq
from scipy.stats import binomtest, norm
from verdicts import assert_caught, said

PATH = NOTEBOOKS / "08_one_perturbation_many_networks.ipynb"
written = partial(notebook_tools.written, PATH, scope={"torch": torch})


def table(of):
    """``error_matrix`` with of(network, batch, labels) as an entry."""
    return lambda pictures, networks, labels: torch.stack(
        [torch.stack([of(network, x, labels) for network in networks]) for x in pictures]
    )


def error(network, x, labels):
    return (network(x).argmax(1) != labels).float().mean()


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        (lambda p, n, l: table(error)(p, n, l).T, "transposed it is right"),
        (table(lambda f, x, l: 1 - error(f, x, l)), "one that is not"),
        (table(lambda f, x, l: 100 * error(f, x, l)), "percent"),
        (table(lambda f, x, l: (f(x).argmax(1) != l).sum()), "these are counts"),
        (table(lambda f, x, l: (f(x).argmin(1) != l).float().mean()), "smallest logit"),
        (lambda p, n, l: table(error)([p[0]] * 3, n, l), "the same batch"),
        (lambda p, n, l: table(error)(p, [n[0]] * 2, l), "the same network, the first"),
        (lambda p, n, l: table(error)(p, [n[1]] * 2, l), "the same network, the last"),
    ],
)
def test_error_matrix_names_the_mistake(capsys, mistake, message):
    assert_caught(capsys, "error_matrix", mistake, message)


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        (lambda p, n, l: table(error)(p, n, l)[:, 0], "must have shape (3, 2)"),
        (lambda p, n, l: table(error)(p, n, l).mean(), "must have shape (3, 2)"),
        (table(lambda f, x, l: (f(x).argmax(0)[:1] != l[:1]).float().mean()), "yours is"),
        (table(lambda f, x, l: (f(x).softmax(1).max(1).values < 0.5).float().mean()), "yours is"),
        (lambda p, n, l: table(error)(p, n, l).round(decimals=1), "yours is"),
        (lambda p, n, l: table(error)([x[:25] for x in p], n, l[:25]), "yours is"),
        (lambda p, n, l: "ten percent", "must be a table of numbers"),
    ],
)
def test_error_matrix_refuses_other_mistakes(capsys, mistake, message):
    assert_caught(capsys, "error_matrix", mistake, message)


def with_a_loop(pictures, networks, labels):
    return np.array(
        [[np.mean(network(x).argmax(1).numpy() != labels.numpy()) for network in networks] for x in pictures]
    )


def all_at_once(pictures, networks, labels):
    said = torch.stack([network(torch.cat(pictures)).argmax(1).view(len(pictures), -1) for network in networks], dim=1)
    return said.ne(labels).double().mean(-1)


@pytest.mark.parametrize("right", [with_a_loop, all_at_once])
def test_error_matrix_may_be_written_in_other_ways(capsys, right):
    assert said(capsys, "error_matrix", right).startswith("error_matrix: correct")


def score(wrong, images, z, share=None):
    """Wilson's interval by its usual formula."""
    p = wrong / images if share is None else share
    middle = (p + z**2 / (2 * images)) / (1 + z**2 / images)
    half = z / (1 + z**2 / images) * (p * (1 - p) / images + z**2 / (4 * images**2)) ** 0.5
    return middle - half, middle + half


def wald(wrong, images, z):
    p = wrong / images
    half = z * (p * (1 - p) / images) ** 0.5
    return p - half, p + half


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        (wald, "the deviation is that of the true p"),
        (lambda w, n, z: tuple(100 * end for end in score(w, n, z)), "not percent"),
        (lambda w, n, z: score(w, n, z)[::-1], "is above the upper one"),
        (lambda w, n, z: score(w, n, z / 2), "they must be equal"),
        (lambda w, n, z: score(w, n, 1.96), "z = 1"),
        (lambda w, n, z: score(w, n, z**0.5), "they must be equal"),
        (lambda w, n, z: score(w, n, z)[0], "two numbers"),
        (lambda w, n, z: score(w + 2, n + 4, z), "they must be equal"),
        (lambda w, n, z: wald(w + 2, n + 4, z), "they must be equal"),
        (lambda w, n, z: (max(0, wald(w, n, z)[0]), score(w, n, z)[1]), "they must be equal"),
        (lambda w, n, z: score(n - w, n, z), "they must be equal"),
        (lambda w, n, z: (float("nan"), 1.0), "must be finite"),
        (lambda w, n, z: score(w, n, z) if w else (0.0, 0.0), "0 of 256 images"),
    ],
)
def test_wilson_names_the_mistake(capsys, mistake, message):
    assert_caught(capsys, "wilson", mistake, message)


def by_bisection(wrong, images, z):
    def gap(p):
        return (wrong / images - p) ** 2 - z**2 * p * (1 - p) / images

    share = wrong / images
    low = brentq(gap, 0, min(share, 1 - 1e-6), xtol=1e-15, rtol=1e-14) if wrong else 0.0
    high = brentq(gap, max(share, 1e-6), 1, xtol=1e-15, rtol=1e-14) if wrong < images else 1.0
    return low, high


def by_scipy(wrong, images, z):
    interval = binomtest(wrong, images).proportion_ci(2 * norm.cdf(z) - 1, method="wilson")
    return interval.low, interval.high


def by_roots(wrong, images, z):
    p = wrong / images
    return np.sort(np.roots([1 + z**2 / images, -(2 * p + z**2 / images), p**2]).real)


@pytest.mark.parametrize("right", [score, by_bisection, by_scipy, by_roots])
def test_wilson_may_be_written_in_other_ways(capsys, right):
    assert said(capsys, "wilson", right).startswith("wilson: correct")


def rms(r):
    return r.square().mean(1, keepdim=True).sqrt().clamp(min=1e-30)


def scaled(by, clip=True):
    """``amplified`` that multiplies r by ``by(r, size)``."""

    def amplified(images, r, size):
        picture = images + by(r, size) * r
        return picture.clamp(0, 1) if clip else picture

    return amplified


def to_the_exact_size(images, r, size):
    """After clipping, too, the root mean square is ``size``: another task."""
    low, high = torch.zeros(len(r), 1).double(), torch.full((len(r), 1), 1e4).double()
    for _ in range(80):
        middle = (low + high) / 2
        short = rms((images + middle * r).clamp(0, 1) - images) < size
        low, high = torch.where(short, middle, low), torch.where(short, high, middle)
    return (images + low * r).clamp(0, 1)


def in_place(images, r, size):
    r *= size / rms(r)
    return (images + r).clamp(0, 1)


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        (scaled(lambda r, size: size / r.norm(dim=1, keepdim=True).clamp(min=1e-30)), "divided by its norm"),
        (scaled(lambda r, size: size / rms(r), clip=False), "clip the picture"),
        (scaled(lambda r, size: size / r.square().mean().sqrt()), "the whole batch got one factor"),
        (scaled(lambda r, size: size), "multiplied by size"),
        (scaled(lambda r, size: size / r.square().mean(1, keepdim=True).sqrt()), "0/0"),
        (scaled(lambda r, size: (size / rms(r)).clamp(min=1)), "left as they are"),
        (lambda x, r, size: (size / rms(r) * r).clamp(0, 1), "picture"),
        (to_the_exact_size, "after clipping"),
        (in_place, "in place"),
    ],
)
def test_amplified_names_the_mistake(capsys, mistake, message):
    assert_caught(capsys, "amplified", mistake, message)


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        (scaled(lambda r, size: size / r.abs().amax(1, keepdim=True).clamp(min=1e-30)), "the largest |r|"),
        (scaled(lambda r, size: size / r.abs().mean(1, keepdim=True).clamp(min=1e-30)), "the mean of |r|"),
        (scaled(lambda r, size: size / rms(r) ** 2), "without the root"),
        (scaled(lambda r, size: size / r.std(1, keepdim=True).clamp(min=1e-30)), "is not x + s r"),
        (scaled(lambda r, size: (size / rms(r)).clamp(max=10)), "is not x + s r"),
        (lambda x, r, size: x + (r * size / rms(r)).clamp(-x, 1 - x) * 0.99, "is not x + s r"),
        (lambda x, r, size: (x + size * r / rms(r)).clamp(0, 1) - x, "these are r; return the pictures"),
        (lambda x, r, size: (x + r).clamp(0, 1), "as they were"),
        (lambda x, r, size: (x + size * r / rms(r)).clamp(0, 1)[0], "it has shape"),
    ],
)
def test_amplified_refuses_other_mistakes(capsys, mistake, message):
    assert_caught(capsys, "amplified", mistake, message)


def row_by_row(images, r, size):
    rows = []
    for x, change in zip(images, r, strict=True):
        length = change.norm()
        factor = size * len(x) ** 0.5 / length if length > 0 else 0.0
        rows.append(torch.minimum(torch.ones_like(x), torch.maximum(torch.zeros_like(x), x + factor * change)))
    return torch.stack(rows)


def by_mask(images, r, size):
    out, some = images.clone(), r.abs().sum(1) > 0
    out[some] += r[some] * (size / torch.linalg.vector_norm(r[some], dim=1) * r.shape[1] ** 0.5)[:, None]
    return out.clip(0, 1)


@pytest.mark.parametrize("right", [row_by_row, by_mask, lambda x, r, s: (x + s * (r / rms(r))).clamp(0, 1)])
def test_amplified_may_be_written_in_other_ways(capsys, right):
    assert said(capsys, "amplified", right).startswith("amplified: correct")
