"""Lesson 12's checks: right answers of another form pass, and each mistake is named."""

import math

import pytest
import torch
from torch import nn
from verdicts import assert_caught, said

# --- normalisation inside the network ---


class Module(nn.Module):
    def __init__(self, network, mean, deviation):
        super().__init__()
        self.network = network
        self.shift = nn.Parameter(torch.tensor(mean).view(1, 3, 1, 1))
        self.scale = nn.Parameter(torch.tensor(deviation).view(1, 3, 1, 1))

    def forward(self, x):
        return self.network((x - self.shift.to(x)) / self.scale.to(x))


def by_affine(network, mean, deviation):
    """Another right answer: x/σ − μ/σ, colour by colour."""

    def whole(x):
        parts = [x[:, k] / deviation[k] - mean[k] / deviation[k] for k in range(3)]
        return network(torch.stack(parts, 1))

    return whole


@pytest.mark.parametrize("right", [Module, by_affine])
def test_normalisation_may_be_written_in_other_ways(capsys, right):
    assert said(capsys, "on_pixels", right).startswith("on_pixels: correct")


def of(values, *shape):
    return torch.tensor(values, dtype=torch.float64).view(*(shape or (3, 1, 1)))


def wrapped(change):
    """The network behind ``change(x, mean, deviation)``."""
    return lambda network, mean, deviation: lambda x: network(change(x, mean, deviation))


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        (wrapped(lambda x, m, d: x), "as they are"),
        (wrapped(lambda x, m, d: x * of(d) + of(m)), "undoes a normalisation"),
        (wrapped(lambda x, m, d: x - of(m)), "the division by the deviation is missing"),
        (wrapped(lambda x, m, d: x / of(d)), "the mean is not subtracted"),
        (wrapped(lambda x, m, d: x / of(d) - of(m)), "it divides first"),
        (wrapped(lambda x, m, d: (255 * x - of(m)) / of(d)), "multiplies the pixels by 255"),
        (wrapped(lambda x, m, d: ((x - of(m)) / of(d)).clamp(0, 1)), "the box belongs to the pixels"),
        (wrapped(lambda x, m, d: (x - of(m).flip(0)) / of(d).flip(0)), "blue, green, red"),
        (wrapped(lambda x, m, d: (x - of(m).mean()) / of(d).mean()), "for all colours"),
        (wrapped(lambda x, m, d: (x - of(m)) / of(d) ** 2), "square of the deviation"),
        (wrapped(lambda x, m, d: (x - of(m)) / (of(d) + 1e-3)), "logits are wrong by up to"),
        (wrapped(lambda x, m, d: (x - of(m, 1, 1, 3)) / of(d, 1, 1, 3)), "the function raised RuntimeError"),
        (wrapped(lambda x, m, d: ((x - of(m)) / of(d)).detach()), "no gradient comes through"),
        (wrapped(lambda x, m, d: (x.detach() - of(m)) / of(d) + 0 * x), "gradient is not that of the network"),
        (wrapped(lambda x, m, d: x.data.sub_(of(m)).div_(of(d))), "in place"),
        (lambda network, mean, deviation: torch.zeros(3), "it returns a tensor"),
        (lambda network, mean, deviation: 3, "it returns a int"),
        (
            lambda network, mean, deviation: lambda x: network((x - of(mean)) / of(deviation)).softmax(1),
            "wrong by up to",
        ),
    ],
)
def test_normalisation_names_the_mistake(capsys, mistake, message):
    assert_caught(capsys, "on_pixels", mistake, message)


def along_a_row_where_it_fits(network, mean, deviation):
    """Right, but for images as wide as there are colours."""

    def whole(x):
        shape = (1, 1, 3) if x.shape[-1] == 3 else (3, 1, 1)
        return network((x - of(mean, *shape)) / of(deviation, *shape))

    return whole


def test_colours_along_the_wrong_axis_are_told(capsys):
    assert_caught(capsys, "on_pixels", along_a_row_where_it_fits, "the colours are axis 1")


# --- success after rounding ---


def by_bytes(network, images, targets):
    levels = (images * 255 + 0.5).to(torch.uint8)
    return [bool(k == t) for k, t in zip(network(levels.double() / 255).argmax(1), targets, strict=True)]


def by_margin(network, images, targets):
    z = network(images.mul(255).round().div(255))
    own = z.gather(1, targets[:, None]).squeeze(1)
    return (own > z.scatter(1, targets[:, None], -math.inf).amax(1)).numpy()


