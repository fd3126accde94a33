"""Longer changes and noise in its parts: lengths, means, and who is misled."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from helpers import load_mnist, load_network
from helpers.adversarial.result import result_of
from helpers.paper import shown

IMAGES, LABELS = (part[:40] for part in load_mnist("test"))


@given(stddev=st.floats(0.02, 0.6), seed=st.integers(0, 10**6))
def test_the_mean_of_clipped_noise_is_that_of_many_draws(stddev, seed):
    pixels = torch.tensor([[0.0, 0.1, 0.5, 0.9, 1.0]], dtype=torch.float64)
    z = torch.randn(40_000, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    drawn = (pixels + stddev * z).clamp(0, 1).mean(0)
    assert (shown.expected_clip(pixels, stddev)[0] - drawn).abs().max() < 6 * stddev / 200  # six standard errors


def test_the_root_of_the_mean_square_and_its_error():
    found = shown.length(torch.tensor([1.0, 7.0], dtype=torch.float64))
    assert found["mean"] == 4 and found["root of mean square"]["mean"] == pytest.approx(5)
    spread = torch.randn(200, 500, generator=torch.Generator().manual_seed(1), dtype=torch.float64).abs() + 1
    roots = spread.square().mean(1).sqrt()
    said = torch.tensor([shown.length(row)["root of mean square"]["standard error"] for row in spread])
    assert said.mean() == pytest.approx(roots.std().item(), rel=0.2)


def test_the_parts_of_noise_make_the_whole():
    parts = shown.noise_in_parts(IMAGES, LABELS, 0.3)
    change = {name: part["change of a pixel"] for name, part in parts.items()}
    assert abs(change["not clipped"]) < 0.01 < 0.05 < change["clipped"]
    assert change["clipped"] == pytest.approx(change["clipped, without its mean"] + change["its mean alone"], abs=1e-5)
    assert change["its mean over all pixels"] == pytest.approx(change["its mean alone"], abs=1e-5)
    square = {name: part["root of mean square"]["mean"] ** 2 for name, part in parts.items()}
    both = square["clipped, without its mean"] + square["its mean alone"]
    assert square["clipped"] == pytest.approx(both, rel=0.05)  # what is random in it is uncorrelated with its mean
    assert all(len(part["wrong"]) == 6 for part in parts.values())


def test_longer_changes_are_the_same_changes_made_longer():
    r = 0.05 * torch.randn(40, 784, generator=torch.Generator().manual_seed(2))
    result = result_of(IMAGES, (IMAGES + r).clamp(0, 1), LABELS, torch.ones(40, dtype=torch.bool))
    found = shown.lengthened(result, IMAGES, LABELS, ("FC10(1e-4)",))
    by = dict(zip(found["by factor"]["value"], found["by factor"]["distortion"], strict=True))
    mean = result.distortion.mean().item()
    assert by[1.0] == pytest.approx(mean, rel=1e-4) and by[0.5] == pytest.approx(mean / 2, rel=1e-4)
    assert mean < by[2.0] < 2 * mean + 1e-6 and by[2.0] < by[3.0]
    one = dict(zip(found["to one size"]["value"], found["to one size"]["distortion"], strict=True))
    assert one[0.02] == pytest.approx(0.02, rel=1e-3) and 0.1 < one[0.2] <= 0.2


def test_the_misled_are_those_of_a_plain_loop():
    network = load_network("FC10(1)")
    alone = [int(network(x[None]).argmax()) != int(y) for x, y in zip(IMAGES, LABELS, strict=True)]
    assert shown.misled(network, IMAGES, LABELS).tolist() == alone and 0 < sum(alone) < 40
    assert shown.counts(IMAGES, LABELS, ("FC10(1)",)) == [sum(alone)]


def test_a_mean_has_its_standard_error():
    assert shown.mean([1.0, 3.0]) == pytest.approx({"mean": 2, "standard error": 1})
    assert shown.mean([2.0]) == {"mean": 2, "standard error": 0}
