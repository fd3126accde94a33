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

    reference = copy.deepcopy(model).eval().requires_grad_(False)
    network = candidate(model, mean, std)
    expect(callable(network), f"it must return a function from pixels to logits, it returned {network!r:.40}")
    pixels = torch.rand(5, 6, dtype=torch.float64)
    before = pixels.clone()
    logits = _tensor(network(pixels), (5, 4), "the answer to 5 images")
    expect(torch.equal(pixels, before), f"a network {kind}: it changes the caller's pixels in place; make new ones")
    each = pixels.mean(1, keepdim=True), pixels.std(1, keepdim=True)
    normal = (pixels - mean) / std
    mistakes = {
        "the pixels reach it as they are, not normalised: it was trained on (x − mean)/std, and a box around "
        "numbers of that kind is not the box of pixels": reference(pixels),
        "x·std + mean takes a normalisation back; into the network it is (x − mean)/std": reference(
            pixels * std + mean
        ),
        "it multiplies by std; the normalisation is (x − mean)/std": reference((pixels - mean) * std),
        "it is x/std − mean; the mean is subtracted first": reference(pixels / std - mean),
        "mean and std have changed places: the normalisation is (x − mean)/std": reference((pixels - std) / mean),
        "it normalises by the mean and deviation of the images that it is handed, so that an image's logits depend on "
        "its company; take the mean and std of the arguments": reference((pixels - pixels.mean()) / pixels.std()),
        "it normalises each image by its own mean and deviation; take the mean and std of the arguments": reference(
            (pixels - each[0]) / each[1]
        ),
        "it clips the normalised numbers to [0, 1]; the box is that of the pixels": reference(normal.clamp(0, 1)),
        "it returns probabilities; an attack needs the logits": reference(normal).softmax(1),
        "it returns logarithms of probabilities; an attack needs the logits": reference(normal).log_softmax(1),
    }
    for words, wrong in mistakes.items():
        expect(not torch.allclose(logits, wrong), f"a network {kind}: {words}")
    again, company = network(pixels).detach(), network(pixels[:2]).detach()
    change = max((again - logits).abs().max(), (company - logits[:2]).abs().max())
    if not (torch.allclose(again, logits) and torch.allclose(company, logits[:2])):
        why = "the logits of an image depend on the images beside it"
        if any(part.training for part in model.modules()) or not torch.allclose(again, logits):
            why = "it was left in training mode"
        raise Wrong(
            f"a network {kind}: asked again, or in another batch, its logits change by up to {change:.2f}: {why}"
        )
    wanted = reference(normal)
    error = (logits - wanted).abs().max()
    expect(error < 1e-9, f"a network {kind}: its logits are not those of (x − mean)/std, off by {error:.1e}")
    pixels.requires_grad_()
    answer = network(pixels)
    expect(answer.requires_grad, f"a network {kind}: no gradient reaches the pixels; no_grad and detach cut it off")
    waste = sum(leaf.numel() for leaf in _leaves(answer) if leaf is not pixels)
    expect(
        not waste,
        f"a network {kind}: each pass also computes the gradient of {waste} weights, for nothing: freeze them",
    )
    (gradient,) = torch.autograd.grad(answer.square().sum(), pixels, allow_unused=True)
    expect(gradient is not None, f"a network {kind}: no gradient reaches the pixels; no_grad and detach cut it off")
    (right,) = torch.autograd.grad(reference((pixels - mean) / std).square().sum(), pixels)
    expect(torch.allclose(gradient, right), f"a network {kind}: the gradient by the pixels is wrong")


