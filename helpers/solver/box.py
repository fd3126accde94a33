"""The box lower <= x <= upper of every row."""

import torch

from helpers.solver.rows import kept, taken


class Box:
    """``lower`` and ``upper``: numbers, or tensors with one row for each problem, (rows, n), or one for all, (1, n).

    A box that is the same everywhere is best given as two numbers: it then costs no memory traffic.
    """

    def __init__(self, lower, upper):
        self.lower, self.upper = lower, upper

    def project(self, x):
        """P(x), the nearest point of the box: (rows, n)."""
        return torch.clamp(x, self.lower, self.upper)

    def project_(self, x):
        """P(x), written over x, which is returned."""
        return x.clamp_(self.lower, self.upper)

    def take(self, index):
        """The box of the rows ``index``, integers or a slice."""
        return Box(_take(self.lower, index), _take(self.upper, index))

    def keep(self, moves):
        """Drop the rows that go."""
        self.lower, self.upper = (
            bound if isinstance(bound, float) or len(bound) == 1 else kept(moves, bound)[0]
            for bound in (self.lower, self.upper)
        )

    def breakpoints(self, x, d):
        """For every coordinate of the path x + t·d the t at which it meets its bound, and that bound: both (rows, n).

        infinity where the coordinate does not move, or has no bound on its way.
        """
        bound = d.sign().mul_(torch.inf).clamp_(self.lower, self.upper)
        return torch.where(d == 0, torch.inf, (bound - x) / d), bound

    def room(self, x, d):
        """The longest t at which x + t·d is in the box, infinity where nothing ends the way: (rows,)."""
        bound = d.sign().mul_(torch.inf).clamp_(self.lower, self.upper)  # no number where d = 0
        return bound.sub_(x).div_(d).nan_to_num_(nan=torch.inf, posinf=torch.inf).amin(1)

    def interior(self, x):
        """1 where a coordinate of x is strictly between its bounds, 0 elsewhere: (rows, n), floats."""
        return self.inside(x.new_ones(1, 1), x, torch.empty_like(x))

    def inside(self, vector, x, out):
        """``vector`` where a coordinate of x is strictly between its bounds, 0 elsewhere: ``out`` (rows, n).

        Bools and where() are several times slower here than floats, and the derivative of a clamp is one operation.
        """
        if isinstance(self.lower, float) and isinstance(self.upper, float):
            derivative = torch.ops.aten.hardtanh_backward.grad_input
            return derivative(vector.expand_as(x), x, self.lower, self.upper, grad_input=out)
        return torch.mul((x - self.lower).mul_(self.upper - x).gt_(0), vector, out=out)

    def finite(self, x):
        """Which lower and which upper bounds are finite: two bools that have the shape of x, (rows, n)."""
        return tuple(
            torch.as_tensor(bound, device=x.device).isfinite().expand(x.shape) for bound in (self.lower, self.upper)
        )


def _take(bound, index):
    return bound if isinstance(bound, float) or len(bound) == 1 else taken(bound, index)
