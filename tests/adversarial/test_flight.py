"""The rows in flight, tick by tick: no waits, values that are what they claim to be, rows that come and go."""

import pytest
import torch

from helpers.adversarial.answers import Answers
from helpers.adversarial.classifier import Classifier
from helpers.adversarial.flight import Flight
from helpers.adversarial.tasks import tasks
from helpers.benchmark.launches import Counter, as_on_a_gpu
from helpers.solver.rows import moves


def flying(network, digits, count, norm="squared", schedule=(1.0,)):
    """A Flight of the first ``count`` digits, which has not begun yet."""
    images, targets = (part[:count] for part in digits)
    answers = Answers(Classifier(network, images), images, targets)
    (task,) = tasks(answers.classifier, answers, norm)
    return Flight(answers, norm, schedule, task)


def ticks(flight, count):
    for _ in range(count):
        flight.tick()
        flight.aim()


@pytest.mark.parametrize("norm", ["squared", "l2"])
def test_no_tick_waits_and_every_tick_has_the_same_operations(norm, network, digits):
    flight = flying(network, digits, 12, norm, (1.0, 8.0))
    operations = []
    for _ in range(40):
        with as_on_a_gpu(), Counter() as counter:
            ticks(flight, 1)
        assert counter.waits == 0
        operations.append(counter.by_name)
    assert all(operations[0] == those for those in operations)
    assert (flight.stage > 0).any() and not flight.open.all()


@pytest.mark.parametrize("norm", ["squared", "l2"])
def test_a_solve_goes_on_from_what_is_known(norm, network, digits):
    """Only c has changed: F and its gradient at the last minimiser are known without an evaluation."""
    flight, changes = flying(network, digits, 10, norm), 0
    for _ in range(30):
        before = flight.log_c
        flight.tick()
        changes += int((flight.log_c != before).sum())
        x = flight.solver.x.clone().requires_grad_(True)
        value = flight.problem(x, flight.image, flight.target, flight.log_c.exp(), flight.schedule[flight.stage])
        (g,) = torch.autograd.grad(value.sum(), x)
        assert torch.allclose(flight.solver.value, value, rtol=1e-4, atol=1e-5)
        assert torch.allclose(flight.solver.g, g, rtol=1e-3, atol=1e-5)
        flight.aim()
    assert changes > 10 and (flight.solver.value[flight.open] > 0).all()


def test_rows_come_and_go_and_those_that_stay_end_as_they_would_have(network, digits):
    alone, crowd = flying(network, digits, 8), flying(network, digits, 8)
    fifth = [part[4:5].clone() for part in (crowd.row, crowd.target, crowd.log_c)]
    ticks(alone, 150)
    assert not alone.open.any()
    ticks(crowd, 9)
    crowd.tick()
    crowd.keep(moves([0, 3], 8, "cpu"))  # 6 and 7 move there
    crowd.aim()
    crowd.tick()
    crowd.replace(torch.tensor([1]), fifth)
    crowd.aim()
    ticks(crowd, 150)
    assert not crowd.open.any() and crowd.row.tolist() == [6, 4, 2, 7, 4, 5]
    assert torch.allclose(crowd.best.value, alone.best.value[crowd.row], rtol=4e-3)


def test_what_is_found_succeeds_and_has_its_size(network, digits):
    flight = flying(network, digits, 8)
    ticks(flight, 40)
    row, target, c, x, size = flight.found(torch.tensor([5, 0]))
    assert row.tolist() == [5, 0] and torch.equal(network(x).argmax(1), target) and (c > 0).all()
    assert torch.allclose((x - digits[0][row]).square().sum(1), size, rtol=1e-4)
