"""Lesson 06's checks: a network fit to be attacked, (P_c) for a batch, the search over c for a batch.

torch is imported where it is used, for the checks of the lessons before are loaded with this file.
"""

import copy

from ._verdict import Wrong, check, expect

__all__ = ["attackable", "largest_c", "solve"]


@check
def attackable(candidate):
    import torch
    from torch import nn

    with torch.random.fork_rng(devices=[]):  # the reader's random numbers go on as if nothing had happened
        torch.manual_seed(61)
        kinds = {
            "with dropout": [nn.Linear(6, 9), nn.Tanh(), nn.Dropout(0.5), nn.Linear(9, 4)],
            "with batch normalisation": [nn.Linear(6, 9), nn.BatchNorm1d(9), nn.Tanh(), nn.Linear(9, 4)],
            "without either": [nn.Linear(6, 4)],
        }
        for kind, layers in kinds.items():
            for mean, std in ((0.1307, 0.3081), (0.5, 0.25)):
                _one_network(candidate, nn.Sequential(*layers).double().train(), mean, std, kind)
    return "the logits of the normalised pixels, the same each time and in any batch, and weights that ask for nothing"


def _one_network(candidate, model, mean, std, kind):
    import torch

    reference = copy.deepcopy(model).eval()
    network = candidate(model, mean, std)
    expect(callable(network), f"it must return a function from pixels to logits, it returned {network!r:.40}")
    pixels = torch.rand(5, 6, dtype=torch.float64)
    before = pixels.clone()
    logits = _tensor(network(pixels), (5, 4), "the answer to 5 images")
    expect(torch.equal(pixels, before), f"a network {kind}: it changes the caller's pixels in place; make new ones")
    again, company = network(pixels).detach(), network(pixels[:2]).detach()
    expect(
        torch.allclose(again, logits) and torch.allclose(company, logits[:2]),
        f"a network {kind}: asked again, or in another batch, its logits change by up to "
        f"{max((again - logits).abs().max(), (company - logits[:2]).abs().max()):.2f}: it was left in training mode",
    )
    with torch.no_grad():
        wanted = reference((pixels - mean) / std)
        mistakes = {
            "the pixels reach it as they are, not normalised: it was trained on (x − mean)/std, and a box around "
            "numbers of that kind is not the box of pixels": pixels,
            "x·std + mean takes a normalisation back; into the network it is (x − mean)/std": pixels * std + mean,
            "it multiplies by std; the normalisation is (x − mean)/std": (pixels - mean) * std,
            "it is x/std − mean; the mean is subtracted first": pixels / std - mean,
        }
        for words, x in mistakes.items():
            expect(not torch.allclose(logits, reference(x)), f"a network {kind}: {words}")
    error = (logits - wanted).abs().max()
    expect(error < 1e-9, f"a network {kind}: its logits are not those of (x − mean)/std, off by {error:.1e}")
    pixels.requires_grad_()
    answer = network(pixels)
    expect(answer.requires_grad, f"a network {kind}: no gradient reaches the pixels; no_grad and detach cut it off")
    answer.square().sum().backward()
    gradient = pixels.grad
    pixels.grad = None
    reference((pixels - mean) / std).square().sum().backward()
    expect(torch.allclose(gradient, pixels.grad), f"a network {kind}: the gradient by the pixels is wrong")
    waste = sum(p.numel() for p in model.parameters() if p.grad is not None)
    expect(
        not waste,
        f"a network {kind}: each pass also computes the gradient of {waste} weights, for nothing: freeze them",
    )


