"""The generalized Cauchy point: the first local minimiser of the quadratic model along the projected gradient path.

Byrd, Lu, Nocedal & Zhu (1995), section 4, for many problems at once. The textbook walks from breakpoint to breakpoint.
Here the breakpoints are sorted and every quantity of every segment is a cumulative sum, so there is nothing to walk.
"""

from dataclasses import dataclass

import torch

from helpers.solver.compact import take, times

_FEW = 16  # breakpoints looked at first: most rows stop before the path has bent that often


@dataclass(frozen=True)
class CauchyPoint:
    point: torch.Tensor  # (batch, n), in the box
    free: torch.Tensor  # (batch, n): 1 where strictly between the bounds, 0 elsewhere
    c: torch.Tensor  # (batch, 2m): Wᵀ(point − x)
    mc: torch.Tensor  # (batch, 2m): M c


def generalized_cauchy_point(x, g, lower, upper, memory):
    """The generalized Cauchy point of every row, and M⁻¹ (batch, 2m, 2m), which the next step needs too.

    ``x``, ``g``, ``lower``, ``upper``: (batch, n); ``memory``: the Hessian model of each row.
    """
    # −g where the coordinate may move. The comparison stays in floats: bools and where() are several times slower.
    d = torch.clamp(x - g, lower, upper).sub_(x).ne_(0).mul_(g).neg_()
    gram, p, _ = memory.gram(d)
    inverse = memory.middle(gram)
    m = torch.linalg.inv_ex(inverse)[0]
    mp = times(m, p)
    slope = -(d * d).sum(1)
    curvature = -memory.theta * slope - (p * mp).sum(1)
    # A model that rounding has made flat or concave is taken as θI.
    t = torch.where(slope < 0, torch.where(curvature > 0, -slope / curvature, 1 / memory.theta), 0)
    c, mc = t.unsqueeze(1) * p, t.unsqueeze(1) * mp

    moved = torch.addcmul(x, t.unsqueeze(1), d)
    point = torch.clamp(moved, lower, upper)
    bent = moved.sub_(point).abs_().amax(1).nonzero().squeeze(1)  # where the path meets the box first
    if len(bent):
        c[bent], point[bent] = _along_the_bends(x, d, lower, upper, p, -slope, m, bent, memory)
        mc[bent] = times(m[bent], c[bent])
    free = (point - lower).mul_(upper - point).gt_(0)
    return CauchyPoint(point, free, c, mc), inverse


def _along_the_bends(x, d, lower, upper, p, s0, m, row, memory):
    """The Cauchy points of the rows ``row``, whose paths bend: c = Wᵀ(point − x), and the points."""
    x, d, p, s0, m = x[row], d[row], p[row], s0[row], m[row]
    lower, upper = take(lower, row), take(upper, row)
    bound = torch.copysign(x.new_tensor(torch.inf), d).clamp(lower, upper)
    ahead = torch.where(d == 0, torch.inf, (bound - x) / d)  # when each coordinate meets its bound
    t, c = torch.zeros_like(s0), torch.zeros_like(p)
    left = torch.arange(len(row), device=x.device)
    k = 0
    while len(left):  # most paths end within a few bends; the others look eight times as far, and so on
        k = min(max(8 * k, _FEW), x.shape[1])
        found, t[left], c[left] = _first_minimiser(
            ahead[left], d[left], p[left], s0[left], m[left], row[left], memory, k
        )
        left = left[~found] if k < x.shape[1] else left[:0]
    t = t.unsqueeze(1)
    inside = torch.clamp(x + t * d, lower, upper)
    return c, torch.where(ahead <= t, bound, inside)


def _first_minimiser(ahead, d, p0, s0, m, row, memory, k):
    """Look for the first local minimiser on the first ``k`` segments of the path.

    Segment j runs from t_j to t_{j+1} (t_0 = 0) with j coordinates held at their bounds. On it, with S the sum of d²
    over those still moving, p = Wᵀd and c = Wᵀ(x(t_j) − x):   f' = −S + θ t_j S − pᵀMc,   f'' = θS − pᵀMp.
    Returns which rows found it, its t, and c there.
    """
    whole = k == ahead.shape[1]
    ends, order = torch.sort(ahead, 1) if whole else torch.topk(ahead, k, dim=1, largest=False)
    d = d.gather(1, order)
    squares = d * d
    left = (torch.zeros_like(s0) if whole else (s0 - squares.sum(1)).clamp(min=0)).unsqueeze(1)
    # Summed from the far end: S loses no digits to cancellation, and is exactly zero where nothing moves any more.
    moving = torch.cat([squares.flip(1).cumsum(1).flip(1) + left, left], 1)
    if whole:  # one more segment, without an end: the path after its last bend
        ends = torch.cat([ends, torch.full_like(ends[:, :1], torch.inf)], 1)
    else:  # where segment k ends is not known yet
        moving = moving[:, :-1]
    starts = torch.cat([torch.zeros_like(ends[:, :1]), ends[:, :-1]], 1)
    start = torch.where(torch.isfinite(starts), starts, 0)
    length = torch.where(torch.isfinite(ends), ends - starts, 0)

    zero = torch.zeros_like(p0).unsqueeze(2)
    released = (memory.columns(row, order) * d.unsqueeze(1)).cumsum(2)
    p = p0.unsqueeze(2) - torch.cat([zero, released], 2)[:, :, : ends.shape[1]]
    c = torch.cat([zero, (p * length.unsqueeze(1)).cumsum(2)[:, :, :-1]], 2)
    mp = torch.bmm(m, p)
    bent = memory.theta[row].unsqueeze(1) * moving
    slope = torch.where(moving > 0, -moving + start * bent - (mp * c).sum(1), 0)
    curvature = bent - (mp * p).sum(1)
    curvature = torch.where(curvature > 0, curvature, bent)
    step = torch.where(slope < 0, -slope / curvature, 0)

    # Where coordinates meet their bounds together, the slope counts only once all of them are held.
    inside = ((step <= ends - starts) | (slope >= 0)) & (ends > starts)
    j = inside.to(torch.uint8).argmax(1, keepdim=True)
    found = inside.gather(1, j).squeeze(1)
    step = step.gather(1, j)
    segment = j.unsqueeze(1).expand(-1, p.shape[1], 1)
    at = c.gather(2, segment).squeeze(2) + step * p.gather(2, segment).squeeze(2)
    return found, (start.gather(1, j) + step).squeeze(1), at
