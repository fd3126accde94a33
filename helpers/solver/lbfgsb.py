"""L-BFGS-B for many independent problems at once: ``minimize``.

Byrd, Lu, Nocedal & Zhu (1995) with the subspace projection of Morales & Nocedal (2011), the algorithm of SciPy's
``minimize(method="L-BFGS-B")``, one problem a row. Every operation acts on all rows; there is no loop over rows,
variables or breakpoints. It knows nothing of networks or images.
"""

from dataclasses import dataclass

import torch

from helpers.solver.cauchy_point import generalized_cauchy_point
from helpers.solver.compact import Memory, take
from helpers.solver.line_search import line_search
from helpers.solver.subspace import subspace_minimum

RUNNING, _GRADIENT, _REDUCTION, _ROUNDING, _ITERATIONS, _EVALUATIONS, _ABNORMAL, _NOT_FINITE = range(8)
_REASONS = (
    "running",
    "converged: the projected gradient is at most gtol",
    "converged: the relative reduction of the value is at most ftol",
    "converged: the reduction still expected is below the rounding error of the value",
    "stopped: maxiter iterations were made",
    "stopped: maxfun evaluations were made",
    "stopped: the line search found no decrease; the value and its gradient may not agree",
    "stopped: the function returned NaN or infinity; this is the best finite point",
)


@dataclass(frozen=True)
class MinimizeResult:
    """What ``minimize`` found, one entry a row: the best point of every evaluation, exactly inside the box."""

    x: torch.Tensor  # (batch, n)
    value: torch.Tensor  # (batch,); NaN where not even x0 had a finite value
    iterations: torch.Tensor  # (batch,) integers
    evaluations: torch.Tensor  # (batch,) integers: values with gradients
    converged: torch.Tensor  # (batch,) bool
    status: tuple  # (batch,) strings: why each row ended


def minimize(
    fun,
    x0,
    lower=None,
    upper=None,
    args=(),
    *,
    maxcor=10,
    ftol=2.220446049250313e-09,
    gtol=1e-5,
    maxiter=15000,
    maxfun=15000,
    maxls=20,
):
    """Minimise ``fun`` in every row of ``x0``, subject to lower <= x <= upper, by L-BFGS-B.

    Args:
        fun: ``fun(x, *args) -> values``, differentiable, from (rows, n) to (rows,), each row by itself. It is called
            with the rows that are still running.
        x0: (batch, n) float tensor, inside the box. Its device and dtype are those of the whole call.
        lower, upper: None, a number, or a tensor that broadcasts to (batch, n); ±inf: no bound; equal: a fixed one.
        args: tensors with one entry a row, (batch, ...), handed to ``fun`` for the rows that it is called with.
        maxcor: pairs kept in the memory. ftol: stop where (f_k − f_{k+1}) / max(|f_k|, |f_{k+1}|, 1) <= ftol (taken
            as at least the dtype's rounding error). gtol: stop where max_i |P(x − g) − x|_i <= gtol. maxiter, maxfun:
            of each row. maxls: trial steps of a line search. Names and defaults are SciPy's.

    Returns:
        MinimizeResult. A row's answer does not depend on the rows beside it (beyond the rounding of ``fun`` itself).

    Raises:
        ValueError, TypeError: bad shapes, dtypes, bounds, or an x0 outside the box, in one sentence.
    """
    x, lower, upper, args = _checked(x0, lower, upper, args)
    for name, option in {"maxcor": maxcor, "maxls": maxls}.items():
        if option < 1:
            raise ValueError(f"{name} must be at least 1, got {option}.")
    batch = len(x)
    best_x, best_value = x.clone(), x.new_full((batch,), torch.nan)
    iterations, evaluations, code = (torch.zeros(batch, dtype=torch.long, device=x.device) for _ in range(3))

    def watched(x, *args):
        *args, row = args
        value = fun(x, *args)
        if torch.is_tensor(value) and value.shape == row.shape:
            seen = value.detach()
            better = torch.isfinite(seen) & ~(seen >= best_value[row])
            put = row[better]
            best_x[put], best_value[put] = x.detach()[better], seen[better]
        return value

    if batch:
        rows = torch.arange(batch, device=x.device)
        solver = Solver(watched, x, lower, upper, (*args, rows), maxcor, ftol, gtol, maxiter, maxfun, maxls)
        while True:
            ended = solver.code != RUNNING
            if ended.any():
                rows = solver.args[-1][ended]
                code[rows] = solver.code[ended]
                iterations[rows], evaluations[rows] = solver.iterations[ended], solver.evaluations[ended]
                solver.keep((~ended).nonzero().squeeze(1))
            if not len(solver.x):
                break
            solver.step()
    status = tuple(_REASONS[c] for c in code.tolist())
    return MinimizeResult(best_x, best_value, iterations, evaluations, code <= _ROUNDING, status)


