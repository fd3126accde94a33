"""Properties that hold for every input: hypothesis looks for one where they do not."""

import numpy as np
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from problems import quadratic, random_quadratics

from helpers import attack, minimize

SEEDS = st.integers(0, 2**32 - 1)
# Problems are drawn by a seed: to shrink one says nothing.
SOME = settings(max_examples=20, derandomize=True, deadline=None, database=None, phases=(Phase.generate,))
FEW = settings(SOME, max_examples=5)


@st.composite
def boxed_quadratics(draw):
    """1 to 8 problems of 1 to 9 variables, of either dtype, with fixed variables and infinite bounds."""
    dtype = draw(st.sampled_from([torch.float32, torch.float64]))
    rows, n = draw(st.integers(1, 8)), draw(st.integers(1, 9))
    x0, lower, upper, (A, b) = random_quadratics(rows, n, draw(SEEDS), dtype)
    return x0, lower, upper, A, b * draw(st.sampled_from([1e-3, 1.0, 1e3]))


def solve(x0, lower, upper, A, b):
    return minimize(quadratic, x0, lower, upper, (A, b))


def rounding(x, A, b):
    """How far apart two values at x may be, each a sum of terms of this size."""
    return 100 * torch.finfo(x.dtype).eps * (1 + quadratic(x.abs(), A.abs(), b.abs()))


def same_values(value, expected, x, args):
    """As near as two runs come that differ by rounding, and then by one relative reduction of ftol."""
    return ((value - expected).abs() <= rounding(x, *args) + 1e-8 * (1 + expected.abs())).all()


@SOME
@given(boxed_quadratics())
def test_solver_stays_in_the_box_is_never_worse_than_its_start_and_repeats(problem):
    x0, lower, upper, *args = problem
    result = solve(*problem)
    assert ((result.x >= lower) & (result.x <= upper)).all()
    assert torch.equal(result.x[lower == upper], lower[lower == upper])
    assert (result.value <= quadratic(x0, *args) + rounding(x0, *args)).all()
    assert result.converged.all()
    again = solve(*problem)
    assert torch.equal(again.x, result.x) and torch.equal(again.value, result.value) and again.status == result.status


@SOME
@given(boxed_quadratics(), st.randoms(use_true_random=False))
def test_solver_answers_each_row_alone_and_in_any_order(problem, random):
    result, args = solve(*problem), problem[3:]
    order = list(range(len(problem[0])))
    random.shuffle(order)
    shuffled = solve(*(a[order] for a in problem))
    assert same_values(shuffled.value, result.value[order], result.x[order], [a[order] for a in args])
    for i in order[:3]:
        one = slice(i, i + 1)
        alone = solve(*(a[one] for a in problem))
        assert same_values(alone.value, result.value[one], result.x[one], [a[one] for a in args])


@st.composite
def small_attacks(draw):
    """A random network of 12 pixels and 5 classes, 1 to 6 images, some pixels at the ends of the box, and targets.

    Its sums do not depend on the size of the batch, as those of a matrix product do: a search can magnify rounding.
    """
    random = np.random.default_rng(draw(SEEDS))
    size = draw(st.sampled_from([0.5, 1.5]))
    W, a, V, b = (torch.tensor(size * random.normal(size=shape)).float() for shape in ((8, 12), (8,), (5, 8), (5,)))

    def network(x):
        hidden = torch.tanh((x.unsqueeze(1) * W).sum(2) + a)
        return (hidden.unsqueeze(1) * V).sum(2) + b

    rows = draw(st.integers(1, 6))
    images = torch.tensor(random.uniform(-0.3, 1.3, (rows, 12)).clip(0, 1)).float()
    return network, images, torch.tensor(random.integers(0, 5, rows))


def run(network, images, targets, norm):
    return attack(network, images, targets, norm=norm, progress=False)


NORMS = st.sampled_from(["squared", "l2"])


@FEW
@given(small_attacks(), NORMS)
def test_attack_stays_in_the_box_tells_the_truth_and_repeats(problem, norm):
    network, images, targets = problem
    result = run(*problem, norm)
    assert ((result.adversarial >= 0) & (result.adversarial <= 1)).all()
    assert torch.equal(result.perturbation, result.adversarial - images)
    assert torch.equal(result.success, network(result.adversarial).argmax(1) == targets)
    assert torch.equal(result.adversarial[~result.success], images[~result.success])
    there = network(images).argmax(1) == targets
    assert result.success[there].all() and (result.distortion[there] == 0).all()
    again = run(*problem, norm)
    assert torch.equal(again.adversarial, result.adversarial) and torch.equal(again.evaluations, result.evaluations)
    assert again.status == result.status


@FEW
@given(small_attacks(), NORMS, st.randoms(use_true_random=False))
def test_attack_answers_each_image_alone_and_in_any_order(problem, norm, random):
    network, images, targets = problem
    result = run(*problem, norm)
    order = list(range(len(images)))
    random.shuffle(order)
    shuffled = run(network, images[order], targets[order], norm)
    assert torch.equal(shuffled.success, result.success[order])
    assert torch.allclose(shuffled.norm, result.norm[order], rtol=1e-4, atol=1e-6)
    one = slice(order[0], order[0] + 1)
    alone = run(network, images[one], targets[one], norm)
    assert torch.equal(alone.success, result.success[one])
    assert torch.allclose(alone.norm, result.norm[one], rtol=1e-4, atol=1e-6)
