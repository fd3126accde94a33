"""The judge: the best point that was seen, then a little farther along the ray."""

import torch

from helpers.adversarial.answers import FARTHER, Answers
from helpers.adversarial.classifier import Classifier


def brightness(x):
    """Label 1 where the first pixel is above 0.6, else label 0; label 2 never."""
    return torch.stack([torch.full_like(x[:, 0], 0.6), x[:, 0], 0 * x[:, 0] - 9], 1)


def judged(best, targets=(1,), rows=(0,), images=1):
    """The answers after one look: ``best`` are the first pixels of the points that were found."""
    start = torch.full((images, 4), 0.5)
    answers = Answers(Classifier(brightness, start), start, torch.ones(images).long())
    x = torch.tensor([[pixel, 0.5, 0.5, 0.5] for pixel in best])
    target, row = torch.tensor(targets), torch.tensor(rows)
    answers.judge(row, target, torch.arange(1.0, 1 + len(row)), x, x[:, 0])
    return answers


def test_the_best_point_where_it_succeeds():
    answers = judged([0.61])
    assert answers.adversarial[0, 0] == torch.tensor(0.61) and answers.c[0] == 1
    assert torch.allclose(answers.size, torch.tensor([0.11])) and answers.result().success.all()


def test_a_little_farther_where_it_denies_that_and_not_found_beyond():
    near = judged([0.5999])
    assert torch.allclose(near.adversarial[0, 0], torch.tensor(0.5 + FARTHER[2] * 0.0999))
    answers = judged([0.59])
    assert torch.equal(answers.adversarial, answers.images) and not answers.result().success.any()
    assert answers.forwards.sum() - answers.classifier.forwards.sum() == len(FARTHER)


def test_the_smallest_of_an_images_answers_stays_whatever_their_order():
    for order in ([0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]):
        pixels = [[0.8, 0.65, 0.65, 0.7][i] for i in order]
        answers = judged(pixels, [1] * 4, [[0, 0, 0, 1][i] for i in order], images=2)
        assert torch.equal(answers.adversarial[:, 0], torch.tensor([0.65, 0.7]))
        answers.judge(
            *(t.clone() for t in (torch.tensor([0]), torch.tensor([1]), torch.ones(1))),
            answers.images[:1],
            torch.ones(1),
        )
        assert torch.equal(answers.adversarial[:, 0], torch.tensor([0.65, 0.7]))


def test_nothing_seen_is_nothing_judged():
    answers = judged([torch.inf])
    assert torch.equal(answers.adversarial, answers.images) and answers.size.isinf().all()


def test_the_words():
    start = torch.full((4, 4), 0.5)
    answers = Answers(Classifier(brightness, start), start, torch.tensor([0, 1, 1, 2]))
    answers.already[0], answers.left = True, torch.tensor([0, 1, -1, 0])
    answers.size[1] = 0.2
    status = answers.result().status
    assert status[0].startswith("nothing to do") and status[1] == "interrupted: the best so far"
    assert status[2] == "interrupted: nothing found yet" and status[3] == "not found: no c gave the target label"
