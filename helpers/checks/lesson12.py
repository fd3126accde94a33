"""Lesson 12's checks: normalisation inside the network, success after rounding, and the least factor that survives it.

torch is imported where it is used, for the checks of the lessons before are loaded with this file.
"""

import math

from ._verdict import array, check, expect

__all__ = ["least_factor", "on_pixels", "survives"]

MEAN, DEVIATION = (0.5, 0.375, 0.25), (0.25, 0.5, 0.125)  # the same numbers in float32


@check
def on_pixels(candidate):
    import torch

    generator = torch.Generator().manual_seed(121)
    shapes = [(2, 3, 5, 7), (1, 3, 8, 8), (4, 3, 3, 3)]
    for shape in shapes:
        x = torch.rand(shape, generator=generator, dtype=torch.float64)
        weight = torch.randn(4, x[0].numel(), generator=generator, dtype=torch.float64)

        def network(z, weight=weight):
            return torch.sin(z.flatten(1)) @ weight.T

        name = f"images of shape {shape}"
        whole = candidate(network, MEAN, DEVIATION)
        if torch.is_tensor(whole):
            expect(False, "it returns a tensor; return a function (or a module), which the attack can call")
        expect(callable(whole), f"it returns a {type(whole).__name__}; return a function (or a module)")
        _one_wrapped(whole, network, x, name)
    return f"the network sees (x − mean)/deviation, for {len(shapes)} shapes, and the gradient comes through"


def _one_wrapped(whole, network, x, name):
    import torch

    before, x = x.clone(), x.requires_grad_()
    try:
        logits = whole(x)
    except RuntimeError as error:
        words = " ".join(str(error).split())
        expect(False, f"{name}: the function raised RuntimeError: {words}. The colours are axis 1: shape (3, 1, 1)")
    expect(
        torch.is_tensor(logits), f"{name}: the function returns a {type(logits).__name__}, it must return the logits"
    )
    expect(
        torch.equal(before, x.detach()), f"{name}: it changes the pixels in place, so the caller's photograph is spoilt"
    )
    mean, deviation = (torch.tensor(v, dtype=x.dtype).view(3, 1, 1) for v in (MEAN, DEVIATION))
    z = (before - mean) / deviation
    right = network(z)
    array(logits.detach(), tuple(right.shape), f"{name}: the function's result")
    mistakes = {
        "the network sees the pixels as they are: subtract the mean, divide by the deviation": before,
        "that is x·deviation + mean, which undoes a normalisation": before * deviation + mean,
        "the division by the deviation is missing": before - mean,
        "the mean is not subtracted": before / deviation,
        "it divides first and subtracts the mean then: (x − mean)/deviation": before / deviation - mean,
        "it multiplies the pixels by 255; mean and deviation are those of pixels in [0, 1]": (
            (255 * before - mean) / deviation
        ),
        "the normalised image is clipped to [0, 1]: the box belongs to the pixels, before the normalisation": z.clamp(
            0, 1
        ),
        "mean and deviation are used in the order blue, green, red": (before - mean.flip(0)) / deviation.flip(0),
        "one mean and one deviation are used for all colours": (before - mean.mean()) / deviation.mean(),
        "it divides by the square of the deviation": (before - mean) / deviation**2,
    }
    if x.shape[-1] == 3:
        last, row = (lambda v: v.view(1, 1, 3)), (lambda v: v.view(1, 3, 1))
        mistakes["mean and deviation go along the columns; the colours are axis 1"] = (before - last(mean)) / last(
            deviation
        )
        mistakes["mean and deviation go along the rows; the colours are axis 1"] = (before - row(mean)) / row(deviation)
    if not torch.allclose(logits, right, rtol=1e-9):
        for words, seen in mistakes.items():
            expect(not torch.allclose(logits, network(seen), rtol=1e-6), f"{name}: {words}")
    error = (logits - right).abs().max().item()
    expect(torch.allclose(logits, right, rtol=1e-9), f"{name}: its logits are wrong by up to {error:.3f}")
    expect(logits.requires_grad, f"{name}: no gradient comes through, so nothing can be attacked: do not detach")
    (g,) = torch.autograd.grad(logits[:, 0].sum(), x)
    y = before.requires_grad_()
    (h,) = torch.autograd.grad(network((y - mean) / deviation)[:, 0].sum(), y)
    expect(torch.allclose(g, h, rtol=1e-9), f"{name}: its gradient is not that of the network behind the normalisation")


