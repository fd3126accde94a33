"""A line search for the strong Wolfe conditions, for many rows at once (Moré & Thuente 1994; MINPACK-2's dcsrch).

By reverse communication, as in MINPACK-2: a search never evaluates anything. ``begun`` names a first step; whoever
knows F and its slope there says so with ``told``, which accepts the step, gives up, or names the next one. So every row
is at a trial of its own, and none waits for another.
"""

from typing import NamedTuple

import torch

DECREASE, CURVATURE, WIDTH = 1e-3, 0.9, 0.1  # ftol, gtol and xtol of L-BFGS-B's line search
# MINPACK-2's, by its names p66, xtrapl and xtrapu: the share of the old interval that a new one must undercut or be
# halved, and how far beyond a trial point the next may lie while there is no interval yet, in lengths of the last move.
SHRINK, NEAREST, FARTHEST = 0.66, 1.1, 4.0


class Search(NamedTuple):
    """Where the line search of each row stands; each (rows,), but for ``ends``."""

    start: torch.Tensor  # F where the line starts
    slope: torch.Tensor  # gᵀp < 0 there
    # How far apart two values may be by rounding alone. Without it a float32 search near a minimum sees noise where it
    # looks for a decrease, and never ends.
    noise: torch.Tensor
    longest: torch.Tensor  # the longest step that the box allows
    step: torch.Tensor  # the trial: where F is wanted next
    last: torch.Tensor  # bool: the interval is too narrow to divide, so that this trial is the last
    trials: torch.Tensor  # how many there have been
    # (rows, 3, 2): step, F and slope of both ends of the interval of uncertainty, the one of lowest F before the other.
    ends: torch.Tensor
    closed: torch.Tensor  # bool: is there an interval at all, or has every trial gone on downhill?
    second: torch.Tensor  # bool: has a trial had a sufficient decrease and an upward slope?
    width: torch.Tensor  # of the interval, and of the one before
    width_before: torch.Tensor
    low: torch.Tensor  # between these the next trial must lie
    high: torch.Tensor


def begun(value, slope, noise, step, longest):
    """Searches whose first trial is at ``step``. All (rows,)."""
    zero, no = torch.zeros_like(step), torch.zeros_like(step, dtype=torch.bool)
    return Search(
        start=value,
        slope=slope,
        noise=noise,
        longest=longest,
        step=step,
        last=no,
        trials=zero,
        ends=torch.stack([zero, value, slope], 1).unsqueeze(2).expand(-1, -1, 2),
        closed=no,
        second=no,
        width=longest,
        width_before=2 * longest,
        low=zero,
        high=(1 + FARTHEST) * step,
    )


def told(search, value, slope, maxls):
    """Take in F and its slope, (rows,), at every row's trial; at most ``maxls`` trials.

    Returns which rows accept their trial, which give up (a value that is not finite ends a search, too), and the
    searches at their next trials, which mean nothing in the rows that have ended.
    """
    finite = (value + slope).abs() < torch.inf
    test = DECREASE * search.slope
    decreased = value <= torch.addcmul(search.start + search.noise, search.step, test)
    wolfe = slope.abs() <= -CURVATURE * search.slope
    at_end = (search.step >= search.longest) & (slope <= test)  # still downhill, and no farther
    # A bracket too narrow to divide ends the search, as in L-BFGS-B: the point is good if it is a decrease.
    narrow = search.last & (search.step > 0)
    accepted = finite & decreased & (wolfe | at_end | narrow)
    trials = search.trials + 1
    given_up = ~accepted & (search.last | ~finite | (trials >= maxls))
    return accepted, given_up, _next(search._replace(trials=trials), value, slope, test)


def _next(search, value, slope, test):
    """The searches after a trial that was not accepted: a smaller interval, and the next step in it."""
    above = value > torch.addcmul(search.start, search.step, test)
    second = search.second | (~above & (slope >= 0))
    # Until a point has a sufficient decrease, work on F − shift·step: F less the line of sufficient decrease.
    ends = search.ends.movedim(0, 2)
    shift = (~second & (value <= ends[1, 0]) & above) * test
    steps, values, slopes = torch.cat([ends, torch.stack([search.step, value, slope]).unsqueeze(1)], 1)
    points = torch.stack([steps, torch.addcmul(values, steps, shift, value=-1), slopes - shift])
    step, ends, closed = _cubic_step(points, search.closed, search.low, search.high)
    steps, values, slopes = ends
    ends = torch.stack([steps, torch.addcmul(values, steps, shift), slopes + shift]).movedim(2, 0)
    return _safeguarded(search._replace(ends=ends, closed=closed, second=second), step)


