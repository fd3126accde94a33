"""Pixels as bytes."""

import io

import numpy as np
import pytest
from PIL import Image

from helpers.widgets._pixels import ink, png, signed, square


def test_a_png_holds_the_very_pixels():
    rgb = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(png(rgb)))), rgb)


def test_colours_of_pixels_and_of_changes():
    assert ink(np.array([[0.0, 1.0]])).tolist() == [[[255] * 3, [0] * 3]]
    red, white, blue = signed(np.array([[0.2, 0.0, -0.2]]), 0.1)[0].astype(int)
    assert red[0] > red[2] + 50 and blue[2] > blue[0] + 50
    assert np.ptp(white) <= 1 and white[0] > 240
    assert square(np.arange(9)).tolist() == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    with pytest.raises(ValueError, match="12 values"):
        square(np.zeros(12))
