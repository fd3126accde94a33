"""Solves without a search: down to the bottom of the basin, never worse than they began, without a wait."""

import pytest
import torch

from helpers import attack, load_network
from helpers.adversarial.answers import Answers
from helpers.adversarial.classifier import Classifier
from helpers.adversarial.polish import SHARPNESS, Polish
from helpers.adversarial.promising import promising
from helpers.baselines.exact import exact_linear
from helpers.benchmark.launches import Counter, as_on_a_gpu


def begun(network, images, targets, starts=1):
    """The Answers, a Polish of the closest points of the walks, and the task that it began with."""
    answers = Answers(Classifier(network, images), images, targets)
    (task,) = promising(answers.classifier, answers, starts)
    return answers, Polish(answers, "squared", SHARPNESS, task), task


def test_to_a_thousandth_of_the_exact_optimum(digits, record_property):
    network = load_network("FC10(1e-4)")
    images, targets = digits[0][:60], digits[1][:60]
    there = network(images).argmax(1) == targets
    images, targets = images[~there], targets[~there]
    ratio = (
        attack(network, images, targets, starts=1, progress=False).norm / exact_linear(network, images, targets).norm
    )
    record_property("measured", f"attack, starts=1, FC10(1e-4): ‖r‖ {ratio.mean():.5f} times the exact optimum")
    assert ratio.mean() < 1.001 and ratio.max() < 1.005


def test_every_answer_is_inside_the_box_and_no_worse_than_its_start(network, digits):
    _, polish, (_, target, _, _, size) = begun(network, *digits)
    for _ in range(200):
        polish.tick()
        polish.aim()
    assert not polish.open.any()
    _, _, c, best, value = polish.found(torch.arange(len(polish)))
    assert ((best >= 0) & (best <= 1)).all() and (c > 0).all()
    assert (value.sqrt() <= size * (1 + 1e-6)).all() and (value.sqrt() / size).mean() < 0.99
    assert (network(best).argmax(1) == target).all()


def test_no_tick_waits_and_every_tick_has_the_same_operations(network, digits):
    _, polish, _ = begun(network, digits[0][:12], digits[1][:12])
    operations = []
    for _ in range(40):
        with as_on_a_gpu(), Counter() as counter:
            polish.tick()
            polish.aim()
        assert counter.waits == 0
        operations.append(counter.by_name)
    assert all(operations[0] == those for those in operations)
    assert (polish.stage > 0).any()


def test_the_last_point_is_pulled_back_to_the_border(network, digits):
    """The search keeps the best point that it passes; a look along the ray often finds a closer one."""
    _, polish, _ = begun(network, *digits)
    for _ in range(200):
        polish.tick()
        polish.aim()
    before = polish.best.value.clone()
    after = polish.found(torch.arange(len(polish)))[4]
    assert (after <= before).all() and (after < before).float().mean() > 0.2


@pytest.mark.parametrize("new", [0, 3])
def test_a_place_can_be_given_a_new_task(new, network, digits):
    _, alone, task = begun(network, digits[0][:6], digits[1][:6])
    _, filled, _ = begun(network, digits[0][:6], digits[1][:6])
    for _ in range(7):
        filled.tick()
        filled.aim()
    index = torch.tensor([new])
    filled.tick()
    filled.replace(index, tuple(part[index] for part in task))
    filled.aim()
    for _ in range(150):
        for flight in (alone, filled):
            flight.tick()
            flight.aim()
    one, other = (flight.found(index)[4].sqrt().item() for flight in (alone, filled))
    assert other == pytest.approx(one, rel=1e-3)
