"""The priced problem and the one test of success."""

import pytest
import torch
from torch.nn.functional import cross_entropy

from helpers.adversarial.objective import NORMS, PricedProblem, Slack, margin, shortfall, succeeds, surrogate

LOGITS = torch.tensor([[2.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 1.0, 1.5], [torch.nan, 1.0, 0.0]])


def test_success_is_a_lead_of_more_than_the_slack_and_a_tie_is_none():
    target = torch.zeros(4, dtype=torch.long)
    assert margin(LOGITS, target)[:3].tolist() == [-1.0, 0.0, 1.5]
    assert succeeds(LOGITS, target).tolist() == [True, False, False, False]
    assert succeeds(LOGITS, target, Slack(0.9)).tolist() == [True, False, False, False]
    assert not succeeds(LOGITS, target, Slack(1.0)).any()
    assert not succeeds(LOGITS.flip(1), torch.full((4,), 2), Slack(1.0)).any()  # not a number, wherever it stands


def test_the_slack_of_an_image_is_what_moved_and_a_share_of_its_own_logits():
    assert torch.allclose(Slack(0.5, 0.1).of(LOGITS[:3]), torch.tensor([0.7, 0.6, 0.65]))
    assert Slack(0.5, 0.1).of(LOGITS)[3].isnan()


def test_the_surrogate_tends_to_the_hinge():
    target, z = torch.tensor([1, 1, 0]), LOGITS[:3]
    assert torch.allclose(surrogate(z, target, torch.ones(3)), cross_entropy(z, target, reduction="none"))
    assert torch.allclose(surrogate(z, target, torch.full((3,), 1e4)), margin(z, target).clamp(min=0), atol=1e-3)


def test_short_of_the_target_is_the_margin_and_the_slack():
    target = torch.zeros(3, dtype=torch.long)
    assert torch.allclose(shortfall(LOGITS[:3], target, Slack(0.25)), torch.tensor([-0.75, 0.25, 1.75]))


@pytest.mark.parametrize("norm", NORMS)
def test_the_price_is_of_the_norm_and_the_gradient_is_the_sum_of_its_parts(norm):
    W = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    problem = PricedProblem(lambda x: x @ W, norm)
    x, image = torch.rand(2, 5, 4, generator=torch.Generator().manual_seed(1))
    target, c, beta = torch.arange(5) % 3, torch.linspace(0.1, 2, 5), torch.full((5,), 2.0)
    x.requires_grad_(True)
    value = problem(x, image, target, c, beta)
    length = (x - image).norm(dim=1)
    size = length**2 if norm == "squared" else length
    assert torch.allclose(value, c * size + cross_entropy(2 * x @ W, target, reduction="none") / 2)
    with torch.no_grad():
        loss, g, logits = problem.loss(x, target, beta)
        size, r = problem.size(x - image), x - image
    assert torch.allclose(logits, x @ W) and torch.allclose(value, c * size + loss) and not g.requires_grad
    whole = torch.autograd.grad(value.sum(), x)[0]
    assert torch.allclose(whole, g + (c * problem.pull(size)).unsqueeze(1) * r, atol=1e-6)


def test_the_norm_has_the_gradient_zero_where_the_attack_starts():
    r = torch.zeros(2, 3).requires_grad_(True)
    problem = PricedProblem(None, "l2")
    (g,) = torch.autograd.grad(problem.size(r).sum(), r)
    assert (g == 0).all() and (problem.pull(torch.zeros(2)) == 0).all()
