"""Hessian models for the solver's tests: random ones in limited memory, and the same as dense matrices."""

from math import inf

import numpy as np
import torch

from helpers.solver.compact import Memory

BATCH, N, PAIRS = 50, 12, 4


def random_case(random):
    """Points, gradients and bounds on a coarse lattice, so that breakpoints tie; and a memory of some pairs."""
    memory = Memory(BATCH, N, PAIRS, torch.zeros(1, dtype=torch.float64))
    for now in range(random.integers(0, 7)):
        root = random.normal(size=(BATCH, N, N))
        s = random.normal(size=(BATCH, N))
        y = np.einsum("bij,bkj,bk->bi", root, root, s) + 0.1 * s
        useful = random.random(BATCH) < 0.8
        memory.update(*(torch.tensor(a) for a in (s, y, (s * y).sum(1), useful)), now)
        memory.settle(torch.zeros(BATCH, N).double())
    lower = np.where(random.random((BATCH, N)) < 0.2, -inf, -0.5 * random.integers(0, 4, (BATCH, N)))
    upper = np.where(random.random((BATCH, N)) < 0.2, inf, 0.5 * random.integers(0, 4, (BATCH, N)))
    g = random.integers(-3, 4, (BATCH, N)) * random.choice([0.1, 1.0, 30.0], (BATCH, 1))
    return np.zeros((BATCH, N)), g, lower, upper, memory


def dense(memory):
    """B (BATCH, N, N) as an array, Wᵀ and M of a memory of random_case."""
    W = memory.rows[:, :-2] * memory.scale.unsqueeze(2)
    M = torch.linalg.inv(memory.M_inverse())
    B = memory.theta.view(-1, 1, 1) * torch.eye(N, dtype=torch.float64) - W.transpose(1, 2) @ M @ W
    return B.numpy(), W, M