class Solver:
    """The rows in flight, and one iteration of L-BFGS-B for all of them: ``step``.

    After a step, ``code`` (rows,) tells which rows have ended. Whoever drives the solver drops them with ``keep`` or
    gives their places new work with ``restart``; a row that has ended must not be stepped again.
    """

    def __init__(self, fun, x, lower, upper, args, maxcor, ftol, gtol, maxiter, maxfun, maxls):
        self.fun, self.gtol, self.maxiter, self.maxfun, self.maxls = fun, gtol, maxiter, maxfun, maxls
        self.eps = torch.finfo(x.dtype).eps
        self.ftol = x.new_full((len(x),), max(ftol, self.eps))  # one for each row: a driver may change it
        self.x, self.lower, self.upper, self.args = x, lower, upper, list(args)
        below, above = (torch.as_tensor(bound, device=x.device).isfinite().expand(x.shape) for bound in (lower, upper))
        self.bounded, self.boxed = (below | above).any(1), (below & above).all(1)
        self.memory = Memory(len(x), x.shape[1], maxcor, x)
        self.iterations = torch.zeros(len(x), dtype=torch.long, device=x.device)
        self.evaluations, self.code = self.iterations.clone(), self.iterations.clone()
        self.value, self.g = x[:, :1].sum(1), torch.zeros_like(x)
        self.clock = 0
        self._begin(torch.arange(len(x), device=x.device))

    def keep(self, index):
        """Drop every row but those in ``index``."""
        for name in ("x", "value", "g", "code", "iterations", "evaluations", "ftol", "bounded", "boxed"):
            setattr(self, name, getattr(self, name)[index])
        self.lower, self.upper = take(self.lower, index), take(self.upper, index)
        self.args = [a[index] for a in self.args]
        self.memory.keep(index)

    def restart(self, index, x, args):
        """Give the rows ``index`` a new start and new arguments. Their memory stays: empty it where it does not fit."""
        self.x[index] = x
        for old, new in zip(self.args, args, strict=True):
            old[index] = new
        self.iterations[index] = 0
        self.evaluations[index] = 0
        self._begin(index)

    def _begin(self, index):
        value, g = self._evaluate(self.x[index], index)
        self.value[index], self.g[index] = value, g
        self.evaluations[index] += 1
        code = torch.where(torch.isfinite(value) & torch.isfinite(g).all(1), RUNNING, _NOT_FINITE)
        still = self._projected_gradient(index) <= self.gtol
        code = torch.where((code == RUNNING) & still, _GRADIENT, code)
        self.code[index] = code if self.maxiter > 0 else torch.where(code == RUNNING, _ITERATIONS, code)

    def _evaluate(self, x, index):
        return _value_and_gradient(self.fun, x, self.args if index is None else [a[index] for a in self.args])

    def _projected_gradient(self, index=None):
        """max_i |P(x − g) − x|_i, zero exactly at a stationary point of the bounded problem: (rows,)."""
        x, g, lower, upper = self.x, self.g, self.lower, self.upper
        if index is not None:
            x, g, lower, upper = x[index], g[index], take(lower, index), take(upper, index)
        return torch.clamp(x - g, lower, upper).sub_(x).abs_().amax(1) if x.shape[1] else x.sum(1)

    def step(self):
        """One iteration: Cauchy point, subspace minimum, line search, memory, stopping tests."""
        x, value, g, lower, upper, memory = self.x, self.value, self.g, self.lower, self.upper, self.memory
        self.clock += 1
        cauchy, inverse = generalized_cauchy_point(x, g, lower, upper, memory)
        d = subspace_minimum(x, g, lower, upper, memory, cauchy, inverse).sub_(x)
        slope = (d * g).sum(1)
        lost = ~(slope < 0)
        if lost.any():  # rounding has made this model useless: start again from steepest descent
            memory.forget(lost)
            d[lost] = (torch.clamp(x - g, lower, upper) - x)[lost]
            slope = (d * g).sum(1)
        fresh = memory.stamp[:, 0] < 0
        step = torch.where(fresh & ~self.boxed, torch.linalg.vector_norm(d, dim=1).reciprocal().clamp(max=1), 1)
        noise = 4 * self.eps * value.abs()

        def longest(index):
            at, along = x[index], d[index]
            room = torch.where(along > 0, take(upper, index) - at, take(lower, index) - at) / along
            room = torch.where(along == 0, torch.inf, room).amin(1).clamp(1, 1e10)
            return torch.where((fresh & self.bounded)[index], 1, room)

        new = line_search(self._evaluate, x, value, g, d, slope, step, longest, lower, upper, self.maxls, noise)
        y = new.g - g
        s = new.x - x
        sy = (s * y).sum(1)
        # Relative tests: the pair must show curvature, and a change of gradient that is more than rounding.
        changed = y.abs().amax(1) > 2 * self.eps * g.abs().amax(1)
        memory.update(s, y, sy, new.accepted & (sy > self.eps * -slope * new.step) & changed, self.clock)

        reduction = value - new.value
        scale = torch.maximum(value.abs(), new.value.abs()).clamp(min=1)
        failed, moved = ~new.accepted, new.accepted | (reduction > 0)
        self.x, self.value, self.g = new.x, new.value, new.g
        if not moved.all():
            back = ~moved
            self.x[back], self.value[back], self.g[back] = x[back], value[back], g[back]
        self.iterations += 1
        self.evaluations += new.evaluations

        code = torch.where(self.iterations >= self.maxiter, _ITERATIONS, RUNNING)
        code = torch.where(self.evaluations >= self.maxfun, _EVALUATIONS, code)
        code = torch.where(new.accepted & (reduction <= self.ftol * scale), _REDUCTION, code)
        code = torch.where(moved & (self._projected_gradient() <= self.gtol), _GRADIENT, code)
        if failed.any():
            hopeless = torch.where(-slope <= 8 * noise, _ROUNDING, _ABNORMAL)
            code = torch.where(failed & fresh & (code != _GRADIENT), hopeless, code)
            memory.forget(failed)
        self.code = torch.where(new.finite, code, _NOT_FINITE)


