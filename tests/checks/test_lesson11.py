"""Lesson 11's checks: right answers of another form pass, and each mistake is named."""

from functools import partial

import notebook_tools
import pytest
import torch
from notebook_tools import NOTEBOOKS
from torch.nn.functional import cross_entropy
from verdicts import assert_caught, said

from helpers import attack, minimize

PATH = NOTEBOOKS / "11_learning_from_mistakes.ipynb"
SCOPE = {"torch": torch, "attack": attack, "cross_entropy": cross_entropy}
written = partial(notebook_tools.written, PATH, scope=SCOPE)


# --- new_examples ---


def found(network, depth, images, targets):
    phi = network[:depth](images)
    return phi, attack(network[depth:].eval(), phi, targets, progress=False)


def by_a_loop(network, depth, images, labels, targets):
    """Image by image, module by module, and from the perturbation."""
    out = []
    for x, target in zip(images, targets, strict=True):
        for module in list(network)[:depth]:
            x = module(x)
        rest = torch.nn.Sequential(*list(network)[depth:]).eval()
        one = attack(rest, x[None], target[None], sharpness=(1, 8), progress=False)
        out.append((x + one.perturbation[0]).clamp(0, 1))
    return torch.stack(out), labels.clone()


def by_prices(network, depth, images, labels, targets):
    """Lesson 06's way: minimise at many prices at once, and keep the nearest success."""
    phi = network[:depth](images).detach()
    nearest, best = torch.full((len(phi),), torch.inf, dtype=phi.dtype), phi.clone()

    def priced(x, start, target, c):
        return c * (x - start).square().sum(1) + cross_entropy(network[depth:](x), target, reduction="none")

    for c in torch.logspace(-2, 4, 200):
        x = minimize(priced, phi, 0.0, 1.0, (phi, targets, c.to(phi.dtype).expand(len(phi)))).x
        size = (x - phi).norm(dim=1)
        better = (network[depth:](x).argmax(1) == targets) & (size < nearest)
        nearest, best = torch.where(better, size, nearest), torch.where(better[:, None], x, best)
    return best, labels


@pytest.mark.parametrize("candidate", [by_a_loop, by_prices])
def test_other_ways_to_the_examples_are_correct(capsys, candidate):
    candidate.__name__ = "new_examples"
    assert said(capsys, "new_examples", candidate).startswith("new_examples: correct - ")


def through_the_image(network, depth, images, labels, targets):
    adversarial = attack(network, images, targets, progress=False).adversarial
    return network[:depth](adversarial), labels


def of_the_input(network, depth, images, labels, targets):
    return attack(network, images, targets, progress=False).adversarial, labels


def for_the_targets(network, depth, images, labels, targets):
    return found(network, depth, images, targets)[1].adversarial, targets


def the_change_alone(network, depth, images, labels, targets):
    return found(network, depth, images, targets)[1].perturbation, labels


def beyond_the_box(network, depth, images, labels, targets):
    phi, result = found(network, depth, images, targets)
    return phi + 8 * result.perturbation, labels


def towards_the_own_label(network, depth, images, labels, targets):
    return found(network, depth, images, labels)[1].adversarial, labels


def too_far(network, depth, images, labels, targets):
    phi, result = found(network, depth, images, targets)
    return (phi + 1.2 * result.perturbation).clamp(0, 1), labels


def by_fgsm(network, depth, images, labels, targets):
    phi = network[:depth](images).detach().requires_grad_()
    (g,) = torch.autograd.grad(cross_entropy(network[depth:](phi), targets, reduction="sum"), phi)
    for epsilon in torch.linspace(0.01, 1, 100):
        x = (phi - epsilon * g.sign()).clamp(0, 1).detach()
        if (network[depth:](x).argmax(1) == targets).all():
            break
    return x, labels


def with_a_graph(network, depth, images, labels, targets):
    _, result = found(network, depth, images, targets)
    return result.adversarial.requires_grad_() * 1, labels


def shuffled(network, depth, images, labels, targets):
    return found(network, depth, images, targets)[1].adversarial, labels.roll(1)


WRONG_EXAMPLES = {
    through_the_image: "times as far from the layer's output as it need be",
    of_the_input: "the examples have shape (7, 9); what goes on from there has (7, 12)",
    for_the_targets: "is the true one of its image, not the target",
    the_change_alone: "return φ + r, the attack's `adversarial`",
    beyond_the_box: "leave the box [0, 1]",
    towards_the_own_label: "7 of 7 examples are the outputs as they were",
    too_far: "times as far from the layer's output",
    by_fgsm: "times as far from the layer's output",
    with_a_graph: "detach",
    shuffled: "the labels must be those of the images, in their order",
}


@pytest.mark.parametrize("candidate", WRONG_EXAMPLES, ids=lambda f: f.__name__)
def test_wrong_examples_are_told_by_name(capsys, candidate):
    assert_caught(capsys, "new_examples", candidate, WRONG_EXAMPLES[candidate])


# --- fgsm_loss ---


