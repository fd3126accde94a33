"""L-BFGS-B for many independent problems at once: ``minimize``.

Byrd, Lu, Nocedal & Zhu (1995) with the subspace projection of Morales & Nocedal (2011), the algorithm of SciPy's
``minimize(method="L-BFGS-B")``, one problem a row. Every operation acts on all rows; there is no loop over rows,
variables or breakpoints. It knows nothing of networks or images.

As Fortran's, the solver works by reverse communication: it asks for F and its gradient at every row's trial point, is
told them, and decides. So each evaluation serves every row, wherever its line search stands.
"""

from dataclasses import dataclass

import torch

from helpers.solver.best import Best
from helpers.solver.cauchy_point import cauchy_point
from helpers.solver.compact import Memory
from helpers.solver.inputs import check_problem
from helpers.solver.line_search import begun, told
from helpers.solver.rows import chosen, kept, merged, moves, patched, placed, shrink, taken
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
CACHE = 8e6  # bytes of history that a CPU works on at a time: each is read five times for a direction


@dataclass(frozen=True)
class Options:
    """The options of ``minimize``; names and defaults are SciPy's, but for the last."""

    maxcor: int = 10  # pairs kept in the memory
    ftol: float = 2.220446049250313e-09  # stop where (F_k − F_{k+1}) / max(|F_k|, |F_{k+1}|, 1) <= ftol
    gtol: float = 1e-5  # stop where max_i |P(x − g) − x|_i <= gtol
    maxiter: int = 15000  # iterations of each row
    maxfun: int = 15000  # evaluations of each row
    maxls: int = 20  # trial steps of a line search
    newton: int | None = None  # steps of Newton's method to the Cauchy point; None: the exact one, by sorting bends

    def __post_init__(self):
        for name in ("maxcor", "maxls", "newton"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
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
        options: maxcor, ftol, gtol, maxiter, maxfun, maxls, newton, as in ``Options``. ftol is taken as at least the
            dtype's rounding error.

    Returns:
        MinimizeResult. A row's answer does not depend on the rows beside it (beyond the rounding of ``fun`` itself).

    Raises:
        ValueError, TypeError: bad shapes, dtypes, bounds, options, or an x0 outside the box, in one sentence.
    """
    options = Options(**options)
    x, box, args = check_problem(x0, lower, upper, args)
    batch = len(x)
    row, own = torch.arange(batch, device=x.device), args
    out, value = x.clone(), x.new_full((batch,), torch.nan)
    iterations, evaluations, code = torch.zeros(3, batch, dtype=torch.long, device=x.device)
    solver, best = Solver(x, box, options), Best(x, torch.nan)
    while len(row):
        F, g = _value_and_gradient(fun, solver.trial, own)
        best.watch(solver.trial, F, torch.isfinite(F))
        solver.tell(F, g)
        solver.aim()
        gone = (solver.code != RUNNING).nonzero().squeeze(1)
        if len(gone):
            ended = row[gone]
            out[ended], value[ended], code[ended] = best.x[gone], best.value[gone], solver.code[gone]
            iterations[ended], evaluations[ended] = solver.iterations[gone], solver.evaluations[gone]
            leaving = moves(gone.tolist(), len(row), x.device)
            solver.keep(leaving)
            best.keep(leaving)
            (row,) = kept(leaving, row)
            own = tuple(a[row] for a in args)
    status = tuple(_REASONS[c] for c in code.tolist())
    return MinimizeResult(out, value, iterations, evaluations, code <= _ROUNDING, status)


class Solver:
    """L-BFGS-B for the rows in flight, by reverse communication. A tick of whoever drives it:

        evaluate F and its gradient at ``trial``, (rows, n), and ``tell`` them;
        look at ``code``, (rows,), which says which rows have ended, and ``restart`` or ``resume`` any of them;
        ``aim``: a direction where one is wanted, and the next trial of every row.

    A row that has ended is left as it is, its ``trial`` at ``x``, until it is given new work or dropped by ``keep``.
    No shape depends on a number (the exact Cauchy point apart), and nothing here waits for one.

    Attributes, all (rows, ...): x, value, g: where each row is. moved: which did so at the last ``tell``. iterations,
    evaluations: of the row's present work. ftol: a driver may change it. eps: a rounding error of F.
    """

    def __init__(self, x, box, options):
        rows, n = x.shape
        self.options, self.eps = options, torch.finfo(x.dtype).eps
        self.x, self.box, self.trial = x, box, x
        self.g, self.p, self.value = torch.zeros_like(x), torch.zeros_like(x), x.new_zeros(rows)
        self.ftol = x.new_full((rows,), max(options.ftol, self.eps))
        below, above = box.finite(x)
        self.bounded, self.boxed = (below | above).any(1), (below & above).all(1)
        self.memory = Memory(rows, n, options.maxcor, x)
        self.code, self.iterations, self.evaluations = torch.zeros(3, rows, dtype=torch.long, device=x.device)
        self.starting = torch.ones(rows, dtype=torch.bool, device=x.device)  # F is not known at x yet
        self.anew = self.moved = self.starting  # anew: the next trial is the first along a new direction
        nothing = torch.zeros_like(self.value)
        self.search = begun(nothing, nothing, nothing, nothing, nothing)
        self.clock = 0

    def keep(self, moves):
        """Drop the rows that go."""
        names = "x trial value g p ftol bounded boxed code iterations evaluations starting anew moved search".split()
        shrink(self, names, moves)
        self.box.keep(moves)
        self.memory.keep(moves)

    def restart(self, which, x):
        """Start the rows where ``which`` is set from ``x`` (rows, n). Their memory stays: see ``memory.forget``."""
        self._begin(which)
        self.x = patched(self.x, which, x)
        self.starting = self.starting | which

    def resume(self, which, value, rows, g):
        """Go on where a row is with another F, of ``value`` (rows,) and, in ``rows``, gradient ``g`` (k, n) there."""
        self._begin(which)
        self.value = value
        self.g = placed(self.g, rows, g)

    def _begin(self, which):
        self.code = self.code.masked_fill(which, RUNNING)
        self.iterations, self.evaluations = (n * ~which for n in (self.iterations, self.evaluations))
        self.anew = self.anew | which

    def tell(self, value, g):
        """Take in F (rows,) and its gradient (rows, n) at every row's trial: accept it or not, and stop or not.

        ``g`` is written over.
        """
        self.clock += 1
        running, line, fresh = self.code == RUNNING, self.search, self.memory.empty
        starting, searching = running & self.starting, running & ~self.starting
        slope = (g * self.p).sum(1)  # not finite where g is not, for 0·∞ is no number
        accepted, failed, self.search = told(line, value, slope, self.options.maxls)
        accepted, failed = accepted & searching, failed & searching
        self._remember(accepted, g, line)
        self.memory.forget(failed)  # so that the row starts afresh, once

        finite, reduction = (value + slope).abs() < torch.inf, self.value - value
        self.moved = finite & (starting | accepted | (failed & (reduction > 0)))
        self.anew, self.starting = accepted | failed | starting, self.starting & ~running
        self.iterations, self.evaluations = self.iterations + (accepted | failed), self.evaluations + running
        code = self._judged(accepted, failed & fresh, torch.maximum(self.value.abs(), value.abs()), reduction, line)
        self.code = torch.where(running, code.masked_fill_(~finite, _NOT_FINITE), self.code)
        self.value = torch.where(self.moved, value, self.value)
        self.x, self.g = patched(self.trial, ~self.moved, self.x), patched(g, ~self.moved, self.g)

    def _remember(self, accepted, g, line):
        """Store the pair of the step, unless it shows no curvature, or a change of gradient that may be rounding.

        Both tests are relative, so that the scale of F and of x does not matter.
        """
        s, y = self.trial - self.x, g - self.g
        sy = (s * y).sum(1)
        of_y, of_g = (torch.linalg.vector_norm(vector, dim=1) for vector in (y, self.g))
        useful = accepted & (of_y > 2 * self.eps * of_g) & (sy > self.eps * -line.slope * line.step)
        self.memory.update(s, y, sy, useful, self.clock)

    def _judged(self, accepted, hopeless, scale, reduction, line):
        """Whether and why each row ends here, but for its gradient, which ``aim`` looks at: codes (rows,).

        hopeless: not even steepest descent found a decrease.
        """
        code = torch.full_like(self.code, RUNNING)
        code.masked_fill_(self.anew & (self.iterations >= self.options.maxiter), _ITERATIONS)
        code.masked_fill_(self.anew & (self.evaluations >= self.options.maxfun), _EVALUATIONS)
        code.masked_fill_(accepted & (reduction <= self.ftol * scale.clamp(min=1)), _REDUCTION)
        code.masked_fill_(hopeless, _ABNORMAL)
        return code.masked_fill_(hopeless & (-line.slope <= _HOPELESS * line.noise), _ROUNDING)

    def aim(self):
        """Give each row that wants one a new direction, and every row its next trial; or end it where g allows.

        Where directions are computed for all rows, they come out as they were where nothing has changed.
        """
        if not self.x.numel():  # no rows, or nothing to vary
            self.code = torch.full_like(self.code, _GRADIENT)
            return
        found = self.p, torch.zeros_like(self.value), torch.zeros_like(self.value), torch.zeros_like(self.anew)
        for rows in self._parts():
            found = [placed(part, rows, new) for part, new in zip(found, self._direction(rows), strict=True)]
        self.p, slope, room, still = found
        still = still & self.anew & ~self.starting & (self.code != _NOT_FINITE)
        self.code = self.code.masked_fill(still, _GRADIENT)

        fresh = self.memory.empty
        short = torch.linalg.vector_norm(self.p, dim=1).reciprocal().clamp(max=1)
        first = short.masked_fill_(~fresh | self.boxed, 1)
        longest = room.clamp(1, _LONGEST).masked_fill_(fresh & self.bounded, 1)
        noise = _NOISE * self.eps * self.value.abs()
        self.search = merged(self.anew, begun(self.value, slope, noise, first, longest), self.search)
        step = self.search.step.masked_fill((self.code != RUNNING) | self.starting, 0)
        self.trial = self.box.project_(torch.addcmul(self.x, step.unsqueeze(1), self.p))

    def _parts(self):
        """The rows that want a direction, by numbers, as many at a time as a CPU's cache can hold the histories of.

        Where a look at them would wait, one slice of all rows.
        """
        rows = chosen(self.anew)
        return [rows] if isinstance(rows, slice) else rows.split(max(1, int(CACHE / self.memory.rows[0].nbytes)))

    def _direction(self, rows):
        """p = x̄ − x of some ``rows``; steepest descent where rounding has made the model useless.

        Also its slope gᵀp < 0, the longest step along it that the box allows, and whether max |P(x − g) − x| <= gtol,
        the stopping test, which is zero exactly at a stationary point of the bounded problem.
        """
        x, g, box, memory = taken(self.x, rows), taken(self.g, rows), self.box.take(rows), self.memory.part(rows)
        cauchy = cauchy_point(x, g, box, memory, self.options.newton)
        p, slope = into_the_box(x, g, cauchy.x_c, subspace_step(x, g, memory, cauchy), box)
        steepest = cauchy.steepest
        lost = ~(slope < 0)
        memory.forget(lost)
        self.memory.put(rows, memory)
        few = chosen(lost)
        steep = (taken(steepest, few) * taken(g, few)).sum(1)
        slope = placed(slope, few, torch.where(lost[few], steep, slope[few]))
        p = patched(p, lost, steepest)
        return p, slope, box.room(x, p), steepest.abs_().amax(1) <= self.options.gtol


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
    return value.detach(), g.clone(memory_format=torch.contiguous_format)  # it may be someone else's, or one number
