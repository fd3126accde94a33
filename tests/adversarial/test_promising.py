"""The stream of walks: the closest are carried on, no pass is too large, and what meets no border is left."""

import pytest
import torch
from strange_networks import always_zero

from helpers.adversarial import descent
from helpers.adversarial.answers import Answers
from helpers.adversarial.classifier import Classifier
from helpers.adversarial.objective import PricedProblem
from helpers.adversarial.promising import kept, promising
from helpers.adversarial.walk import STEPS


def streamed(network, images, targets, starts, max_batch=None):
    answers = Answers(Classifier(network, images, max_batch), images, targets)
    return answers, list(promising(answers.classifier, answers, starts))


def test_the_closest_of_all_walks_are_carried_on(network, digits):
    images, targets = digits[0][:5], digits[1][:5]
    _, ((row, _, _, x, size),) = streamed(network, images, targets, 6)
    assert [kept(starts) for starts in (1, 2, 3, 4, 6)] == [1, 1, 2, 2, 3]
    assert row.tolist() == [i // 3 for i in range(15)]
    _, (few,) = streamed(network, images, targets, 3)
    assert (size.view(5, 3)[:, 0] <= few[4].view(5, 2)[:, 0] * (1 + 1e-5)).all()  # three starts are among the six
    assert torch.allclose((x - images[row]).norm(dim=1), size)


@pytest.mark.parametrize("max_batch", [1, 3, 7])
def test_no_pass_is_larger_and_the_tasks_are_the_same(max_batch, network, digits, monkeypatch):
    monkeypatch.setattr(descent, "STEPS", 30)
    images, targets = digits[0][:5], digits[1][:5]
    sizes = []

    def watched(x):
        sizes.append(len(x))
        return network(x)

    _, whole = streamed(network, images, targets, 6)  # five walks and a descent
    answers, parts = streamed(watched, images, targets, 6, max_batch)
    assert max(sizes) <= max_batch
    assert torch.cat([part[0] for part in parts]).tolist() == whole[0][0].tolist()
    assert torch.allclose(torch.cat([part[4] for part in parts]), whole[0][4], rtol=1e-3)
    assert answers.evaluations.tolist() == [5 * STEPS + 30] * 5


def test_from_four_starts_on_one_is_a_descent(network, digits):
    images, targets = digits[0][:5], digits[1][:5]
    passes = [streamed(network, images, targets, starts)[0].evaluations.tolist() for starts in (3, 4, 5)]
    assert passes == [[3 * STEPS + more] * 5 for more in (0, descent.STEPS, descent.STEPS + STEPS)]
    way = descent.Descent(PricedProblem(Classifier(network, images)), images, targets, lambda: None).run()
    _, ((_, _, _, _, size),) = streamed(network, images, targets, 4)
    carried_on = size.view(5, 2)
    among = torch.isclose(carried_on, way.best.value.unsqueeze(1), rtol=1e-3).any(1)
    assert (among | (carried_on.amax(1) < way.best.value)).all() and among.any()


def test_an_untargeted_image_is_walked_to_every_label_and_its_closest_are_kept(network, digits):
    answers, ((row, target, _, _, size),) = streamed(network, digits[0][:3], None, 2)
    assert row.tolist() == [0, 1, 2] and answers.left.tolist() == [1, 1, 1]
    targeted = [streamed(network, digits[0][:1], torch.tensor([label]), 2)[1][0] for label in range(10) if label != 7]
    closest = min(targeted, key=lambda task: task[4].item())
    assert target[0] == closest[1] and size[0].item() == pytest.approx(closest[4].item(), rel=1e-3)


def test_an_image_that_meets_no_border_is_left_unanswered(digits):
    answers, tasks = streamed(always_zero(), digits[0][:3], torch.tensor([1, 0, 2]), 2)
    assert tasks == [] and answers.left.tolist() == [-1, 0, -1] and answers.already.tolist() == [False, True, False]
