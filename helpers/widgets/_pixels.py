"""How an image is drawn: a grey one as ink on paper, a colour one as it is; changes in two colours, or on mid grey.

An image is NumPy here: (rows, columns) where it is grey, (rows, columns, 3) where it has colours.
"""

import io
from functools import lru_cache

import numpy as np
from PIL import Image


def picture(pixels):
    """One image, float64: grey (rows, columns) of (784,), (28, 28), (1, 28, 28), ...; colours (rows, columns, 3) of
    (3, rows, columns) or (1, 3, rows, columns). Raises ValueError for anything else."""
    pixels = np.asarray(pixels, dtype=np.float64)
    if pixels.ndim >= 3 and pixels.shape[-3] == 3 and pixels[..., 0, 0].size == 3:
        return np.moveaxis(pixels.reshape(pixels.shape[-3:]), 0, -1)
    side = round(pixels.size**0.5)
    if side * side != pixels.size or not side:
        raise ValueError(
            "the widgets draw square grey images, such as 28×28 pixels, and colour images of shape (3, rows, columns); "
            f"this one has {pixels.size} values, shape {pixels.shape}."
        )
    return pixels.reshape(side, side)


def shown(image):
    """An image with values from 0 to 1 as (rows, columns, 3) bytes; grey is ink on paper, so that 1 is black."""
    levels = (255 * np.clip(image, 0, 1)).round().astype(np.uint8)
    return levels if image.ndim == 3 else np.repeat(255 - levels[..., None], 3, axis=2)


def signed(r, scale):
    """Changes as bytes: of grey, white for none, full red at +scale, full blue at −scale; of colours, mid grey for none
    and each colour brighter or darker."""
    steps = np.round(127 * (1 + np.clip(r / scale, -1, 1)))
    return steps.astype(np.uint8) if r.ndim == 3 else _diverging()[np.clip(steps, 0, 254).astype(int)]


def full(r, largest):
    """The change that shows in full colour: the largest; in colour images, where few values change by so much, a
    quarter of it."""
    return max(largest, 1e-6) / (4 if r.ndim == 3 else 1)


def times(colours, scale):
    """By how much ``signed`` amplifies, in words: a colour has half the way from mid grey, a grey pixel the whole."""
    factor = (0.5 if colours else 1) / scale
    return f"×{factor:.0f}" if factor >= 10 else f"×{factor:.2g}"


def key(colours, scale):
    """What ``signed`` means, in words."""
    if colours:
        return f"mid grey: unchanged; full colour from ±{scale:.2g} on"
    return f"red adds ink, blue removes it; full at ±{scale:.2f}"


def distortion_text(value):
    """A distortion in digits: four decimals, five where it is below 0.01."""
    return f"{value:.4f}" if value >= 0.01 else f"{value:.5f}"


def with_sign(change):
    """A change in four decimals, with its sign: a true minus."""
    return f"{change:+.4f}".replace("-", "−")


def sum_text(before, change, after):
    """before + change = after in four decimals, or ≈ where these do not add up."""
    parts = [round(value, 4) for value in (before, change, after)]
    equal = "=" if abs(parts[0] + parts[1] - parts[2]) < 5e-5 else "≈"
    sign = "+" if change >= 0 else "−"
    return f"{before:.4f} {sign} {abs(change):.4f} {equal} {after:.4f}"


def png(rgb):
    """The bytes of a PNG of ``rgb`` (rows, columns, 3) uint8."""
    return _png(np.ascontiguousarray(rgb).tobytes(), rgb.shape)


@lru_cache(maxsize=64)  # a slider's next picture is mostly the last one's images
def _png(data, shape):
    out = io.BytesIO()
    Image.fromarray(np.frombuffer(data, np.uint8).reshape(shape)).save(out, "PNG")
    return out.getvalue()


def few_colours(data):
    """The bytes of a PNG with at most 256 colours, of those of another: a third of the size or less."""
    out = io.BytesIO()
    Image.open(io.BytesIO(data)).convert("RGB").quantize(256).save(out, "PNG", optimize=True)
    return out.getvalue()


@lru_cache(maxsize=1)
def _diverging():
    import matplotlib

    return (255 * matplotlib.colormaps["RdBu_r"](np.linspace(0, 1, 255))[:, :3]).round().astype(np.uint8)
