"""The minimum of the quadratic model over the variables that are free at the Cauchy point, brought back into the box.

Byrd, Lu, Nocedal & Zhu (1995), section 5.1 (direct primal method), and the projection of Morales & Nocedal (2011).
"""

import torch

from helpers.solver.compact import times


def subspace_step(x, g, memory, cauchy):
    """The step from the Cauchy point to the model's minimum over the free variables: (batch, n), 0 where not free.

    With F the free variables and r = [g + θ(x_c − x) − W M v]_F the model's gradient at the Cauchy point x_c,
        step_F = −r/θ − W_F (M⁻¹ − W_FᵀW_F/θ)⁻¹ W_Fᵀ r / θ².
    W M v is never formed: W_Fᵀ W M v follows from W_FᵀW_F. x, g: (batch, n).
    """
    theta = memory.theta.unsqueeze(1)
    gram, rows = memory.over(cauchy.free)
    still = torch.addcmul(g, theta, cauchy.x_c - x).mul_(cauchy.free)  # r without W M v
    reduced = memory.times_W(still.unsqueeze(1)).squeeze(1) - times(gram, cauchy.Mv)
    # solve_ex: a singular system gives NaN or inf, which the caller sees in its slope, and no error.
    weights = torch.linalg.solve_ex(cauchy.M_inverse - gram / theta.unsqueeze(2), reduced.unsqueeze(2))[0].squeeze(2)
    return memory.combine(rows, cauchy.Mv / theta - weights / theta**2).addcdiv_(still, theta, value=-1)


def into_the_box(x, g, x_c, step, box):
    """x̄, (batch, n): x_c + step projected on the box, or cut where it leaves it if the projection spoilt the descent.

    x, g: where the iteration started and the gradient there; all (batch, n).
    """
    x_bar = box.project_(x_c + step)
    uphill = ~(((x_bar - x) * g).sum(1) < 0)
    # Where Morales and Nocedal's projection fails, the truncation of 1995 is left.
    cut = box.project_(torch.addcmul(x_c, box.room(x_c, step).clamp(max=1).unsqueeze(1), step))
    return torch.where(uphill.unsqueeze(1), cut, x_bar)