def _value_and_gradient(fun, x, args):
    x = x.detach().requires_grad_(True)
    with torch.enable_grad():
        value = fun(x, *args)
        if not torch.is_tensor(value) or value.shape != x.shape[:1]:
            got = tuple(value.shape) if torch.is_tensor(value) else type(value).__name__
            raise ValueError(f"fun must return one value a row, shape {tuple(x.shape[:1])}; it returned {got}.")
        if not value.requires_grad:
            raise ValueError("fun must be differentiable: its values carry no gradient back to x.")
        (g,) = torch.autograd.grad(value.sum(), x)
    return value.detach(), g


def _checked(x0, lower, upper, args):
    if not torch.is_tensor(x0) or not x0.is_floating_point():
        raise TypeError(f"x0 must be a tensor of floats, got {x0.dtype if torch.is_tensor(x0) else type(x0).__name__}.")
    if x0.ndim != 2:
        raise ValueError(f"x0 must have shape (batch, n), got {tuple(x0.shape)}; use x0.flatten(1) or x0.unsqueeze(0).")
    x0 = x0.detach()
    if not torch.isfinite(x0).all():
        raise ValueError("x0 holds NaN or infinity.")
    bounds = []
    for name, bound, none in (("lower", lower, -torch.inf), ("upper", upper, torch.inf)):
        bound = none if bound is None else bound
        if torch.is_tensor(bound) and bound.device != x0.device:
            raise ValueError(f"x0 is on {x0.device} but {name} is on {bound.device}; move one of them.")
        bound = torch.as_tensor(bound, dtype=x0.dtype, device=x0.device)
        try:
            torch.broadcast_to(bound, x0.shape)
            bounds.append(bound.reshape(*[1] * (2 - bound.ndim), *bound.shape))
        except RuntimeError:
            raise ValueError(
                f"{name}, shape {tuple(bound.shape)}, does not broadcast to x0's {tuple(x0.shape)}."
            ) from None
    if all(bound.numel() == 1 for bound in bounds):  # a box that is the same everywhere costs no memory traffic
        bounds = [bound.item() for bound in bounds]
    lower, upper = bounds
    if not torch.as_tensor(lower <= upper).all():
        raise ValueError("lower must be at most upper everywhere, and neither may be NaN.")
    outside = ((x0 < lower) | (x0 > upper)).any(1)
    if outside.any():
        raise ValueError(f"x0 is outside the box in {int(outside.sum())} rows; pass x0.clamp(lower, upper).")
    for i, a in enumerate(args):
        if not torch.is_tensor(a) or a.shape[:1] != x0.shape[:1]:
            got = tuple(a.shape) if torch.is_tensor(a) else type(a).__name__
            raise ValueError(f"args[{i}] must be a tensor with one entry for each of the {len(x0)} rows, got {got}.")
        if a.device != x0.device:
            raise ValueError(f"x0 is on {x0.device} but args[{i}] is on {a.device}; move one of them.")
    return x0.clone(), lower, upper, tuple(args)
