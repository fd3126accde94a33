"""Lesson 09's checks: each classic mistake is told by name."""

from functools import partial

import notebook_tools
import numpy as np
import pytest
import torch
from notebook_tools import NOTEBOOKS
from verdicts import assert_caught, said

PATH = NOTEBOOKS / "09_units_and_directions.ipynb"
written = partial(notebook_tools.written, PATH, scope={"torch": torch})


def ranked(score, k_first=0):
    """A ``top_images`` that ranks by score(phi, v), (count, N), and leaves out the first few."""
    return lambda phi, v, k: score(phi, v).argsort(dim=1, descending=True)[:, k_first : k_first + k]


def inner(phi, v):
    return v @ phi.T


def in_a_loop(phi, v, k):
    places = [sorted(range(len(phi)), key=lambda i: -(phi[i] @ one).item())[:k] for one in v]
    return torch.tensor(places)


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        (ranked(lambda phi, v: -inner(phi, v)), "the smallest ⟨φ(x), v⟩"),
        (lambda phi, v, k: inner(phi, v).argsort(dim=1)[:, -k:], "the smallest first"),
        (ranked(lambda phi, v: inner(phi, v).abs()), "very negative ones count as high"),
        (ranked(lambda phi, v: inner(phi / phi.norm(dim=1, keepdim=True), v)), "ranks the angle"),
        (ranked(lambda phi, v: -torch.cdist(v, phi)), "the distance from φ(x) to v"),
        (ranked(inner, 1), "the highest image is missing"),
        (lambda phi, v, k: inner(phi, v).topk(k, dim=1).values, "it returns the values"),
        (lambda phi, v, k: (phi @ v.T).argsort(dim=0, descending=True)[:k], "one row for each direction"),
        (lambda phi, v, k: inner(phi, v).argsort(dim=1, descending=True), "k places for each direction"),
        (lambda phi, v, k: inner(phi, v[:1]).argsort(dim=1, descending=True)[:, :k].expand(len(v), -1), "of the first"),
        (ranked(lambda phi, v: inner(phi, v).sum(0).expand(len(v), -1)), "the sums over all directions"),
        (ranked(lambda phi, v: inner(phi, v).pow(2)), "very negative ones count as high"),
        (ranked(lambda phi, v: v.abs() @ phi.T), "but the highest"),
        (ranked(lambda phi, v: inner((phi - phi.mean(0)) / phi.std(0), v)), "but the highest"),
        (lambda phi, v, k: inner(phi, v).topk(k, dim=1).indices.sort(dim=1).values, "not in their order"),
        (lambda phi, v, k: ranked(inner)(phi, v, k) + 1, "names image"),
        (lambda phi, v, k: ranked(inner)(phi, v, k).tolist(), "a tensor of places"),
    ],
)
def test_top_images_names_the_mistake(capsys, mistake, message):
    assert_caught(capsys, "top_images", mistake, message)


@pytest.mark.parametrize(
    "right",
    [
        in_a_loop,
        lambda phi, v, k: (phi @ v.T).topk(k, dim=0).indices.T,
        ranked(lambda phi, v: inner(phi - phi.mean(0), v)),  # another zero changes no order
    ],
)
def test_top_images_may_be_written_in_other_ways(capsys, right):
    assert said(capsys, "top_images", right).startswith("top_images: correct")


def counts(labels, top):
    return torch.nn.functional.one_hot(labels[top], 10).sum(1).double()


def of_counts(function):
    """A ``purity`` from how often each label is in a set, (count, 10), and k."""
    return lambda labels, top: function(counts(labels, top), top.shape[1])


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        (of_counts(lambda c, k: c.amax(1)), "divide by the 8 images"),
        (of_counts(lambda c, k: c.amax(1) / 10), "the set has 8 images"),
        (of_counts(lambda c, k: c.argmax(1)), "the commonest label itself"),
        (of_counts(lambda c, k: (c > 0).sum(1)), "how many labels there are"),
        (of_counts(lambda c, k: (c > 0).sum(1) / k), "large where images differ"),
        (lambda labels, top: (labels[top] == labels[top[:, :1]]).double().mean(1), "the first image bears"),
        (of_counts(lambda c, k: c[:, c.sum(0).argmax()] / k), "commonest in all sets together"),
        (of_counts(lambda c, k: 1 - c.amax(1) / k), "1 minus the purity"),
        (of_counts(lambda c, k: (c / k).square().sum(1)), "the sum of the squared shares"),
        (of_counts(lambda c, k: (c * (c - 1)).sum(1) / k / (k - 1)), "pairs that agree"),
        (of_counts(lambda c, k: torch.special.entr(c / k).sum(1)), "the entropy"),
        (lambda labels, top: (top == top.mode(dim=1, keepdim=True).values).double().mean(1), "compares places"),
        (of_counts(lambda c, k: (c.amax(1) / k).mean()), "not their mean"),
        (of_counts(lambda c, k: c.amax(1) // k), "its commonest label has the share"),
        (of_counts(lambda c, k: (c.amax(1) / k).tolist()), "must return a tensor"),
        (lambda labels, top: (labels[top] == labels.mode().values).double().mean(1), "commonest in all sets together"),
    ],
)
def test_purity_names_the_mistake(capsys, mistake, message):
    assert_caught(capsys, "purity", mistake, message)