def stepped(network, images, labels, epsilon, scale=lambda g: g.sign(), clip=True, gradient_for=None):
    x = images.detach().clone().requires_grad_(True)
    (g,) = torch.autograd.grad(cross_entropy(network(x), labels if gradient_for is None else gradient_for), x)
    moved = images + epsilon * scale(g)
    return moved.clamp(0, 1) if clip else moved


def in_one_pass(network, images, labels, epsilon):
    both = torch.cat([images, stepped(network, images, labels, epsilon)])
    return cross_entropy(network(both), torch.cat([labels, labels]))


def with_other_functions(network, images, labels, epsilon):
    x = images.clone().requires_grad_(True)
    g = torch.func.grad(lambda v: -network(v).log_softmax(1).gather(1, labels[:, None]).sum())(x.detach())
    x_new = torch.minimum(torch.maximum(images + epsilon * torch.sign(g), torch.zeros(())), torch.ones(()))
    losses = [-network(v).log_softmax(1).gather(1, labels[:, None]).mean() for v in (images, x_new)]
    return 0.5 * losses[0] + 0.5 * losses[1]


@pytest.mark.parametrize("candidate", [in_one_pass, with_other_functions])
def test_other_ways_to_the_loss_are_correct(capsys, candidate):
    assert said(capsys, "fgsm_loss", candidate).startswith("fgsm_loss: correct - ")


def half(network, images, moved, labels, theirs=None):
    return (
        cross_entropy(network(images), labels) + cross_entropy(network(moved), labels if theirs is None else theirs)
    ) / 2


def with_step(**options):
    def fgsm_loss(network, images, labels, epsilon):
        return half(network, images, stepped(network, images, labels, epsilon, **options), labels)

    return fgsm_loss


def by_backward(network, images, labels, epsilon):
    x = images.clone().requires_grad_(True)
    cross_entropy(network(x), labels).backward()
    return half(network, images, (images + epsilon * x.grad.sign()).clamp(0, 1), labels)


def on_the_callers_images(network, images, labels, epsilon):
    images.requires_grad_(True)
    (g,) = torch.autograd.grad(cross_entropy(network(images), labels), images)
    return half(network, images, (images + epsilon * g.sign()).clamp(0, 1), labels)


def for_the_guess(network, images, labels, epsilon):
    guess = network(images).argmax(1)
    return half(network, images, stepped(network, images, labels, epsilon, gradient_for=guess), labels)


def learned_as_the_guess(network, images, labels, epsilon):
    moved = stepped(network, images, labels, epsilon)
    return half(network, images, moved, labels, network(images).argmax(1))


def summed(network, images, labels, epsilon):
    return 2 * half(network, images, stepped(network, images, labels, epsilon), labels)


def changed_alone(network, images, labels, epsilon):
    return cross_entropy(network(stepped(network, images, labels, epsilon)), labels)


def never_moved(network, images, labels, epsilon):
    return cross_entropy(network(images), labels)


def as_a_number(network, images, labels, epsilon):
    return half(network, images, stepped(network, images, labels, epsilon), labels).detach()


def for_each(network, images, labels, epsilon):
    return cross_entropy(network(stepped(network, images, labels, epsilon)), labels, reduction="none")


def half_learned(network, images, labels, epsilon):
    moved = stepped(network, images, labels, epsilon)
    with torch.no_grad():
        other = cross_entropy(network(moved), labels)
    return (cross_entropy(network(images), labels) + other) / 2


def with_a_doubled_step(network, images, labels, epsilon):
    return half(network, images, stepped(network, images, labels, 2 * epsilon), labels)


WRONG_LOSSES = {
    "down": (with_step(scale=lambda g: -g.sign()), "the step goes down the loss of the true label"),
    "not clipped": (with_step(clip=False), "leave [0, 1]: clip them"),
    "raw gradient": (with_step(scale=lambda g: g), "FGSM takes its sign"),
    "unit gradient": (
        with_step(scale=lambda g: 10**0.5 * g / g.norm(dim=1, keepdim=True)),
        "FGSM takes the sign of each entry",
    ),
    "backward": (by_backward, "leaves gradients in the weights' .grad"),
    "caller's images": (on_the_callers_images, "gradients for the caller's images"),
    "gradient for the guess": (for_the_guess, "for the label that the network says; take the true one"),
    "learned as the guess": (learned_as_the_guess, "are learned with the label that the network says"),
    "sum": (summed, "it is the sum of both losses"),
    "changed alone": (changed_alone, "only the changed images count"),
    "never moved": (never_moved, "only the images as they are count"),
    "detached": (as_a_number, "nothing could be learned from it"),
    "one for each image": (for_each, "a tensor without axes"),
    "half learned": (half_learned, "not that of both halves"),
    "doubled step": (with_a_doubled_step, "it must be"),
}


@pytest.mark.parametrize("name", WRONG_LOSSES)
def test_wrong_losses_are_told_by_name(capsys, name):
    assert_caught(capsys, "fgsm_loss", *WRONG_LOSSES[name])
