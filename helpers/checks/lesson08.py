"""The checks of lesson 08: who is misled, how sure a count is, and changes made longer. Torch where the reader's is."""

import numpy as np

from ._verdict import Wrong, check, expect

__all__ = ["amplified", "error_matrix", "wilson"]


@check
def error_matrix(candidate):
    import torch

    generator = torch.Generator().manual_seed(81)
    labels = torch.randint(0, 4, (50,), generator=generator)
    pictures = [torch.randn(50, 6, generator=generator) for _ in range(3)]
    weights = [torch.randn(6, 4, generator=generator) for _ in range(2)]
    networks = [lambda x, A=A: x @ A for A in weights]
    labels[:25] = (pictures[0] @ weights[0]).argmax(1)[:25]  # so that errors differ much from cell to cell
    labels[25:35] = (pictures[1] @ weights[1]).argmax(1)[25:35]
    said = torch.stack([torch.stack([(x @ A).argmax(1) for A in weights]) for x in pictures])
    wrong = (said != labels).double().mean(2)
    answer = _numbers(candidate(pictures, networks, labels), "the answer")
    if answer.shape == (2, 3):
        transposed = (answer - wrong.T).abs().max() < 1e-6
        raise Wrong(
            "it has 2 rows and 3 columns for 3 batches and 2 networks: a row for each batch, a column for each network"
            + ("; transposed it is right" if transposed else "")
        )
    expect(
        answer.shape == (3, 2),
        f"for 3 batches and 2 networks it must have shape (3, 2), it has {tuple(answer.shape)}",
    )
    mistakes = {
        "it counts the images that are given their label; an error is one that is not": 1 - wrong,
        "these are percent; return shares between 0 and 1": 100 * wrong,
        "these are counts; divide by the number of images": 50 * wrong,
        "these are the counts of the images that keep their label": 50 * (1 - wrong),
        "it compares with what the network says to the first batch; compare with the labels": (
            (said != said[:1]).double().mean(2)
        ),
        "every network is asked about the same batch, the first": wrong[:1].expand(3, 2),
        "every batch is shown to the same network, the first": wrong[:, :1].expand(3, 2),
        "every batch is shown to the same network, the last": wrong[:, -1:].expand(3, 2),
        "its label is the class of the smallest logit; take the largest": torch.stack(
            [torch.stack([((x @ A).argmin(1) != labels).double().mean() for A in weights]) for x in pictures]
        ),
    }
    for words, numbers in mistakes.items():
        expect((answer - numbers).abs().max() > 1e-6, words)
    error = (answer - wrong).abs()
    i, j = divmod(int(error.argmax()), 2)
    expect(
        error.max() < 1e-6,
        f"network {j} gives {int((said[i, j] != labels).sum())} of the 50 images of batch {i} another label than "
        f"theirs, a share of {wrong[i, j]:.2f}; yours is {answer[i, j]:.3g}",
    )
    return "the errors of 2 networks on 3 batches, row by row"


@check
def wilson(candidate):
    cases = [(12, 256, 1.96), (128, 256, 1.96), (3, 10, 1.0), (9990, 10000, 3.0), (1, 7, 2.5)]
    for wrong, images, z in cases:
        low, high = _two(candidate(wrong, images, z))
        share = wrong / images
        named = f"{wrong} of {images} images and z = {z:g}"
        half = z * np.sqrt(share * (1 - share) / images)
        expect(
            abs(low - share + half) + abs(high - share - half) > 1e-9,
            f"for {named} this is p̂ ± z √(p̂(1 − p̂)/n): the deviation is that of the true p, not of the p̂ seen. "
            "Solve (p̂ − p)² = z² p(1 − p)/n for p",
        )
        expect(low <= high, f"for {named} the lower end, {low:.4g}, is above the upper one, {high:.4g}")
        expect(high <= 1.5, f"for {named} the upper end is {high:.4g}: return shares between 0 and 1, not percent")
        for end, value in (("lower", low), ("upper", high)):
            gap = (share - value) ** 2 - z**2 * value * (1 - value) / images
            scale = z**2 * share * (1 - share) / images
            expect(
                abs(gap) < 1e-6 * scale,
                f"for {named} the {end} end is {value:.6g}, where (p̂ − p)² is {(share - value) ** 2:.3g} and "
                f"z² p(1 − p)/n is {z**2 * value * (1 - value) / images:.3g}: they must be equal",
            )
        expect(low < share < high, f"for {named} the interval must hold p̂ = {share:.4g}; it is {low:.4g} to {high:.4g}")
    for wrong, images in ((0, 256), (40, 40)):
        low, high = _two(candidate(wrong, images, 1.96))
        width = 1.96**2 / (images + 1.96**2)
        wanted = (0.0, width) if not wrong else (1 - width, 1.0)
        expect(
            abs(low - wanted[0]) + abs(high - wanted[1]) < 1e-9,
            f"for {wrong} of {images} images the ends are {wanted[0]:.4g} and {wanted[1]:.4g} (the width is "
            f"z²/(n + z²)); yours are {low:.4g} and {high:.4g}",
        )
    return "both ends solve (p̂ − p)² = z² p(1 − p)/n in 5 cases, and 0 errors of 256 do not mean that p is 0"