@check
def survives(candidate):
    import torch

    generator = torch.Generator().manual_seed(122)
    cases = 0
    for shape, labels in (((200, 3, 2, 2), 4), ((200, 12), 3), ((200, 3, 1, 4), 5)):
        x = torch.rand(shape, generator=generator, dtype=torch.float64)
        network, targets = _near_borders(x, labels, generator)
        name = f"{len(x)} images of shape {tuple(shape[1:])} near the border of their targets"
        _one_survival(candidate, network, x, targets, name)
        cases += 1
    return f"each image is judged after rounding, in {cases} batches"


def _near_borders(x, labels, generator):
    """A network whose target leads or lags by about half a level's effect, and targets."""
    import torch

    pixels = x.flatten(1)
    A = torch.randn(labels, pixels.shape[1], generator=generator, dtype=torch.float64)
    targets = torch.randint(labels, (len(x),), generator=generator)
    lead = 0.003 * torch.randn(len(x), generator=generator, dtype=torch.float64)
    z = pixels @ A.T
    rest = z.scatter(1, targets[:, None], -math.inf).amax(1)
    shift = torch.zeros_like(z).scatter(
        1, targets[:, None], (rest + lead - z.gather(1, targets[:, None])[:, 0])[:, None]
    )
    known = pixels.clone()

    def network(images):
        """Linear in the pixels, with offsets of the image that is nearest to the given one."""
        given = images.flatten(1).to(A)
        nearest = torch.cdist(given, known).argmin(1)
        return given @ A.T + shift[nearest]

    return network, targets


def _one_survival(candidate, network, x, targets, name):
    import torch

    def wins(images):
        return network(images).argmax(1) == targets

    found = candidate(network, x.clone(), targets.clone())
    found = torch.as_tensor(array(found.detach() if torch.is_tensor(found) else found, (len(x),), f"{name}: it"))
    expect(bool(((found == 0) | (found == 1)).all()), f"{name}: it must be True or False for each image")
    found, levels = found == 1, (255 * x).round() / 255
    right = wins(levels)
    mistakes = {
        "the images are judged as they are; round them first": wins(x),
        "it cuts off instead of rounding: 0.9 of a level becomes 0": wins((255 * x).floor() / 255),
        "it rounds to 257 levels: a file has 0 to 255, so multiply by 255": wins((256 * x).round() / 256),
        "it multiplies by 255 and divides by 256": wins((255 * x).round() / 256),
        "it multiplies by 256 and divides by 255": wins((256 * x).round() / 255),
        "the network is handed levels from 0 to 255; divide by 255 again": wins((255 * x).round()),
        "it is the other way round: True where the target is lost": ~right,
        "it asks for the label before and after to agree; what counts is the target": (
            network(levels).argmax(1) == network(x).argmax(1)
        ),
        "True only where the target also led before rounding; judge the rounded image alone": right & wins(x),
    }
    if not torch.equal(found, right):
        for words, answer in mistakes.items():
            expect(not torch.equal(found, answer), f"{name}: {words}")
    wrong = int((found != right).sum())
    expect(wrong == 0, f"{name}: {wrong} of {len(x)} verdicts are wrong")