@check
def solve(candidate):
    import torch
    from torch.nn.functional import cross_entropy

    generator = torch.Generator().manual_seed(62)
    wide = {"generator": generator, "dtype": torch.float64}
    first, second = 3 * torch.randn(12, 9, **wide) / 12**0.5, 3 * torch.randn(9, 4, **wide) / 3
    images = (1.6 * torch.rand(7, 12, **wide) - 0.3).clamp(0, 1)  # many pixels at 0 and at 1
    asked = []

    def network(x):
        asked.append(len(x))
        return torch.tanh((x - 0.5) @ first) @ second

    logits = network(images)
    targets = logits.argsort(1)[:, 1]  # hardly ever what the network says now
    targets[0] = logits[0].argmax()  # but here, so that this row is done long before the others
    c = torch.tensor([30.0, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0], dtype=torch.float64)

    def wrongly(penalty, price=c, lower=0.0, upper=1.0):
        from helpers.solver.lbfgsb import minimize

        def objective(x, image, target, price):
            return price * penalty(x, image) + cross_entropy(network(x), target, reduction="none")

        return minimize(objective, images, lower, upper, (images, targets, price)).x.clamp(0, 1)

    asked.clear()
    try:
        x = _tensor(candidate(network, images, targets, c), (7, 12), "x")
    except Wrong as wrong:
        expect(
            "size of tensor" not in str(wrong),
            "it stops with a mismatch of shapes: minimize asks about the rows that still run, fewer and fewer, so take "
            "the images, targets and prices from its args, not from outside",
        )
        raise
    sizes = list(asked)
    expect(sizes, "it never asked the network")
    out = max(-x.min().item(), x.max().item() - 1)
    expect(out <= 0, f"a pixel lies {out:.3f} outside [0, 1]: hand minimize the box, lower = 0 and upper = 1")

    gap = _gap(network, x, images, targets, c)
    if gap.max() > 3e-3:

        def squared(x, image):
            return (x - image).square().sum(1)

        mistakes = {
            "c multiplies the loss; it is the price of the norm": (squared, 1 / c),
            "the norm is not squared: this is the minimiser for c‖r‖": (lambda x, y: (x - y).norm(dim=1), c),
            "it penalises ‖x + r‖², not ‖r‖²: r is what was added, x − image": (lambda x, y: x.square().sum(1), c),
            "clipped after solving: this is the minimiser without a box, cut off at 0 and 1": (
                squared,
                c,
                -torch.inf,
                torch.inf,
            ),
        }
        for words, task in mistakes.items():
            expect((x - wrongly(*task)).abs().max() > 1e-2, words)
    expect(
        min(sizes) < len(images),
        f"all {len(images)} rows were evaluated {len(sizes)} times, also those that were done long before: they are "
        f"one problem to minimize, with one shared history, one step length and one stopping test (it stops where "
        f"max |P(x − g) − x| is {gap.max():.0e}). Return one value a row, and leave x (batch, n)",
    )
    row = int(gap.argmax())
    if gap[row] > 3e-3:
        alone = slice(row, row + 1)
        x = candidate(network, images[alone], targets[alone], c[alone])
        expect(
            _gap(network, x, images[alone], targets[alone], c[alone]) > 3e-3,
            f"alone row {row} is solved, among seven it is not (max |P(x − g) − x| is {gap[row]:.1e}): its value has "
            "its neighbours in it. A mean or a sum over the batch does that; use reduction='none'",
        )
    expect(gap[row] < 3e-3, f"row {row} is no minimiser: max |P(x − g) − x| is {gap[row]:.1e} there, c = {c[row]:g}")
    return "seven minimisers, each of its own problem, in the box"


def _gap(network, x, images, targets, c):
    """max |P(x − g) − x| of each row's own (P_c): zero exactly at its KKT points."""
    import torch
    from torch.nn.functional import cross_entropy

    x = x.clone().requires_grad_()
    value = c * (x - images).square().sum(1) + cross_entropy(network(x), targets, reduction="none")
    (g,) = torch.autograd.grad(value.sum(), x)
    return ((x - g).clamp(0, 1) - x).detach().abs().amax(1)


