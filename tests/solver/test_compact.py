"""The compact form against the BFGS formula, applied pair by pair to a dense matrix."""

import numpy as np
import pytest
import torch

from helpers.solver.compact import Memory
from helpers.solver.rows import kept, moves

BATCH, N, PAIRS = 30, 7, 4


def dense_bfgs(pairs):
    """B from its pairs, oldest first: Nocedal & Wright (2006), (6.19), from θI with θ = yᵀy / sᵀy of the newest."""
    if not pairs:
        return np.eye(N)
    s, y = pairs[-1]
    B = np.eye(N) * (y @ y) / (s @ y)
    for s, y in pairs:
        Bs = B @ s
        B = B - np.outer(Bs, Bs) / (s @ Bs) + np.outer(y, y) / (s @ y)
    return B


def model(memory):
    """The dense B = θI − W M Wᵀ of every row, and Wᵀ."""
    W = memory.rows[:, :-2] * memory.scale.unsqueeze(2)
    M = torch.linalg.inv(memory.M_inverse())
    return memory.theta.view(-1, 1, 1) * torch.eye(N, dtype=torch.float64) - W.transpose(1, 2) @ M @ W, W


def filled(updates, seed=0, useful=1.0):
    """A memory after some updates, of which a row takes each with probability ``useful``; and each row's pairs."""
    random = np.random.default_rng(seed)
    memory, pairs = Memory(BATCH, N, PAIRS, torch.zeros(1, dtype=torch.float64)), [[] for _ in range(BATCH)]
    for now in range(updates):
        root = random.normal(size=(BATCH, N, N))
        s = random.normal(size=(BATCH, N)) * 10.0 ** random.uniform(-4, 1, (BATCH, 1))
        y = np.einsum("bij,bkj,bk->bi", root, root, s) + 0.1 * s
        taken = random.random(BATCH) < useful
        y = np.where(taken[:, None], y, -y)  # what is not useful would spoil the model
        sy = torch.tensor((s * y).sum(1))
        memory.update(torch.tensor(s), torch.tensor(y), sy, torch.tensor(taken), now)
        memory.settle(torch.zeros(BATCH, N).double())
        for i in np.flatnonzero(taken):
            pairs[i] = [*pairs[i], (s[i], y[i])][-PAIRS:]
    return memory, pairs


def assert_models(memory, pairs):
    B, _ = model(memory)
    for mine, own in zip(B.numpy(), pairs, strict=True):
        expected = dense_bfgs(own)
        assert np.abs(mine - expected).max() <= 1e-10 * max(1, np.abs(expected).max())


@pytest.mark.parametrize("updates", [0, 1, 3, 4, 5, 11])
def test_compact_form_is_dense_bfgs_also_after_the_memory_has_wrapped(updates):
    assert_models(*filled(updates))


@pytest.mark.parametrize("seed", range(3))
def test_each_row_skips_its_own_pairs(seed):
    memory, pairs = filled(9, seed, useful=0.6)
    assert len({len(own) for own in pairs}) > 1
    assert_models(memory, pairs)


def test_the_newest_secant_equation_holds():
    memory, pairs = filled(6)
    B, _ = model(memory)
    for mine, own in zip(B.numpy(), pairs, strict=True):
        s, y = own[-1]
        assert np.allclose(mine @ s, y, rtol=0, atol=1e-9 * np.abs(y).max())


def test_the_rows_that_stay_keep_their_models():
    memory, pairs = filled(6)
    leaving = moves([0, 2, 3, 28], BATCH, "cpu")
    memory.keep(leaving)
    (number,) = kept(leaving, torch.arange(BATCH))
    assert len(memory.theta) == BATCH - 4
    assert_models(memory, [pairs[i] for i in number])