@check
def least_factor(candidate):
    import torch

    level = 1 / 255
    grey = torch.full((3, 2, 2), 100 * level, dtype=torch.float64)
    dark = torch.full((3, 2, 2), 2 * level, dtype=torch.float64)
    bright = torch.full((3, 2, 2), 254 * level, dtype=torch.float64)
    factors = [1.0, 1.25, 1.5, 2.0, 3.0, 5.0, 8.0]
    up, down = torch.full_like(grey, 0.42 * level), torch.full_like(grey, -0.42 * level)
    full, mixed = torch.full_like(grey, level), up.clone()
    mixed[0] *= 4  # red moves four times as far: it is above half a level at once
    cases = [
        ("a change whose red moves four times as far", grey, mixed, lambda m: m > 100.9, factors),
        ("a change of 0.42 levels", grey, up, lambda m: m > 100.5, factors),
        ("a change that needs two levels", grey, up, lambda m: m > 101.5, factors),
        ("a change near 0 that must not leave the box", dark, down, lambda m: m < -0.5, factors),
        ("a bright image", bright, up, lambda m: m > 255.5, factors),
        ("an image that has its target only between 101 and 102", grey, up, lambda m: 100.5 < m < 102.5, factors),
        ("an image that loses its target again at 2", grey, 0.76 * full, lambda m: 100.5 < m < 101.5, factors),
        ("a change that rounding helps: 0.6 levels become one", grey, 1.5 * up, lambda m: m > 100.8, factors),
        ("factors that begin at 2", grey, up, lambda m: m > 100.5, factors[3:]),
    ]
    for name, image, r, wanted, some in cases:
        _one_least_factor(candidate, name, (image, r, wanted, some))
    return f"the least factor, or infinity, in {len(cases)} cases"


def _one_least_factor(candidate, name, case):
    import torch

    image, r, wanted, factors = case

    def network(x):
        means = 255 * x.flatten(1).mean(1)
        return torch.stack([torch.tensor([0.5, float(wanted(m))], dtype=torch.float64) for m in means.tolist()])

    def first(picture):
        return next((f for f in factors if wanted(255 * picture(f).mean().item())), math.inf)

    def levels(x):
        return (255 * x).round() / 255

    found = candidate(network, image.clone(), r.clone(), 1, list(factors))
    right = first(lambda f: levels((image + f * r).clamp(0, 1)))
    all_that_do = [f for f in factors if wanted(255 * levels((image + f * r).clamp(0, 1)).mean().item())]
    said = (
        float(array(found.detach() if torch.is_tensor(found) else found, (), f"{name}: it"))
        if _finite(found)
        else math.inf
    )
    if said != right:
        mistakes = {
            "r is not made longer: every factor gives the same picture": first(
                lambda f: levels((image + r).clamp(0, 1))
            ),
            "x + s·r is judged without rounding it": first(lambda f: (image + f * r).clamp(0, 1)),
            "r is rounded before it is made longer; round the picture, x + s·r": (
                first(lambda f: (image + f * levels(r)).clamp(0, 1))
            ),
            "x + s·r leaves the box: clip it to [0, 1] before rounding": first(lambda f: levels(image + f * r)),
            "that is the largest factor that succeeds; the least is wanted": all_that_do[-1]
            if all_that_do
            else math.inf,
            "x is multiplied too; only r is made longer": first(lambda f: levels((f * (image + r)).clamp(0, 1))),
            "it cuts off instead of rounding": (first(lambda f: (255 * (image + f * r).clamp(0, 1)).floor() / 255)),
            "that is a place in the list; return the factor": factors.index(right) if right in factors else math.inf,
        }
        for words, answer in mistakes.items():
            expect(said != answer, f"{name}: {words} (it is {said}, and must be {right})")
    expect(said == right, f"{name}: it is {said}, and the least factor that succeeds is {right}")


def _finite(value):
    """Is it anything but the float infinity? What is no number is refused by ``array``."""
    try:
        return not math.isinf(value)
    except (TypeError, ValueError):
        return True
