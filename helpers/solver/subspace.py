"""The minimum of the quadratic model over the variables that are free at the Cauchy point, brought back into the box.

Byrd, Lu, Nocedal & Zhu (1995), section 5.1 (direct primal method), and the projection of Morales & Nocedal (2011).
"""

import torch

from helpers.solver.compact import times


def subspace_step(x, g, memory, cauchy):
    """The step from the Cauchy point to the model's minimum over the free variables: (batch, n), 0 where not free.

    With F the free variables and r = [g + θ(x_c − x) − W M v]_F the model's gradient at the Cauchy point x_c,
        step_F = −r/θ − W_F (M⁻¹ − W_FᵀW_F/θ)⁻¹ W_Fᵀ r / θ².
    r is never formed: W_Fᵀ r follows from the same Gram matrix as W_FᵀW_F. x, g: (batch, n).
    """
    theta = memory.theta.unsqueeze(1)
    gram, right, rows = memory.gram(torch.addcmul(g, theta, cauchy.x_c - x), cauchy.free)
    reduced = (right - times(gram, cauchy.Mv)).unsqueeze(2)
    # solve_ex: a singular system gives NaN or inf, which the caller sees in its slope, and no error.
    weights = torch.linalg.solve_ex(cauchy.M_inverse - gram / theta.unsqueeze(2), reduced)[0].squeeze(2)
    return memory.combine(rows, cauchy.Mv / theta - weights / theta**2, -1 / memory.theta)


def into_the_box(x, g, x_c, step, box):
    """x̄, (batch, n): x_c + step projected on the box, or cut where it leaves it if the projection spoilt the descent.

    x, g: where the iteration started and the gradient there; all (batch, n).
    """
    x_bar = box.project_(x_c + step)
    uphill = ~(((x_bar - x) * g).sum(1) < 0)
    if uphill.any():  # Morales and Nocedal's projection fails here; what is left is the truncation of 1995
        x_c, step, there = x_c[uphill], step[uphill], box.take(uphill)
        longest = there.breakpoints(x_c, step)[0].amin(1, keepdim=True).clamp(max=1)
        x_bar[uphill] = there.project_(x_c + longest * step)
    return x_bar
