"""A picture as a list of shapes: its SVG and its PNG say the same."""

import io
import xml.etree.ElementTree as ET

import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from helpers import figures
from helpers.widgets._scene import SHAPES, Scene


@pytest.mark.filterwarnings("error")
def test_the_still_picture_is_the_same_every_time_and_in_every_style(slider):
    plain = slider.scene().png()
    with plt.rc_context():
        figures.use_style()
        assert slider.scene().png() == plain == slider.scene().png()


@pytest.fixture
def everything():
    """A scene with a shape of each kind."""
    scene = Scene(120, 80, "all <shapes>")
    scene.line([(5, 5), (50, 5)], "blue", 2, dash="dots")
    scene.line([(5, 10), (50, 10), (50, 20)], "none", 0, fill="sky")
    scene.segments([((60, 5), (110, 5)), ((60, 9), (110, 9))], "ink", 2, dash="dash")
    scene.rect(60, 15, 10, 10, "purple")
    scene.rect(80, 15, 10, 10, "none", "hover")
    for k, shape in enumerate(["dot", *SHAPES]):
        scene.mark(15 + 22 * k, 40, 6, "red", shape=shape, hollow=k % 2 == 1)
    scene.text(60, 70, "a < b", 12, "middle", halo=True)
    scene.image(5, 55, 16, np.zeros((2, 2, 3), np.uint8))
    return scene


def test_every_shape_is_drawn_in_both_ways(everything):
    picture = ET.fromstring(everything.svg())
    names = [element.tag.split("}")[1] for element in picture]
    assert picture.get("aria-label") == "all <shapes>" and picture.get("role") == "img"
    assert names == [
        "polyline",
        "polygon",
        "path",
        "rect",
        "rect",
        "circle",
        *["polygon"] * len(SHAPES),
        "text",
        "image",
        "polyline",  # its outline
    ]
    assert picture[0].get("stroke-dasharray") == "1.5 3.5" and picture[2].get("stroke-dasharray") == "5 4"
    image = np.asarray(Image.open(io.BytesIO(everything.png())).convert("RGB")).astype(int)
    assert image.shape == (120, 180, 3)

    def inked(x, y, reach=5):
        x0, x1, y0, y1 = (int(1.5 * v) for v in (x - reach, x + reach, y - reach, y + reach))
        return (image[y0:y1, x0:x1].min(axis=2) < 200).mean()

    for x, y in ((27, 5), (85, 7), (65, 20), *((15 + 22 * k, 40) for k in range(1 + len(SHAPES))), (60, 67), (12, 63)):
        assert inked(x, y) > 0.02, (x, y)
    assert inked(85, 20, 4) == 0, "a place to hover over is invisible"


def test_marks_differ_in_shape_and_hollow_ones_let_the_ground_through(everything):
    outlines = {}
    for shape in ("dot", *SHAPES):
        scene = Scene(40, 40, "")
        scene.mark(20, 20, 10, "blue", shape=shape)
        outlines[shape] = np.asarray(Image.open(io.BytesIO(scene.png())).convert("L")) < 160
        scene = Scene(40, 40, "")
        scene.mark(20, 20, 10, "blue", shape=shape, hollow=True)
        hollow = np.asarray(Image.open(io.BytesIO(scene.png())).convert("L")) < 160
        assert outlines[shape][30, 30] and not hollow[30, 30]
    masks = list(outlines.values())
    for k, mask in enumerate(masks):
        for other in masks[k + 1 :]:
            assert (mask != other).sum() > 0.1 * (mask | other).sum()
