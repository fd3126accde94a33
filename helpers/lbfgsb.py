"""L-BFGS-B for many independent problems at once: ``minimize``.

Byrd, Lu, Nocedal & Zhu (1995) with the subspace projection of Morales & Nocedal (2011), the algorithm of SciPy's
``minimize(method="L-BFGS-B")``, one problem a row. Every operation acts on all rows; there is no loop over rows,
variables or breakpoints. It knows nothing of networks or images.
"""

from dataclasses import dataclass

import torch

from helpers.cauchy import generalized_cauchy_point
from helpers.linesearch import line_search
from helpers.memory import Memory
from helpers.subspace import subspace_minimum

_RUNNING, _GRADIENT, _REDUCTION, _ROUNDING, _ITERATIONS, _EVALUATIONS, _ABNORMAL, _NOT_FINITE = range(8)
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
        fun: ``fun(x, *args) -> values``, differentiable, from (rows, n) to (rows,); row i may depend on row i of x alone.
            It is called with the rows that are still running.
        x0: (batch, n) float tensor, inside the box. Its device and dtype are those of the whole call.
        lower, upper: None, a number, or a tensor that broadcasts to (batch, n); ±inf for no bound; equal to fix a variable.
        args: tensors with one entry a row, (batch, ...), handed to ``fun`` for the rows that it is called with.
        maxcor: pairs kept in the memory. ftol: stop where (f_k − f_{k+1}) / max(|f_k|, |f_{k+1}|, 1) <= ftol (taken
            as at least the dtype's rounding error). gtol: stop where max_i |P(x − g) − x|_i <= gtol. maxiter, maxfun: of
            each row. maxls: trial steps of a line search. Names and defaults are SciPy's.

    Returns:
        MinimizeResult. A row's answer does not depend on the rows beside it (beyond the rounding of ``fun`` itself).

    Raises:
        ValueError, TypeError: bad shapes, dtypes, bounds, or an x0 outside the box, in one sentence.
    """
    x, lower, upper, args = _checked(x0, lower, upper, args)
    for name, option in {"maxcor": maxcor, "maxls": maxls}.items():
        if option < 1:
            raise ValueError(f"{name} must be at least 1, got {option}.")
    batch, n = x.shape
    eps = torch.finfo(x.dtype).eps
    ftol = max(ftol, eps)

    best_x, best_value = x.clone(), torch.full_like(x[:, 0] if n else x.sum(1), torch.nan)
    iterations = torch.zeros(batch, dtype=torch.long, device=x.device)
    evaluations, codes = iterations.clone(), iterations.clone()
    if batch == 0:
        return MinimizeResult(best_x, best_value, iterations, evaluations, codes > 0, ())

    rows = torch.arange(batch, device=x.device)  # which problem each running row is

    def evaluate(x, subset):
        which = rows if subset is None else rows[subset]
        value, g = _value_and_gradient(fun, x, [a[which] for a in args] if len(which) < batch else args)
        better = torch.isfinite(value) & ~(value >= best_value[which])
        put = which[better]
        best_x[put], best_value[put] = x[better], value[better]
        return value, g

    value, g = evaluate(x, None)
    evaluations += 1
    code = torch.where(torch.isfinite(value) & torch.isfinite(g).all(1), _RUNNING, _NOT_FINITE)
    code = torch.where((code == _RUNNING) & (_projected_gradient(x, g, lower, upper) <= gtol), _GRADIENT, code)
    if maxiter < 1:
        code = torch.where(code == _RUNNING, _ITERATIONS, code)
    bounded = (torch.isfinite(lower) | torch.isfinite(upper)).any(1)
    boxed = (torch.isfinite(lower) & torch.isfinite(upper)).all(1)
    memory = Memory(batch, n, maxcor, x)
    iteration = 0

    while True:
        running = code == _RUNNING
        left = running.nonzero().squeeze(1)
        if len(left) < len(rows):  # finished rows leave
            codes[rows] = code
            if not len(left):
                break
            rows, x, g, value, code = rows[left], x[left], g[left], value[left], code[left]
            lower, upper, bounded, boxed = lower[left], upper[left], bounded[left], boxed[left]
            memory.keep(left)
        iteration += 1

        cauchy, inverse = generalized_cauchy_point(x, g, lower, upper, memory)
        d = subspace_minimum(x, g, lower, upper, memory, cauchy, inverse) - x
        slope = (d * g).sum(1)
        lost = ~(slope < 0)
        if lost.any():  # rounding has made this model useless: start again from steepest descent
            memory.forget(lost)
            d[lost] = torch.clamp(x - g, lower, upper)[lost] - x[lost]
            slope = (d * g).sum(1)
        fresh = memory.stamp[:, 0] < 0
        step = torch.where(fresh & ~boxed, torch.linalg.vector_norm(d, dim=1).reciprocal().clamp(max=1), 1)
        noise = 4 * eps * value.abs()

        def longest(subset, x=x, d=d, lower=lower, upper=upper, fresh=fresh & bounded):
            x, d, lower, upper = x[subset], d[subset], lower[subset], upper[subset]
            room = torch.where(d > 0, (upper - x) / d, torch.where(d < 0, (lower - x) / d, torch.inf))
            return torch.where(fresh[subset], 1, room.amin(1).clamp(1, 1e10))

        new = line_search(evaluate, x, value, g, d, slope, step, longest, lower, upper, maxls, noise)
        s, y = new.x - x, new.g - g
        sy = (s * y).sum(1)
        # Relative tests: the pair must show curvature, and a change of gradient that is more than rounding.
        useful = new.accepted & (sy > eps * -slope * new.step) & (y.abs().amax(1) > 2 * eps * g.abs().amax(1))
        memory.update(s, y, sy, useful, iteration)

        reduction = value - new.value
        scale = torch.maximum(value.abs(), new.value.abs()).clamp(min=1)
        move = new.accepted | (reduction > 0)
        x = torch.where(move.unsqueeze(1), new.x, x)
        g = torch.where(move.unsqueeze(1), new.g, g)
        value = torch.where(move, new.value, value)
        iterations[rows] = iteration
        evaluations[rows] += new.evaluations

        failed = ~new.accepted
        code = torch.where(evaluations[rows] >= maxfun, _EVALUATIONS, code)
        if iteration >= maxiter:
            code = torch.where(code == _RUNNING, _ITERATIONS, code)
        code = torch.where(new.accepted & (reduction <= ftol * scale), _REDUCTION, code)
        code = torch.where(failed & fresh, torch.where(-slope <= 8 * noise, _ROUNDING, _ABNORMAL), code)
        code = torch.where(move & (_projected_gradient(x, g, lower, upper) <= gtol), _GRADIENT, code)
        code = torch.where(new.finite, code, _NOT_FINITE)
        if failed.any():
            memory.forget(failed)

    status = tuple(_REASONS[c] for c in codes.tolist())
    return MinimizeResult(best_x, best_value, iterations, evaluations, codes <= _ROUNDING, status)


def _projected_gradient(x, g, lower, upper):
    """max_i |P(x − g) − x|_i, zero exactly at a stationary point of the bounded problem: (rows,)."""
    return (torch.clamp(x - g, lower, upper) - x).abs().amax(1)


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
            bounds.append(torch.broadcast_to(bound, x0.shape))
        except RuntimeError:
            raise ValueError(
                f"{name}, shape {tuple(bound.shape)}, does not broadcast to x0's {tuple(x0.shape)}."
            ) from None
    lower, upper = bounds
    if not (lower <= upper).all():
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
