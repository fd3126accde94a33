"""``helpers.minimize`` beside SciPy's L-BFGS-B, without any network: the same problems, options and starts.

Ours solves the rows of a problem side by side, SciPy one after the other with NumPy functions and exact gradients.
"""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import numpy as np
import torch
from scipy.optimize import Bounds, rosen, rosen_der
from scipy.optimize import minimize as scipy_minimize
from scipy.special import expit

from helpers.benchmark.measure import Turn, markdown, timed
from helpers.solver.lbfgsb import minimize

OURS, SCIPY = "helpers.solver.lbfgsb", "SciPy"


@dataclass(frozen=True)
class Problem:
    """Rows of one kind: ``together`` as minimize takes it, ``alone(*args of a row)`` as SciPy does. All float64."""

    name: str
    x0: np.ndarray  # (rows, n)
    lower: np.ndarray  # (rows, n)
    upper: np.ndarray
    args: tuple  # arrays with one entry a row
    together: Callable  # (x (rows, n), *args) → values (rows,)
    alone: Callable  # (x (n,), *args) → value, gradient


def problems(seed=0):
    """Bounded Rosenbrock in 2, 10 and 100 variables, random boxed quadratics, boxed logistic regression."""
    rng = np.random.default_rng(seed)
    return [*(_rosenbrock(rng, 100, n) for n in (2, 10, 100)), _quadratic(rng, 200, 50), _logistic(rng, 100, 20)]


def _rosenbrock(rng, rows, n):
    lower, upper = np.full((rows, n), -1.5), np.full((rows, n), 0.8)  # the free minimum, (1, …, 1), is outside

    def together(x):
        return (100 * (x[:, 1:] - x[:, :-1] ** 2) ** 2 + (1 - x[:, :-1]) ** 2).sum(1)

    x0 = rng.uniform(lower, upper)

    def alone(x):
        return rosen(x), rosen_der(x)

    return Problem(f"Rosenbrock, n = {n}", x0, lower, upper, (), together=together, alone=alone)


def _quadratic(rng, rows, n):
    """½ xᵀQx + bᵀx, eigenvalues 0.01 to 1; a tenth of the lower bounds infinite, a tenth of the variables fixed."""
    basis = np.linalg.qr(rng.normal(size=(rows, n, n)))[0]
    Q = basis @ (np.logspace(-2, 0, n)[:, None] * basis.transpose(0, 2, 1))
    b = rng.normal(size=(rows, n))
    lower, upper = -rng.uniform(size=(rows, n)), rng.uniform(size=(rows, n))
    upper = np.where(rng.uniform(size=(rows, n)) < 0.1, lower, upper)
    x0 = rng.uniform(lower, upper)
    lower = np.where((rng.uniform(size=(rows, n)) < 0.1) & (lower < upper), -np.inf, lower)

    def together(x, Q, b):
        return ((Q @ x.unsqueeze(2)).squeeze(2) / 2 * x + b * x).sum(1)

    def alone(x, Q, b):
        Qx = Q @ x
        return x @ (Qx / 2 + b), Qx + b

    return Problem(f"boxed quadratics, n = {n}", x0, lower, upper, (Q, b), together=together, alone=alone)


def _logistic(rng, rows, n, samples=100, decay=1e-3):
    """mean log(1 + exp(−aᵀx)) + decay/2 ‖x‖², each a a sample times its label ±1; −1 <= x <= 1."""
    A, truth = rng.normal(size=(rows, samples, n)), 2 * rng.normal(size=(rows, n, 1))
    A *= np.where(rng.uniform(size=(rows, samples, 1)) < expit(A @ truth), 1, -1)
    lower, upper = np.full((rows, n), -1.0), np.full((rows, n), 1.0)

    def together(x, A):
        return torch.nn.functional.softplus(-(A @ x.unsqueeze(2)).squeeze(2)).mean(1) + decay / 2 * x.square().sum(1)

    def alone(x, A):
        score = A @ x
        value = np.logaddexp(0, -score).mean() + decay / 2 * x @ x
        return value, decay * x - A.T @ expit(-score) / len(score)

    name = f"boxed logistic regression, n = {n}"
    return Problem(name, np.zeros((rows, n)), lower, upper, (A,), together=together, alone=alone)


def turns(problems, rounds, threads):
    """Solve every problem with both in turns. Yields a Turn after each."""
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        _ours(problems[0])  # what is loaded at first use
        _scipy(problems[0])
        for turn in range(1, rounds + 1):
            for problem in problems:
                for who, solve in ((OURS, _ours), (SCIPY, _scipy)):
                    found, seconds = timed(lambda solve=solve, problem=problem: solve(problem))
                    yield Turn(problem.name, who, turn, torch.arange(len(problem.x0)), found, seconds)
    finally:
        torch.set_num_threads(before)


def _ours(problem):
    x0, lower, upper, *args = map(torch.from_numpy, (problem.x0, problem.lower, problem.upper, *problem.args))
    found = minimize(problem.together, x0, lower, upper, args)
    return {"iterations": found.iterations, "value": found.value}


def _scipy(problem):
    found = []
    for x0, lower, upper, *args in zip(problem.x0, problem.lower, problem.upper, *problem.args, strict=True):
        box = Bounds(lower, upper)
        found.append(scipy_minimize(problem.alone, x0, tuple(args), jac=True, method="L-BFGS-B", bounds=box))
    return {"iterations": [f.nit for f in found], "value": [f.fun for f in found]}


def summary(scores):
    """A dict for each problem that both have solved.

    ratio: of the iterations, all rows together. worst and median difference: of ours − SciPy's value over
    max(1, |SciPy's|); below 0 ours is lower. ms: a row, median over the rounds.
    """
    entries = []
    for name in scores.tasks():
        if SCIPY not in scores.contestants(name):
            continue
        ours, theirs = (scores.values(name, who, "iterations") for who in (OURS, SCIPY))
        value, reference = (scores.values(name, who, "value") for who in (OURS, SCIPY))
        difference = (value - reference) / np.maximum(1, np.abs(reference))
        entry = {
            "rows": len(value),
            "iterations": ours.mean(),
            "scipy_iterations": theirs.mean(),
            "ratio": ours.sum() / theirs.sum(),
            "median_difference": np.median(difference),
            "worst_difference": difference.max(),
            "ms": median(scores.ms(name, OURS)),
            "scipy_ms": median(scores.ms(name, SCIPY)),
            "times_as_fast": scores.times_as_fast(name, OURS, SCIPY),
        }
        entries.append({"problem": name, **{key: float(number) for key, number in entry.items()}})
    return entries


def table(entries):
    """The entries of ``summary``, Markdown."""
    columns = {
        "problem": lambda e: e["problem"],
        "rows": lambda e: f"{e['rows']:.0f}",
        "iterations": lambda e: f"{e['iterations']:.1f}",
        "SciPy's": lambda e: f"{e['scipy_iterations']:.1f}",
        "ratio": lambda e: f"{e['ratio']:.3f}",
        "above SciPy: median": lambda e: f"{e['median_difference']:.0e}",
        "worst": lambda e: f"{e['worst_difference']:.0e}",
        "ms a row": lambda e: f"{e['ms']:.3g}",
        "SciPy's ms": lambda e: f"{e['scipy_ms']:.3g}",
        "times as fast": lambda e: f"{e['times_as_fast']:.3g}",
    }
    return markdown(columns, entries)
