"""A line search for the strong Wolfe conditions, for many rows at once (Moré & Thuente 1994; MINPACK-2's dcsrch)."""

from dataclasses import dataclass

import torch

from helpers.solver.compact import take

DECREASE, CURVATURE, WIDTH = 1e-3, 0.9, 0.1  # ftol, gtol and xtol of L-BFGS-B's line search


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


def line_search(evaluate, x, value, g, d, slope, step, longest, lower, upper, maxls, noise):
    """Search along x + step·d, 0 < step <= longest, in every row.

    ``evaluate(x, rows)`` returns the values and gradients at ``x`` for the given rows (None: all of them);
    ``longest(rows)`` their longest allowed steps, asked only of the rows that do not take the first one.
    ``noise`` (batch,): how far apart two values may be by rounding alone. Without it a float32 search near a minimum
    sees noise where it looks for a decrease, and never ends.
    """
    trial = torch.addcmul(x, step.unsqueeze(1), d).clamp_(lower, upper)
    trial_value, trial_g = evaluate(trial, None)
    trial_slope = (trial_g * d).sum(1)
    finite = torch.isfinite(trial_value) & torch.isfinite(trial_slope)
    accepted = finite & _satisfied(trial_value, trial_slope, value, slope, step, noise)
    out = Step(trial, trial_value, trial_g, step, torch.ones_like(value, dtype=torch.long), accepted, finite)
    rows = (finite & ~accepted).nonzero().squeeze(1)
    if not len(rows):
        return out

    longest = longest(rows)
    at_end = _at_end(trial_value[rows], trial_slope[rows], value[rows], slope[rows], step[rows], noise[rows], longest)
    out.accepted[rows] = at_end
    rows, longest = rows[~at_end], longest[~at_end]
    if not len(rows) or maxls <= 1:
        return out

    x, d, lower, upper = x[rows], d[rows], take(lower, rows), take(upper, rows)
    start, slope, noise = value[rows], slope[rows], noise[rows]
    search = _Bracket(start, slope, step[rows], longest)
    step, trial_value, trial_slope = step[rows], trial_value[rows], trial_slope[rows]
    best_value = torch.where(trial_value < start, trial_value, start)
    for _ in range(maxls - 1):
        step, stuck = search.next(step, trial_value, trial_slope)
        trial = torch.addcmul(x, step.unsqueeze(1), d).clamp_(lower, upper)
        trial_value, trial_g = evaluate(trial, rows)
        trial_slope = (trial_g * d).sum(1)
        finite = torch.isfinite(trial_value) & torch.isfinite(trial_slope)
        accepted = finite & _satisfied(trial_value, trial_slope, start, slope, step, noise)
        accepted |= finite & _at_end(trial_value, trial_slope, start, slope, step, noise, longest)
        # A bracket too narrow to divide ends the search, as in L-BFGS-B: the point is good if it is a decrease.
        accepted |= finite & stuck & (step > 0) & _decreased(trial_value, start, slope, step, noise)
        better = accepted | ~finite | (trial_value < best_value)
        best_value = torch.where(better, trial_value, best_value)
        put = rows[better]
        out.x[put], out.g[put] = trial[better], trial_g[better]
        out.value[put], out.step[put] = trial_value[better], step[better]
        out.evaluations[rows] += 1
        out.accepted[rows], out.finite[rows] = accepted, finite
        left = (finite & ~accepted & ~stuck).nonzero().squeeze(1)
        if not len(left):
            break
        if len(left) < len(rows):
            x, d, lower, upper, rows = x[left], d[left], take(lower, left), take(upper, left), rows[left]
            start, slope, noise, longest = start[left], slope[left], noise[left], longest[left]
            best_value = best_value[left]
            step, trial_value, trial_slope = step[left], trial_value[left], trial_slope[left]
            search.keep(left)
    return out


def _decreased(trial_value, value, slope, step, noise):
    return trial_value <= value + DECREASE * step * slope + noise


def _satisfied(trial_value, trial_slope, value, slope, step, noise):
    return _decreased(trial_value, value, slope, step, noise) & (trial_slope.abs() <= -CURVATURE * slope)


def _at_end(trial_value, trial_slope, value, slope, step, noise, longest):
    """Still going down at the longest step that the box allows."""
    return (step >= longest) & _decreased(trial_value, value, slope, step, noise) & (trial_slope <= DECREASE * slope)


