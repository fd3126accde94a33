"""The watcher of the best point of each row."""

import torch

from helpers.solver.best import Best


def test_the_best_eligible_point_of_each_row_stays():
    best = Best(torch.zeros(3, 2), torch.inf, spare=True)
    points = torch.tensor([[1.0, 1], [2, 2]])
    assert best.watch(torch.tensor([0, 2]), points, torch.tensor([5.0, 4.0]), torch.tensor([True, True])).tolist() == [
        0,
        1,
    ]
    both = torch.tensor([2, 0])
    assert best.watch(both, 2 * points, torch.tensor([3.0, 6.0]), torch.tensor([True, True])).tolist() == [0]
    assert best.watch(both, 3 * points, torch.tensor([1.0, 1.0]), torch.tensor([False, False])).tolist() == []
    assert best.value.tolist() == [5, torch.inf, 3] and best.x.tolist() == [[1, 1], [0, 0], [2, 2]]
    assert best.spare_value.tolist() == [torch.inf, torch.inf, 4] and best.spare[2].tolist() == [2, 2]
    best.forget(torch.tensor([2]))
    assert best.value[2] == best.spare_value[2] == torch.inf and best.value[0] == 5


def test_from_not_a_number_anything_is_better_and_what_is_not_a_number_is_for_the_caller_to_refuse():
    best = Best(torch.ones(2, 1), torch.nan)
    row, value = torch.arange(2), torch.tensor([torch.inf, 7.0])
    assert best.watch(row, torch.zeros(2, 1), value, torch.isfinite(value)).tolist() == [1]
    assert best.value[0].isnan() and best.value[1] == 7 and best.x.tolist() == [[1], [0]] and best.spare is None
