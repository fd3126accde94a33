"""Lesson 06's checks: each classic mistake is told by name."""

import copy
from functools import partial

import notebook_tools
import pytest
import torch
from notebook_tools import NOTEBOOKS
from torch import nn
from torch.nn.functional import cross_entropy
from verdicts import said

from helpers import minimize

PATH = NOTEBOOKS / "06_the_attack.ipynb"
SCOPE = {"torch": torch, "minimize": minimize, "cross_entropy": cross_entropy}
written = partial(notebook_tools.written, PATH, scope=SCOPE)


def wrapped(network_of, prepare=lambda model: model.eval().requires_grad_(False)):
    """A wrong ``attackable``: ``network_of(model, pixels, mean, std)`` is its answer for some pixels."""

    def attackable(model, mean, std):
        prepare(model)
        return lambda pixels: network_of(model, pixels, mean, std)

    return attackable


def in_place(model, pixels, mean, std):
    pixels -= mean
    pixels /= std
    return model(pixels)


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        (wrapped(lambda f, x, m, s: f((x - m) / s), lambda f: f.requires_grad_(False)), "left in training mode"),
        (wrapped(lambda f, x, m, s: f(x)), "the box of pixels"),
        (wrapped(lambda f, x, m, s: f(x * s + m)), "takes a normalisation back"),
        (wrapped(lambda f, x, m, s: f((x - m) * s)), "multiplies by std"),
        (wrapped(lambda f, x, m, s: f(x / s - m)), "the mean is subtracted first"),
        (wrapped(lambda f, x, m, s: f((x - m) / s), lambda f: f.eval()), "freeze them"),
        (wrapped(lambda f, x, m, s: f((x.detach() - m) / s)), "no gradient reaches the pixels"),
        (wrapped(lambda f, x, m, s: f((x - m) / s).softmax(1)), "it returns probabilities"),
        (wrapped(lambda f, x, m, s: 2 * f((x - m) / s)), "its logits are not those"),
        (wrapped(in_place), "in place"),
        (lambda model, mean, std: model.eval()(torch.rand(5, 6).double()), "it must return a function"),
    ],
)
def test_attackable_names_the_mistake(capsys, mistake, message):
    out = said(capsys, "attackable", mistake)
    assert out.startswith("attackable: not yet - ") and message in out


def own_copy(model, mean, std):
    model = copy.deepcopy(model).eval()  # its weights still ask for gradients
    return lambda pixels: model((pixels - mean) / std)


def back_to_training(model, mean, std):
    model.eval().requires_grad_(False)

    def network(pixels):
        logits = model((pixels - mean) / std)
        model.train()
        return logits

    return network


def only_dropout_off(model):
    for layer in model:
        if isinstance(layer, nn.Dropout):
            layer.eval()
    model.requires_grad_(False)


@torch.no_grad()
def without_gradients(model, pixels, mean, std):
    return model((pixels - mean) / std)


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        (wrapped(lambda f, x, m, s: f((x - x.mean()) / x.std())), "depend on its company"),
        (wrapped(lambda f, x, m, s: f((x - x.mean(1, keepdim=True)) / x.std(1, keepdim=True))), "by its own mean"),
        (wrapped(lambda f, x, m, s: f((x - s) / m)), "have changed places"),
        (wrapped(lambda f, x, m, s: f(((x - m) / s).clamp(0, 1))), "clips the normalised numbers"),
        (wrapped(lambda f, x, m, s: f((x - m) / s).log_softmax(1)), "logarithms of probabilities"),
        (wrapped(lambda f, x, m, s: f((x - m) / s), only_dropout_off), "left in training mode"),
        (back_to_training, "left in training mode"),
        (own_copy, "for nothing: freeze them"),
        (wrapped(without_gradients), "no gradient reaches the pixels"),
        (wrapped(lambda f, x, m, s: f((x - m) / s).argmax(1)), "must be a tensor of shape (5, 4)"),
        (wrapped(lambda f, x, m, s: f((x - m) / s**2)), "off by"),
    ],
)
def test_attackable_names_other_mistakes(capsys, mistake, message):
    out = said(capsys, "attackable", mistake)
    assert out.startswith("attackable: not yet - ") and message in out


class Normalised(nn.Module):
    def __init__(self, model, mean, std):
        super().__init__()
        self.model, self.mean, self.std = model, mean, std

    def forward(self, pixels):
        return self.model(pixels / self.std - self.mean / self.std)


def as_a_copy(model, mean, std):
    frozen = copy.deepcopy(model).train(False)
    for weight in frozen.parameters():
        weight.requires_grad = False
    return lambda pixels: frozen(pixels.sub(mean).div(std))


