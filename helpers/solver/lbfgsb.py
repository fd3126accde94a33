"""L-BFGS-B for many independent problems at once: ``minimize``.

Byrd, Lu, Nocedal & Zhu (1995) with the subspace projection of Morales & Nocedal (2011), the algorithm of SciPy's
``minimize(method="L-BFGS-B")``, one problem a row. Every operation acts on all rows; there is no loop over rows,
variables or breakpoints. It knows nothing of networks or images.
"""

from dataclasses import dataclass

import torch

from helpers.solver.best import Best
from helpers.solver.cauchy_point import cauchy_point
from helpers.solver.compact import Memory
from helpers.solver.inputs import check_problem
from helpers.solver.line_search import Line, line_search
from helpers.solver.subspace import into_the_box, subspace_step

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

_NOISE = 4  # by so many rounding errors two values of F may differ that would be equal in exact arithmetic
_HOPELESS = 8  # a search that fails where less than so many times the noise was to be gained has converged
_LONGEST = 1e10  # a step that no bound limits, as in L-BFGS-B


@dataclass(frozen=True)
class Options:
    """The options of ``minimize``; names and defaults are SciPy's."""

    maxcor: int = 10  # pairs kept in the memory
    ftol: float = 2.220446049250313e-09  # stop where (F_k − F_{k+1}) / max(|F_k|, |F_{k+1}|, 1) <= ftol
    gtol: float = 1e-5  # stop where max_i |P(x − g) − x|_i <= gtol
    maxiter: int = 15000  # iterations of each row
    maxfun: int = 15000  # evaluations of each row
    maxls: int = 20  # trial steps of a line search

    def __post_init__(self):
        for name in ("maxcor", "maxls"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}.")


@dataclass(frozen=True, eq=False)
class MinimizeResult:
    """What ``minimize`` found, one entry a row: the best point of every evaluation, exactly inside the box."""

    x: torch.Tensor  # (batch, n)
    value: torch.Tensor  # (batch,); NaN where not even x0 had a finite value
    iterations: torch.Tensor  # (batch,) integers
    evaluations: torch.Tensor  # (batch,) integers: values with gradients
    converged: torch.Tensor  # (batch,) bool
    status: tuple  # (batch,) strings: why each row ended


def minimize(fun, x0, lower=None, upper=None, args=(), **options):
    """Minimise ``fun`` in every row of ``x0``, subject to lower <= x <= upper, by L-BFGS-B.

    Args:
        fun: ``fun(x, *args) -> values``, differentiable, from (rows, n) to (rows,), each row by itself. It is called
            with the rows that are still running.
        x0: (batch, n), float32 or float64, inside the box. Its device and dtype are those of the whole call.
        lower, upper: None, a number, or a tensor that broadcasts to (batch, n); ±inf: no bound; equal: a fixed one.
        args: tensors with one entry a row, (batch, ...), handed to ``fun`` for the rows that it is called with.
        options: maxcor, ftol, gtol, maxiter, maxfun, maxls, as in ``Options``. ftol is taken as at least the dtype's
            rounding error.

    Returns:
        MinimizeResult. A row's answer does not depend on the rows beside it (beyond the rounding of ``fun`` itself).

    Raises:
        ValueError, TypeError: bad shapes, dtypes, bounds, options, or an x0 outside the box, in one sentence.
    """
    options = Options(**options)
    x, box, args = check_problem(x0, lower, upper, args)
    batch = len(x)
    best = Best(x, torch.nan)
    iterations, evaluations, code = (torch.zeros(batch, dtype=torch.long, device=x.device) for _ in range(3))

    def watched(x, row, *args):
        value = fun(x, *args)
        if torch.is_tensor(value) and value.shape == row.shape:
            best.watch(row, x.detach(), value.detach(), torch.isfinite(value.detach()))
        return value

    if batch:
        solver = Solver(watched, x, box, torch.arange(batch, device=x.device), args, options)
        while True:
            ended = solver.code != RUNNING
            if ended.any():
                row = solver.row[ended]
                code[row] = solver.code[ended]
                iterations[row], evaluations[row] = solver.iterations[ended], solver.evaluations[ended]
                solver.keep((~ended).nonzero().squeeze(1))
            if not len(solver.x):
                break
            solver.step()
    status = tuple(_REASONS[c] for c in code.tolist())
    return MinimizeResult(best.x, best.value, iterations, evaluations, code <= _ROUNDING, status)


