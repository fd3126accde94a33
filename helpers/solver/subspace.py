"""The minimum of the quadratic model over the variables that are free at the Cauchy point, brought back into the box.

Byrd, Lu, Nocedal & Zhu (1995), section 5.1 (direct primal method), and the projection of Morales & Nocedal (2011).
"""

import torch

from helpers.solver.compact import take, times


def subspace_minimum(x, g, lower, upper, memory, cauchy, inverse):
    """The point x̄ (batch, n) in the box towards which each row searches.

    With F the free variables and r = [g + θ(x_c − x) − W M c]_F the model's gradient at the Cauchy point, the step is
        d_F = −r/θ − W_F (M⁻¹ − W_FᵀW_F/θ)⁻¹ W_Fᵀ r / θ².
    r is never formed: W_Fᵀ r follows from the same Gram matrix as W_FᵀW_F.
    """
    theta = memory.theta.unsqueeze(1)
    gram, right, rows = memory.gram(torch.addcmul(g, theta, cauchy.point - x), cauchy.free)
    reduced = (right - times(gram, cauchy.mc)).unsqueeze(2)
    # solve_ex: a singular system gives NaN or inf, which the caller sees in its slope, and no error.
    weights = torch.linalg.solve_ex(inverse - gram / theta.unsqueeze(2), reduced)[0].squeeze(2)
    step = memory.combine(rows, cauchy.mc / theta - weights / theta**2, -1 / memory.theta)

    target = torch.clamp(cauchy.point + step, lower, upper)
    uphill = ~(((target - x) * g).sum(1) < 0)
    if uphill.any():  # the projection spoilt the descent: cut the step where it meets the box instead (1995)
        at, step, low, high = cauchy.point[uphill], step[uphill], take(lower, uphill), take(upper, uphill)
        room = torch.where(step > 0, (high - at) / step, torch.where(step < 0, (low - at) / step, torch.inf))
        cut = room.amin(1, keepdim=True).clamp(max=1)
        target[uphill] = torch.clamp(at + cut * step, low, high)
    return target