@pytest.mark.parametrize("right", [lambda *a: Normalised(*a).eval().requires_grad_(False), as_a_copy])
def test_attackable_may_be_written_in_other_ways(capsys, right):
    assert said(capsys, "attackable", right).startswith("attackable: correct")


def squared(x, image):
    return (x - image).square().sum(1)


def minimising(objective, lower=0.0, upper=1.0, reduction="none"):
    """A wrong ``solve``: it minimises objective(x, image, price) + the loss in [lower, upper]."""

    def solve(network, images, targets, c):
        def value(x, image, target, price):
            return objective(x, image, price) + cross_entropy(network(x), target, reduction=reduction)

        return minimize(value, images, lower, upper, (images, targets, c)).x.clamp(0, 1)

    return solve


def flattened(network, images, targets, c):
    """One shared history: the batch as one vector."""

    def total(flat):
        x = flat.view(images.shape)
        return (c * squared(x, images) + cross_entropy(network(x), targets, reduction="none")).sum().view(1)

    return minimize(total, images.reshape(1, -1), 0.0, 1.0).x.view(images.shape)


def without_args(network, images, targets, c):
    def value(x):
        return c * squared(x, images) + cross_entropy(network(x), targets, reduction="none")

    return minimize(value, images, 0.0, 1.0).x


def unboxed(network, images, targets, c):
    def value(x, image, target, price):
        return price * squared(x, image) + cross_entropy(network(x), target, reduction="none")

    return minimize(value, images, args=(images, targets, c)).x


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        (flattened, "one shared history"),
        (minimising(lambda x, image, c: c * squared(x, image), reduction="mean"), "its neighbours in it"),
        (minimising(lambda x, image, c: c * squared(x, image), -torch.inf, torch.inf), "clipped after solving"),
        (minimising(lambda x, image, c: squared(x, image) / c), "c multiplies the loss"),
        (minimising(lambda x, image, c: c * (x - image).norm(dim=1)), "the norm is not squared"),
        (minimising(lambda x, image, c: c * x.square().sum(1)), "r is what was added"),
        (minimising(lambda x, image, c: 0 * squared(x, image)), "no price at all"),
        (unboxed, "outside [0, 1]"),
        (without_args, "take the images, targets and prices from its args"),
        (lambda network, images, targets, c: images, "never asked the network"),
        (lambda network, images, targets, c: network(images), "must be a tensor of shape (7, 12)"),
        (lambda network, images, targets, c: network(images) and images, "it raised RuntimeError"),
    ],
)
def test_solve_names_the_mistake(capsys, mistake, message):
    out = said(capsys, "solve", mistake)
    assert out.startswith("solve: not yet - ") and message in out


def changed(loss, c=lambda c: c, **options):
    """A wrong ``solve``: loss(logits, target) is its loss, c(c) its prices."""

    def solve(network, images, targets, prices):
        def value(x, image, target, price):
            return price * squared(x, image) + loss(network(x), target)

        return minimize(value, images, 0.0, 1.0, (images, targets, c(prices)), **options).x

    return solve


def ce(logits, target):
    return cross_entropy(logits, target, reduction="none")


def over_r(lower, upper, answer):
    """A ``solve`` whose variable is r, between lower(images) and upper(images)."""

    def solve(network, images, targets, c):
        def value(r, image, target, price):
            return price * r.square().sum(1) + ce(network(image + r), target)

        r = minimize(value, torch.zeros_like(images), lower(images), upper(images), (images, targets, c)).x
        return answer(images, r)

    return solve


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        (minimising(lambda x, image, c: c * (x - image).square().mean(1)), "mean of r² over the 12 pixels"),
        (over_r(lambda x: 0.0, lambda x: 1.0, lambda x, r: (x + r).clamp(0, 1)), "the box is around r"),
        (over_r(lambda x: -1.0, lambda x: 1.0, lambda x, r: (x + r).clamp(0, 1)), "clipped after solving"),
        (over_r(lambda x: -x, lambda x: 1 - x, lambda x, r: r), "it returns r"),
        (minimising(lambda x, image, c: c / 2 * squared(x, image)), "has no ½"),
        (changed(ce, lambda c: torch.ones_like(c)), "c is not used"),
        (changed(ce, lambda c: c.mean().expand_as(c)), "the same price"),
        (changed(lambda z, t: ce(z.softmax(1), t)), "takes logits, and got probabilities"),
        (changed(lambda z, t: -ce(z, t)), "the wrong sign"),
        (changed(ce, lambda c: c.flip(0)), "another row's price"),
        (changed(ce, maxiter=3), "stop early"),
    ],
)
def test_solve_names_other_mistakes(capsys, mistake, message):
    out = said(capsys, "solve", mistake)
    assert out.startswith("solve: not yet - ") and message in out


def by_logsumexp(z, t):
    return z.logsumexp(1) - z.gather(1, t[:, None]).squeeze(1)


