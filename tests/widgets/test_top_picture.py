"""The picture of the top images: every digit in its place, and nothing beyond the edge."""

import numpy as np

from helpers.widgets._top_picture import HEIGHT, WIDTH, top_scene
from helpers.widgets.top_images import Side, TopImagesState


def state(unique=True, kind="random direction"):
    one = {"purity": 0.5, "similarity": 0.25, "centred": 0.125, "unique": unique}
    left = Side("unit 1", tuple(range(8)), (1,) * 8, **one)
    right = Side("random direction, seed 2", tuple(range(8, 16)), (2,) * 8, **one)
    return TopImagesState("a network", "hidden 1", 3, 1, kind, 2, left, right)


def test_every_digit_stands_in_its_place():
    images = np.zeros((16, 784))
    images[np.arange(16), np.arange(16)] = 1
    scene = top_scene(state(), images)
    shown = [shape for kind, *shape in scene.shapes if kind == "image"]
    assert len({(x, y) for x, y, *_ in shown}) == 16
    for i, (x, y, size, _, rgb) in enumerate(shown):
        assert (x < WIDTH / 2) == (i < 8) and x + size <= WIDTH and y + size <= HEIGHT
        assert np.argwhere(rgb[..., 0] == 0).tolist() == [[0, i]]
    texts = [shape[2] for kind, *shape in scene.shapes if kind == "text"]
    assert texts.count("a 1") == 8 == texts.count("a 2")
    assert texts.count("label purity 50%   cosine 0.25   mean removed 0.12") == 2
    assert "a network, hidden 1: 3 units" in texts
    assert all(y <= HEIGHT for kind, _, y, *_ in scene.shapes if kind == "text")


def test_sets_that_are_not_unique_are_called_so():
    texts = [shape[2] for kind, *shape in top_scene(state(False), np.zeros((16, 784))).shapes if kind == "text"]
    assert sum(text.startswith("not unique") for text in texts) == 2


def test_random_images_have_no_order():
    def texts(**of):
        return [shape[2] for kind, *shape in top_scene(state(**of), np.zeros((16, 784))).shapes if kind == "text"]

    assert texts().count("the highest first") == 2 and texts(kind="images at random").count("the highest first") == 1
