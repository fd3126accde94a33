"""The photographs, and what a file keeps of them."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from helpers.photographs.pictures import FOLDER, NAMES, load_photographs, rounded, through_file


@pytest.fixture(scope="module")
def images():
    return load_photographs()[0]


def test_the_photographs_are_those_of_the_files(images):
    assert images.shape == (4, 3, 224, 224) and images.dtype == torch.float32
    for image, name in zip(images, NAMES, strict=True):
        levels = torch.from_numpy(np.array(Image.open(FOLDER / f"{name}.png"))).permute(2, 0, 1)
        assert torch.equal((image * 255).round().to(torch.uint8), levels)
        assert image.std() > 0.1 and (image[0] - image[2]).abs().max() > 0.2, f"{name} has no colours"


def test_every_photograph_and_the_small_network_have_their_credit():
    credits = (FOLDER / "CREDITS.md").read_text(encoding="utf-8")
    shipped = {path.name for path in FOLDER.iterdir()} - {"CREDITS.md"}
    assert shipped == {*(f"{name}.png" for name in NAMES), "small.pt"}
    assert {name for name in shipped if f"`{name}`" in credits} == shipped
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 500_000


def test_a_photograph_is_its_own_rounding_and_comes_back_whole_from_a_png(images):
    assert torch.equal(rounded(images), images)
    assert torch.equal(through_file(images), images)


def test_rounding_takes_the_nearest_of_256_levels(images):
    noise = (images + 0.003 * torch.randn(images.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
    near = rounded(noise)
    assert (near - noise).abs().max() <= 0.5 / 255 + 1e-6
    assert torch.equal(near, through_file(noise)) and torch.equal(rounded(near), near)
    small = (images + 0.0018).clamp(0, 1)  # less than half a level: rounding takes all of it away
    assert torch.equal(rounded(small), images)
    assert rounded(noise.double()).dtype == through_file(noise[:1].double()).dtype == torch.float64


def test_a_jpeg_is_the_one_that_pillow_writes(images):
    for quality in (95, 50):
        file = io.BytesIO()
        Image.open(FOLDER / "cat.png").convert("RGB").save(file, "JPEG", quality=quality, subsampling=0)
        file.seek(0)
        expected = torch.from_numpy(np.array(Image.open(file).convert("RGB"))).permute(2, 0, 1).float() / 255
        assert torch.equal(through_file(images[:1], "JPEG", quality=quality)[0], expected)
    errors = [(through_file(images, "JPEG", quality=q) - images).norm() for q in (95, 75, 50)]
    assert errors == sorted(errors) and errors[0] > 0
    assert not torch.equal(
        through_file(images, "JPEG", quality=95, subsampling=2), through_file(images, "JPEG", quality=95)
    )


@pytest.mark.parametrize("act", [rounded, through_file])
def test_what_lies_outside_the_box_is_refused(images, act):
    for wrong in (images + 1e-3, images - 1, images * torch.nan):
        with pytest.raises(ValueError, match=r"pixels must lie in \[0, 1\]"):
            act(wrong)


def test_no_image_and_one_that_is_no_colour_image(images):
    assert through_file(images[:0]).shape == (0, 3, 224, 224) and rounded(images[:0]).shape[0] == 0
    for wrong in (images[0], images[:, :1], torch.rand(2, 784)):
        with pytest.raises(ValueError, match=r"pass \(batch, 3, H, W\)"):
            through_file(wrong)
