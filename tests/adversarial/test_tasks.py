"""The stream of tasks: which image, which label, which c first."""

import torch
from strange_networks import Counting
from torch import nn

from helpers.adversarial.answers import Answers
from helpers.adversarial.classifier import Classifier
from helpers.adversarial.tasks import nearest_labels, tasks


def test_images_that_have_their_target_bring_no_task(network, digits):
    images, targets = digits[0][:8], digits[1][:8].clone()
    targets[3] = network(images[3:4]).argmax()
    answers = Answers(Classifier(network, images, 3), images, targets)
    row, target, log_c = (
        torch.cat(parts) for parts in zip(*tasks(answers.classifier, answers, "squared"), strict=True)
    )
    assert row.tolist() == [0, 1, 2, 4, 5, 6, 7] and torch.equal(target, targets[row]) and log_c.isfinite().all()
    assert answers.already.tolist() == [i == 3 for i in range(8)] and answers.left.tolist() == [
        int(i != 3) for i in range(8)
    ]


def test_the_stream_looks_at_no_image_before_it_must(network, digits):
    counting = Counting(network)
    answers = Answers(Classifier(counting, digits[0], 4), digits[0])
    counting.rows = 0
    stream = tasks(answers.classifier, answers, "squared")
    row, target, _ = next(stream)
    assert row.tolist() == [0] * 4 and len(set(target.tolist())) == 4 and counting.rows == 8
    assert answers.left.tolist() == [9] * 4 + [-1] * 96


def test_the_nearest_labels_are_the_nearest_of_a_linear_network():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = nn.Linear(6, 50)
    x = torch.rand(3, 6, generator=torch.Generator().manual_seed(1))
    z = network(x).detach()
    label = z.argmax(1)
    gap = z.gather(1, label.unsqueeze(1)) - z
    distance = gap / (network.weight[label].unsqueeze(1) - network.weight).norm(dim=2)
    nearest = distance.scatter(1, label.unsqueeze(1), torch.inf).argsort(1)
    found = nearest_labels(network, x.clone(), 5)
    assert torch.equal(found[:, 0], nearest[:, 0]) and (found != label.unsqueeze(1)).all()
    assert torch.equal(nearest_labels(network, x.clone(), 49)[:, :49], nearest[:, :49])


def test_the_first_c_is_right_to_a_factor(network, digits):
    from helpers import attack

    images, targets = digits[0][:20], digits[1][:20]
    for norm in ("squared", "l2"):
        found = attack(network, images, targets, norm=norm, progress=False)
        answers = Answers(Classifier(network, images), images, targets)
        ((row, _, log_c),) = tasks(answers.classifier, answers, norm)
        assert (log_c.exp() / found.c[row]).log().abs().median() < 1
