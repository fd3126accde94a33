"""The picture of the perturbation inspector."""

import numpy as np

from helpers.widgets._inspector_picture import outline


def test_the_outline_is_the_boundary():
    mask = np.zeros((4, 4), bool)
    mask[1:3, 1] = True
    edges = {frozenset(edge) for edge in outline(mask)}
    sides = {((1, 1), (2, 1)), ((1, 3), (2, 3)), ((1, 1), (1, 2)), ((1, 2), (1, 3)), ((2, 1), (2, 2)), ((2, 2), (2, 3))}
    assert edges == {frozenset(side) for side in sides}


def test_the_bars_are_coloured_by_the_sign_of_the_change(inspector):
    """Right of zero red, left of it blue; the bar that holds zero is of neither colour."""
    shapes = inspector.scene().shapes
    bars = [shape for kind, *shape in shapes if kind == "rect" and shape[4] in ("red", "blue", "soft")]
    middle = 446 + 430 / 2
    assert {shape[4] for shape in bars} >= {"red", "blue"}
    for x, _, width, _, fill, _ in bars:
        assert fill == ("red" if x > middle else "blue" if x + width < middle else "soft")
