"""Test problems for the solver, one a row, and SciPy's answers to them."""

from dataclasses import dataclass
from math import inf

import numpy as np
import torch
from scipy.optimize import minimize


def float64(values):
    return torch.as_tensor(values, dtype=torch.float64)


def rosenbrock(x):
    return (100 * (x[:, 1:] - x[:, :-1] ** 2) ** 2 + (1 - x[:, :-1]) ** 2).sum(1)


def quadratic(x, A, b):
    """½xᵀAx + bᵀx with a matrix and a vector for each row."""
    return (x * (0.5 * torch.bmm(A, x.unsqueeze(2)).squeeze(2) + b)).sum(1)


def random_quadratics(rows, n, seed, dtype=torch.float64):
    """x0, lower, upper, (A, b): convex, badly scaled; some bounds infinite, some variables fixed."""
    random = np.random.default_rng(seed)
    root = random.normal(size=(rows, n, n))
    A = root @ root.transpose(0, 2, 1) / n + 0.1 * np.diag(np.logspace(-2, 2, n))
    b = 5 * random.normal(size=(rows, n))
    lower, upper = -random.random((rows, n)), random.random((rows, n))
    fixed = random.random((rows, n)) < 0.1
    lower[(random.random((rows, n)) < 0.2) & ~fixed] = -inf
    upper[random.random((rows, n)) < 0.2] = inf
    upper[fixed] = lower[fixed]
    x0 = np.clip(random.normal(size=(rows, n)), lower, upper)
    x0, lower, upper, A, b = (torch.tensor(a, dtype=dtype) for a in (x0, lower, upper, A, b))
    return x0, lower, upper, (A, b)


def logistic_regression(rows, n, seed):
    """x0, lower, upper, (X, t): 60 labelled points a row; weights in [-0.4, 0.6], the last one free."""
    random = np.random.default_rng(seed)
    X = random.normal(size=(rows, 60, n)) * np.logspace(-0.5, 0.5, n)
    t = np.sign(np.einsum("rin,rn->ri", X, random.normal(size=(rows, n))) + 2 * random.normal(size=(rows, 60)))
    lower, upper = np.full((rows, n), -0.4), np.full((rows, n), 0.6)
    lower[:, -1], upper[:, -1] = -inf, inf
    return float64(np.zeros((rows, n))), float64(lower), float64(upper), (float64(X), float64(t))


def logistic_loss(w, X, t):
    return torch.nn.functional.softplus(-t * torch.einsum("rin,rn->ri", X, w)).mean(1) + 1e-3 * (w * w).sum(1)


@dataclass(frozen=True)
class Bounded:
    """A problem of Moré, Garbow & Hillstrom (1981) with its standard start, and bounds as in Gay (1984)."""

    fun: object
    start: tuple
    lower: tuple
    upper: tuple


def _squares(residuals):
    """Σ residuals², of variables (rows, 1) each; a residual may be (rows, k), for k data at once."""
    return lambda x: sum((r**2).sum(1) for r in residuals(*x.unsqueeze(1).unbind(2)))


def _helical(a, b, c):
    angle = torch.atan(b / a) / (2 * torch.pi) + torch.where(a < 0, 0.5, 0.0)
    return 10 * (c - 10 * angle), 10 * ((a * a + b * b).sqrt() - 1), c


def _biggs(a, b, c, d, e, f):
    t = torch.arange(1, 14) / float64(10)
    y = torch.exp(-t) - 5 * torch.exp(-10 * t) + 3 * torch.exp(-4 * t)
    return (c * torch.exp(-t * a) - d * torch.exp(-t * b) + f * torch.exp(-t * e) - y,)


def _gulf(a, b, c):
    t = torch.arange(1, 100) / float64(100)
    y = 25 + (-50 * t.log()) ** (2 / 3)
    return (torch.exp(-((y - b).abs() ** c) / a) - t,)


def _box(a, b, c):
    t = torch.arange(1, 11) / float64(10)
    return (torch.exp(-t * a) - torch.exp(-t * b) - c * (torch.exp(-t) - torch.exp(-10 * t)),)