def _safeguarded(search, t):
    """Halve an interval that shrinks too slowly, limit the next step, and say which rows cannot go on after it."""
    best, other, closed = *search.ends[:, 0].unbind(1), search.closed
    gap = (other - best).abs()
    t = torch.where(closed & (gap >= SHRINK * search.width_before), torch.lerp(best, other, 0.5), t)
    onward = t - best
    low = torch.where(closed, torch.minimum(best, other), t + NEAREST * onward)
    high = torch.where(closed, torch.maximum(best, other), t + FARTHEST * onward)
    t = torch.minimum(t.clamp(min=0), search.longest)
    last = closed & ((t <= low) | (t >= high) | (high - low <= WIDTH * high))
    return search._replace(
        step=torch.where(last, best, t),
        last=last,
        width=torch.where(closed, gap, search.width),
        width_before=torch.where(closed, search.width, search.width_before),
        low=low,
        high=high,
    )


def _cubic_step(points, closed, low, high):
    """A safeguarded cubic or quadratic step, the new ends, and closed: MINPACK-2's dcstep, where() for branches.

    ``points``: (3, 3, rows), the steps, values and slopes of the best end, the other end and the trial; ``low``,
    ``high``: limits of the step while the interval is not ``closed``. Every row goes through all four cases, and takes
    one: that is why this function is long.
    """
    best, other, trial = points.unbind(1)
    (xt, xf, xg), (t, f, g) = best, trial
    higher, opposite, flatter = f > xf, g * torch.sign(xg) < 0, g.abs() < xg.abs()

    # The cubics through the trial and either end, their minima as seen from the trial: cases 2, 3 and 4.
    steps, values, slopes = points[:, :2]
    d = t - steps
    secants = (values - f) / d
    theta = 3 * secants + slopes + g
    root = torch.copysign(_gamma(theta, slopes, g), d)
    ratio = (root + g - theta) / (2 * root + g - slopes)
    cubic, through_other = torch.addcmul(t, ratio, d, value=-1)
    (d, _), (root, _), (theta, _), (ratio, _), (secant, _) = d, root, theta, ratio, secants
    share = g / (g - xg)
    linear = torch.addcmul(t, share, d, value=-1)  # where a straight slope would be zero

    # 1. A higher value: the minimum is bracketed; the cubic step, or the mean of it and the quadratic one.
    part, half = (root - xg + theta) / (2 * root - xg + g), xg / (secant + xg) / 2
    one = torch.addcmul(xt, torch.where(part.abs() < half.abs(), part, (part + half) / 2), d)

    # 2. A lower value and a slope of the other sign: bracketed; the farther of cubic and secant steps.
    two = torch.where(ratio.abs() > share.abs(), cubic, linear)

    # 3. A lower value and a flatter slope of the same sign: the cubic only where it grows in the step's direction.
    rightward = d > 0
    edge = torch.where(rightward, high, low)
    cubic = torch.where((ratio < 0) & (root != 0), cubic, edge)
    nearer = (cubic - t).abs() < (linear - t).abs()
    limit = torch.lerp(t, other[0], SHRINK)
    inner = torch.where(nearer, cubic, linear)
    inner = torch.where(rightward, torch.minimum(limit, inner), torch.maximum(limit, inner))
    outer = torch.minimum(torch.maximum(torch.where(nearer, linear, cubic), low), high)
    three = torch.where(closed, inner, outer)

    # 4. A lower value and a slope of the same sign, no flatter: the cubic through the other end, or as far as allowed.
    four = torch.where(closed, through_other, edge)

    step = torch.where(higher, one, torch.where(opposite, two, torch.where(flatter, three, four)))
    new_other = torch.where(higher, trial, torch.where(opposite, best, other))
    ends = torch.stack([torch.where(higher, best, trial), new_other], 1)
    return step, ends, closed | higher | opposite


def _gamma(theta, a, b):
    """sqrt(θ² − ab), or 0 where that is negative, without overflow."""
    s = torch.maximum(theta.abs(), torch.maximum(a.abs(), b.abs()))
    return s * ((theta / s) ** 2 - (a / s) * (b / s)).clamp(min=0).sqrt()
