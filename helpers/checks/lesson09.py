"""Lesson 09's checks: the images highest along a direction, label purity, the interval of a difference of two means.

torch is imported where it is used, for the checks of the lessons before are loaded with this file.
"""

from ._verdict import Wrong, check, expect

__all__ = ["difference_interval", "purity", "top_images"]


@check
def top_images(candidate):
    import torch

    generator = torch.Generator().manual_seed(91)
    for n, width, count, k in ((40, 6, 5, 8), (25, 30, 3, 4), (9, 9, 9, 3)):
        phi = torch.rand(n, width, generator=generator, dtype=torch.float64) + 0.2  # far from 0, as activations are
        v = torch.randn(count, width, generator=generator, dtype=torch.float64)
        answer = candidate(phi, v, k)
        _one_ranking(answer, phi, v, k)
    return "the k images with the largest ⟨φ(x), v⟩ of each direction, the largest first"


def _one_ranking(answer, phi, v, k):
    import torch

    count, n = len(v), len(phi)
    expect(torch.is_tensor(answer), f"it must return a tensor of places, it returned a {type(answer).__name__}")
    expect(
        not answer.is_floating_point(),
        "it returns the values ⟨φ(x), v⟩; wanted are the places of the images, whole numbers (argsort gives them)",
    )
    score = v @ phi.T
    if answer.shape == (k, count) and k != count:
        raise Wrong(f"its shape is {tuple(answer.shape)}, images by directions: one row for each direction, {count, k}")
    expect(
        tuple(answer.shape) == (count, k),
        f"its shape is {tuple(answer.shape)}, it must be {count, k}: k places for each direction",
    )
    expect(
        bool(((answer >= 0) & (answer < n)).all()),
        f"it names image {int(answer.max())}, but there are {n} images, 0 to {n - 1}",
    )
    wanted = score.argsort(1, descending=True)[:, :k]
    if torch.equal(answer, wanted):
        return
    length = phi.norm(dim=1)
    mistakes = {
        "these are the images with the smallest ⟨φ(x), v⟩": (-score).argsort(1, descending=True),
        "the right images, but the smallest first": wanted.flip(1),
        "it ranks |⟨φ(x), v⟩|, so that very negative ones count as high": score.abs().argsort(1, descending=True),
        "it divides by ‖φ(x)‖ and so ranks the angle; the paper's score is the inner product": (score / length).argsort(
            1, descending=True
        ),
        "it ranks the distance from φ(x) to v; the score is the inner product": torch.cdist(v, phi).argsort(1),
        "it starts at the second: the highest image is missing": score.argsort(1, descending=True)[:, 1:],
        "every direction has the images of the first": wanted[:1].expand_as(wanted),
        "it ranks the sums over all directions, so that every direction has the same images": (
            score.sum(0).argsort(descending=True).expand(count, -1)
        ),
        "it ranks ‖φ(x)‖ and does not ask v": length.argsort(descending=True).expand(count, -1),
    }
    for words, wrong in mistakes.items():
        expect(not torch.equal(answer, wrong[:, :k]), words)
    if torch.equal(answer.sort(1).values, wanted.sort(1).values):
        raise Wrong("the right images, but not in their order: the largest ⟨φ(x), v⟩ comes first")
    row = int((answer != wanted).any(1).nonzero()[0])
    there, best = score[row, answer[row]].min(), score[row, wanted[row]].min()
    raise Wrong(
        f"direction {row}: it has an image with ⟨φ(x), v⟩ = {there:.3f}, but the highest {k} have at least {best:.3f}"
    )


