"""The c path: the exchange lemma without exception, and agreement with the attack."""

import pytest
import torch
from torch.nn.functional import cross_entropy

from helpers import attack, c_path, load_network

PRICES = {"squared": torch.logspace(-3, 3, 17), "l2": torch.logspace(-2, 2, 17)}


@pytest.mark.parametrize("norm", PRICES)
@pytest.mark.parametrize("sharpness", [1.0, 8.0])
@pytest.mark.parametrize("which", range(2))
def test_the_norm_falls_and_the_loss_rises_with_c(norm, sharpness, which, network, digits):
    image, target = digits[0][which], int(digits[1][which])
    path = c_path(network, image, target, PRICES[norm], norm=norm, sharpness=sharpness)
    assert (path.norm.diff() <= 0).all() and (path.loss.diff() >= 0).all()
    assert path.norm[0] > 0.5 and path.norm[-1] < 0.2 * path.norm[0]
    assert torch.equal(path.c, PRICES[norm])

    x = path.adversarial
    assert ((x >= 0) & (x <= 1)).all() and torch.equal(path.perturbation, x - image)
    assert torch.allclose(path.norm, path.perturbation.norm(dim=1))
    logits = network(x)
    assert torch.allclose(path.logits, logits, atol=1e-4)
    label = torch.full((len(x),), target)
    assert torch.allclose(path.loss, cross_entropy(sharpness * logits, label, reduction="none") / sharpness, atol=1e-4)
    others = logits.clone()
    others[:, target] = -torch.inf
    assert torch.allclose(path.margin, others.amax(1) - logits[:, target], atol=1e-4)
    assert torch.equal(path.success, path.logits.argmax(1) == target)

    size = path.norm**2 if norm == "squared" else path.norm
    still = cross_entropy(sharpness * network(image.unsqueeze(0)), label[:1]) / sharpness
    assert (path.c * size + path.loss <= still + 1e-4).all()  # never worse than r = 0
    assert path.success.any() and not path.success.all()
    assert path.success[path.best] and not path.success[path.best + 1 :].any()


def test_no_answer_of_the_path_beats_another_at_its_own_c(network, digits):
    path = c_path(network, digits[0][3], int(digits[1][3]), PRICES["squared"])
    objective = path.c.unsqueeze(1) * path.norm**2 + path.loss
    assert (objective.diagonal() <= objective.amin(1) + 1e-4).all()


def test_the_two_norms_share_their_stationary_points(network, digits):
    """c_norm ∇‖r‖ = c_norm r/‖r‖ and c_sq ∇‖r‖² = 2 c_sq r are the same where c_norm = 2 c_sq ‖r‖."""
    image, target = digits[0][0].double(), int(digits[1][0])
    network = load_network("FC100-100-10").double()
    squared = c_path(network, image, target, torch.logspace(-2, -1, 5))
    matched = 2 * squared.c * squared.norm
    l2 = c_path(network, image, target, matched, norm="l2")
    order = matched.argsort()
    agree = (l2.perturbation - squared.perturbation[order]).norm(dim=1) <= 0.02 * l2.norm
    assert agree.sum() >= 3  # the norm jumps over part of the path, where its frontier is not convex


@pytest.mark.parametrize("which", range(2, 5))
def test_the_largest_c_that_succeeds_is_the_attacks(which, network, digits):
    image, target = digits[0][which : which + 1], digits[1][which : which + 1]
    found = attack(network, image, target, progress=False)
    c = found.c.item() * torch.logspace(-0.1, 0.1, 21)
    path = c_path(network, image, int(target), c)
    assert path.c[path.best].item() == pytest.approx(found.c.item(), rel=0.05)
    assert path.norm[path.best].item() == pytest.approx(found.norm.item(), rel=0.02)


def test_c_may_come_in_any_order_and_a_sequence_will_do(network, digits):
    path = c_path(network, digits[0][0], int(digits[1][0]), [0.3, 0.01, 0.1])
    ordered = c_path(network, digits[0][0], int(digits[1][0]), torch.tensor([0.01, 0.1, 0.3]))
    assert torch.equal(path.c, ordered.c) and torch.equal(path.adversarial, ordered.adversarial)


def test_nothing_succeeds_at_high_prices_and_no_c_is_an_empty_path(network, digits):
    path = c_path(network, digits[0][0], int(digits[1][0]), [50.0, 100.0])
    assert path.best is None and not path.success.any()
    path = c_path(network, digits[0][0], int(digits[1][0]), [])
    assert path.c.shape == (0,) and path.adversarial.shape == (0, 784) and path.best is None


def test_any_shape_of_image_with_or_without_its_batch_dimension(network, digits):
    class Pictures(torch.nn.Module):
        def forward(self, x):
            assert x.shape[1:] == (1, 28, 28)
            return network(x.flatten(1))

    flat = c_path(network, digits[0][0], int(digits[1][0]), [0.01, 0.1])
    for shape in ((1, 28, 28), (1, 1, 28, 28)):
        path = c_path(Pictures().eval(), digits[0][0].view(shape), int(digits[1][0]), [0.01, 0.1])
        assert path.adversarial.shape == (2, 1, 28, 28)
        assert torch.allclose(path.adversarial.flatten(1), flat.adversarial, atol=1e-5)
    row = c_path(network, digits[0][:1], int(digits[1][0]), [0.01, 0.1])
    assert torch.equal(row.adversarial, flat.adversarial)


def test_few_iterations_cost_few_passes_and_the_lemma_holds_among_the_answers(network, digits):
    images, targets = digits
    c = torch.logspace(-1, 2, 6)
    short = c_path(network, images[0], int(targets[0]), c, maxiter=4)
    whole = c_path(network, images[0], int(targets[0]), c)
    assert (short.evaluations <= whole.evaluations).all() and short.evaluations.sum() < 0.7 * whole.evaluations.sum()
    assert (short.norm.diff() <= 1e-6).all() and (short.loss.diff() >= -1e-6).all()


def test_another_start_and_what_the_second_round_gained(network, digits):
    """From its own answer a path gains nothing more; a start that is no such image is refused."""
    image, target = digits[0][0], int(digits[1][0])
    path = c_path(network, image, target, [0.1])
    again = c_path(network, image, target, [0.1], start=path.adversarial[0])
    value = (path.c * path.norm**2 + path.loss).item()
    assert (again.c * again.norm**2 + again.loss).item() <= value + 1e-6
    assert again.evaluations.item() < path.evaluations.item() and 0 <= again.gain.item() < 1e-5
    assert c_path(network, image, target, [0.1], maxiter=2).gain.item() > 1e-3
    assert c_path(network, image, target, [], start=image).gain.shape == (0,)
    for wrong in (image[:9], image + 2):
        with pytest.raises(ValueError, match="start must be an image like the first"):
            c_path(network, image, target, [0.1], start=wrong)
