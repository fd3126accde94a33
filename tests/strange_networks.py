"""Networks that are not the course's, for tests of an attack that must be right on any network."""

import torch
from torch import nn

OutOfMemory = getattr(torch, "OutOfMemoryError", torch.cuda.OutOfMemoryError)  # torch 2.4 has the second name alone


class Uneven(nn.Module):
    """``network`` with logits that differ by up to ``amount`` with the size of the batch and the place in it."""

    def __init__(self, network, amount):
        super().__init__()
        self.network, self.amount = network, amount

    def forward(self, x):
        logits = self.network(x)
        place = torch.arange(len(x), dtype=logits.dtype, device=x.device).unsqueeze(1)
        label = torch.arange(logits.shape[1], dtype=logits.dtype, device=x.device)
        return logits + self.amount * torch.sin(12.9898 * place + 78.233 * label + 37.719 * len(x))


class Counting(nn.Module):
    """``network``, and what it has been shown: ``rows`` images in all, at most ``largest`` at once.

    limit: the most images that fit its memory.
    """

    def __init__(self, network, limit=10**9):
        super().__init__()
        self.network, self.limit, self.rows, self.largest = network, limit, 0, 0

    def forward(self, x):
        if len(x) > self.limit:
            raise OutOfMemory("CUDA out of memory. Tried to allocate 2.00 GiB.")
        self.rows += len(x)
        self.largest = max(self.largest, len(x))
        return self.network(x)


def seeded(network, seed=0):
    """Weights that are the same everywhere; torch's global generator stays where it was."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in network.parameters():
            fan_in = p[0].numel() if p.ndim > 1 else 100
            p.copy_(torch.randn(p.shape, generator=generator) * (2 / fan_in) ** 0.5)
    return network.eval().requires_grad_(False)


def convolutional():
    """A small convolutional network with random weights: (batch, 784) to (batch, 10) logits."""
    layers = [
        nn.Unflatten(1, (1, 28, 28)),
        nn.Conv2d(1, 8, 5, stride=2),
        nn.ReLU(),
        nn.Conv2d(8, 16, 3, stride=2),
        nn.GELU(),
        nn.Flatten(),
        nn.Linear(400, 10),
    ]
    return seeded(nn.Sequential(*layers))


def photographic(classes=12):
    """A convolutional network with random weights, a residual branch and batch norm: (batch, 3, 64, 64) to logits."""

    class Branch(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Sequential(nn.Conv2d(16, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU())

        def forward(self, x):
            return x + self.body(x)

    layers = [nn.Conv2d(3, 16, 5, stride=4), nn.ReLU(), Branch(), nn.AdaptiveAvgPool2d(4), nn.Flatten()]
    return seeded(nn.Sequential(*layers, nn.Linear(256, classes)))


def plane():
    """A linear network of two classes whose border is half a unit from the middle of 40 pixels, and ‖a‖.

    z₀ − z₁ = a·(x − ½) + ½‖a‖; the closest point is r = −a/(2‖a‖), and its multiplier −∇m·r/(2‖r‖²) is ‖a‖.
    """
    a = torch.linspace(0.2, 1, 40)
    network = nn.Linear(40, 2).eval().requires_grad_(False)
    network.weight.copy_(torch.stack([a, torch.zeros(40)]))
    network.bias.copy_(torch.stack([0.5 * a.norm() - a.sum() / 2, torch.zeros(())]))
    return network, a.norm().item()


def always_zero():
    """A linear network on 784 pixels that says 0, of three labels, whatever it sees."""
    network = nn.Linear(784, 3).eval().requires_grad_(False)
    network.weight.zero_()
    network.bias.copy_(torch.tensor([1.0, 0.0, 0.5]))
    return network
