"""The limited memory of L-BFGS in its compact form, for many independent problems at once.

Every problem (row) has its own Hessian model (Byrd, Nocedal & Schnabel 1994, theorem 2.3)

    B = θI − W M Wᵀ,   W = [Y, θS],   M⁻¹ = [[−D, Λᵀ], [Λ, θSᵀS]],

with D the diagonal and Λ the strictly lower triangle of SᵀY in the order in which the pairs came.
"""

import torch


class Memory:
    """Up to ``pairs`` pairs (s, y) for each row of a (batch, n) problem.

    ``rows``: (batch, 2 pairs + 1, n): the y, then the s, then one scratch row. A Gram matrix of all rows then yields
    the inner products of the pairs and, in the same pass over memory, those of any vector put into the scratch row.
    Each pair is divided by ‖s‖, which leaves B as it is and keeps M⁻¹ well scaled in float32.
    Pairs stay in the slot where they were written; ``stamp`` (batch, pairs) tells their order, -1 an empty slot.
    """

    def __init__(self, batch, n, pairs, like):
        self.pairs = pairs
        self.rows = torch.zeros(batch, 2 * pairs + 1, n, dtype=like.dtype, device=like.device)
        self.stamp = torch.full((batch, pairs), -1, dtype=torch.long, device=like.device)
        self.theta = torch.ones(batch, dtype=like.dtype, device=like.device)

    def update(self, s, y, sy, useful, now):
        """Store the pair (s, y), both (batch, n), in every row that is ``useful``, over the oldest pair there.

        ``sy`` is sᵀy, (batch,); ``now`` an integer that grows from call to call.
        """
        batch = torch.arange(len(s), device=s.device)
        slot = self.stamp.argmin(1)
        scale = torch.linalg.vector_norm(s, dim=1).reciprocal().unsqueeze(1)
        scratch = 2 * self.pairs  # takes what is not useful, so that no row needs a branch
        self.rows[batch, torch.where(useful, slot, scratch)] = y * scale
        self.rows[batch, torch.where(useful, slot + self.pairs, scratch)] = s * scale
        self.stamp[batch, slot] = torch.where(useful, now, self.stamp[batch, slot])
        self.theta = torch.where(useful, (y * y).sum(1) / sy, self.theta)

    def forget(self, which):
        """Empty the memory of the rows ``which`` (a mask or an index): B is the identity again."""
        self.rows[which] = 0
        self.stamp[which] = -1
        self.theta[which] = 1

    def keep(self, index):
        """Drop every row but those in ``index``."""
        self.rows, self.stamp, self.theta = self.rows[index], self.stamp[index], self.theta[index]

    def scale(self):
        """What turns a product with the stored [Y, S] into one with W = [Y, θS]: (batch, 2 pairs)."""
        theta = self.theta.unsqueeze(1).expand_as(self.stamp)
        return torch.cat([torch.ones_like(theta), theta], 1)

    def gram(self, vector, free=None):
        """Inner products of the pairs with each other and with ``vector`` (batch, n), over the ``free`` coordinates.

        Returns WᵀW (batch, 2 pairs, 2 pairs) and Wᵀ vector (batch, 2 pairs), and the masked rows for ``combine``.
        """
        self.rows[:, -1] = vector
        rows = self.rows if free is None else self.rows * free.unsqueeze(1)
        gram = torch.bmm(rows, rows.transpose(1, 2))
        scale = self.scale()
        return gram[:, :-1, :-1] * scale.unsqueeze(1) * scale.unsqueeze(2), gram[:, :-1, -1] * scale, rows

    def combine(self, rows, weights, vector_weight):
        """W weights + vector_weight · vector, (batch, n); ``rows`` and the vector are those of the last ``gram``."""
        weights = torch.cat([weights * self.scale(), vector_weight.unsqueeze(1)], 1)
        return torch.bmm(weights.unsqueeze(1), rows).squeeze(1)

    def M_inverse(self, gram):
        """M⁻¹, (batch, 2 pairs, 2 pairs), from the full Gram matrix WᵀW. An empty slot has 1 on its diagonal."""
        m, theta = self.pairs, self.theta.view(-1, 1, 1)
        sy = gram[:, m:, :m] / theta
        empty = (self.stamp < 0).to(gram.dtype)
        strictly_lower = sy * (self.stamp.unsqueeze(2) > self.stamp.unsqueeze(1))
        inverse = torch.empty_like(gram)
        inverse[:, :m, :m] = torch.diag_embed(-torch.diagonal(sy, dim1=1, dim2=2) - empty)
        inverse[:, :m, m:] = strictly_lower.transpose(1, 2)
        inverse[:, m:, :m] = strictly_lower
        inverse[:, m:, m:] = gram[:, m:, m:] / theta + torch.diag_embed(empty)
        return inverse

    def columns(self, row, coordinate):
        """The columns of Wᵀ that belong to ``coordinate`` (r, k) of the rows ``row`` (r,): (r, 2 pairs, k)."""
        pair = torch.arange(2 * self.pairs, device=row.device).view(1, -1, 1)
        first = (row.view(-1, 1, 1) * self.rows.shape[1] + pair) * self.rows.shape[2]
        return self.rows.take(first + coordinate.unsqueeze(1)) * self.scale()[row].unsqueeze(2)


def times(matrix, vector):
    """A matrix-vector product for each row: (batch, k, k) and (batch, k) to (batch, k)."""
    return torch.bmm(matrix, vector.unsqueeze(2)).squeeze(2)
