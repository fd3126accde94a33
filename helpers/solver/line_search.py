"""A line search for the strong Wolfe conditions, for many rows at once (Moré & Thuente 1994; MINPACK-2's dcsrch)."""

from dataclasses import dataclass

import torch

from helpers.solver.box import Box

DECREASE, CURVATURE, WIDTH = 1e-3, 0.9, 0.1  # ftol, gtol and xtol of L-BFGS-B's line search
# MINPACK-2's, by its names p66, xtrapl and xtrapu: the share of the old interval that a new one must undercut or be
# halved, and how far beyond a trial point the next may lie while there is no interval yet, in lengths of the last move.
SHRINK, NEAREST, FARTHEST = 0.66, 1.1, 4.0


@dataclass
class Line:
    """The line along which each row searches: x + step·p, kept in the box, and what is known where it starts."""

    x: torch.Tensor  # (rows, n)
    p: torch.Tensor  # (rows, n): the search direction
    box: Box
    value: torch.Tensor  # (rows,): F(x)
    slope: torch.Tensor  # (rows,): gᵀp < 0
    # (rows,): how far apart two values may be by rounding alone. Without it a float32 search near a minimum sees noise
    # where it looks for a decrease, and never ends.
    noise: torch.Tensor

    def at(self, step):
        """The point at ``step`` (rows,), inside the box in spite of rounding: (rows, n)."""
        return self.box.project_(torch.addcmul(self.x, step.unsqueeze(1), self.p))

    def take(self, index):
        """The lines of the rows ``index``."""
        x, p, box = self.x[index], self.p[index], self.box.take(index)
        return Line(x, p, box, self.value[index], self.slope[index], self.noise[index])

    def decreased(self, step, value):
        """Armijo's condition."""
        return value <= self.value + DECREASE * step * self.slope + self.noise

    def satisfied(self, step, value, slope):
        """The strong Wolfe conditions."""
        return self.decreased(step, value) & (slope.abs() <= -CURVATURE * self.slope)

    def at_end(self, step, value, slope, longest):
        """Still going down at the longest step that the box allows."""
        return (step >= longest) & self.decreased(step, value) & (slope <= DECREASE * self.slope)


@dataclass
class Step:
    """Where each row's search ended: x, g (batch, n); value, step, evaluations (batch,); two flags (batch,)."""

    x: torch.Tensor
    value: torch.Tensor
    g: torch.Tensor
    step: torch.Tensor
    evaluations: torch.Tensor
    accepted: torch.Tensor
    finite: torch.Tensor


def line_search(evaluate, line, step, longest, maxls):
    """Search along each row's ``line``, from ``step`` (batch,) on.

    ``evaluate(x, rows)`` returns the values and gradients at ``x`` for the given rows (None: all of them);
    ``longest(rows)`` their longest allowed steps, asked only of the rows that do not take the first one; ``maxls``: the
    most trial points. A row whose value or slope is not finite ends there. Returns the Step of every row.
    """
    x = line.at(step)
    value, g = evaluate(x, None)
    slope = (g * line.p).sum(1)
    finite = torch.isfinite(value) & torch.isfinite(slope)
    accepted = finite & line.satisfied(step, value, slope)
    once = torch.ones_like(value, dtype=torch.long)
    out = Step(x, value, g, step, evaluations=once, accepted=accepted, finite=finite)
    rows = (finite & ~accepted).nonzero().squeeze(1)
    if not len(rows):
        return out

    longest = longest(rows)
    at_end = line.take(rows).at_end(step[rows], value[rows], slope[rows], longest)
    out.accepted[rows] = at_end
    rows, longest = rows[~at_end], longest[~at_end]
    if len(rows):
        _search_on(evaluate, line.take(rows), rows, slope[rows], longest, out=out, trials=maxls - 1)
    return out


def _search_on(evaluate, line, rows, slope, longest, out, trials):
    """Bracket and divide for the rows ``rows`` that did not take their first step; ``slope``: theirs there.

    Writes into ``out``, a row's last trial point or the best one before it.
    """
    step, value = out.step[rows], out.value[rows]
    bracket = _Bracket(line.value, line.slope, step, longest)
    best = torch.where(value < line.value, value, line.value)
    for _ in range(trials):
        step, stuck = bracket.next(step, value, slope)
        x = line.at(step)
        value, g = evaluate(x, rows)
        slope = (g * line.p).sum(1)
        finite = torch.isfinite(value) & torch.isfinite(slope)
        accepted = line.satisfied(step, value, slope) | line.at_end(step, value, slope, longest)
        # A bracket too narrow to divide ends the search, as in L-BFGS-B: the point is good if it is a decrease.
        accepted = finite & (accepted | (stuck & (step > 0) & line.decreased(step, value)))

        better = accepted | ~finite | (value < best)
        best = torch.where(better, value, best)
        put = rows[better]
        out.x[put], out.g[put], out.value[put], out.step[put] = x[better], g[better], value[better], step[better]
        out.evaluations[rows] += 1
        out.accepted[rows], out.finite[rows] = accepted, finite

        left = (finite & ~accepted & ~stuck).nonzero().squeeze(1)
        if not len(left):
            break
        if len(left) < len(rows):
            line, rows, longest, best = line.take(left), rows[left], longest[left], best[left]
            step, value, slope = step[left], value[left], slope[left]
            bracket.keep(left)


