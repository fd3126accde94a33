"""The best point that each row has seen: a search may end elsewhere than at the best point that it passed."""

import torch

from helpers.solver.rows import kept, patched


class Best:
    """``x`` (rows, n) and ``value`` (rows,) of the best point of each row.

    x: where each row starts. value: what a point must be below to count; NaN: anything will do.
    """

    def __init__(self, x, value):
        self.x, self.value = x.clone(), x.new_full((len(x),), value)

    def watch(self, x, value, eligible):
        """Take in one point of each row: ``x`` (rows, n) of value ``value`` (rows,).

        ``eligible`` (rows,): which points may become the best. Returns which did: (rows,).
        """
        better = eligible & ~(value >= self.value)
        self.x = patched(self.x, better, x)
        self.value = torch.where(better, value, self.value)
        return better

    def keep(self, moves):
        """Drop the rows that go."""
        self.x, self.value = kept(moves, self.x, self.value)
