"""What ``minimize`` asks of its arguments, at the door: one sentence saying what is wrong and what to pass instead."""

import torch

from helpers.solver.box import Box


def check_problem(x0, lower, upper, args):
    """A copy of x0 (batch, n), its Box, and args as a tuple. Raises TypeError or ValueError for what cannot be used."""
    x0 = _start(x0)
    box = _box(x0, lower, upper)
    outside = ((x0 < box.lower) | (x0 > box.upper)).any(1)
    if outside.any():
        raise ValueError(f"x0 is outside the box in {int(outside.sum())} rows; pass x0.clamp(lower, upper).")
    for i, a in enumerate(args):
        if not torch.is_tensor(a) or a.shape[:1] != x0.shape[:1]:
            got = tuple(a.shape) if torch.is_tensor(a) else type(a).__name__
            raise ValueError(f"args[{i}] must be a tensor with one entry for each of the {len(x0)} rows, got {got}.")
        if a.device != x0.device:
            raise ValueError(f"x0 is on {x0.device} but args[{i}] is on {a.device}; move one of them.")
    return x0.clone(), box, tuple(args)


def _start(x0):
    if not torch.is_tensor(x0) or not x0.is_floating_point():
        raise TypeError(f"x0 must be a tensor of floats, got {x0.dtype if torch.is_tensor(x0) else type(x0).__name__}.")
    if x0.dtype not in (torch.float32, torch.float64):
        raise TypeError(f"x0 must be float32 or float64, got {x0.dtype}, too few digits for a model; use x0.float().")
    if x0.ndim != 2:
        raise ValueError(f"x0 must have shape (batch, n), got {tuple(x0.shape)}; use x0.flatten(1) or x0.unsqueeze(0).")
    if not torch.isfinite(x0).all():
        raise ValueError("x0 holds NaN or infinity.")
    return x0.detach()


def _box(x0, lower, upper):
    bounds = []
    for name, bound, none in (("lower", lower, -torch.inf), ("upper", upper, torch.inf)):
        bound = none if bound is None else bound
        if torch.is_tensor(bound) and bound.device != x0.device:
            raise ValueError(f"x0 is on {x0.device} but {name} is on {bound.device}; move one of them.")
        bound = torch.as_tensor(bound, dtype=x0.dtype, device=x0.device)
        try:
            torch.broadcast_to(bound, x0.shape)
            bounds.append(bound.reshape(*[1] * (2 - bound.ndim), *bound.shape).clone())  # which the solver writes over
        except RuntimeError:
            raise ValueError(
                f"{name}, shape {tuple(bound.shape)}, does not broadcast to x0's {tuple(x0.shape)}."
            ) from None
    if all(bound.numel() == 1 for bound in bounds):  # a box that is the same everywhere costs no memory traffic
        bounds = [bound.item() for bound in bounds]
    lower, upper = bounds
    if not torch.as_tensor(lower <= upper).all():
        raise ValueError("lower must be at most upper everywhere, and neither may be NaN.")
    return Box(lower, upper)
