"""What a file leaves of an adversarial photograph."""

from itertools import pairwise

import pytest
import torch

from helpers.paper import photograph_files
from helpers.paper.photograph_files import stretched, survival


@pytest.fixture
def image():
    """One grey level everywhere, and so much room on both sides that nothing is clipped."""
    return torch.full((1, 3, 16, 16), 100 / 255)


def mean_red(least):
    """Says 1 where the mean of red has grown by more than ``least`` grey levels, otherwise 0."""
    return lambda x: torch.stack([torch.zeros(len(x)), 255 * x[:, 0].mean((1, 2)) - 100 - least], 1)


def test_rounding_takes_away_what_is_below_half_a_level(image):
    adversarial = image.clone()
    adversarial[:, 0] += 0.4 / 255
    found = survival(mean_red(0.3), image, adversarial, 1)
    assert found["lead"]["as found"] == pytest.approx(0.1, abs=1e-3)
    assert found["lead"]["256 levels"] == pytest.approx(-0.3, abs=1e-3)
    assert found["lost"] == {"of the values": 1, "of the square": pytest.approx(1)}
    found, pictures = stretched(mean_red(0.3), image, adversarial, 1, ["256 levels"])
    # 1.25 · 0.4 is half a level: from there on rounding gives a whole one
    expected = next(f for f in photograph_files.FACTORS if 0.4 * f >= 0.5)
    assert found["factor"]["256 levels"] == expected
    assert found["distortion"]["256 levels"] == pytest.approx((1 / 255**2 / 3) ** 0.5, rel=1e-3)
    assert (255 * (pictures["256 levels"] - image)).round().unique().tolist() == [0, 1] and set(pictures) == set(
        found["factor"]
    )


def test_what_survives_needs_no_factor_and_what_never_does_has_none(image):
    adversarial = image.clone()
    adversarial[:, 0] += 3 / 255
    adversarial[:, 1] += 0.4 / 255
    found = survival(mean_red(1), image, adversarial, 1)
    assert found["lead"]["256 levels"] == pytest.approx(2, abs=1e-3)
    assert found["lost"]["of the values"] == pytest.approx(2 / 3)
    assert found["lost"]["of the square"] == pytest.approx(0.16 / 9.16, rel=1e-3)
    assert stretched(mean_red(1), image, adversarial, 1, ["256 levels"])[0]["factor"] == {"256 levels": 1}
    hopeless, pictures = stretched(mean_red(999), image, adversarial, 1, photograph_files.FILES)
    assert set(hopeless["factor"].values()) == set(hopeless["distortion"].values()) == {None} == set(pictures.values())


def test_the_factors_are_a_ladder_of_two_per_cent_from_one_to_four():
    factors = photograph_files.FACTORS
    assert factors[0] == 1 and 3.9 < factors[-1] < 4.1
    assert all(b / a == pytest.approx(1.02, abs=1e-3) for a, b in pairwise(factors))


def test_a_lead_is_negative_where_another_label_is_first(image):
    assert photograph_files.lead(mean_red(2), torch.cat([image, image + 5 / 255]), 1) == pytest.approx(
        [-2, 3], abs=1e-3
    )
