"""The watcher of the best point of each row."""

import torch

from helpers.solver.best import Best
from helpers.solver.rows import moves


def test_the_best_eligible_point_of_each_row_stays():
    best = Best(torch.zeros(3, 2), torch.inf)
    points, all_of_them = torch.tensor([[1.0, 1], [8, 8], [2, 2]]), torch.tensor([True, True, True])
    first = best.watch(points, torch.tensor([5.0, 9.0, 4.0]), torch.tensor([True, False, True]))
    assert first.tolist() == [True, False, True]
    assert best.watch(2 * points, torch.tensor([6.0, 7.0, 3.0]), all_of_them).tolist() == [False, True, True]
    assert not best.watch(3 * points, torch.tensor([1.0, 1.0, 1.0]), ~all_of_them).any()
    assert best.value.tolist() == [5, 7, 3] and best.x.tolist() == [[1, 1], [16, 16], [4, 4]]
    best.keep(moves([0], 3, "cpu"))
    assert best.value.tolist() == [3, 7] and best.x.tolist() == [[4, 4], [16, 16]]


def test_from_not_a_number_anything_is_better_and_what_is_not_a_number_is_for_the_caller_to_refuse():
    best = Best(torch.ones(2, 1), torch.nan)
    value = torch.tensor([torch.inf, 7.0])
    assert best.watch(torch.zeros(2, 1), value, torch.isfinite(value)).tolist() == [False, True]
    assert best.value[0].isnan() and best.value[1] == 7 and best.x.tolist() == [[1], [0]]
