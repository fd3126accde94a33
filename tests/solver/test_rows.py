"""Rows that go make place for the last of those that stay."""

from typing import NamedTuple

import pytest
import torch

from helpers.solver import rows
from helpers.solver.rows import chosen, kept, merged, moves, patched


class Three(NamedTuple):
    step: torch.Tensor
    value: torch.Tensor
    slope: torch.Tensor


def test_those_that_stay_are_all_there_and_stay_together():
    for gone in ([], [0], [4], [1, 3], [0, 1, 2, 3, 4], [2, 3, 4]):
        leaving = moves(gone, 5, "cpu")
        name, (step, value, slope) = kept(leaving, torch.arange(5), Three(*torch.arange(15.0).view(3, 5)))
        assert sorted(name.tolist()) == [i for i in range(5) if i not in gone]
        assert step.tolist() == name.tolist() and (value == step + 5).all() and (slope == step + 10).all()
        assert len(leaving.source) <= len(gone)


@pytest.mark.parametrize("looks", [("cpu",), ()], ids=["where it can look", "where it would wait"])
def test_rows_are_patched_alike_whether_the_mask_is_looked_at_or_not(looks, monkeypatch):
    monkeypatch.setattr(rows, "LOOKS", looks)
    mask, x = torch.tensor([False, True, True]), torch.arange(6.0).view(3, 2)
    other = torch.full_like(x, torch.nan).index_fill_(0, torch.tensor([1, 2]), -1.0)
    assert patched(x.clone(), mask, other).tolist() == [[0, 1], [-1, -1], [-1, -1]]
    assert x[chosen(mask)].tolist() == ([[2, 3], [4, 5]] if looks else x.tolist())


def test_a_mask_chooses_rows_of_every_part():
    mask, ones = torch.tensor([True, False]), Three(torch.ones(2), torch.ones(2, 3), torch.ones(2, 2, 2))
    found = merged(mask, ones, Three(*(0 * part for part in ones)))
    assert isinstance(found, Three) and all((part[0] == 1).all() and (part[1] == 0).all() for part in found)
