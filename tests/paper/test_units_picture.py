"""The paper's figures 1 and 2: the rows are the top images, nothing is picked, and the file is there."""

import matplotlib.pyplot as plt
import numpy as np
import torch

from helpers.paper import units_picture


def test_the_figures_are_drawn_and_saved(tmp_path):
    shown = units_picture.figures1and2(tmp_path / "figures.png", rows=3)
    left, right = shown.axes
    assert [tick.get_text() for tick in right.get_yticklabels()] == ["seed 0", "seed 1", "seed 2"]
    assert all(tick.get_text().startswith("unit ") for tick in left.get_yticklabels())
    *shares, heading = (text.get_text() for text in left.texts)
    assert all(share.endswith("%") for share in shares) and len(shares) == 3 and heading.split() == ["label", "purity"]
    assert plt.imread(tmp_path / "figures.png").ndim == 3
    plt.close(shown)


def test_a_row_shows_its_images_in_their_order():
    images = torch.zeros(4, 784)
    for i in range(4):
        images[i, i] = 1
    _, ax = plt.subplots()
    units_picture.draw_rows(ax, images, torch.tensor([1, 1, 2, 3]), [[2, 0], [1, 3]], ["a", "b"], "title")
    step = 28 + units_picture.GAP
    ink = np.argwhere(ax.images[0].get_array() == 1).tolist()
    assert ink == [[0, 2], [0, step], [step, 1], [step, step + 3]]
    assert [text.get_text() for text in ax.texts] == ["50%", "50%", "label\npurity"]
    plt.close("all")
