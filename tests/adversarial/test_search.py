"""The search over c, driven directly: who is in flight, where a sharper stage starts, what an interruption leaves."""

import pytest
import torch
from strange_networks import Counting

from helpers.adversarial.answers import Answers
from helpers.adversarial.classifier import Classifier
from helpers.adversarial.search import Search


def searched(network, images, targets, schedule=(1.0,), at_once=None):
    """The Answers of a search that has run to its end, and the Search."""
    answers = Answers(Classifier(network, images, at_once), images, targets)
    search = Search(answers, "squared", schedule)
    search.run()
    return answers, search


@pytest.mark.parametrize("at_once", [1, 3, 100])
def test_the_number_of_places_changes_no_answer(at_once, network, digits):
    images, targets = digits[0][:7], digits[1][:7]
    few, _ = searched(network, images, targets, at_once=at_once)
    all_at_once, _ = searched(network, images, targets)
    assert torch.allclose(few.size, all_at_once.size, rtol=2e-3)


def test_no_more_are_in_flight_than_there_are_places(network, digits):
    counting = Counting(network)
    _, search = searched(counting, *(part[:9] for part in digits), at_once=4)
    assert counting.largest == 4 and len(search.flight) == 0 and not search.finished


def test_a_sharper_stage_goes_on_from_the_best_and_ends_no_farther(network, digits):
    images, targets = digits[0][:10], digits[1][:10]
    plain, _ = searched(network, images, targets)
    sharp, _ = searched(network, images, targets, schedule=(1.0, 8.0))
    assert (sharp.size <= plain.size * (1 + 1e-4)).all() and sharp.size.mean() < 0.999 * plain.size.mean()


def test_what_an_interruption_leaves_is_judged(network, digits):
    images, targets = digits[0][:5], digits[1][:5]
    passes = 0

    def impatient(x):
        nonlocal passes
        passes += x.requires_grad
        if x.requires_grad and passes == 16:
            raise KeyboardInterrupt
        return network(x)

    answers = Answers(Classifier(impatient, images), images, targets)
    search = Search(answers, "squared", (1.0,))
    with pytest.raises(KeyboardInterrupt):
        search.run()
    search.salvage()
    found = torch.isfinite(answers.size)
    assert found.any() and (answers.left == 1).all()
    assert torch.equal(network(answers.adversarial).argmax(1)[found], targets[found])
