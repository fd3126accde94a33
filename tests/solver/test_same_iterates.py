"""Lesson 05's loop and ``minimize`` ask for the same points: one algorithm, once for one problem and once for many.

Only the line search is another one, so the loop, which takes its line search as an argument, is given the engine's.
"""

import numpy as np
import pytest
import torch
from notebook_tools import NOTEBOOKS, namespace

from helpers.solver.lbfgsb import minimize
from helpers.solver.line_search import begun, told


@pytest.fixture(scope="module")
def lesson():
    return namespace(NOTEBOOKS / "05_the_box.ipynb", until="low, high = np.array")


def engines_search(lesson):
    """The arguments ``trial`` and ``search`` of the lesson's loop: the engine's first step and its search."""
    state = {}

    def first(p, pairs, lower, upper):
        state["longest"] = 1.0 if not pairs and (np.isfinite(lower) | np.isfinite(upper)).any() else np.inf
        return lesson["first_trial"](p, pairs, lower, upper)

    def search(evaluate, x, f, g, p, lower, upper, first):
        longest = min(state["longest"], max(1.0, lesson["longest_step"](x, p, lower, upper)))
        numbers = f, g @ p, 4 * np.finfo(float).eps * abs(f), first, longest
        line = begun(*(torch.tensor([number], dtype=torch.float64) for number in numbers))
        accepted = given_up = False
        while not (accepted or given_up):
            alpha = line.step.item()
            x_new = np.clip(x + alpha * p, lower, upper)
            f_new, g_new = evaluate(x_new)
            answer = (torch.tensor([number], dtype=torch.float64) for number in (f_new, g_new @ p))
            accepted, given_up, line = told(line, *answer, 20)
        return (alpha, x_new, f_new, g_new) if accepted else None

    return {"trial": first, "search": search}


def points_of_the_loop(lesson, rows, x0, lower, upper, **options):
    """What the loop asks for, a list of points for each row. ``rows``: (x (k, n), row (k,)) → values, torch."""
    asked = [[] for _ in x0]
    for i in range(len(x0)):

        def fun(x, i=i):
            asked[i].append(x.copy())
            point = torch.tensor(x[None], requires_grad=True)
            value = rows(point, torch.tensor([i]))
            return value.item(), torch.autograd.grad(value.sum(), point)[0][0].numpy()

        lesson["lbfgsb_with_trace"](fun, x0[i], lower[i], upper[i], **engines_search(lesson), **options)
    return asked


def points_of_the_engine(rows, x0, lower, upper, **options):
    asked = [[] for _ in x0]

    def fun(x, row):
        for point, i in zip(x.detach().numpy(), row.tolist(), strict=True):
            asked[i].append(point.copy())
        return rows(x, row)

    minimize(fun, *map(torch.tensor, (x0, lower, upper)), (torch.arange(len(x0)),), **options)
    return asked


def furthest(some, others):
    assert [len(points) for points in some] == [len(points) for points in others]
    return max(np.abs(np.array(a) - np.array(b)).max() for a, b in zip(some, others, strict=True))


def quadratics(rng, count, n):
    Q = np.linalg.qr(rng.normal(size=(count, n, n)))[0]
    G = torch.tensor(Q * np.logspace(-1.5, 0, n) @ Q.swapaxes(1, 2))
    centre = torch.tensor(2 * rng.normal(size=(count, n)))

    def rows(x, row):
        z = (x - centre[row]).unsqueeze(2)
        return (z.mT @ G[row] @ z).flatten() / 2

    return rows


@pytest.mark.parametrize("sides", ["both", "some", "none"])
def test_boxed_quadratics(lesson, sides):
    rng, count, n = np.random.default_rng(70), 20, 15
    lower, upper = -rng.random((count, n)), rng.random((count, n))
    if sides != "both":
        lower[rng.random(lower.shape) < (0.4 if sides == "some" else 2)] = -np.inf
        upper[rng.random(upper.shape) < (0.4 if sides == "some" else 2)] = np.inf
    task = quadratics(rng, count, n), np.clip(rng.normal(size=(count, n)), lower, upper), lower, upper
    options = {"gtol": 1e-4, "ftol": 0.0}
    assert furthest(points_of_the_loop(lesson, *task, **options), points_of_the_engine(*task, **options)) < 1e-6


def test_rosenbrocks_valley(lesson):
    rng = np.random.default_rng(71)
    lower, upper = -rng.uniform(0.5, 2, (20, 2)), rng.uniform(0.3, 0.9, (20, 2))
    start = rng.uniform(lower, upper)

    def rows(x, row):
        return 100 * (x[:, 1] - x[:, 0] ** 2) ** 2 + (1 - x[:, 0]) ** 2

    loop = points_of_the_loop(lesson, rows, start, lower, upper, gtol=1e-3, ftol=1e-8)
    engine = points_of_the_engine(rows, start, lower, upper, gtol=1e-3, ftol=1e-8)
    assert sum(map(len, loop)) > 150 and furthest(loop, engine) < 1e-4


def test_priced_digits(lesson, network, digits):
    images, targets = digits[0][:6].double().numpy(), digits[1][:6]
    double = torch.nn.Sequential(*network).double()

    def rows(x, row):
        image = torch.tensor(images)[row]
        return (x - image).square().sum(1) + torch.nn.functional.cross_entropy(
            double(x), targets[row], reduction="none"
        )

    task, options = (rows, images, 0 * images, 0 * images + 1), {"gtol": 1e-5, "ftol": 1e-5}
    assert furthest(points_of_the_loop(lesson, *task, **options), points_of_the_engine(*task, **options)) < 1e-5
