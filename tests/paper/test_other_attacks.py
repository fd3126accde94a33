"""Each of the other attacks is what its name says."""

import pytest
import torch

from helpers import attack
from helpers.paper import attacks, other_attacks

COUNT = 12


def test_the_objectives_differ_little_and_the_first_is_the_tables():
    found = other_attacks.objectives(COUNT)
    assert list(found) == ["squared, paper", "squared, sharpened", "l2, paper", "l2, sharpened"]
    assert found["squared, paper"]["over the tables'"]["mean"] == 1
    for entry in found.values():
        assert entry["reached"] == COUNT and 0.9 < entry["over the tables'"]["mean"] < 1.05
        assert entry["wrong"][3] == COUNT  # the network that it was made for


def test_the_nearest_is_nearer_and_the_farthest_farther_than_any_other_target():
    found = other_attacks.targets(COUNT)
    length = {name: entry["mean"] for name, entry in found.items()}
    assert length["nearest"] < min(length["random"], length["label + 1"])
    assert length["farthest"] > max(length["random"], length["label + 1"])
    images = attacks.digits("train")[0][:COUNT]
    free = attack(attacks.network_of(other_attacks.NETWORK), images, progress=False)
    assert length["nearest"] == pytest.approx(free.distortion.mean().item(), rel=0.01)


def test_only_the_right_images_are_in_the_means_of_the_right_ones():
    found = other_attacks.which_images(60)
    assert found["FC100-100-10"]["train"] == found["FC100-100-10"]["train, right"]  # it gets all of these right
    soft = found["FC10(1)"]
    assert soft["train, right"]["images"] < 60 and soft["train, right"]["mean"] != soft["train"]["mean"]


@pytest.mark.parametrize(("factor", "maxiter"), [(2, 15000), (10, 5)])
def test_the_first_success_is_one_and_the_price_above_it_fails(factor, maxiter):
    network = attacks.network_of(other_attacks.NETWORK)
    images, _, targets = (part[:COUNT] for part in attacks.digits("train"))
    found = other_attacks.first_success(network, (images, targets), factor, maxiter)
    assert found.success.sum() >= 10 and bool((network(found.adversarial).argmax(1) == targets)[found.success].all())
    found, targets, images = found[found.success], targets[found.success], images[found.success]
    steps = (found.c / other_attacks.FIRST_C).log() / -torch.tensor(float(factor)).log()
    assert torch.allclose(steps, steps.round(), atol=1e-4) and steps.min() >= 1
    largest = other_attacks.attacked(other_attacks.NETWORK, (images, targets))
    assert (found.norm / largest.norm).mean() > 1
    assert maxiter < 100 or bool((found.c <= 1.2 * largest.c).all())


def test_the_pairs_add_up_to_the_counts():
    found = other_attacks.closer(COUNT)["FC100-100-10"]
    plain, sharp = (other_attacks.objectives(COUNT)[name]["wrong"] for name in ("squared, paper", "squared, sharpened"))
    for (only_plain, only_sharp), one, two, p in zip(
        found["only β = 1, only sharpened"], plain, sharp, found["p"], strict=True
    ):
        assert only_plain - only_sharp == one - two and 0 < p <= 1
    assert found["over β = 1"]["mean"] < 1


def test_no_attack_is_shorter_than_the_optimum_and_rescaled_it_comes_nearer():
    found = other_attacks.logit_scale(COUNT)
    assert list(found) == ["FC10(1e-4)", "FC10(1e-2)", "FC10(1)"]
    for entry in found.values():
        assert entry["optimum"]["mean"] <= entry["rescaled"]["mean"] + 1e-6 <= entry["β = 1"]["mean"] + 2e-6
    assert found["FC10(1)"]["rescaled"]["mean"] < 0.95 * found["FC10(1)"]["β = 1"]["mean"]
