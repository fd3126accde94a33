"""Pixels as bytes: ink on paper, signed changes in two colours, and their PNG."""

import io
from functools import lru_cache

import numpy as np
from PIL import Image


def png(rgb):
    """The bytes of a PNG of ``rgb`` (rows, columns, 3) uint8."""
    out = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(rgb)).save(out, "PNG")
    return out.getvalue()


def ink(pixels):
    """Pixels (rows, columns) from 0 (paper) to 1 (ink) as (rows, columns, 3) bytes."""
    return np.repeat((255 * (1 - np.clip(pixels, 0, 1))).round().astype(np.uint8)[..., None], 3, axis=2)


def signed(r, scale):
    """Changes (rows, columns) as bytes: white for none, full red at +scale, full blue at −scale."""
    return _diverging()[np.clip(np.round(127 * (1 + np.clip(r / scale, -1, 1))), 0, 254).astype(int)]


@lru_cache(maxsize=1)
def _diverging():
    import matplotlib

    return (255 * matplotlib.colormaps["RdBu_r"](np.linspace(0, 1, 255))[:, :3]).round().astype(np.uint8)


def square(pixels):
    """Pixels (784,), (1, 28, 28), ... as a NumPy array (28, 28). Raises ValueError for what is no square picture."""
    flat = np.asarray(pixels, dtype=np.float64).ravel()
    side = round(len(flat) ** 0.5)
    if side * side != len(flat):
        raise ValueError(f"the widgets draw square grey images, such as 28×28 pixels; this one has {len(flat)} values.")
    return flat.reshape(side, side)
