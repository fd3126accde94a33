"""The photographs as tensors, and what becomes of them in a file: 256 levels, PNG, JPEG."""

import io
from pathlib import Path

import numpy as np
import torch
from PIL import Image

FOLDER = Path(__file__).parents[1] / "data" / "photographs"
NAMES = ("cat", "coffee", "rocket", "astronaut")
SIDE = 224  # pixels: what networks trained on ImageNet usually take


def load_photographs(device="cpu"):
    """The four photographs: (4, 3, 224, 224) float32 in [0, 1], every value a multiple of 1/255, and their names.

    Their authors and licences: helpers/data/photographs/CREDITS.md.
    """
    rows = [_pixels(Image.open(FOLDER / f"{name}.png")) for name in NAMES]
    return torch.stack(rows).to(device), NAMES


def rounded(images):
    """The nearest images with 256 levels, as in a PNG: every value a multiple of 1/255. Shape, dtype and device stay.

    images: floats in [0, 1]. Raises ValueError outside: a file holds nothing there.
    """
    _check_box(images)
    return (images * 255).round() / 255


def through_file(images, format="PNG", **options):
    """The images as they come back from a file of their own: (batch, 3, H, W), of the same dtype, on the same device.

    images: (batch, 3, H, W) in [0, 1], rounded to 256 levels on the way. format, options: Pillow's, such as
    ``format="JPEG", quality=75``; for JPEG the colours are kept at full resolution (4:4:4) unless ``subsampling`` says
    otherwise. Raises ValueError outside the box, or where an image is not (3, H, W).
    """
    _check_box(images)
    if images.ndim != 4 or images.shape[1] != 3:
        raise ValueError(f"a file holds one colour image: pass (batch, 3, H, W), not {tuple(images.shape)}.")
    if format == "JPEG":
        options = {"subsampling": 0, **options}
    back = []
    for image in images.detach().cpu():
        file = io.BytesIO()
        bytes_of(image).save(file, format, **options)
        file.seek(0)
        back.append(_pixels(Image.open(file)))
    return torch.stack(back).to(images) if back else images.clone()


def bytes_of(image):
    """One image (3, H, W) in [0, 1] as a Pillow image of 256 levels."""
    levels = (image.detach().cpu() * 255).round().to(torch.uint8)
    return Image.fromarray(levels.permute(1, 2, 0).contiguous().numpy())


def _pixels(file):
    """A Pillow image as (3, H, W) float32 in [0, 1]."""
    return torch.from_numpy(np.array(file.convert("RGB"))).permute(2, 0, 1).float() / 255


def _check_box(images):
    if images.numel() and not (images.min() >= 0 and images.max() <= 1):
        low, high = images.min().item(), images.max().item()
        raise ValueError(f"pixels must lie in [0, 1], got [{low:.4g}, {high:.4g}]: clip them first, and say so.")
