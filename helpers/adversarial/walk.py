"""A walk along the border: a few dozen normalised gradient steps, which choose a basin for L-BFGS to polish.

L-BFGS brings a perturbation to the bottom of the basin that it is in, and does not choose the basin well where the
landscape is rough. Long steps on a sphere do, whose radius shrinks while the target is predicted and grows while it is
not. This is DDN (Rony et al., "Decoupling direction and norm for efficient gradient-based L2 adversarial attacks",
2019) but that the first radius and the first step, there 1, are measured on the image and in radii, and that the radius
changes by a tenth instead of a twentieth.
`python -m helpers.benchmark frontier` shows what becomes of it.
"""

import math

import torch

from helpers.adversarial.watched import Watched, length

STEPS = 40  # of a walk, the look at the image included
LENGTH = (1.0, 0.02)  # of the first step and of the last, in radii; between them half a cosine
CHANGE = 0.1  # of the radius at each step


class Walk(Watched):
    """``STEPS`` steps of each row; ``Watched`` says what else there is.

    direction: (rows, n), where each row sets out to, of any length; a row of zeros: against the gradient of the loss.
    radius: (rows,) how far, in distances to where the linearised loss is 0.
    """

    def __init__(self, problem, image, target, direction, radius, count):
        super().__init__(problem, image, target, count)
        loss, g, _ = self.look(image)
        self.radius = radius * loss / length(g)
        straight = (direction == 0).all(1, keepdim=True)
        self.x = self._on_the_sphere(torch.where(straight, -g, direction))

    def run(self):
        """Walk; returns self."""
        for step in range(1, STEPS):
            seen = self.look(self.x)
            g, r = seen[1], self.x - self.image
            there, _ = self.watch(self.x, r, *seen)
            shrunk = torch.minimum(self.radius, self.best.value) * (1 - CHANGE)
            self.radius = torch.where(there, shrunk, self.radius * (1 + CHANGE))
            part = (1 + math.cos(math.pi * step / STEPS)) / 2
            far = (LENGTH[1] + (LENGTH[0] - LENGTH[1]) * part) * self.radius / length(g)
            self.x = self._on_the_sphere(torch.addcmul(r, far.unsqueeze(1), g, value=-1))
        return self

    def _on_the_sphere(self, r):
        """image + the multiple of ``r`` that is as long as the radius, clipped to the box."""
        return torch.addcmul(self.image, r, (self.radius / length(r)).unsqueeze(1)).clamp_(0, 1)
