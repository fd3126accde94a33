"""The generalized Cauchy point: the first local minimiser of the quadratic model along the projected gradient path.

Byrd, Lu, Nocedal & Zhu (1995), section 4, for many problems at once. The textbook walks from breakpoint to breakpoint.
Here the breakpoints are sorted and every quantity of every segment is a cumulative sum, so there is nothing to walk.
"""

from dataclasses import dataclass

import torch

from helpers.memory import solve

_FEW = 16  # breakpoints looked at first: most rows stop before the path has bent that often


@dataclass(frozen=True)
class CauchyPoint:
    point: torch.Tensor  # (batch, n), in the box
    free: torch.Tensor  # (batch, n) bool: strictly between its bounds at the point
    c: torch.Tensor  # (batch, 2m): Wᵀ(point − x)
    mc: torch.Tensor  # (batch, 2m): M c


def generalized_cauchy_point(x, g, lower, upper, memory):
    """The generalized Cauchy point of every row, and M⁻¹ (batch, 2m, 2m), which the next step needs too.

    ``x``, ``g``, ``lower``, ``upper``: (batch, n); ``memory``: the Hessian model of each row.
    """
    room = torch.where(g > 0, x - lower, x - upper)
    breakpoint = torch.where(g != 0, room / g, torch.inf)  # when the coordinate meets its bound; 0: it is there
    d = torch.where(breakpoint > 0, -g, 0)
    gram, p, _ = memory.gram(d)
    inverse = memory.middle(gram)
    mp = solve(inverse, p)
    slope = -(d * d).sum(1)
    curvature = -memory.theta * slope - (p * mp).sum(1)
    # A model that rounding has made flat or concave is taken as θI.
    t = torch.where(slope < 0, torch.where(curvature > 0, -slope / curvature, 1 / memory.theta), 0)
    c, mc = t.unsqueeze(1) * p, t.unsqueeze(1) * mp

    ahead = torch.where(breakpoint > 0, breakpoint, torch.inf)
    bent = (ahead.amin(1) < t).nonzero().squeeze(1)
    for k in (min(_FEW, x.shape[1]), x.shape[1]):
        if not len(bent):
            break
        found, t_bent, c_bent = _first_minimiser(
            ahead[bent], d[bent], p[bent], -slope[bent], inverse[bent], bent, memory, k
        )
        hit = bent[found]
        t[hit], c[hit] = t_bent[found], c_bent[found]
        mc[hit] = solve(inverse[hit], c[hit])
        bent = bent[~found]

    moved = torch.clamp(x + t.unsqueeze(1) * d, lower, upper)
    point = torch.where(breakpoint <= t.unsqueeze(1), torch.where(g > 0, lower, upper), moved)
    point = torch.where(d == 0, x, point)
    return CauchyPoint(point, (point > lower) & (point < upper), c, mc), inverse


def _first_minimiser(ahead, d, p0, s0, inverse, row, memory, k):
    """Look for the first local minimiser on the first ``k`` segments of the path.

    Segment j runs from t_j to t_{j+1} (t_0 = 0) with j coordinates held at their bounds. On it, with S the sum of d² over
    those still moving, p = Wᵀd and c = Wᵀ(x(t_j) − x):   f' = −S + θ t_j S − pᵀMc,   f'' = θS − pᵀMp.
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
    mp = solve(inverse, p)
    bent = memory.theta[row].unsqueeze(1) * moving
    slope = torch.where(moving > 0, -moving + start * bent - (mp * c).sum(1), 0)
    curvature = bent - (mp * p).sum(1)
    curvature = torch.where(curvature > 0, curvature, bent)
    step = torch.where(slope < 0, -slope / curvature, 0)

    inside = (step <= ends - starts) | (slope >= 0)
    j = inside.to(torch.uint8).argmax(1, keepdim=True)
    found = inside.gather(1, j).squeeze(1)
    step = step.gather(1, j)
    segment = j.unsqueeze(1).expand(-1, p.shape[1], 1)
    at = c.gather(2, segment).squeeze(2) + step * p.gather(2, segment).squeeze(2)
    return found, (start.gather(1, j) + step).squeeze(1), at
