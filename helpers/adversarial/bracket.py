"""False position in log c, for many images at once: from what the minimiser of (P_c) did at one c, the next c.

The margin of the minimiser grows with log c, smoothly where the minimiser does not jump; wanted is the largest c at
which it is still negative. Nothing here knows networks or solvers: tensors in, tensors out, an entry an image, (rows,).

The numbers below are safeguards. What they cost shows in `python -m helpers.benchmark`: evaluations and ratio.
"""

from typing import NamedTuple

import torch

HIGHEST = 3.0  # a failure's margin counts as at most this: it levels off at the image's own, far above the line
EDGE = 0.02  # of the bracket: how near to an end the next c may come, so that the other end moves at last
PATIENCE = 6  # solves of false position alone; from then on every other one halves the bracket, which must not stall
NARROW = 2e-3  # a bracket of log c no wider than this is done: ‖r‖ changes by a tenth of a percent, or jumps inside it
# Without a bracket, log c moves by this times β·margin. For a linear margin m₀ + aᵀr, (P_c) is solved where
# c = σ(βm)‖a‖²/(2(m₀ − m)): at m = 0 the slope of log c is −(β/2 + 1/m₀); with β = 1 and digits' m₀ of about 4, 0.75.
PER_MARGIN = 0.75
# The least that log c moves then, doubled with each solve without a bracket: a margin can be small over decades of c.
# And the most: far away nothing is linear.
STEP = (0.05, 1.0)


class Bracket(NamedTuple):
    """What is known of each image: a success below, a failure above. Each (rows,)."""

    low: torch.Tensor  # log c of the last success, −inf where there is none
    high: torch.Tensor  # log c of the last failure, inf where there is none
    low_margin: torch.Tensor  # < 0
    high_margin: torch.Tensor
    last: torch.Tensor  # 1 where the last c succeeded, −1 where it failed, 0 where none was tried

    @property
    def enclosed(self):
        """Is there a success and a failure?"""
        return (self.low > -torch.inf) & (self.high < torch.inf)

    @property
    def narrow(self):
        """Enclosed, and no wider than NARROW?"""
        return self.high - self.low < NARROW  # infinite where not enclosed


def unknown(rows, like):
    """The brackets of ``rows`` images of which nothing is known; dtype and device are those of ``like``."""
    infinite = like.new_full((rows,), torch.inf)
    return Bracket(-infinite, infinite, infinite.clone(), infinite.clone(), torch.zeros_like(infinite))


def narrowed(bracket, log_c, margin, success):
    """The brackets after the minimisers at ``log_c`` had ``margin`` and ``success``.

    An end that stays twice in a row counts half (the Illinois method, Dowell & Jarratt 1971), so that both ends move.
    """
    low_kept = torch.where(bracket.last < 0, bracket.low_margin / 2, bracket.low_margin)
    high_kept = torch.where(bracket.last > 0, bracket.high_margin / 2, bracket.high_margin)
    return Bracket(
        torch.where(success, log_c, bracket.low),
        torch.where(success, bracket.high, log_c),
        torch.where(success, margin, low_kept),
        torch.where(success, high_kept, margin),
        2 * success.to(log_c.dtype) - 1,
    )


def proposed(bracket, log_c, margin, sharpness, solves):
    """The next log c of each image, (rows,).

    bracket: with what came of ``log_c`` taken in. margin: the one at ``log_c``. sharpness: β. solves: how many so far.
    """
    high_margin = bracket.high_margin.clamp(max=HIGHEST)
    part = (bracket.low_margin / (bracket.low_margin - high_margin)).clamp(EDGE, 1 - EDGE)
    part = part.masked_fill_((solves > PATIENCE) & (solves % 2 == 0), 0.5)
    inside = bracket.low + part * (bracket.high - bracket.low)
    least = STEP[0] * torch.exp2(solves.to(log_c.dtype) - 1)
    onward = bracket.last * torch.maximum(PER_MARGIN * sharpness * margin.abs(), least).clamp(max=STEP[1])
    return torch.where(bracket.enclosed, inside, log_c + onward)
