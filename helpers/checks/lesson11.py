"""Lesson 11's checks: adversarial examples for the output of a layer, and the loss of training with FGSM.

torch is imported where it is used, for the checks of the lessons before are loaded with this file.
"""

from ._verdict import Wrong, check, expect

__all__ = ["fgsm_loss", "new_examples"]


@check
def new_examples(candidate):
    import torch

    for seed, depth in ((111, 2), (112, 2), (113, 0)):
        network = _two_labels(seed, hidden=depth > 0)
        images = 0.1 + 0.8 * torch.rand(7, 9, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        with torch.no_grad():
            outputs, labels = network[:depth](images), network(images).argmax(1)
        targets = 1 - labels
        _one_layer(candidate, network, depth, (images, outputs, labels, targets))
    return "the nearest outputs with another label, in the layer's box, each with its image's own label"


def _two_labels(seed, hidden):
    """A network with two labels whose last layer is all that follows ``depth``: the nearest change is known."""
    import torch
    from torch import nn

    with torch.random.fork_rng(devices=[]):  # the reader's random numbers go on as if nothing had happened
        layers = [nn.Linear(9, 12), nn.Sigmoid(), nn.Linear(12, 2)] if hidden else [nn.Linear(9, 2)]
    network = nn.Sequential(*layers).double().eval().requires_grad_(False)
    generator = torch.Generator().manual_seed(seed)
    for p in network.parameters():
        p.copy_(torch.randn(p.shape, generator=generator, dtype=torch.float64))
    # The border runs through the middle of what the last layer sees, so that no bound of the box is in the way.
    points = 0.1 + 0.8 * torch.rand(200, 9, generator=generator, dtype=torch.float64)
    network[-1].bias.zero_().sub_(network[-1](network[:-1](points)).mean(0))
    return network


def _one_layer(candidate, network, depth, task):
    import torch

    images, outputs, labels, targets = task
    where = f"for the outputs of {depth} modules" if depth else "for the input, depth = 0"
    answer = candidate(network, depth, images, labels, targets)
    if not (isinstance(answer, tuple | list) and len(answer) == 2 and all(map(torch.is_tensor, answer))):
        raise Wrong("it must return two tensors, the examples and their labels")
    examples, theirs = answer
    expect(
        examples.shape == outputs.shape,
        f"{where}: the examples have shape {tuple(examples.shape)}; what goes on from there has {tuple(outputs.shape)}",
    )
    expect(not examples.requires_grad, f"{where}: the examples still carry a graph; detach them")
    low, high = examples.min().item(), examples.max().item()
    expect(
        low >= 0 and high <= 1,
        f"{where}: entries from {low:.2f} to {high:.2f} leave the box [0, 1]: return φ + r, the attack's `adversarial`",
    )
    expect(
        theirs.shape == labels.shape and torch.equal(theirs, labels),
        f"{where}: the label that an example is learned with is the true one of its image, not the target: the network "
        "must unlearn the mistake"
        if theirs.shape == labels.shape and torch.equal(theirs, targets)
        else f"{where}: the labels must be those of the images, in their order",
    )
    moved = (examples - outputs).norm(dim=1)
    expect(bool((moved > 0).all()), f"{where}: {int((moved == 0).sum())} of 7 examples are the outputs as they were")
    says = network[depth:](examples).argmax(1)
    expect(
        torch.equal(says, targets),
        f"{where}: the rest of the network gives only {int((says == targets).sum())} of 7 examples their target",
    )
    nearest = _distances(network, outputs)
    worst = (moved / nearest).max().item()
    expect(
        worst < 1.1,
        f"{where}: an example is {worst:.2f} times as far from the layer's output as it need be: "
        "attack the rest of the network, with the layer's output in the place of the image",
    )


def _distances(network, outputs):
    """From each output the distance to the border of the last layer's two labels."""
    a, b = network[-1].weight, network[-1].bias
    return ((outputs @ (a[1] - a[0]) + b[1] - b[0]) / (a[1] - a[0]).norm()).abs()


@check
def fgsm_loss(candidate):
    import torch
    from torch import nn

    with torch.random.fork_rng(devices=[]):
        for seed, epsilon in ((114, 0.1), (115, 0.3)):
            torch.manual_seed(seed)
            network = nn.Sequential(nn.Linear(10, 8), nn.Sigmoid(), nn.Linear(8, 4)).double()
            network[0].weight.data *= 6
            network[2].weight.data *= 6
            images = (1.6 * torch.rand(30, 10).double() - 0.3).clamp(0, 1)  # many pixels at 0 and at 1
            _one_loss(candidate, network, images, torch.randint(4, (30,)), epsilon)
    return (
        "half the loss on the images, half on the images after one step up their own loss, with gradients for weights"
    )


def _one_loss(candidate, network, images, labels, epsilon):
    import torch
    from torch.nn.functional import cross_entropy

    def half(points, other=labels):
        return cross_entropy(network(points), other) / 2

    x = images.clone().requires_grad_()
    (g,) = torch.autograd.grad(cross_entropy(network(x), labels), x)
    guess = network(images).argmax(1)
    (g_guess,) = torch.autograd.grad(cross_entropy(network(x), guess), x)
    step, length = epsilon * g.sign(), epsilon * 10**0.5
    right = half(images) + half((images + step).clamp(0, 1))

    loss = candidate(network, images, labels, epsilon)
    expect(torch.is_tensor(loss) and loss.shape == (), "it must return one number, a tensor without axes")
    used = [p for p in network.parameters() if p.grad is not None]
    expect(
        not used,
        "it leaves gradients in the weights' .grad, which the next optimizer step adds to its own: "
        "torch.autograd.grad(loss, x) computes that of the images alone",
    )
    expect(not images.requires_grad, "it switches on gradients for the caller's images: work on a copy of them")
    unit = g / g.norm(dim=1, keepdim=True)
    mistakes = {
        "the step goes down the loss of the true label, which makes the image easier; FGSM adds ε sign ∇": half(images)
        + half((images - step).clamp(0, 1)),
        "the images after the step leave [0, 1]: clip them": half(images) + half(images + step),
        "the step is ε times the gradient; FGSM takes its sign": half(images)
        + half((images + epsilon * g).clamp(0, 1)),
        "the step has the length ε √n along the gradient; FGSM takes the sign of each entry": half(images)
        + half((images + length * unit).clamp(0, 1)),
        "the step follows the gradient for the label that the network says; take the true one": half(images)
        + half((images + epsilon * g_guess.sign()).clamp(0, 1)),
        "only the changed images count; half of the loss belongs to the images as they are": 2
        * half((images + step).clamp(0, 1)),
        "only the images as they are count": 2 * half(images),
        "it is the sum of both losses; each counts half": 2 * right,
        "the changed images are learned with the label that the network says; take the true one": half(images)
        + half((images + step).clamp(0, 1), guess),
    }
    for words, wrong in mistakes.items():
        expect(abs(loss - wrong) > 1e-9, words)
    expect(abs(loss - right) < 1e-9, f"the loss is {loss.item():.4f}, it must be {right.item():.4f} for ε = {epsilon}")
    expect(loss.requires_grad, "the loss carries no gradient for the weights: nothing could be learned from it")
    wanted = torch.autograd.grad(right, list(network.parameters()))
    found = torch.autograd.grad(loss, list(network.parameters()), allow_unused=True)
    same = all(f is not None and torch.allclose(f, w) for f, w in zip(found, wanted, strict=True))
    expect(same, "the gradient for the weights is not that of both halves")
