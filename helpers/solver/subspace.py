"""The minimum of the quadratic model over the variables that are free at the Cauchy point, brought back into the box.

Byrd, Lu, Nocedal & Zhu (1995), section 5.1 (direct primal method), and the projection of Morales & Nocedal (2011).
"""

import torch

from helpers.solver.compact import times
from helpers.solver.rows import chosen, placed, taken


def subspace_step(x, g, memory, cauchy):
    """The step from the Cauchy point to the model's minimum over the free variables: (batch, n), 0 where not free.

    With F the free variables and r = [g + θ(x_c − x) − W M v]_F the model's gradient at the Cauchy point x_c,
        step_F = −r/θ − W_F (M⁻¹ − W_FᵀW_F/θ)⁻¹ W_Fᵀ r / θ².
    W M v is never formed: W_Fᵀ W M v follows from W_FᵀW_F. x, g: (batch, n).
    """
    theta = memory.theta.unsqueeze(1)
    still, _ = memory.spare
    torch.addcmul(g, theta, cauchy.x_c - x, out=still)  # r without W M v
    gram, still_times, rows = memory.over(cauchy.free)
    reduced = still_times - times(gram, cauchy.Mv)
    system = cauchy.M_inverse - gram / theta.unsqueeze(2)
    _without_rounding(system[:, memory.pairs :, memory.pairs :], x, cauchy.M_inverse)
    # solve_ex: a singular system gives NaN or inf, which the caller sees in its slope, and no error.
    weights = torch.linalg.solve_ex(system, reduced.unsqueeze(2))[0].squeeze(2)
    return memory.combine(rows, cauchy.Mv / theta - weights / theta**2, -1 / theta)


def _without_rounding(held, x, M_inverse):
    """Set to zero what rounding alone has left of θSᵀS − θS_FᵀS_F, ``held`` (batch, pairs, pairs).

    It is θSᵀS over the variables that are not free, and zero where s has moved none of them. θSᵀS is not summed anew
    for every step, so that the last bits differ; times θ they would spoil the step of a model with large curvatures.
    """
    size = M_inverse.diagonal(dim1=1, dim2=2)[:, -held.shape[2] :].unsqueeze(2)  # ‖s‖ is 1: θ, or 1 in an empty slot
    held.masked_fill_(held.abs() <= x.shape[1] ** 0.5 * torch.finfo(x.dtype).eps * size, 0)


def into_the_box(x, g, x_c, step, box):
    """p = x̄ − x, (batch, n), and gᵀp. x̄ is x_c + step projected on the box, or cut where it leaves it if the projection
    spoilt the descent.

    x, g: where the iteration started and the gradient there; all (batch, n).
    """
    p = box.project_(x_c + step).sub_(x)
    slope = (p * g).sum(1)
    # Where Morales and Nocedal's projection fails, the truncation of 1995 is left.
    uphill = ~(slope < 0)
    few = chosen(uphill)
    (x, g, x_c, step), box = (taken(part, few) for part in (x, g, x_c, step)), box.take(few)
    cut = box.project_(torch.addcmul(x_c, box.room(x_c, step).clamp(max=1).unsqueeze(1), step)).sub_(x)
    uphill = uphill[few]
    p = placed(p, few, torch.where(uphill.unsqueeze(1), cut, taken(p, few)))
    return p, placed(slope, few, torch.where(uphill, (cut * g).sum(1), slope[few]))