@pytest.mark.parametrize("right", [over_r(lambda x: -x, lambda x: 1 - x, torch.add), changed(by_logsumexp)])
def test_solve_may_be_written_in_other_ways(capsys, right):
    assert said(capsys, "solve", right).startswith("solve: correct")


def test_a_loop_over_the_images_is_slow_but_right(capsys):
    one = written("solve")

    def solve(network, images, targets, c):
        rows = zip(images, targets, c, strict=True)
        return torch.cat([one(network, x[None], t[None], price[None]) for x, t, price in rows])

    assert said(capsys, "solve", solve).startswith("solve: correct")


ENDS = "low, high = torch.where(success, c, low), torch.where(success, high, c)"
BEST = "torch.where(better[:, None], x, best)"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            [(ENDS, "low, high = torch.where(success, low, c), torch.where(success, c, high)")],
            "a larger c buys a smaller",
        ),
        ([("(low * high).sqrt()", "(low + high) / 2")], "halve log c"),
        (
            [(ENDS, "ok = success.float().mean() > 0.5; low, high = (c, high) if ok else (low, c)")],
            "each row has a bracket of its own",
        ),
        ([("best, least = " + BEST, "best, least = x")], "keep a success when you see it"),
        ([("better = success & (size < least)", "better = success")], "need not be the closest"),
        ([("better = success & (size < least)", "better = size < least")], "put NaN there"),
        ([("torch.full_like(images, torch.nan)", "images.clone()")], "put NaN there"),
        ([("range(rounds)", "range(rounds // 2)")], "0.3% wide"),
        ([("range(rounds)", "range(3 * rounds)")], "once a round, for all rows"),
        ([("x, success = solve_at(c)", "x, success = solve_at(c); low *= 1.5")], "in place"),
        ([("return best", "return best, low")], "one tensor of the shape of images"),
        ([("for _ in range(rounds)", "for _ in range(0)")], "never called solve"),
    ],
)
def test_largest_c_names_the_mistake(capsys, changes, message):
    out = said(capsys, "largest_c", written("largest_c", *changes))
    assert out.startswith("largest_c: not yet - ") and message in out


SIZE = "(x - images).norm(dim=1)"
KEEP = "best, least = " + BEST + ", torch.where(better, size, least)"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ([(SIZE, "(x - images).abs().amax(1)")], "in the 2-norm"),
        ([(SIZE, "x.norm(dim=1)")], "but the distance is ‖x − image‖"),
        ([(KEEP, "best, least = " + BEST + ", torch.minimum(size, least)")], "failures do not count"),
        ([("c = (low * high).sqrt()", "c = low")], "it is an end"),
        ([("c = (low * high).sqrt()", "c = (low * high) ** (1 / 3)")], "the middle is √(low·high)"),
        ([(ENDS, "low = torch.where(success, c, low)")], "a failure high"),
        ([("c = (low * high).sqrt()", "c = (low[:1] * high[:1]).sqrt().expand_as(low)")], "of each row's own ends"),
        ([("size < least", "least.isinf()")], "need not be the closest"),
        ([("return best", "return x")], "the last solve, which failed"),
        ([("return best", "return best.nan_to_num(0.0)")], "put NaN there"),
        ([(ENDS, ENDS + "; low = low.mean().expand_as(low); high = high.mean().expand_as(high)")], "of its own"),
        ([("return best", "return (best - images).norm(dim=1)")], "of the shape of images"),
    ],
)
def test_largest_c_names_other_mistakes(capsys, changes, message):
    out = said(capsys, "largest_c", written("largest_c", *changes))
    assert out.startswith("largest_c: not yet - ") and message in out


def in_logarithms(solve_at, images, low, high, rounds=12):
    low, high, found = low.log(), high.log(), []
    for _ in range(rounds):
        middle = (low + high) / 2
        x, success = solve_at(middle.exp())
        low[success], high[~success] = middle[success], middle[~success]
        found.append(torch.where(success[:, None], x, torch.nan))
    found = torch.stack(found)
    distance = (found - images).square().sum(2).nan_to_num(nan=torch.inf)
    return found[distance.argmin(0), torch.arange(len(images))]


@pytest.mark.parametrize(
    "changes",
    [
        [("c = (low * high).sqrt()", "c = low * (high / low) ** 0.5")],
        [(SIZE, "(x - images).square().sum(1)"), ("success & (size < least)", "success & ~(size > least)")],
    ],
)
def test_largest_c_may_be_written_in_other_ways(capsys, changes):
    assert said(capsys, "largest_c", written("largest_c", *changes)).startswith("largest_c: correct")


def test_largest_c_may_search_in_logarithms(capsys):
    assert said(capsys, "largest_c", in_logarithms).startswith("largest_c: correct")
