"""A pair of axes inside a Scene: from numbers to places, with ticks and a title."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Axes:
    """The rectangle (x, y, width, height) of a scene, showing xlim and ylim; ``log`` puts x on a logarithmic scale."""

    x: float
    y: float
    width: float
    height: float
    xlim: tuple
    ylim: tuple
    log: bool = False

    def at(self, u, v):
        """The places of the points (u, v), arrays of one shape: (k, 2)."""
        u, (low, high) = np.asarray(u, float), self.xlim
        if self.log:
            u, low, high = np.log(u), np.log(low), np.log(high)
        v = np.asarray(v, float)
        across = self.x + self.width * (u - low) / (high - low)
        up = self.y + self.height * (1 - (v - self.ylim[0]) / (self.ylim[1] - self.ylim[0]))
        return np.stack([across, up], axis=-1)

    def frame(self, scene, title, xlabel, ylabel="", grid=True):
        """Draw the axes, their ticks and their names; with ``grid`` a faint line at each tick of the upright axis."""
        bottom, right = self.y + self.height, self.x + self.width
        for value in decades(*self.xlim) if self.log else ticks(*self.xlim):
            (place,) = self.at([value], [self.ylim[0]])
            scene.line([(place[0], bottom), (place[0], bottom + 4)], "soft", 1)
            scene.text(place[0], bottom + 16, _number(value), 11, "middle", "soft")
        for value in ticks(*self.ylim):
            (place,) = self.at([self.xlim[0]], [value])
            ends, colour = (self.x, right) if grid else (self.x - 4, self.x), "faint" if grid else "soft"
            scene.line([(x, place[1]) for x in ends], colour, 0.6 if grid else 1)
            scene.text(self.x - (5 if grid else 8), place[1] + 4, _number(value), 11, "end", "soft")
        scene.line([(self.x, self.y), (self.x, bottom), (right, bottom)], "soft", 1)
        scene.text(self.x, self.y - 8, title, 12)
        scene.text(right, bottom + 31, xlabel, 11, "end", "soft")
        if ylabel:
            scene.text(self.x - 52, self.y + 0.5 * self.height + 4, ylabel, 12, colour="soft")


def _number(value):
    return f"{value:g}".replace("-", "−")


def decades(low, high):
    """The powers of ten from ``low`` to ``high``."""
    return [10.0**d for d in range(int(np.ceil(np.log10(low))), int(np.floor(np.log10(high))) + 1)]


def ticks(low, high, about=4):
    """Round numbers from ``low`` to ``high``, some ``about`` of them."""
    raw = (high - low) / about
    power = 10.0 ** np.floor(np.log10(raw))
    step = power * min((s for s in (1, 2, 2.5, 5, 10) if s * power >= raw * 0.999), default=10)
    values = step * np.arange(np.ceil(low / step - 1e-9), np.floor(high / step + 1e-9) + 1)
    return [float(f"{value:.10g}") + 0.0 for value in values]
