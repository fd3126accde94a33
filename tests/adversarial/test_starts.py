"""The kinds of starts, and that none depends on the batch."""

import torch

from helpers.adversarial.starts import directions, first_radii

IMAGES = torch.rand(4, 30, generator=torch.Generator().manual_seed(0))


def of_kind(kind, images=IMAGES):
    return directions(images, torch.full((len(images),), kind))


def test_zero_then_half_way_to_grey_and_to_black():
    assert (of_kind(0) == 0).all()
    assert torch.allclose(IMAGES + of_kind(1), IMAGES / 2 + 0.25)
    assert torch.allclose(IMAGES + of_kind(2), IMAGES / 2)


def test_noise_differs_from_kind_to_kind_and_is_the_same_for_every_image():
    first, second = of_kind(3), of_kind(4)
    assert (first == first[0]).all() and not torch.allclose(first, second)
    assert torch.equal(of_kind(3, IMAGES[2:3]), first[2:3])
    assert first.std() > 0.5


def test_kinds_may_be_mixed():
    kinds = torch.tensor([3, 0, 1, 2])
    mixed = directions(IMAGES, kinds)
    assert all(torch.equal(mixed[i], of_kind(int(kind))[i]) for i, kind in enumerate(kinds))


def test_the_first_radii_take_turns_whatever_the_batch():
    radii = first_radii(torch.arange(7), IMAGES)
    assert radii[0] == 1 and torch.equal(radii[:3], radii[3:6]) and radii[6] == radii[0]
    assert len(set(radii[:3].tolist())) == 3 and radii.dtype == IMAGES.dtype


def test_no_images():
    assert directions(IMAGES[:0], torch.zeros(0, dtype=torch.long)).shape == (0, 30)