@check
def largest_c(candidate):
    import torch

    generator = torch.Generator().manual_seed(63)
    images, direction = torch.rand(2, 9, 5, generator=generator, dtype=torch.float64)
    direction /= direction.norm(dim=1, keepdim=True)
    threshold = 10 ** torch.linspace(-2.4, 2.6, 9, dtype=torch.float64)
    threshold[4] = 0.0  # no c succeeds here
    low, high, rounds = torch.full_like(threshold, 1e-3), torch.full_like(threshold, 1e3), 12
    for kind, noise in (("", 0.0), ("where the solver finds local minimisers: ", 0.9)):
        prices, lengths, successes = [], [], []

        def solver(c, noise=noise, prices=prices, lengths=lengths, successes=successes):
            c = _tensor(c, (9,), "the c that solve_at is asked for")
            length = (1 + noise * torch.rand(9, generator=generator, dtype=c.dtype)) / (1 + c)
            for record, entry in ((prices, c), (lengths, length), (successes, c < threshold)):
                record.append(entry.clone())
            return images + length[:, None] * direction, c < threshold

        best = candidate(solver, images, low, high, rounds)
        expect(prices, f"{kind}it never called solve_at")
        _one_search(best, images, direction, *map(torch.stack, (prices, lengths, successes)), threshold, rounds, kind)
    return "nine brackets at once, each halved on its own side, and the closest success of each row kept"


def _one_search(best, images, direction, prices, lengths, successes, threshold, rounds, kind):
    import torch

    expect(
        torch.is_tensor(best) and best.shape == images.shape,
        f"{kind}it must return one tensor of the shape of images: of each row, the closest x that succeeded",
    )
    expect(
        len(prices) <= rounds + 1,
        f"{kind}it called solve_at {len(prices)} times in {rounds} rounds: once a round, for all rows",
    )
    middle = prices[0].mean().item()
    expect(not 400 < middle < 600, f"{kind}its first c is {middle:g}: c spans six decades, so halve log c: √(low·high)")
    shared = len(prices) > 1 and bool((prices[1:] == prices[1:, :1]).all())
    expect(not shared, f"{kind}every row is asked for the same c in every round: each row has a bracket of its own")
    if len(prices) > 1:
        back = successes[0] & (prices[1] < prices[0])
        expect(
            not back.any(),
            f"{kind}after a success it tries a smaller c, in {int(back.sum())} rows: a larger c buys a smaller ‖r‖, so "
            "a success raises the lower end of the bracket",
        )
    never = ~successes.any(0)
    found = ((best - images) * direction).sum(1)
    failed = ((found - lengths[-1]).abs() < 1e-9) & ~successes[-1]
    expect(
        not (failed & ~never).any(),
        f"{kind}{int(failed.sum())} rows get the last solve, which failed, not their best success: keep a success when "
        "you see it",
    )
    expect(
        torch.isnan(best[never]).all(),
        f"{kind}no c gave row {int(never.nonzero()[0])} its label, and yet an image is returned for it: put NaN there, "
        "so that nobody takes it for a success",
    )
    closest = torch.where(successes, lengths, torch.inf).amin(0)
    wrong = (~never & ~((found - closest).abs() < 1e-9)).nonzero().flatten().tolist()
    if wrong:
        i = wrong[0]
        raise Wrong(
            f"{kind}row {i} gets ‖r‖ = {found[i]:.4f}, but a solve that succeeded had {closest[i]:.4f}: compare each "
            "success with the closest so far, for the last one need not be the closest"
        )
    reached = torch.where(successes, prices, 0).amax(0)
    i = int((reached / threshold).nan_to_num(nan=torch.inf).argmin())
    expect(
        reached[i] > 0.99 * threshold[i] or never[i],
        f"{kind}row {i} succeeds up to c = {threshold[i]:.4g}, and the largest success is at {reached[i]:.4g}: after "
        f"{rounds} rounds a bracket of six decades is 0.3% wide",
    )


def _tensor(value, shape, what):
    import torch

    got = f"one of shape {tuple(value.shape)}" if torch.is_tensor(value) else f"a {type(value).__name__}"
    expect(
        torch.is_tensor(value) and tuple(value.shape) == shape, f"{what} must be a tensor of shape {shape}, it is {got}"
    )
    expect(bool(torch.isfinite(value).all()), f"{what} has entries that are NaN or infinite")
    return value.detach()