def _brown_dennis(a, b, c, d):
    t = torch.arange(1, 21) / float64(5)
    return ((a + t * b - t.exp()) ** 2 + (c + d * t.sin() - t.cos()) ** 2,)


MORE_GARBOW_HILLSTROM = {
    "Powell badly scaled": Bounded(
        _squares(lambda a, b: (1e4 * a * b - 1, torch.exp(-a) + torch.exp(-b) - 1.0001)), (0, 1), (0, 1), (1, 9)
    ),
    "Brown badly scaled": Bounded(_squares(lambda a, b: (a - 1e6, b - 2e-6, a * b - 2)), (1, 1), (0, 3e-5), (1e6, 100)),
    "Beale": Bounded(
        _squares(lambda a, b: (1.5 - a * (1 - b), 2.25 - a * (1 - b**2), 2.625 - a * (1 - b**3))),
        (1, 1),
        (0.6, 0.5),
        (10, 100),
    ),
    "helical valley": Bounded(_squares(_helical), (-1, 0, 0), (-100, -1, -1), (0.8, 1, 1)),
    "Powell singular": Bounded(
        _squares(lambda a, b, c, d: (a + 10 * b, 5**0.5 * (c - d), (b - 2 * c) ** 2, 10**0.5 * (a - d) ** 2)),
        (3, -1, 0, 1),
        (0.1, -20, -1, -1),
        (100, 20, 1, 50),
    ),
    "Wood": Bounded(
        _squares(
            lambda a, b, c, d: (
                10 * (b - a * a),
                1 - a,
                90**0.5 * (d - c * c),
                1 - c,
                10**0.5 * (b + d - 2),
                10**-0.5 * (b - d),
            )
        ),
        (-3, -1, -3, -1),
        (-100, -100, -100, -100),
        (0, 10, 100, 100),
    ),
    "Biggs EXP6": Bounded(_squares(_biggs), (1, 2, 1, 1, 1, 1), (0, 0, 0, 1, 0, 0), (2, 8, 1, 7, 5, 5)),
    "Gulf": Bounded(_squares(_gulf), (5, 2.5, 0.15), (0.1, 0, 0), (10, 10, 10)),
    "Box three-dimensional": Bounded(_squares(_box), (0, 10, 20), (0, 5, 0), (2, 9.5, 20)),
    "Brown and Dennis": Bounded(_squares(_brown_dennis), (25, 5, -5, -1), (-10, 0, -100, -20), (100, 15, 0, 0.2)),
}


def starts(problem, rows, seed=0):
    """(rows, n) starts in the box: the standard one, then others between it and random points at most 2 away."""
    start = float64([problem.start]).repeat(rows, 1)
    away = float64(np.random.default_rng(seed).uniform(-2, 2, size=start.shape))
    away[0] = 0
    return torch.clamp(start + away, float64(problem.lower), float64(problem.upper))


def scipy_rows(fun, x0, lower, upper, args=(), **options):
    """SciPy's L-BFGS-B on each row: the values (rows,), and iterations and evaluations of all rows together."""
    lower, upper = (torch.broadcast_to(float64(bound), x0.shape) for bound in (lower, upper))
    values, iterations, evaluations = [], 0, 0
    for i, start in enumerate(x0):
        own = [a[i : i + 1] for a in args]

        def value_and_gradient(v, own=own):
            x = float64(v).unsqueeze(0).requires_grad_(True)
            value = fun(x, *own)
            (g,) = torch.autograd.grad(value.sum(), x)
            return value.item(), g[0].numpy()

        bounds = list(zip(lower[i].tolist(), upper[i].tolist(), strict=True))
        r = minimize(value_and_gradient, start.numpy(), jac=True, method="L-BFGS-B", bounds=bounds, options=options)
        values.append(r.fun)
        iterations, evaluations = iterations + r.nit, evaluations + r.nfev
    return float64(values), iterations, evaluations


def projected_gradient(fun, x, lower, upper, args=()):
    """max_i |P(x − g) − x|_i of each row: (rows,)."""
    x = x.detach().requires_grad_(True)
    (g,) = torch.autograd.grad(fun(x, *args).sum(), x)
    return (torch.clamp(x - g, lower, upper) - x).abs().amax(1).detach()
