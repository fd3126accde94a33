"""The result: a batch that can be indexed, and an object that can be compared."""

import pytest
import torch

from helpers import attack, c_path, load_network
from helpers.adversarial.result import assemble
from helpers.baselines.exact import exact_linear

FIELDS = ("adversarial", "perturbation", "targets", "c", "distortion", "success", "evaluations", "forwards", "norm")


@pytest.fixture(scope="module")
def result(network, digits):
    return attack(network, digits[0][:6], digits[1][:6], progress=False)


@pytest.mark.parametrize(
    "index, rows",
    [
        (slice(3, 5), [3, 4]),
        (2, [2]),
        (-1, [5]),
        (torch.tensor(4), [4]),
        (torch.tensor([4, 0]), [4, 0]),
        ([1, 1], [1, 1]),
        (torch.arange(6) % 2 == 0, [0, 2, 4]),
        (slice(0, 0), []),
    ],
    ids=str,
)
def test_a_part_of_a_result_is_a_result(index, rows, result):
    part = result[index]
    assert type(part) is type(result) and len(part) == len(rows)
    for name in FIELDS:
        assert torch.equal(getattr(part, name).nan_to_num(nan=-1), getattr(result, name)[rows].nan_to_num(nan=-1))
    assert part.status == tuple(result.status[i] for i in rows) and repr(part).startswith("AttackResult(")


def test_beyond_the_end_is_an_index_error_and_a_result_can_be_walked_through(result):
    with pytest.raises(IndexError):
        result[6]
    assert [one.targets.item() for one in result] == result.targets.tolist()


def test_results_are_compared_as_objects(result, network, digits):
    assert result == result and result != result[:] and len({result, result[0]}) == 2
    path = c_path(network, digits[0][0], 3, [0.1])
    assert path == path and path != c_path(network, digits[0][0], 3, [0.1])


def test_a_proof_is_indexed_with_its_bound(digits):
    exact = exact_linear(load_network("FC10(1e-4)"), digits[0][:3], digits[1][:3])
    assert torch.equal(exact[1:].bound, exact.bound[1:]) and exact == exact and exact != exact[:]


def test_assemble_judges_and_puts_failures_back(network, digits):
    images, targets = digits[0][:4], digits[1][:4]
    found = attack(network, images, targets, progress=False).adversarial
    offered = torch.where(torch.tensor([[True], [False], [True], [False]]), found, (images + 0.01).clamp(0, 1))
    result = assemble(network, images, offered, targets, None, torch.ones_like(targets))
    assert result.success.tolist() == [True, False, True, False] and result.c.isnan().all()
    assert torch.equal(result.adversarial[1::2], images[1::2]) and torch.equal(result.adversarial[::2], found[::2])
    assert result.status == ("found", "not found") * 2