class _Bracket:
    """The interval of uncertainty of each row: (x) its best end, (y) the other, a dozen (rows,) tensors."""

    def __init__(self, value, slope, step, longest):
        self.start, self.slope, self.longest = value, slope, longest
        zero = torch.zeros_like(step)
        self.xt, self.xf, self.xg = zero, value, slope
        self.yt, self.yf, self.yg = zero, value, slope
        self.closed = torch.zeros_like(step, dtype=torch.bool)
        self.second = self.closed
        self.width, self.width1 = longest, 2 * longest
        self.low, self.high = zero, 5 * step

    def keep(self, index):
        for name, tensor in vars(self).items():
            setattr(self, name, tensor[index])

    def next(self, t, f, g):
        """Take in the value ``f`` and slope ``g`` at step ``t``; returns the next step and whether it is the last."""
        test = DECREASE * self.slope
        above = f > self.start + t * test
        self.second = self.second | (~above & (g >= 0))
        # Until a point has a sufficient decrease, work on f − (the line of sufficient decrease).
        shift = torch.where(~self.second & (f <= self.xf) & above, test, 0)
        ends = (
            self.xt,
            self.xf - self.xt * shift,
            self.xg - shift,
            self.yt,
            self.yf - self.yt * shift,
            self.yg - shift,
        )
        t_new, ends, self.closed = _cubic_step(*ends, t, f - t * shift, g - shift, self.closed, self.low, self.high)
        self.xt, self.yt = ends[0], ends[3]
        self.xf, self.xg = ends[1] + self.xt * shift, ends[2] + shift
        self.yf, self.yg = ends[4] + self.yt * shift, ends[5] + shift

        gap = (self.yt - self.xt).abs()
        halve = self.closed & (gap >= 0.66 * self.width1)
        t_new = torch.where(halve, self.xt + 0.5 * (self.yt - self.xt), t_new)
        self.width1 = torch.where(self.closed, self.width, self.width1)
        self.width = torch.where(self.closed, gap, self.width)
        self.low = torch.where(self.closed, torch.minimum(self.xt, self.yt), t_new + 1.1 * (t_new - self.xt))
        self.high = torch.where(self.closed, torch.maximum(self.xt, self.yt), t_new + 4 * (t_new - self.xt))
        t_new = torch.minimum(t_new.clamp(min=0), self.longest)
        narrow = (t_new <= self.low) | (t_new >= self.high) | (self.high - self.low <= WIDTH * self.high)
        stuck = self.closed & narrow
        return torch.where(stuck, self.xt, t_new), stuck


def _cubic_step(xt, xf, xg, yt, yf, yg, t, f, g, closed, low, high):
    """A safeguarded cubic or quadratic step and the new interval: MINPACK-2's dcstep, where() for branches."""
    turn = g * torch.sign(xg)
    higher, opposite, flatter = f > xf, turn < 0, g.abs() < xg.abs()

    def gamma(theta, a, b):
        s = torch.maximum(theta.abs(), torch.maximum(a.abs(), b.abs()))
        return s * ((theta / s) ** 2 - (a / s) * (b / s)).clamp(min=0).sqrt()

    theta = 3 * (xf - f) / (t - xt) + xg + g
    root = gamma(theta, xg, g)

    # 1. A higher value: the minimum is bracketed; the cubic step, or the mean of it and the quadratic one.
    signed = torch.where(t < xt, -root, root)
    cubic = xt + (signed - xg + theta) / (2 * signed - xg + g) * (t - xt)
    quadratic = xt + xg / ((xf - f) / (t - xt) + xg) / 2 * (t - xt)
    one = torch.where((cubic - xt).abs() < (quadratic - xt).abs(), cubic, cubic + (quadratic - cubic) / 2)

    # 2. A lower value and a slope of the other sign: bracketed; the farther of cubic and secant steps.
    signed = torch.where(t > xt, -root, root)
    ratio = (signed - g + theta) / (2 * signed - g + xg)
    cubic = t + ratio * (xt - t)
    secant = t + g / (g - xg) * (xt - t)
    two = torch.where((cubic - t).abs() > (secant - t).abs(), cubic, secant)

    # 3. A lower value and a flatter slope of the same sign: the cubic only where it grows in the step's direction.
    ratio = (signed - g + theta) / (2 * signed + xg - g)
    cubic = torch.where((ratio < 0) & (root != 0), t + ratio * (xt - t), torch.where(t > xt, high, low))
    nearer = (cubic - t).abs() < (secant - t).abs()
    inner = torch.where(nearer, cubic, secant)
    limit = t + 0.66 * (yt - t)
    inner = torch.where(t > xt, torch.minimum(limit, inner), torch.maximum(limit, inner))
    outer = torch.minimum(torch.maximum(torch.where(nearer, secant, cubic), low), high)
    three = torch.where(closed, inner, outer)

    # 4. A lower value and a slope of the same sign, no flatter: the cubic through the other end, or as far as allowed.
    theta = 3 * (f - yf) / (yt - t) + yg + g
    signed = torch.where(t > yt, -1.0, 1.0) * gamma(theta, yg, g)
    cubic = t + (signed - g + theta) / (2 * signed - g + yg) * (yt - t)
    four = torch.where(closed, cubic, torch.where(t > xt, high, low))

    step = torch.where(higher, one, torch.where(opposite, two, torch.where(flatter, three, four)))
    old = (xt, xf, xg)
    new = (t, f, g)
    y = [torch.where(higher, a, torch.where(opposite, b, c)) for a, b, c in zip(new, old, (yt, yf, yg), strict=True)]
    x = [torch.where(higher, b, a) for a, b in zip(new, old, strict=True)]
    return step, (*x, *y), closed | higher | opposite
