"""What every widget does: a still picture where no kernel runs, and failures that show."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from helpers.widgets._view import index_of


@pytest.mark.parametrize("widget", ["slider", "inspector", "trace"])
def test_without_a_kernel_a_picture_of_the_same_numbers_shows(widget, request):
    widget = request.getfixturevalue(widget)
    data, metadata = widget._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in data
    assert data["text/plain"] == repr(widget) == metadata["image/png"]["alt"]
    # GitHub removes SVG from HTML and prefers HTML to a PNG: with both, readers there would see neither.
    assert "text/html" not in data and "image/svg+xml" not in data
    image = Image.open(io.BytesIO(base64.b64decode(data["image/png"]))).convert("RGB")
    assert image.width > metadata["image/png"]["width"] == widget.scene().width
    assert len(np.unique(np.asarray(image).reshape(-1, 3), axis=0)) > 50
    assert len(data["image/png"]) < 300_000


def test_a_failure_shows_above_the_picture_and_is_raised(slider, monkeypatch):
    def fail(*_, **__):
        raise FloatingPointError("no such minimum")

    monkeypatch.setattr("helpers.widgets.c_slider.c_path", fail)
    with pytest.raises(FloatingPointError):
        slider.target_menu.value = 5
    assert 'role="alert"' in slider.message.value and "FloatingPointError: no such minimum" in slider.message.value


def test_a_place_is_a_whole_number_within_the_length():
    assert index_of("step", 2, 3) == 2
    for wrong in (-1, 3, 1.0, "1"):
        with pytest.raises(IndexError, match="step must be a whole number from 0 to 2"):
            index_of("step", wrong, 3)