class Solver:
    """The rows in flight, and one iteration of L-BFGS-B for all of them: ``step``.

    ``fun(x, row, *args)`` returns the values (rows,); ``row`` (rows,) is the number that the driver gave each problem,
    ``args`` tensors with one entry a row. After a step, ``code`` (rows,) tells which rows have ended. Whoever drives
    the solver drops them with ``keep`` or gives their places new work with ``restart``; a row that has ended must not
    be stepped again.
    """

    def __init__(self, fun, x, box, row, args, options):
        self.fun, self.options, self.eps = fun, options, torch.finfo(x.dtype).eps
        self.x, self.box, self.row, self.args = x, box, row, list(args)
        self.ftol = x.new_full((len(x),), max(options.ftol, self.eps))  # one for each row: a driver may change it
        below, above = box.finite(x)
        self.bounded, self.boxed = (below | above).any(1), (below & above).all(1)
        self.memory = Memory(len(x), x.shape[1], options.maxcor, x)
        self.iterations = torch.zeros(len(x), dtype=torch.long, device=x.device)
        self.evaluations, self.code = self.iterations.clone(), self.iterations.clone()
        self.value, self.g = x[:, :1].sum(1), torch.zeros_like(x)
        self.clock = 0
        self._begin(torch.arange(len(x), device=x.device))

    def keep(self, index):
        """Drop every row but those in ``index``."""
        for name in ("x", "row", "value", "g", "code", "iterations", "evaluations", "ftol", "bounded", "boxed"):
            setattr(self, name, getattr(self, name)[index])
        self.box = self.box.take(index)
        self.args = [a[index] for a in self.args]
        self.memory.keep(index)

    def restart(self, index, x, row, args):
        """Give the places ``index`` a new start and new work. Their memory stays: empty it where it does not fit."""
        self.x[index], self.row[index] = x, row
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
        still = self._projected_gradient(index) <= self.options.gtol
        code = torch.where((code == RUNNING) & still, _GRADIENT, code)
        self.code[index] = code if self.options.maxiter > 0 else torch.where(code == RUNNING, _ITERATIONS, code)

    def _evaluate(self, x, index):
        """F and its gradient at x, for the rows ``index`` (None: all)."""
        row, args = (self.row, self.args) if index is None else (self.row[index], [a[index] for a in self.args])
        return _value_and_gradient(self.fun, x, row, args)

    def _projected_gradient(self, index=None):
        """max_i |P(x − g) − x|_i, zero exactly at a stationary point of the bounded problem: (rows,)."""
        x, g, box = self.x, self.g, self.box
        if index is not None:
            x, g, box = x[index], g[index], box.take(index)
        return box.project_(x - g).sub_(x).abs_().amax(1) if x.shape[1] else x.sum(1)

    def step(self):
        """One iteration: Cauchy point, subspace minimum, line search, memory, stopping tests."""
        self.clock += 1
        p, slope = self._direction()
        line = Line(self.x, p, self.box, self.value, slope, _NOISE * self.eps * self.value.abs())
        fresh = self.memory.stamp[:, 0] < 0  # nothing is known of the curvature yet
        first = torch.where(fresh & ~self.boxed, torch.linalg.vector_norm(p, dim=1).reciprocal().clamp(max=1), 1)

        def longest(index):
            room = self.box.take(index).breakpoints(self.x[index], p[index])[0].amin(1).clamp(1, _LONGEST)
            return torch.where((fresh & self.bounded)[index], 1, room)

        new = line_search(self._evaluate, line, first, longest, self.options.maxls)
        self._remember(new, slope)
        self._move(new)
        self._judge(new, line, fresh)

    def _direction(self):
        """p = x̄ − x and its slope gᵀp < 0; steepest descent where rounding has made the model useless."""
        x, g, box, memory = self.x, self.g, self.box, self.memory
        cauchy = cauchy_point(x, g, box, memory)
        x_bar = into_the_box(x, g, cauchy.x_c, subspace_step(x, g, memory, cauchy), box)
        p = x_bar.sub_(x)
        slope = (p * g).sum(1)
        lost = ~(slope < 0)
        if lost.any():
            memory.forget(lost)
            p[lost] = (box.project_(x - g) - x)[lost]
            slope = (p * g).sum(1)
        return p, slope

    def _remember(self, new, slope):
        """Store the pair of the step, unless it shows no curvature, or a change of gradient that may be rounding.

        Both tests are relative, so that the scale of F and of x does not matter.
        """
        s, y = new.x - self.x, new.g - self.g
        sy = (s * y).sum(1)
        changed = y.abs().amax(1) > 2 * self.eps * self.g.abs().amax(1)
        useful = new.accepted & changed & (sy > self.eps * -slope * new.step)
        self.memory.update(s, y, sy, useful, self.clock)

    def _move(self, new):
        """Go to where the line search ended, if F fell; ``moved`` and ``reduction`` tell."""
        self.reduction = self.value - new.value
        self.scale = torch.maximum(self.value.abs(), new.value.abs()).clamp(min=1)
        self.moved = new.accepted | (self.reduction > 0)
        old = self.x, self.value, self.g
        self.x, self.value, self.g = new.x, new.value, new.g
        if not self.moved.all():
            back = ~self.moved
            self.x[back], self.value[back], self.g[back] = (part[back] for part in old)

    def _judge(self, new, line, fresh):
        """Count, and say in ``code`` which rows have ended, and why. A row whose search failed starts afresh once."""
        self.iterations += 1
        self.evaluations += new.evaluations
        code = torch.where(self.iterations >= self.options.maxiter, _ITERATIONS, RUNNING)
        code = torch.where(self.evaluations >= self.options.maxfun, _EVALUATIONS, code)
        code = torch.where(new.accepted & (self.reduction <= self.ftol * self.scale), _REDUCTION, code)
        code = torch.where(self.moved & (self._projected_gradient() <= self.options.gtol), _GRADIENT, code)
        failed = ~new.accepted
        if failed.any():
            hopeless = torch.where(-line.slope <= _HOPELESS * line.noise, _ROUNDING, _ABNORMAL)
            code = torch.where(failed & fresh & (code != _GRADIENT), hopeless, code)
            self.memory.forget(failed)
        self.code = torch.where(new.finite, code, _NOT_FINITE)


def _value_and_gradient(fun, x, row, args):
    x = x.detach().requires_grad_(True)
    with torch.enable_grad():
        value = fun(x, row, *args)
        if not torch.is_tensor(value) or value.shape != x.shape[:1]:
            got = tuple(value.shape) if torch.is_tensor(value) else type(value).__name__
            raise ValueError(f"fun must return one value a row, shape {tuple(x.shape[:1])}; it returned {got}.")
        if not value.requires_grad:
            raise ValueError("fun must be differentiable: its values carry no gradient back to x.")
        (g,) = torch.autograd.grad(value.sum(), x)
    return value.detach(), g