def with_bincount(labels, top):
    return torch.tensor([labels[row].bincount().max().item() / len(row) for row in top])


@pytest.mark.parametrize("right", [with_bincount, of_counts(lambda c, k: c.max(dim=1).values / k)])
def test_purity_may_be_written_in_other_ways(capsys, right):
    assert said(capsys, "purity", right).startswith("purity: correct")


SHARES, PLACES = "[0.025, 0.975]", "torch.randint(len(values), (resamples, len(values)), generator=generator)"
LAST = "return (a.mean() - b.mean()).item(), low, high"


def pooled(a, b, resamples=2000):
    """The interval of a permutation test: what chance does if there is no difference."""
    rng, both = np.random.default_rng(0), np.concatenate([a, b])
    mixed = [rng.permutation(both) for _ in range(resamples)]
    differences = [x[: len(a)].mean() - x[len(a) :].mean() for x in mixed]
    return (a.mean() - b.mean()).item(), *np.percentile(differences, [2.5, 97.5])


def paired(a, b, resamples=2000):
    size = min(len(a), len(b))
    places = np.random.default_rng(0).integers(size, size=(resamples, size))
    differences = a.numpy()[places].mean(1) - b.numpy()[places].mean(1)
    return (a.mean() - b.mean()).item(), *np.percentile(differences, [2.5, 97.5])


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        (written("difference_interval", (SHARES, "[0.05, 0.95]")), "it holds 90%"),
        (written("difference_interval", (SHARES, "[0.005, 0.995]")), "it holds 99%"),
        (written("difference_interval", (SHARES, "[0.16, 0.84]")), "one standard error"),
        (written("difference_interval", (SHARES, "[0.975, 0.025]")), "the other way round"),
        (
            written("difference_interval", (PLACES, "torch.rand(resamples, len(values)).argsort(1)")),
            "drawn with replacement",
        ),
        (written("difference_interval", ("means(a) - means(b)", "means(a) - b.mean()")), "only one of a and b"),
        (written("difference_interval", ("means(a) - means(b)", "a.mean() - means(b)")), "only one of a and b"),
        (written("difference_interval", ("values[places].mean(1)", "values[places][:, 0]")), "spread of single values"),
        (written("difference_interval", (LAST, "return (b.mean() - a.mean()).item(), low, high")), "it subtracts a's"),
        (written("difference_interval", ("means(a) - means(b)", "means(b) - means(a)")), "around mean(b) − mean(a)"),
        (written("difference_interval", (PLACES, "torch.randint(len(values), (resamples, 10))")), "times as wide"),
        (written("difference_interval", ("resamples=2000", "resamples=3")), "times as wide"),
        (written("difference_interval", (LAST, "return low, high")), "three numbers"),
        (written("difference_interval", (LAST, "return (low + high) / 2 + 1e-4, low, high")), "not of a resample"),
        (pooled, "the interval is around 0"),
        (paired, "times as wide"),
    ],
)
def test_difference_interval_names_the_mistake(capsys, mistake, message):
    torch.manual_seed(0)
    assert_caught(capsys, "difference_interval", mistake, message)


def test_resampling_pairs_is_told_where_both_samples_have_one_size(capsys):
    def by_the_same_places(a, b, resamples=2000):
        if len(a) != len(b):
            return written("difference_interval")(a, b)
        return paired(a, b)

    assert_caught(capsys, "difference_interval", by_the_same_places, "as if they were pairs")


def in_a_loop_of_resamples(a, b, resamples=2000):
    rng = np.random.default_rng(7)
    a, b = a.numpy(), b.numpy()
    found = [rng.choice(a, len(a)).mean() - rng.choice(b, len(b)).mean() for _ in range(resamples)]
    return a.mean() - b.mean(), *np.percentile(found, [2.5, 97.5])


def with_scipy(a, b, resamples=2000):
    from scipy.stats import bootstrap

    def statistic(x, y, axis):
        return x.mean(axis=axis) - y.mean(axis=axis)

    found = bootstrap((a.numpy(), b.numpy()), statistic, n_resamples=resamples, method="percentile")
    return torch.tensor([a.mean() - b.mean(), *found.confidence_interval])


@pytest.mark.parametrize("right", [in_a_loop_of_resamples, with_scipy])
def test_difference_interval_may_be_written_in_other_ways(capsys, right):
    assert said(capsys, "difference_interval", right).startswith("difference_interval: correct")


def test_a_right_interval_passes_whatever_its_seed(capsys):
    for seed in range(40):
        one = written("difference_interval", ("manual_seed(0)", f"manual_seed({seed})"))
        assert said(capsys, "difference_interval", one).startswith("difference_interval: correct")