def _leaves(answer):
    """The tensors whose gradients a backward pass from ``answer`` would compute."""
    leaves, seen, waiting = [], set(), [answer.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if hasattr(node, "variable"):
            leaves.append(node.variable)
        waiting += [parent for parent, _ in node.next_functions]
    return leaves


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

    def loss(logits, target):
        return cross_entropy(logits, target, reduction="none")

    def wrongly(size, price=c, lower=0.0, upper=1.0, loss=loss):
        from helpers import minimize

        def objective(x, image, target, price):
            return price * size(x, image) + loss(network(x), target)

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
    moved = images + x
    if (
        out > 0
        and -1e-9 <= moved.min()
        and moved.max() <= 1 + 1e-9
        and _gap(network, moved, images, targets, c).max() < 3e-3
    ):
        raise Wrong("it returns r; the attacked images are image + r")
    expect(out < 1e-9, f"a pixel lies {out:.3f} outside [0, 1]: hand minimize the box, lower = 0 and upper = 1")

    gap = _gap(network, x, images, targets, c)
    if gap.max() > 3e-3:

        def squared(x, image):
            return (x - image).square().sum(1)

        ones, inf = torch.ones_like(c), torch.inf
        mistakes = {
            "c multiplies the loss; it is the price of the norm": (squared, 1 / c),
            "the norm is not squared: this is the minimiser for c‖r‖": (lambda x, y: (x - y).norm(dim=1),),
            "the price is on ‖x + r‖²; it belongs on ‖r‖², and r is what was added, x − image": (
                lambda x, y: x.square().sum(1),
            ),
            "clipped after solving: this is the minimiser without a box, cut off at 0 and 1": (squared, c, -inf, inf),
            "the box is around r, kept in [0, 1], so that ink is only ever added; x + r is what lies in [0, 1]": (
                squared,
                c,
                images,
                images + 1,
            ),
            f"it takes the mean of r² over the {images.shape[1]} pixels; ‖r‖² is the sum, so its price is "
            f"{images.shape[1]} times too low": (lambda x, y: (x - y).square().mean(1),),
            "it minimises ½c‖r‖²; here ‖r‖² has no ½": (squared, c / 2),
            "the norm has no price at all": (squared, 0 * c),
            "c is not used: this is the minimiser at c = 1": (squared, ones),
            "every row has the same price, the mean of all; each row has its own": (squared, c.mean() * ones),
            "cross_entropy takes logits, and got probabilities: it applies the softmax itself": (
                squared,
                c,
                0.0,
                1.0,
                lambda z, t: loss(z.softmax(1), t),
            ),
            "it drives the label away: the loss has the wrong sign": (squared, c, 0.0, 1.0, lambda z, t: -loss(z, t)),
        }
        for words, task in mistakes.items():
            expect((x - wrongly(*task)).abs().max() > 1e-2, words)
    row, passes, shared = int(gap.argmax()), len(sizes), min(sizes) == len(images)
    if shared or gap[row] > 3e-3:
        alone = slice(row, row + 1)
        x = candidate(network, images[alone], targets[alone], c[alone])
        solved = _gap(network, x, images[alone], targets[alone], c[alone]) < 3e-3
        expect(
            not (shared and solved),
            f"all {len(images)} rows were evaluated {passes} times, also those that were done long before: they are "
            f"one problem to minimize, with one shared history, one step length and one stopping test (it stops where "
            f"max |P(x − g) − x| is {gap.max():.0e}). Return one value a row, and leave x (batch, n)",
        )
        expect(
            not solved,
            f"alone row {row} is solved, among seven it is not (max |P(x − g) − x| is {gap[row]:.1e}): its value has "
            "its neighbours in it, or another row's price, image or label. A mean or a sum over the batch does that; "
            "use reduction='none'",
        )
    expect(
        gap[row] < 3e-3,
        f"row {row} is no minimiser of c‖r‖² + CE in the box: max |P(x − g) − x| is {gap[row]:.1e} there, c = "
        f"{c[row]:g}. Is the objective another one, or did the solver stop early?",
    )
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
    images, *directions = torch.rand(3, 9, 5, generator=generator, dtype=torch.float64)
    directions[1] = torch.eye(5, dtype=torch.float64)[torch.arange(9) % 5]  # another ratio of the 2-norm to the others
    directions = [direction / direction.norm(dim=1, keepdim=True) for direction in directions]
    threshold = 10 ** torch.linspace(-2.4, 2.6, 9, dtype=torch.float64)
    threshold[4] = 0.0  # no c succeeds here
    low = 1e-3 * 10 ** torch.linspace(-0.4, 0.3, 9, dtype=torch.float64)
    high, rounds = 2e6 * low, 12
    for kind, noise in (("", 0.0), ("where the solver finds local minimisers: ", 0.9)):
        prices, found, successes = [], [], []

        def solver(c, noise=noise, prices=prices, found=found, successes=successes):
            c = _tensor(c, (9,), "the c that solve_at is asked for")
            length = (1 + noise * torch.rand(9, generator=generator, dtype=c.dtype)) / (1 + c)
            x = images + length[:, None] * directions[len(prices) % 2 if noise else 0]
            for record, entry in ((prices, c), (found, x), (successes, c < threshold)):
                record.append(entry.clone())
            return x, c < threshold

        best = candidate(solver, images, low, high, rounds)
        expect(prices, f"{kind}it never called solve_at")
        _one_search(best, images, *map(torch.stack, (prices, found, successes)), threshold, (low, high), rounds, kind)
    return "nine brackets at once, each halved on its own side, and the closest success of each row kept"


def _one_search(best, images, prices, solves, successes, threshold, bracket, rounds, kind):
    import torch

    expect(
        torch.is_tensor(best) and best.shape == images.shape,
        f"{kind}it must return one tensor of the shape of images: of each row, the closest x that succeeded",
    )
    first, (low, high) = prices[0], bracket
    words = f"{kind}its first c for row 0 is {first[0]:.3g}, in the bracket from {low[0]:.3g} to {high[0]:.3g}:"
    for end in bracket:
        expect(not torch.allclose(first, end), f"{words} it is an end; solve in the middles only")
    expect(
        len(prices) <= rounds + 1,
        f"{kind}it called solve_at {len(prices)} times in {rounds} rounds: once a round, for all rows",
    )
    middle = (low * high).sqrt()
    expect(
        torch.allclose(first, middle, rtol=0.05),
        f"{words} c spans six decades, so halve log c: the middle is √(low·high) = {middle[0]:.3g}, of each row's "
        "own ends",
    )
    moves = prices[1:] / prices[0]
    shared = len(prices) > 1 and any(torch.allclose(rows, rows[:, :1].expand_as(rows)) for rows in (prices[1:], moves))
    expect(not shared, f"{kind}every row's c moves alike in every round: each row has a bracket of its own")
    if len(prices) > 1:
        back = successes[0] & (prices[1] < prices[0])
        expect(
            not back.any(),
            f"{kind}after a success it tries a smaller c, in {int(back.sum())} rows: a larger c buys a smaller ‖r‖, so "
            "a success raises the lower end of the bracket",
        )
        stuck = (prices[1] == prices[0]).nonzero().flatten().tolist()
        expect(
            not stuck,
            f"{kind}row {(stuck or [0])[0]} is asked for the same c twice: a success moves low to c, a failure high",
        )
    never = ~successes.any(0)
    length = (solves - images).norm(dim=2)
    same = (solves - best).abs().amax(2) < 1e-9  # (rounds, rows): which solve was returned
    failed = (same & ~successes).any(0) & ~(same & successes).any(0) & ~never
    expect(
        not (same[-1] & failed).any(),
        f"{kind}{int((same[-1] & failed).sum())} rows get the last solve, which failed, not their best success: keep a "
        "success when you see it",
    )
    expect(
        torch.isnan(best[never]).all(),
        f"{kind}no c gave row {int(never.nonzero()[0])} its label, and yet an image is returned for it: put NaN there, "
        "so that nobody takes it for a success",
    )
    expect(not failed.any(), f"{kind}{int(failed.sum())} rows get a solve that failed: only a success is an answer")
    closest = torch.where(successes, length, torch.inf).amin(0)
    found = (best - images).norm(dim=1)
    wrong = (~never & ~((found - closest).abs() < 1e-9)).nonzero().flatten().tolist()
    if wrong:
        i = wrong[0]
        expect(
            found[i].isfinite(),
            f"{kind}row {i} gets NaN, but a solve succeeded with ‖r‖ = {closest[i]:.4f}: failures do not count",
        )
        largest = torch.where(successes, solves.norm(dim=2), torch.inf).argmin(0)
        which = same.double().argmax(0)
        advice = "compare each success with the closest so far, for the last one need not be the closest"
        if bool((which == largest)[~never].all()):
            advice = "it compares ‖x‖, but the distance is ‖x − image‖"
        elif not bool((which == torch.where(successes, torch.arange(len(solves))[:, None], -1).amax(0))[~never].all()):
            advice += " (in the 2-norm, and failures do not count)"
        raise Wrong(
            f"{kind}row {i} gets ‖r‖ = {found[i]:.4f}, but a solve that succeeded had {closest[i]:.4f}: {advice}"
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