@check
def purity(candidate):
    import torch

    generator = torch.Generator().manual_seed(92)
    for count, k in ((60, 8), (40, 5), (8, 8)):
        labels = torch.randint(10, (300,), generator=generator)
        labels[:150] = 3  # the commonest label of all
        top = torch.stack([torch.randperm(300, generator=generator)[:k] for _ in range(count)])
        top[: count // 2] = torch.stack([150 + torch.randperm(150, generator=generator)[:k] for _ in range(count // 2)])
        _one_purity(candidate(labels, top), labels, top)
    one = torch.full((20,), 7)
    answer = candidate(one, torch.arange(12).view(3, 4))
    expect(
        torch.equal(torch.as_tensor(answer).double(), torch.ones(3).double()), "sets of one label must have purity 1"
    )
    return "the share of the commonest label, of each set for itself"


def _one_purity(answer, labels, top):
    import torch

    count, k = top.shape
    expect(torch.is_tensor(answer), f"it must return a tensor, it returned a {type(answer).__name__}")
    expect(
        tuple(answer.shape) == (count,),
        f"its shape is {tuple(answer.shape)}, it must be {(count,)}: one number for each set"
        + (", not their mean" if answer.dim() == 0 else ""),
    )
    answer, sets = answer.double(), labels[top]
    each = torch.stack([(sets == digit).sum(1) for digit in range(10)], 1).double()
    wanted = each.amax(1) / k
    if bool((answer - wanted).abs().max() < 1e-6):
        return
    share = each / k
    mistakes = {
        f"it returns how many images bear the commonest label; divide by the {k} images of the set": each.amax(1),
        f"it divides by the ten labels; the set has {k} images": each.amax(1) / 10,
        "it returns the commonest label itself, not its share": each.argmax(1).double(),
        "it returns how many labels there are": (each > 0).sum(1).double(),
        "it returns the number of labels over the number of images, which is large where images differ": (
            (each > 0).sum(1).double() / k
        ),
        "it is the share of the label that the first image bears, and that need not be the commonest": (
            (sets == sets[:, :1]).double().mean(1)
        ),
        "it is the share of the label that is commonest in all sets together; each set has its own": (
            share[:, int(each.sum(0).argmax())]
        ),
        "it is the share of the other images: 1 minus the purity": 1 - wanted,
        "it is the sum of the squared shares, the chance that two draws agree": share.square().sum(1),
        "it is the share of pairs that agree": (each * (each - 1)).sum(1) / (k * (k - 1)),
        "it is the entropy of the labels": -(share * share.clamp(min=1e-9).log()).sum(1),
        "it compares places, not labels: labels[top] are the labels of a set": torch.full_like(wanted, 1 / k),
    }
    for words, wrong in mistakes.items():
        expect(not torch.allclose(answer, wrong, atol=1e-6), words)
    row = int((answer - wanted).abs().argmax())
    raise Wrong(
        f"a set with the labels {sets[row].tolist()} gets {answer[row]:.3f}, but its commonest label has the share "
        f"{wanted[row]:.3f}"
    )


@check
def difference_interval(candidate):
    import torch

    generator = torch.Generator().manual_seed(93)
    a = torch.randint(1, 9, (150,), generator=generator).double() / 8
    b = torch.randint(1, 6, (42,), generator=generator).double() / 8
    _one_interval(candidate(a, b), a, b, "")
    c = 0.8 * a + 0.02 * torch.randn(150, generator=generator, dtype=torch.float64) + 0.3
    _one_interval(candidate(a, c), a, c, "two samples of one size: ")
    return "the difference of the means, with 95% of what other draws of directions would give around it"


def _one_interval(answer, a, b, kind):
    answer = [float(x) for x in answer]
    expect(len(answer) == 3, f"it must return three numbers, difference, low and high; it returned {len(answer)}")
    value, low, high = answer
    wanted = (a.mean() - b.mean()).item()
    expect(abs(value + wanted) > 1e-9 or abs(wanted) < 1e-9, f"{kind}it subtracts a's mean from b's: mean(a) − mean(b)")
    error_a, error_b = ((x.var(correction=0) / len(x)).sqrt().item() for x in (a, b))
    error = (error_a**2 + error_b**2) ** 0.5
    expect(
        abs(value - wanted) < 1e-9,
        f"{kind}the first number is {value:.4f}, but mean(a) − mean(b) is {wanted:.4f}; take the means of a and b "
        "themselves there, not of a resample",
    )
    expect(low <= high, f"{kind}low is {low:.3f} and high is {high:.3f}: the other way round")
    middle, width = (low + high) / 2, (high - low) / (2 * 1.96 * error)
    expect(
        high - low > 1e-9,
        f"{kind}the interval has no width: a resample is drawn with replacement, or it is only the sample in another "
        "order",
    )
    expect(
        abs(middle + wanted) > 0.5 * error or abs(wanted) < 2 * error,
        f"{kind}the interval is around mean(b) − mean(a)",
    )
    expect(
        abs(middle) > 0.5 * error or abs(wanted) < 2 * error,
        f"{kind}the interval is around 0: if a and b are mixed first, it shows what chance does where there is "
        "no difference. Draw from a and from b separately",
    )
    _the_width(width, (low, high), (a, b), (error_a, error_b), kind)
    expect(
        abs(middle - wanted) < 0.5 * error,
        f"{kind}the interval is around {middle:.3f}, the difference is {wanted:.3f}",
    )


def _the_width(width, ends, samples, errors, kind):
    """Name what makes the interval too wide or too narrow; ``width`` is 1 where it is right."""
    if 0.92 < width < 1.08:
        return
    (low, high), (a, b), (error_a, error_b) = ends, samples, errors
    error = (error_a**2 + error_b**2) ** 0.5
    paired = (a - b).var(correction=0).item() ** 0.5 / len(a) ** 0.5 / error if len(a) == len(b) else 0
    smaller = min(len(a), len(b))
    spread = (a.var().item() / smaller + b.var().item() / smaller) ** 0.5 / error
    single = (a.var() + b.var()).sqrt().item() / error
    expect(
        abs(width / single - 1) > 0.2,
        f"{kind}the interval is {width:.1f} times as wide as it should be: it is the spread of single values, not of "
        "means. Each resample gives one number, its mean(a) − mean(b)",
    )
    one = "only one of a and b is resampled; both are samples"
    mistakes = [
        ("it holds 90%, from the 5th percentile to the 95th; 95% goes from 2.5 to 97.5", 1.645 / 1.96),
        ("it holds 99%; 95% goes from the 2.5th percentile to the 97.5th", 2.576 / 1.96),
        ("it is one standard error to each side, 68%", 1 / 1.96),
        (one, error_a / error),
        (one, error_b / error),
        ("a and b are resampled by the same places, as if they were pairs: draw for each anew", paired),
        (f"resamples of {smaller} directions from both: each must be as large as its own sample", spread),
    ]
    near, ratio = min(mistakes, key=lambda mistake: abs(mistake[1] / width - 1))
    expect(
        abs(ratio / width - 1) > 0.06,
        f"{kind}the interval is {width:.2f} times as wide as it should be: {near}",
    )
    raise Wrong(
        f"{kind}the interval from {low:.4f} to {high:.4f} is {width:.2f} times as wide as 95% of the resampled "
        "differences; is each resample as large as its sample, and are there enough of them (2,000)?"
    )
