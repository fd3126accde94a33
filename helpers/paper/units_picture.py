"""The paper's figures 1 and 2: rows of the images highest along single units, and along random directions."""

import matplotlib.pyplot as plt
import numpy as np

from helpers import figures
from helpers.digits.mnist import load_mnist
from helpers.digits.networks import load_network
from helpers.paper import directions as d

ROWS, K, GAP = 6, 8, 3  # rows of a figure; images in a row; white pixels between two images


def figures1and2(path=None, network="CNN", layer=None, rows=ROWS):
    """Draw figure 1, units, beside figure 2, random directions. Returns the matplotlib figure.

    path: where its PNG goes; None: nowhere. network: a name for ``load_network``. layer: by default its last hidden
    one. Nothing is picked: the rows are the first units whose top images are unique, and the seeds 0, 1, 2, ...
    """
    model = load_network(network).double()
    layer = layer or d.hidden_layers(model)[-1].name
    images, labels = load_mnist("test")
    phi = d.activations(model, images.double(), layer)
    top, unique = d.top_images(phi, d.unit_directions(phi.shape[1], range(phi.shape[1])), K)
    units = unique.nonzero().squeeze(1)[:rows]
    seeds = range(rows)
    v = [d.random_directions(phi.shape[1], 1, seed) for seed in seeds]
    random = [d.top_images(phi, one, K)[0][0] for one in v]

    with plt.rc_context():  # the style of whoever calls stays
        figures.use_style()
        shown, axes = plt.subplots(1, 2, figsize=(7.2, 0.36 * rows + 0.6))
        names = [f"unit {i}" for i in units.tolist()]
        draw_rows(axes[0], images, labels, top[units], names, "highest along units, ⟨φ(x), $e_i$⟩")
        names = [f"seed {s}" for s in seeds]
        draw_rows(axes[1], images, labels, random, names, "highest along random v, ⟨φ(x), v⟩")
        shown.suptitle(f"{network}, {layer}", fontsize=10, x=0.01, ha="left")
    if path is not None:
        shown.savefig(path)
    return shown


def draw_rows(ax, images, labels, tops, names, title):
    """One row of digits for each of ``tops``, the places of its images: its name before, its label purity behind.

    images: (N, 784) in [0, 1]. labels: (N,). tops: rows of k places, the highest first.
    """
    strips, step = [], 28 + GAP
    for top in tops:
        pixels = np.pad(images[top].reshape(-1, 28, 28).cpu().numpy(), ((0, 0), (0, GAP), (0, GAP)))
        strips.append(np.concatenate(list(pixels), axis=1))
    ax.imshow(np.concatenate(strips), cmap="gray_r", vmin=0, vmax=1, interpolation="nearest")
    middles = [step * i + 14 for i in range(len(strips))]
    ax.set_yticks(middles, names)
    ax.set_xticks([])
    ax.tick_params(length=0)
    ax.grid(False)
    ax.spines[:].set_visible(False)
    behind = strips[0].shape[1] + 4
    for y, top in zip(middles, tops, strict=True):
        ax.text(behind, y, f"{d.purity(labels[top][None]).item():.0%}", va="center", fontsize=9)
    ax.text(behind, -GAP, "label\npurity", va="bottom", fontsize=8)
    ax.set_title(title, fontsize=9)
