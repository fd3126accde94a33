"""Operations, waits and passes: each counted where it happens, and nothing else."""

import pytest
import torch

from helpers.benchmark import __main__ as command_line
from helpers.benchmark import launches
from helpers.benchmark.launches import Counter, counted


def count(run):
    with Counter() as counter:
        run()
    return counter


X = torch.arange(6.0).view(2, 3)
ROWS, MASK = torch.tensor([1, 0]), torch.tensor([True, False])


def test_views_and_allocations_are_operations_but_launch_nothing():
    counter = count(lambda: (X.unsqueeze(0), X[:, 1], torch.empty(3)))
    assert counter.operations >= 3 and counter.launches == counter.waits == 0
    assert count(lambda: X + X).launches == count(lambda: X.clone().add_(1)).launches - 1 == 1


@pytest.mark.parametrize(
    "waiting",
    [lambda: X.sum().item(), lambda: bool(X.any()), lambda: X.nonzero(), lambda: X[MASK], lambda: torch.equal(X, X)],
    ids=["item", "bool", "nonzero", "a mask", "equal"],
)
def test_what_makes_the_host_wait(waiting):
    assert count(waiting).waits == 1


def test_a_mask_that_is_written_through_waits_and_integers_do_not():
    def written(index):
        X.clone()[index] = 0.0

    assert count(lambda: written(MASK)).waits == 1
    assert count(lambda: written(ROWS)).waits == 0
    assert count(lambda: (X[ROWS], torch.where(MASK.unsqueeze(1), X, 0), X.topk(2))).waits == 0


def test_the_backward_pass_is_counted_too():
    x = X.clone().requires_grad_(True)
    forward = count(lambda: x.exp().sum())
    both = count(lambda: torch.autograd.grad(x.exp().sum(), x))
    assert both.launches > forward.launches
    assert both.by_name["exp"] == 1 and both.by_name["mul"] == 1


def test_an_attack_is_counted(network, digits):
    found = counted(network, digits[0][:4], digits[1][:4], sharpness=(1, 8))
    assert found["images"] == 4 and found["success"] == 1 and 0 < found["mean_norm"] < 4
    assert found["operations"] > found["launches"] > found["waits"] > 0
    assert found["most_evaluations"] <= found["passes"] < found["launches"]
    assert found["predicted_seconds"] == pytest.approx(5e-6 * found["launches"] + 2e-5 * found["waits"])


def test_the_command(capsys):
    command_line.main(["launches", "--images", "3", "--max-batch", "2"])
    said = capsys.readouterr().out
    assert said.startswith("3 images, 100.0% reached") and "waits of the host" in said and "(assumed)" in said
    with pytest.raises(SystemExit):
        launches.main(["--images", "0"])
    assert "at least 1" in capsys.readouterr().err