class _Bracket:
    """The interval of uncertainty of each row: its best end, the other end, a dozen (rows,) tensors."""

    def __init__(self, value, slope, step, longest):
        self.start, self.slope, self.longest = value, slope, longest
        zero = torch.zeros_like(step)
        self.best = self.other = (zero, value, slope)  # each a step, a value and a slope
        self.closed = self.second = torch.zeros_like(step, dtype=torch.bool)
        self.width, self.width1 = longest, 2 * longest
        self.low, self.high = zero, (1 + FARTHEST) * step

    def keep(self, index):
        """Drop every row but those in ``index``."""
        for name, part in vars(self).items():
            setattr(self, name, tuple(a[index] for a in part) if isinstance(part, tuple) else part[index])

    def next(self, t, f, g):
        """Take in the value ``f`` and slope ``g`` at step ``t``; returns the next step and whether it is the last."""
        test = DECREASE * self.slope
        above = f > self.start + t * test
        self.second = self.second | (~above & (g >= 0))
        # Until a point has a sufficient decrease, work on F − (the line of sufficient decrease).
        shift = torch.where(~self.second & (f <= self.best[1]) & above, test, 0)
        best, other, trial = (_tilted(end, shift) for end in (self.best, self.other, (t, f, g)))
        t_new, best, other, self.closed = _cubic_step(best, other, trial, self.closed, self.low, self.high)
        self.best, self.other = _tilted(best, -shift), _tilted(other, -shift)
        return self._safeguarded(t_new)

    def _safeguarded(self, t):
        """Halve an interval that shrinks too slowly, set the limits of the next step, and say which rows are stuck."""
        best, other = self.best[0], self.other[0]
        gap = (other - best).abs()
        t = torch.where(self.closed & (gap >= SHRINK * self.width1), best + 0.5 * (other - best), t)
        self.width1 = torch.where(self.closed, self.width, self.width1)
        self.width = torch.where(self.closed, gap, self.width)
        self.low = torch.where(self.closed, torch.minimum(best, other), t + NEAREST * (t - best))
        self.high = torch.where(self.closed, torch.maximum(best, other), t + FARTHEST * (t - best))
        t = torch.minimum(t.clamp(min=0), self.longest)
        narrow = (t <= self.low) | (t >= self.high) | (self.high - self.low <= WIDTH * self.high)
        stuck = self.closed & narrow
        return torch.where(stuck, best, t), stuck


def _tilted(point, shift):
    """(step, value, slope) of F − shift·step."""
    t, f, g = point
    return t, f - t * shift, g - shift


def _cubic_step(best, other, trial, closed, low, high):
    """A safeguarded cubic or quadratic step, the new ends, and closed: MINPACK-2's dcstep, where() for branches.

    ``best``, ``other``, ``trial``: a step, a value and a slope each; ``low``, ``high``: limits of the step while the
    interval is not ``closed``. All (rows,). Every row goes through all four cases, and takes one: that is why this
    function is long.
    """
    (xt, xf, xg), (yt, yf, yg), (t, f, g) = best, other, trial
    higher, opposite, flatter = f > xf, g * torch.sign(xg) < 0, g.abs() < xg.abs()
    theta = 3 * (xf - f) / (t - xt) + xg + g
    root = _gamma(theta, xg, g)

    # 1. A higher value: the minimum is bracketed; the cubic step, or the mean of it and the quadratic one.
    signed = torch.where(t < xt, -root, root)
    cubic = xt + (signed - xg + theta) / (2 * signed - xg + g) * (t - xt)
    quadratic = xt + xg / ((xf - f) / (t - xt) + xg) / 2 * (t - xt)
    one = torch.where((cubic - xt).abs() < (quadratic - xt).abs(), cubic, cubic + (quadratic - cubic) / 2)

    # 2. A lower value and a slope of the other sign: bracketed; the farther of cubic and secant steps.
    signed = torch.where(t > xt, -root, root)
    cubic = t + (signed - g + theta) / (2 * signed - g + xg) * (xt - t)
    secant = t + g / (g - xg) * (xt - t)
    two = torch.where((cubic - t).abs() > (secant - t).abs(), cubic, secant)

    # 3. A lower value and a flatter slope of the same sign: the cubic only where it grows in the step's direction.
    ratio = (signed - g + theta) / (2 * signed + xg - g)
    cubic = torch.where((ratio < 0) & (root != 0), t + ratio * (xt - t), torch.where(t > xt, high, low))
    nearer = (cubic - t).abs() < (secant - t).abs()
    inner = torch.where(nearer, cubic, secant)
    limit = t + SHRINK * (yt - t)
    inner = torch.where(t > xt, torch.minimum(limit, inner), torch.maximum(limit, inner))
    outer = torch.minimum(torch.maximum(torch.where(nearer, secant, cubic), low), high)
    three = torch.where(closed, inner, outer)

    # 4. A lower value and a slope of the same sign, no flatter: the cubic through the other end, or as far as allowed.
    theta = 3 * (f - yf) / (yt - t) + yg + g
    signed = torch.where(t > yt, -1.0, 1.0) * _gamma(theta, yg, g)
    cubic = t + (signed - g + theta) / (2 * signed - g + yg) * (yt - t)
    four = torch.where(closed, cubic, torch.where(t > xt, high, low))

    step = torch.where(higher, one, torch.where(opposite, two, torch.where(flatter, three, four)))
    ends = zip(trial, best, other, strict=True)
    new_other = tuple(torch.where(higher, a, torch.where(opposite, b, c)) for a, b, c in ends)
    new_best = tuple(torch.where(higher, b, a) for a, b in zip(trial, best, strict=True))
    return step, new_best, new_other, closed | higher | opposite


def _gamma(theta, a, b):
    """sqrt(θ² − ab), or 0 where that is negative, without overflow."""
    s = torch.maximum(theta.abs(), torch.maximum(a.abs(), b.abs()))
    return s * ((theta / s) ** 2 - (a / s) * (b / s)).clamp(min=0).sqrt()
