"""Lesson 10's checks: right answers of another form pass, and each mistake is named."""

from functools import partial

import notebook_tools
import numpy as np
import pytest
import torch
from notebook_tools import NOTEBOOKS
from torch.nn.functional import conv2d
from verdicts import assert_caught, said

PATH = NOTEBOOKS / "10_how_much_can_a_layer_amplify.ipynb"
written = partial(notebook_tools.written, PATH, scope={"torch": torch})


# --- power iteration ---


def multiplied(apply, v):
    """AᵀAv."""
    v = v.detach().clone().requires_grad_()
    return torch.autograd.grad(apply(v).square().sum() / 2, v)[0]


def rayleigh(apply, v, steps):
    """Another right answer: σ² = vᵀAᵀAv for v of length 1, a tensor."""
    for _ in range(steps):
        v = multiplied(apply, v)
        v = v / v.abs().max()
    v = v / v.norm()
    return (v * multiplied(apply, v)).sum().sqrt()


def by_vjp(apply, v, steps):
    for _ in range(steps):
        u, back = torch.func.vjp(apply, v / torch.linalg.vector_norm(v))
        (v,) = back(u)
    return np.sqrt(torch.linalg.vector_norm(v).item()) if steps > 5 else float(apply(v).norm() / v.norm())


@pytest.mark.parametrize("right", [rayleigh, by_vjp])
def test_power_iteration_may_be_written_in_other_ways(capsys, right):
    assert said(capsys, "power_iteration", right).startswith("power_iteration: correct")


def iterate(change, last):
    def power_iteration(apply, v, steps):
        for _ in range(steps):
            v = change(apply, v)
        return last(apply, v)

    return power_iteration


def unit(v):
    return v / v.norm()


def stretch(apply, v):
    return (apply(v).norm() / v.norm()).item()


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        (iterate(multiplied, stretch), "divide v by its norm"),
        (iterate(lambda f, v: unit(multiplied(f, v)), lambda f, v: stretch(f, v) ** 2), "the norm squared"),
        (lambda apply, v, steps: stretch(apply, v), "nothing was iterated"),
        (lambda apply, v, steps: apply(v).norm(), "not divided by ‖v‖"),
        (iterate(lambda f, v: unit(multiplied(f, v)).flatten(), stretch), "takes a tensor of the shape of v"),
        (lambda apply, v, steps: iterate(lambda f, v: unit(multiplied(f, v)), stretch)(apply, v, 100), "steps = 1"),
        (iterate(lambda f, v: unit(v - 0.05 * multiplied(f, v) / 9), stretch), "the norm is"),
        (iterate(lambda f, v: unit(f(v)), stretch), "takes a tensor of the shape of v"),
        (iterate(lambda f, v: unit(multiplied(f, v)), lambda f, v: multiplied(f, v).norm()), "the norm squared"),
        (lambda apply, v, steps: 3.0, "it never called apply"),
        (iterate(lambda f, v: unit(multiplied(f, v)), lambda f, v: f(v)), "must have shape ()"),
    ],
)
def test_power_iteration_names_the_mistake(capsys, mistake, message):
    assert_caught(capsys, "power_iteration", mistake, message)


def test_iterating_a_square_matrix_itself_is_told_from_iterating_its_gram_matrix(capsys):
    def power_iteration(apply, v, steps):
        out = apply(v)
        if out.shape != v.shape:  # right where A is not square
            return rayleigh(apply, v, steps)
        for _ in range(400 * steps):
            v = unit(apply(v))
        return apply(v).norm()

    out = said(capsys, "power_iteration", power_iteration)
    assert out.startswith("power_iteration: not yet")


# --- circular convolutions ---


def dense(weight, size, stride):
    """Right, and slow: the matrix itself."""
    wrap = torch.arange(size + weight.shape[-1] - 1) % size
    units = torch.eye(weight.shape[1] * size**2, dtype=torch.float64).view(-1, weight.shape[1], size, size)
    return torch.linalg.svdvals(conv2d(units[:, :, wrap][..., wrap], weight, stride=stride).flatten(1))[0]


def by_numpy(weight, size, stride):
    spectrum, best, part = np.fft.fft2(weight.numpy(), s=(size, size)), 0.0, size // stride
    for g in range(part):
        for h in range(part):
            block = spectrum[:, :, g::part, h::part].reshape(len(weight), -1)
            best = max(best, np.linalg.eigvalsh(block @ block.conj().T)[-1])
    return np.sqrt(best) / stride


@pytest.mark.parametrize("right", [dense, by_numpy])
def test_a_circular_norm_may_be_written_in_other_ways(capsys, right):
    assert said(capsys, "circular_norm", right).startswith("circular_norm: correct")


def folded(weight, size, stride):
    split = torch.fft.fft2(weight, s=(size, size)).unflatten(3, (stride, -1)).unflatten(2, (stride, -1))
    return split.permute(3, 5, 0, 1, 2, 4)


def largest(blocks):
    return torch.linalg.matrix_norm(blocks, 2).max()


def neighbours(w, n, q):
    split = torch.fft.fft2(w, s=(n, n)).unflatten(3, (-1, q)).unflatten(2, (-1, q))
    return largest(split.permute(2, 4, 0, 1, 3, 5).flatten(3)) / q


