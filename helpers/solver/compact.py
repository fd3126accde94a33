"""The limited memory of L-BFGS in its compact form, for many independent problems at once.

Every problem (row) has its own Hessian model (Byrd, Nocedal & Schnabel 1994, theorem 2.3)

    B = θI − W M Wᵀ,   W = [Y, θS],   M⁻¹ = [[−D, Λᵀ], [Λ, θSᵀS]],

with D the diagonal and Λ the strictly lower triangle of SᵀY in the order in which the pairs came.
"""

import torch

from helpers.solver.rows import shrink, taken


class Memory:
    """Up to ``pairs`` pairs (s, y) for each row of a (batch, n) problem.

    ``rows``: (batch, 2 pairs + 2, n): the y, the s, and two ``spare`` vectors that are to be multiplied by them. Each
    pair is divided by ‖s‖, which leaves B as it is and keeps M⁻¹ well scaled in float32. Pairs stay in the slot where
    they were written, the oldest ``stamp`` (batch, pairs) first to be overwritten; -1 is an empty slot, whose old
    content counts as zero.
    ``middle``: (batch, 2 pairs + 1, 2 pairs + 1), M⁻¹ for θ = 1, and a scratch place. A new pair writes its rows and
    columns there, as the newest of all: so SᵀY comes out strictly lower triangular.
    ``scale``: (batch, 2 pairs), what turns a product with the stored [Y, S] into one with W = [Y, θS]; 0 where empty.
    """

    _STATE = "rows", "middle", "stamp", "slot", "slot_of_s", "theta", "scale"

    def __init__(self, batch, n, pairs, like):
        self.pairs, self.own = pairs, False
        self.rows = like.new_zeros(batch, 2 * pairs + 2, n)
        self.middle = like.new_zeros(batch, 2 * pairs + 1, 2 * pairs + 1)
        self.stamp = torch.full((batch, pairs), -1, dtype=torch.long, device=like.device)
        # Where the newest y and s are among the rows; 2 pairs, a spare place, if the last pair was not useful.
        self.slot = self.slot_of_s = torch.full((batch,), 2 * pairs, dtype=torch.long, device=like.device)
        self.theta = like.new_ones(batch)
        self.scale = like.new_zeros(batch, 2 * pairs)

    @property
    def spare(self):
        """Two vectors of each row to write to, (batch, n) each."""
        return self.rows[:, -2], self.rows[:, -1]

    @property
    def empty(self):
        """Which rows know no pair, (batch,)."""
        return self.stamp[:, 0] < 0

    def update(self, s, y, sy, useful, now):
        """Store the pair (s, y), both (batch, n), in every row that is ``useful``, over the oldest pair there.

        ``sy`` is sᵀy, (batch,); ``now`` an integer that grows from call to call. ``settle`` must follow. s and y are
        written over.
        """
        batch, scratch = torch.arange(len(s), device=s.device), 2 * self.pairs
        oldest = self.stamp.argmin(1)
        length, of_y = (torch.linalg.vector_norm(vector, dim=1) for vector in (s, y))
        scale = length.reciprocal().masked_fill_(~useful, 0).unsqueeze(1)
        self.slot = torch.where(useful, oldest, scratch)  # scratch takes what is not useful: no row needs a branch
        self.slot_of_s = (self.slot + self.pairs).clamp_(max=scratch)
        flat, first = self.rows.flatten(0, 1), batch * self.rows.shape[1]
        flat.index_copy_(0, first + self.slot, y.mul_(scale))
        flat.index_copy_(0, first + self.slot_of_s, s.mul_(scale))
        self.stamp[batch, oldest] = torch.where(useful, now, self.stamp[batch, oldest])
        self.theta = torch.where(useful, of_y * of_y / sy, self.theta)
        known = (self.stamp >= 0).to(s.dtype)
        self.scale = torch.cat([known, known * self.theta.unsqueeze(1)], 1)

    def settle(self, vector):
        """Take the newest pair into ``middle``; Wᵀ vector and ‖vector‖², (batch, n) to (batch, 2 pairs) and (batch,).

        It is apart from ``update`` so that it can go by parts, and one pass over memory serves both.
        """
        slot, batch = self.slot, torch.arange(len(self.slot), device=vector.device)
        newest = self.rows.flatten(0, 1).index_select(0, batch * self.rows.shape[1] + self.slot_of_s)
        for spare, content in zip(self.spare, (vector, newest), strict=True):
            spare.copy_(content)
        u, s_times = self._times_spare().unbind(1)
        sy = s_times.gather(1, slot.unsqueeze(1)).squeeze(1)
        s_times[batch, slot] = 0
        for place, products in ((slot, torch.zeros_like(s_times)), (self.slot_of_s, s_times)):
            self.middle[batch, place] = products
            self.middle[batch, :, place] = products
        self.middle[batch, slot, slot] = -sy
        return u[:, :-1] * self.scale, u[:, -1]

    def times_W(self):
        """Wᵀ of the two spare vectors, each (batch, 2 pairs), and the square of the first, (batch,)."""
        u, v = self._times_spare().unbind(1)
        return u[:, :-1] * self.scale, v[:, :-1] * self.scale, u[:, -1]

    def _times_spare(self):
        # A row times a matrix: the other way round, a matrix times a column, costs ten times as much on a CPU.
        return torch.bmm(self.rows[:, -2:], self.rows[:, :-1].transpose(1, 2))

    def forget(self, which):
        """Empty the memory of the rows where ``which`` (batch,) is set: B is the identity again."""
        self.stamp.masked_fill_(which.unsqueeze(1), -1)
        self.theta.masked_fill_(which, 1)
        self.scale.masked_fill_(which.unsqueeze(1), 0)

    def keep(self, moves):
        """Drop the rows that go."""
        shrink(self, self._STATE, moves)

    def part(self, rows):
        """The memory of some rows: of a slice a view, which shares everything; of integers a copy of its ``own``.

        What the copy is to change here, ``put`` says.
        """
        part = object.__new__(Memory)
        part.pairs, part.own = self.pairs, not isinstance(rows, slice)
        for name in self._STATE:
            setattr(part, name, taken(getattr(self, name), rows))
        return part

    def put(self, rows, part):
        """Take in what has been settled or forgotten in a part."""
        for name in () if not part.own else ("middle", "stamp", "theta", "scale"):
            getattr(self, name)[rows] = getattr(part, name)

    def over(self, free):
        """What belongs to the ``free`` coordinates, (batch, n) of 0 or 1, with a for the first spare vector.

        Returns W_FᵀW_F (batch, 2 pairs, 2 pairs), W_Fᵀa_F (batch, 2 pairs), and the rows [Y, S, a]_F for ``combine``,
        which take the place of a part's own.
        """
        rows, scale, free = self.rows[:, :-1], self.scale, free.unsqueeze(1)
        rows = rows.mul_(free) if self.own else rows * free
        products = torch.bmm(rows, rows[:, :-1].transpose(1, 2)) * scale.unsqueeze(1)
        return products[:, :-1] * scale.unsqueeze(2), products[:, -1], rows

    def combine(self, rows, weights, share):
        """W_F weights + share a_F, (batch, n): rows of ``over``, weights (batch, 2 pairs), share (batch, 1)."""
        return torch.bmm(torch.cat([weights * self.scale, share], 1).unsqueeze(1), rows).squeeze(1)

    def M_inverse(self):
        """M⁻¹, (batch, 2 pairs, 2 pairs). An empty slot has 1 on its diagonal."""
        m, empty = self.pairs, (self.stamp < 0).to(self.theta.dtype).repeat(1, 2)
        known = 1 - empty
        inverse = self.middle[:, :-1, :-1] * known.unsqueeze(1) * known.unsqueeze(2)
        inverse[:, m:, m:] *= self.theta.view(-1, 1, 1)
        inverse.diagonal(dim1=1, dim2=2).add_(empty)
        return inverse

    def columns(self, row, coordinate):
        """The columns of Wᵀ that belong to ``coordinate`` (r, k) of the rows ``row`` (r,): (r, 2 pairs, k)."""
        pair = torch.arange(2 * self.pairs, device=row.device).view(1, -1, 1)
        first = (row.view(-1, 1, 1) * self.rows.shape[1] + pair) * self.rows.shape[2]
        return self.rows.take(first + coordinate.unsqueeze(1)) * self.scale[row].unsqueeze(2)


def times(matrix, vector):
    """A matrix-vector product for each row: (batch, k, k) and (batch, k) to (batch, k)."""
    return torch.bmm(matrix, vector.unsqueeze(2)).squeeze(2)
