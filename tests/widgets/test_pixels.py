"""Pixels as bytes."""

import io

import numpy as np
import pytest
from PIL import Image

from helpers.widgets._pixels import distortion_text, few_colours, picture, png, shown, signed, sum_text, times


def test_a_png_holds_the_very_pixels():
    for seed in (0, 1, 0):
        rgb = np.random.default_rng(seed).integers(0, 256, (5, 7, 3), dtype=np.uint8)
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(png(rgb)))), rgb)
    turned = rgb.transpose(1, 0, 2)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(png(turned)))), turned)


def test_colours_of_grey_pixels_and_of_changes():
    assert shown(np.array([[0.0, 1.0]])).tolist() == [[[255] * 3, [0] * 3]]
    red, white, blue = signed(np.array([[0.2, 0.0, -0.2]]), 0.1)[0].astype(int)
    assert red[0] > red[2] + 50 and blue[2] > blue[0] + 50
    assert np.ptp(white) <= 1 and white[0] > 240


def test_colour_images_show_as_they_are_and_their_changes_on_mid_grey():
    pixels = np.zeros((3, 2, 4))
    pixels[0], pixels[2, 1, 3] = 1.0, 0.5
    image = picture(pixels)
    assert image.shape == (2, 4, 3) and shown(image)[1, 3].tolist() == [255, 0, 128]
    assert np.array_equal(picture(pixels[None]), image)
    r = np.array([[[0.1, 0.0, -0.1], [9.0, -9.0, 0.05]]])
    assert signed(r, 0.1).tolist() == [[[254, 127, 0], [254, 0, 190]]]


def test_what_is_no_picture_is_refused_in_one_sentence():
    assert picture(np.arange(9)).tolist() == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    assert picture(np.zeros((1, 28, 28))).shape == picture(np.zeros(784)).shape == (28, 28)
    for wrong, words in ((np.zeros(12), "12 values"), (np.zeros((2, 3, 4, 4)), "96 values"), (np.zeros(0), "0 values")):
        with pytest.raises(ValueError, match=words):
            picture(wrong)


def test_a_small_distortion_has_one_more_digit():
    assert distortion_text(0.05483) == "0.0548" and distortion_text(0.001234) == "0.00123"


def test_a_sum_says_if_its_digits_add_up():
    assert sum_text(0.5, -0.25, 0.25) == "0.5000 − 0.2500 = 0.2500" and sum_text(0.1, 0.02, 0.12).count(" = ") == 1
    assert sum_text(0.49804, -0.02354, 0.4745) == "0.4980 − 0.0235 = 0.4745"
    assert sum_text(0.10004, 0.00004, 0.10008) == "0.1000 + 0.0000 ≈ 0.1001"


def test_an_amplification_is_a_whole_number_where_it_is_large():
    assert times(True, 0.0061) == "×82" and times(False, 0.25) == "×4" and times(False, 0.3) == "×3.3"


def test_few_colours_are_nearly_the_same_picture_in_less():
    noise = np.random.default_rng(0).integers(0, 256, (60, 80, 3))
    rgb = (0.9 * np.linspace(0, 250, 80)[None, :, None] + 0.1 * noise).astype(np.uint8)
    less = few_colours(png(rgb))
    assert len(less) < 0.65 * len(png(rgb))  # a palette of 768 bytes is in it
    assert abs(np.asarray(Image.open(io.BytesIO(less)).convert("RGB")).astype(float) - rgb).mean() < 12
