"""How the course looks: one style sheet, one palette, and the few pictures that more than one lesson draws.

Knows matplotlib and NumPy only, so that the lessons before torch can use it.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

# Okabe and Ito's palette (2008), told apart by readers with any of the common colour deficiencies.
BLUE, ORANGE, GREEN, RED = "#0072B2", "#E69F00", "#009E73", "#D55E00"
PURPLE, SKY, YELLOW, GREY = "#CC79A7", "#56B4E9", "#F0E442", "#6E6E6E"
INK = "#222222"


def use_style():
    """Apply the course's style sheet to every figure that follows."""
    plt.style.use(Path(__file__).with_name("course.mplstyle"))


def contour(ax, function, xlim, ylim, levels=24, filled=True, points=240):
    """Draw the level sets of ``function(x, y)``, which takes and returns arrays of one shape, on ``ax``."""
    x, y = np.meshgrid(np.linspace(*xlim, points), np.linspace(*ylim, points))
    z = function(x, y)
    if filled:
        ax.contourf(x, y, z, levels=levels, cmap="cividis", alpha=0.35)
    lines = ax.contour(x, y, z, levels=levels, colors=GREY, linewidths=0.6, alpha=0.7)
    ax.set(xlim=xlim, ylim=ylim)
    ax.grid(False)
    return lines


def draw_box(ax, lower, upper, label="the box"):
    """Outline the rectangle ``lower <= x <= upper`` of the plane."""
    (x0, y0), (x1, y1) = lower, upper
    ax.add_patch(plt.Rectangle((x0, y0), x1 - x0, y1 - y0, fill=False, ec=INK, lw=1.4, label=label, zorder=4))


def path(ax, points, colour=BLUE, label=None, **options):
    """Join the iterates ``points``, shape (k, 2), by a line with a dot at each and a ring round the last."""
    points = np.asarray(points)
    ax.plot(*points.T, "o-", color=colour, label=label, ms=4, lw=1.5, zorder=5, **options)
    ax.plot(*points[-1], "o", mfc="none", mec=colour, ms=11, mew=1.6, zorder=6)


def digit(ax, image, title=None):
    """Show an image of 784 pixels in [0, 1] as ink on paper."""
    ax.imshow(np.asarray(image).reshape(28, 28), cmap="gray_r", vmin=0, vmax=1, interpolation="nearest")
    _bare(ax, title)


def perturbation(ax, r, title=None, scale=None):
    """Show 784 signed pixel changes, red for more ink and blue for less, on a scale centred at zero.

    ``scale`` is the change at which the colour saturates, the largest |r| when left out. Returns the image, for a
    colour bar.
    """
    r = np.asarray(r).reshape(28, 28)
    scale = float(np.abs(r).max()) or 1.0 if scale is None else scale
    shown = ax.imshow(r, cmap="RdBu_r", vmin=-scale, vmax=scale, interpolation="nearest")
    _bare(ax, title)
    return shown


def _bare(ax, title):
    ax.set(xticks=[], yticks=[])
    ax.grid(False)
    ax.spines[:].set(visible=True, color=GREY, linewidth=0.5)
    if title is not None:
        ax.set_title(title)