def _two(value):
    try:
        low, high = value
        low, high = float(low), float(high)
    except (TypeError, ValueError):
        raise Wrong("it must return two numbers, the lower and the upper end") from None
    expect(np.isfinite([low, high]).all(), f"its ends are {low:g} and {high:g}; they must be finite")
    return low, high


@check
def amplified(candidate):
    import torch

    generator = torch.Generator().manual_seed(82)
    images = (1.6 * torch.rand(6, 30, generator=generator, dtype=torch.float64) - 0.3).clamp(0, 1)
    r = torch.randn(6, 30, generator=generator, dtype=torch.float64) * 0.02
    r *= torch.tensor([1.0, 0.3, 2.0, 5.0, 12.0, 0.0], dtype=torch.float64)[:, None]
    r = (images + r).clamp(0, 1) - images
    rms = r.square().mean(1, keepdim=True).sqrt()
    unit = r / rms.clamp(min=1e-30)
    for size in (0.1, 0.02):
        raw = images + size * unit
        wanted = raw.clamp(0, 1)
        answer = candidate(images, r, size)
        expect(torch.is_tensor(answer), f"it must return a tensor of pictures, it is a {type(answer).__name__}")
        expect(
            answer.shape == images.shape,
            f"for images of shape {tuple(images.shape)} it has shape {tuple(answer.shape)}",
        )
        answer = answer.detach().double()
        expect(
            not answer[5].isnan().any(),
            "a change that is zero has become NaN, 0/0: such an image stays as it is",
        )
        expect(bool(answer.isfinite().all()), "some of its pixels are NaN or infinite")
        expect(
            (answer - raw).abs().max() > 1e-6 or (wanted - raw).abs().max() < 1e-6,
            f"pixels reach from {raw.min():.2f} to {raw.max():.2f}: clip the picture to [0, 1]",
        )
        for words, picture in _wrongly_amplified(images, r, size).items():
            near = min((answer - picture).abs().max(), (answer - picture.clamp(0, 1)).abs().max())
            expect(near > 1e-6, words)
        error = (answer - wanted).abs().amax(1)
        i = int(error.argmax())
        got = (answer - images).square().mean(1).sqrt()[i]
        right = (wanted - images).square().mean(1).sqrt()[i]
        expect(
            error.max() < 1e-6,
            f"picture {i} is not x + s r, clipped, with the s that gives s r the root mean square {size}: after "
            f"clipping {right:.4f} of it is left, in yours {got:.4f}",
        )
    return "six changes made longer or shorter, each by its own factor, clipped, and none divided by zero"


def _wrongly_amplified(images, r, size):
    """What some mistakes give, before any clipping: from the words that name one to pictures."""
    rms = r.square().mean(1, keepdim=True).sqrt()
    wanted = (images + size * r / rms.clamp(min=1e-30)).clamp(0, 1)
    norm = r.norm(dim=1, keepdim=True).clamp(min=1e-30)
    return {
        f"r is divided by its norm ‖r‖, so that its root mean square is {size}/√n; divide by the root of the mean "
        "of r²": images + size / norm * r,
        "these are r; return the pictures x + r": wanted - images,
        "these are r before any clipping; return the pictures, clipped": size * r / rms.clamp(min=1e-30),
        "the whole batch got one factor; each image has its own": images + size / r.square().mean().sqrt() * r,
        "the longest change was scaled right and the others by its factor; each image has its own": images
        + size / rms.max() * r,
        "the changes are multiplied by size; they must come to have that root mean square": images + size * r,
        "divided by the mean of r², without the root": images + size / rms.square().clamp(min=1e-30) * r,
        "divided by the mean of |r|; the root of the mean of r² is asked for": images
        + size / r.abs().mean(1, keepdim=True).clamp(min=1e-30) * r,
        "divided by the largest |r|; the root of the mean of r² is asked for": images
        + size / r.abs().amax(1, keepdim=True).clamp(min=1e-30) * r,
        "changes that are longer than size were left as they are; these are made shorter": images
        + (size / rms.clamp(min=1e-30)).clamp(min=1) * r,
        "these are the images as they were": images,
        "these are the pictures x + r as they were": images + r,
    }


def _numbers(value, what):
    import torch

    try:
        value = torch.as_tensor(value if torch.is_tensor(value) else np.asarray(value, dtype=float)).double()
    except (TypeError, ValueError):
        raise Wrong(f"{what} must be a table of numbers, it is a {type(value).__name__}") from None
    expect(bool(value.isfinite().all()), f"{what} has entries that are NaN or infinite")
    return value.detach()