def one_axis(w, n, q):
    """Folds the rows only."""
    split = torch.fft.fft2(w, s=(n, n)).unflatten(2, (q, -1))
    return largest(split.permute(3, 4, 0, 1, 2).flatten(3)) / q


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        (lambda w, n, q: largest(folded(w, n, q).flatten(3)) / q**2, "as the paper does"),
        (lambda w, n, q: largest(folded(w, n, q).flatten(3)), "the division by the stride is missing"),
        (lambda w, n, q: largest(folded(w, n, q).flatten(3)) / q**0.5, "the two axes"),
        (lambda w, n, q: largest(folded(w, n, 1).flatten(3)), "the stride is not used"),
        (lambda w, n, q: largest(folded(w, n, q).sum((4, 5))) / q, "added up"),
        (lambda w, n, q: largest(folded(w, n, q).permute(0, 1, 4, 5, 2, 3).flatten(2, 4)) / q, "one below the other"),
        (lambda w, n, q: largest(folded(w, n, 1).flatten(3)) / q, "stand side by side"),
        (neighbours, "size/stride apart"),
        (one_axis, "the norm is"),
        (lambda w, n, q: torch.fft.fft2(w, s=(n, n)).abs().max() / q, "it is a matrix of outputs × inputs"),
        (lambda w, n, q: largest(torch.fft.fft2(w).permute(2, 3, 0, 1)), "pad it with zeros"),
        (lambda w, n, q: torch.linalg.matrix_norm(folded(w, n, q).flatten(3)).max() / q, "Frobenius"),
        (lambda w, n, q: largest(w.flatten(1)), "without a transform"),
        (lambda w, n, q: largest(folded(w, n, q).real.flatten(3)) / q, "the norm is"),
        (lambda w, n, q: torch.linalg.matrix_norm(folded(w, n, q).flatten(3), 2) / q, "must have shape ()"),
    ],
)
def test_a_circular_norm_names_the_mistake(capsys, mistake, message):
    assert_caught(capsys, "circular_norm", mistake, message)


# --- certificates ---


def looped(logits, targets, A, K):
    answers = []
    for z, l in zip(logits, targets.tolist(), strict=True):
        bounds = [(z[j] - z[l]) / torch.dist(A[j], A[l]) / K for j in range(len(z)) if z[j] > z[l]]
        answers.append(float(max(bounds, default=0.0)))
    return answers


def by_gram(logits, targets, A, K):
    """‖a_j − a_l‖² = G_jj + G_ll − 2 G_jl."""
    G = A @ A.T
    rows = (G.diagonal()[None] + G.diagonal()[targets][:, None] - 2 * G[targets]).clamp(min=1e-12).sqrt()
    lead = logits - logits[torch.arange(len(logits)), targets][:, None]
    return (lead.relu() / (K * rows)).amax(1).numpy()


@pytest.mark.parametrize("right", [looped, by_gram])
def test_a_certificate_may_be_written_in_other_ways(capsys, right):
    assert said(capsys, "certificate", right).startswith("certificate: correct")


def rival(logits, targets, A, K):
    j = logits.argmax(1)
    lead = (logits.gather(1, j[:, None]) - logits.gather(1, targets[:, None])).squeeze(1)
    return torch.where(j == targets, 0.0, lead / ((A[j] - A[targets]).norm(dim=1) * K))


def with_whole_norm(factor):
    def certificate(logits, targets, A, K):
        lead = (logits - logits.gather(1, targets[:, None])).amax(1)
        return lead / (factor * torch.linalg.matrix_norm(A, 2) * K)

    return certificate


SOLVED = "return torch.where(lead > 0, lead / (rows * K), 0.0).amax(1)"


def changed(new):
    return lambda *arguments: written("certificate", (SOLVED, new))(*arguments)


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        (with_whole_norm(2**0.5), "that is the first bound"),
        (with_whole_norm(1), "is no bound on the difference"),
        (rival, "only the label that leads now"),
        (changed("return torch.where(lead > 0, lead / (rows * K), 0.0).sum(1)"), "their sum need not"),
        (changed("return torch.where(lead > 0, lead / (rows * K), 0.0).mean(1)"), "the largest bound over the rivals"),
        (changed("return torch.where(lead > 0, lead * K / rows, 0.0).amax(1)"), "K is a factor"),
        (changed("return torch.where(lead > 0, lead / rows, 0.0).amax(1)"), "K is not used"),
        (changed("return torch.where(lead > 0, lead / (rows**2 * K), 0.0).amax(1)"), "Cauchy–Schwarz"),
        (changed("return torch.where(lead > 0, lead / (A.norm(dim=1) * K), 0.0).amax(1)"), "without a_l"),
        (changed("return (lead / K).amax(1)"), "the difference of the rows is missing"),
        (changed("return (lead / (rows * K)).amax(1)"), "NaN"),
        (changed("return torch.where(lead < 0, -lead / (rows * K), 0.0).amax(1)"), "needs no change"),
        (changed("return torch.where(lead > 0, lead / (2 * rows * K), 0.0).amax(1)"), "half the lead"),
        (changed("return torch.where(lead > 0, lead / (rows * K), 0.0)"), "must have shape (9,)"),
    ],
)
def test_a_certificate_names_the_mistake(capsys, mistake, message):
    assert_caught(capsys, "certificate", mistake, message)
