"""The best point that each row has seen: a search may end elsewhere than at the best point that it passed."""

import torch


class Best:
    """``x`` (rows, n) and ``value`` (rows,) of the best point of each row.

    x: where each row starts. value: what a point must be below to count; NaN: anything will do.
    spare: keep in ``spare`` and ``spare_value`` the point that was the best before, too.
    """

    def __init__(self, x, value, spare=False):
        self.x, self.value = x.clone(), x.new_full((len(x),), value)
        self.spare = x.clone() if spare else None
        self.spare_value = self.value.clone() if spare else None

    def watch(self, row, x, value, eligible):
        """Take in one point ``x`` (k, n) of value ``value`` (k,) for each of the rows ``row`` (k,), no row twice.

        ``eligible`` (k,): which points may become the best. Returns which did, as an index into the k.
        """
        better = (eligible & ~(value >= self.value[row])).nonzero().squeeze(1)
        if len(better):
            put = row[better]
            if self.spare is not None:
                self.spare[put], self.spare_value[put] = self.x[put], self.value[put]
            self.x[put], self.value[put] = x[better], value[better]
        return better

    def forget(self, row):
        """The rows ``row`` begin anew: whatever they see next is their best."""
        self.value[row] = torch.inf
        if self.spare is not None:
            self.spare_value[row] = torch.inf
