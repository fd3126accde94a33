"""Bad input to minimize: each is refused with one sentence that says what was wrong."""

import pytest
import torch

from helpers import minimize


def bowl(x, *args):
    return x.square().sum(1)


X = torch.zeros(2, 3)
BAD_MINIMISATIONS = {
    "crossed bounds": ((X, 1.0, 0.0), {}, ValueError, "lower must be at most upper everywhere"),
    "one crossed": ((X, torch.tensor([0.0, 2, 0]), torch.ones(3)), {}, ValueError, "lower must be at most upper"),
    "a NaN bound": ((X, torch.full((3,), torch.nan), 1.0), {}, ValueError, "neither may be NaN"),
    "x0 outside": ((X, 0.5, 1.0), {}, ValueError, r"outside the box in 2 rows; pass x0.clamp\(lower, upper\)"),
    "one row outside": ((torch.tensor([[0.0], [3.0]]), None, 1.0), {}, ValueError, "outside the box in 1 rows"),
    "x0 NaN": ((torch.full((2, 3), torch.nan),), {}, ValueError, "x0 holds NaN"),
    "x0 flat": ((torch.zeros(3),), {}, ValueError, r"shape \(batch, n\), got \(3,\)"),
    "x0 of integers": ((torch.zeros(2, 3, dtype=torch.long),), {}, TypeError, "tensor of floats, got torch.int64"),
    "x0 a list": (([[0.0]],), {}, TypeError, "tensor of floats, got list"),
    "bounds that do not fit": ((X, torch.zeros(4)), {}, ValueError, r"lower, shape \(4,\), does not broadcast"),
    "too many bounds": ((X, None, torch.zeros(5, 2, 3)), {}, ValueError, "upper, shape .* does not broadcast"),
    "bound elsewhere": ((X, torch.zeros(3, device="meta")), {}, ValueError, "x0 is on cpu but lower is on meta"),
    "args too short": ((X, None, None, (torch.zeros(1),)), {}, ValueError, "one entry for each of the 2 rows"),
    "args no tensor": ((X, None, None, (1.0,)), {}, ValueError, r"args\[0\] must be a tensor.*got float"),
    "args elsewhere": ((X, None, None, (torch.zeros(2, device="meta"),)), {}, ValueError, r"args\[0\] is on meta"),
    "half precision": ((X.half(),), {}, TypeError, "x0 must be float32 or float64, got torch.float16"),
    "an unknown option": ((X,), {"tol": 1}, TypeError, "tol"),
    "no memory": ((X,), {"maxcor": 0}, ValueError, "maxcor must be at least 1, got 0"),
    "no steps": ((X,), {"newton": 0}, ValueError, "newton must be at least 1, got 0"),
    "no trials": ((X,), {"maxls": 0}, ValueError, "maxls must be at least 1, got 0"),
}


@pytest.mark.parametrize("name", BAD_MINIMISATIONS)
def test_minimize_refuses(name):
    arguments, options, error, message = BAD_MINIMISATIONS[name]
    with pytest.raises(error, match=message):
        minimize(bowl, *arguments, **options)