@pytest.mark.parametrize("right", [by_bytes, by_margin])
def test_survival_may_be_written_in_other_ways(capsys, right):
    assert said(capsys, "survives", right).startswith("survives: correct")


def judged(change):
    return lambda network, images, targets: network(change(images)).argmax(1) == targets


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        (judged(lambda x: x), "round them first"),
        (judged(lambda x: (255 * x).to(torch.uint8).double() / 255), "cuts off instead of rounding"),
        (judged(lambda x: (256 * x).round() / 256), "257 levels"),
        (judged(lambda x: (255 * x).round() / 256), "divides by 256"),
        (judged(lambda x: (256 * x).round() / 255), "by 256 and divides by 255"),
        (judged(lambda x: (255 * x).round()), "levels from 0 to 255"),
        (lambda f, x, t: ~judged(lambda y: (255 * y).round() / 255)(f, x, t), "the other way round"),
        (lambda f, x, t: f((255 * x).round() / 255).argmax(1) == f(x).argmax(1), "before and after to agree"),
        (lambda f, x, t: by_margin(f, x, t) & (f(x).argmax(1) == t).numpy(), "judge the rounded image alone"),
        (lambda f, x, t: f((255 * x).round() / 255).argmax(1), "True or False"),
        (lambda f, x, t: bool(by_margin(f, x, t).all()), "must have shape (200,)"),
        (judged(lambda x: (255 * x).ceil() / 255), "verdicts are wrong"),
        (judged(lambda x: (100 * x).round() / 100), "verdicts are wrong"),
    ],
)
def test_survival_names_the_mistake(capsys, mistake, message):
    assert_caught(capsys, "survives", mistake, message)


# --- the least factor ---


def all_at_once(network, image, r, target, factors):
    pictures = torch.stack([(image + f * r).clamp(0, 1) for f in factors])
    done = network((255 * pictures).round() / 255).argmax(1) == target
    return min((f for f, ok in zip(factors, done.tolist(), strict=True) if ok), default=float("inf"))


def looped(network, image, r, target, factors):
    for f in factors:
        levels = torch.floor(255 * torch.clamp(image + f * r, min=0, max=1) + 0.5)
        if int(network((levels / 255)[None])[0].argmax()) == target:
            return torch.tensor(f)
    return math.inf


@pytest.mark.parametrize("right", [all_at_once, looped])
def test_the_least_factor_may_be_written_in_other_ways(capsys, right):
    assert said(capsys, "least_factor", right).startswith("least_factor: correct")


def rounding(x):
    return (255 * x).round() / 255


def search(picture, choose=min):
    def least_factor(network, image, r, target, factors):
        done = [f for f in factors if network(picture(image, f, r)[None])[0].argmax() == target]
        return choose(done, default=math.inf)

    return least_factor


def bisection(network, image, r, target, factors):
    """As if success, once there, stayed."""
    low, high = 0, len(factors)
    while low < high:
        middle = (low + high) // 2
        done = network(rounding((image + factors[middle] * r).clamp(0, 1))[None])[0].argmax() == target
        low, high = (low, middle) if done else (middle + 1, high)
    return factors[low] if low < len(factors) else math.inf


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        (search(lambda x, f, r: (x + f * r).clamp(0, 1)), "without rounding"),
        (search(lambda x, f, r: (x + f * rounding(r)).clamp(0, 1)), "rounded before it is made longer"),
        (search(lambda x, f, r: rounding(x + f * r)), "leaves the box"),
        (search(lambda x, f, r: rounding((x + f * r).clamp(0, 1)), max), "the least is wanted"),
        (search(lambda x, f, r: rounding((f * (x + r)).clamp(0, 1))), "x is multiplied too"),
        (search(lambda x, f, r: (255 * (x + f * r).clamp(0, 1)).floor() / 255), "cuts off"),
        (lambda n, x, r, t, fs: float(fs.index(all_at_once(n, x, r, t, fs))), "must be"),
        (search(lambda x, f, r: rounding((x + r).clamp(0, 1))), "every factor gives the same picture"),
        (bisection, "loses its target again"),
        (lambda n, x, r, t, fs: None, "not attempted"),
        (lambda n, x, r, t, fs: "1.5 times", "must be numbers"),
        (lambda n, x, r, t, fs: 1.25, "it is 1.25"),
    ],
)
def test_the_least_factor_names_the_mistake(capsys, mistake, message):
    if message == "not attempted":
        assert message in said(capsys, "least_factor", mistake)
    else:
        assert_caught(capsys, "least_factor", mistake, message)
