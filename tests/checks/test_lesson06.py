"""Lesson 06's checks: the lesson's own solutions pass, and each classic mistake is told by name."""

import subprocess
import sys
from functools import partial

import notebook_tools
import pytest
import torch
from notebook_tools import NOTEBOOKS
from torch.nn.functional import cross_entropy

from helpers import checks, minimize

PATH = NOTEBOOKS / "06_the_attack.ipynb"
NAMES = ["attackable", "largest_c", "solve"]


SCOPE = {"torch": torch, "minimize": minimize, "cross_entropy": cross_entropy}
written = partial(notebook_tools.written, PATH, scope=SCOPE)


def said(capsys, name, candidate):
    getattr(checks, name)(candidate)
    return capsys.readouterr().out


@pytest.mark.parametrize("name", NAMES)
def test_the_lessons_solution_is_correct(capsys, name):
    assert said(capsys, name, written(name)).startswith(f"{name}: correct - ")


@pytest.mark.parametrize("name", NAMES)
def test_the_stub_is_not_attempted(capsys, name):
    assert said(capsys, name, written(name, tag="exercise")).startswith(f"{name}: not attempted yet")


def test_the_checks_are_there_without_torch():
    code = "import sys; from helpers import checks; checks.solve; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_the_readers_random_numbers_are_left_alone(capsys):
    torch.manual_seed(6)
    expected = torch.rand(3)
    torch.manual_seed(6)
    for name in NAMES:
        said(capsys, name, written(name))
    assert torch.equal(torch.rand(3), expected)


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
        (wrapped(lambda f, x, m, s: f((x - m) / s).softmax(1)), "its logits are not those"),
        (wrapped(in_place), "in place"),
        (lambda model, mean, std: model.eval()(torch.rand(5, 6).double()), "it must return a function"),
    ],
)
def test_attackable_names_the_mistake(capsys, mistake, message):
    out = said(capsys, "attackable", mistake)
    assert out.startswith("attackable: not yet - ") and message in out


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
        (minimising(lambda x, image, c: 0 * squared(x, image)), "is no minimiser"),
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
