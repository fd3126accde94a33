"""A descent to the border from far inside the target's region: (P_c) at a price that changes with every step.

Where walks along the border end in a poor basin, as on photographs, one found from far away is often better. Adam
(Kingma and Ba 2015) goes down c‖r‖ + loss, at first with steps that throw the image far off. The price grows while the
target is predicted and falls while it is not, so that the row ends on the border. This is PDGD, the primal-dual
gradient descent of Matyasko and Chau ("PDPGD: primal-dual proximal gradient descent adversarial attack", 2021), with
its constants and its loss, log(1 + eᵐ) of the margin m = max_{j≠l} z_j − z_l. With two labels that is the paper's loss.
With many it is lower: it minds the nearest rival only, and comes closer, on photographs by several percent.
"""

import math

import torch
from torch.nn.functional import softplus

from helpers.adversarial.objective import margin
from helpers.adversarial.watched import Watched

STEPS = 600
STEP = (0.1, 0.001)  # of Adam, in the pixels' unit: the first and the last, geometric between them
MEANS = (0.9, 0.999)  # Adam's, of the gradient and of its square
AHEAD = 100.0  # the loss counts so many times as much as the norm at first, at most EXTREME times, or as little
EXTREME = 1e6
RATE = (0.1, 0.01)  # by which the logarithm of that changes at the first step and at the last
MEAN = 0.9  # of the weights that this gives


class Descent(Watched):
    """``STEPS`` steps of each row, from the image; ``Watched`` says what else there is."""

    def loss(self, logits):
        """log(1 + eᵐ) of each row, (rows,)."""
        return softplus(margin(logits, self.target))

    def run(self):
        """Go down; returns self."""
        x, (mean, spread) = self.image.clone(), torch.zeros_like(self.image).repeat(2, 1, 1)
        odds = math.log(AHEAD) * self.one
        weight = odds.sigmoid()  # of the loss; the norm has the rest, so that c = (1 − weight)/weight
        for step in range(STEPS):
            seen = self.look(x)
            r = x - self.image
            there, size = self.watch(x, r, *seen)
            down = weight.unsqueeze(1) * seen[1] + ((1 - weight) / size).unsqueeze(1) * r
            mean.lerp_(down, 1 - MEANS[0])
            spread.mul_(MEANS[1]).addcmul_(down, down, value=1 - MEANS[1])
            far = STEP[0] * (STEP[1] / STEP[0]) ** (step / STEPS) / (1 - MEANS[0] ** (step + 1))
            scale = (spread / (1 - MEANS[1] ** (step + 1))).sqrt_().add_(1e-8)
            x = torch.addcdiv(x, mean, scale, value=-far).clamp_(0, 1)
            rate = RATE[0] + (RATE[1] - RATE[0]) * step / (STEPS - 1)
            odds = (odds + torch.where(there, -rate, rate)).clamp_(-math.log(EXTREME), math.log(EXTREME))
            weight = torch.lerp(odds.sigmoid(), weight, MEAN)
        return self