@pytest.mark.parametrize("index", [slice(10, 20), torch.arange(10, 20)], ids=["a slice", "numbers"])
def test_what_is_settled_or_forgotten_in_a_part_is_so_in_the_whole(index):
    memory, pairs = filled(6)
    vectors = [torch.tensor(np.random.default_rng(7).normal(size=(BATCH, N))) for _ in range(2)]
    s, y = vectors[0], 2 * vectors[0] + 0.1 * vectors[1]
    memory.update(s.clone(), y.clone(), (s * y).sum(1), torch.full((BATCH,), True), 99)
    pairs = [[*own, (a, b)][-PAIRS:] for own, a, b in zip(pairs, s.numpy(), y.numpy(), strict=True)]
    for rows in (index, slice(0, 10), slice(20, BATCH)):
        part = memory.part(rows)
        part.settle(vectors[1][rows])
        memory.put(rows, part)
    assert_models(memory, pairs)
    part = memory.part(index)
    assert_models(part, pairs[10:20])
    part.forget(torch.arange(10) == 3)
    memory.put(index, part)
    pairs[13] = []
    assert_models(memory, pairs)
    assert memory.empty.nonzero().tolist() == [[13]]


def test_what_was_forgotten_is_built_up_anew():
    memory, pairs = filled(6)
    memory.forget(torch.arange(BATCH) < 5)
    random = np.random.default_rng(9)
    s = random.normal(size=(BATCH, N))
    y = 3 * s + 0.1 * random.normal(size=(BATCH, N))
    new = (torch.tensor(a) for a in (s, y, (s * y).sum(1), np.full(BATCH, True)))
    memory.update(*new, 99)
    memory.settle(torch.zeros(BATCH, N).double())
    assert_models(memory, [[*([] if i < 5 else pairs[i])[1 - PAIRS :], (s[i], y[i])] for i in range(BATCH)])


def test_gram_over_free_coordinates_and_combine_are_the_products_with_W():
    memory, _ = filled(5)
    random = np.random.default_rng(2)
    vector = torch.tensor(random.normal(size=(BATCH, N)))
    free = torch.tensor((random.random((BATCH, N)) < 0.6).astype(float))
    _, W = model(memory)
    close = {"rtol": 1e-12, "atol": 1e-12}
    settled = memory.settle(vector)
    for spare, content in zip(memory.spare, (vector, 2 * free), strict=True):
        spare.copy_(content)
    *found, square = memory.times_W()
    assert torch.allclose(torch.stack(found, 1), torch.stack([vector, 2 * free], 1) @ W.transpose(1, 2), **close)
    assert torch.allclose(square, vector.square().sum(1), **close)
    assert torch.equal(settled[0], found[0]) and torch.equal(settled[1], square)
    for mask in (torch.ones_like(free), free):
        gram, vector_times, rows = memory.over(mask)
        masked = W * mask.unsqueeze(1)
        assert torch.allclose(gram, masked @ masked.transpose(1, 2), **close)
        assert torch.allclose(vector_times, (masked @ vector.unsqueeze(2)).squeeze(2), **close)
        weights, share = torch.tensor(random.normal(size=(BATCH, 2 * PAIRS))), torch.full_like(vector[:, :1], 0.5)
        expected = (weights.unsqueeze(1) @ masked).squeeze(1) + 0.5 * vector * mask
        assert torch.allclose(memory.combine(rows, weights, share), expected, **close)


def test_a_part_of_its_own_masks_in_place_and_leaves_the_whole_alone():
    memory, pairs = filled(5)
    free = torch.zeros(3, N).double()
    for rows in (slice(4, 7), torch.tensor([4, 5, 6])):
        part = memory.part(rows)
        assert not part.over(free)[2].any() and part.rows[:, :-2].any() == (not part.own)
        assert_models(memory, pairs)


def test_columns_are_those_of_W_transposed():
    memory, _ = filled(5)
    _, W = model(memory)
    row = torch.tensor([8, 0, 21])
    coordinate = torch.tensor([[6, 0], [3, 3], [1, 5]])
    columns = memory.columns(row, coordinate)
    for j, i in enumerate(row):
        assert torch.equal(columns[j], W[i][:, coordinate[j]])
