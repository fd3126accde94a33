"""python -m helpers.benchmark launches: what an attack would ask of a GPU, counted on any machine.

A dispatch mode sees every operation on tensors, the backward pass included. On a GPU each one that computes is a kernel
to launch, and one that hands a number, or a shape that depends on numbers, back to Python makes the host wait.
"""

import argparse
from contextlib import contextmanager

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from helpers.solver import rows

# Assumed, not measured here. An eager operation of PyTorch costs the host some 5 µs (Python, dispatch, allocation and
# the launch itself), which is more than these kernels take. To wait for a number costs a copy back and a drained
# queue, some 20 µs.
MICROSECONDS_A_LAUNCH = 5.0
MICROSECONDS_A_WAIT = 20.0

WAITS = {
    "_local_scalar_dense",  # .item(), bool(), int(), tolist() of one number
    "nonzero",
    "masked_select",
    "unique_dim",
    "_unique2",
    "equal",
    "repeat_interleave",
}
INDEXINGS = {"index", "index_put", "index_put_", "_index_put_impl_"}  # they wait where an index is boolean
ALLOCATIONS = {"empty", "empty_like", "new_empty", "empty_strided", "new_empty_strided"}


class Counter(TorchDispatchMode):
    """Counts, while it is entered, the operations on tensors.

    Attributes:
        operations: all that were dispatched. launches: without views and allocations, which start no kernel.
        waits: those at which a GPU's host waits. by_name: from an operation's name to how often it came.
    """

    def __init__(self):
        super().__init__()
        self.operations = self.launches = self.waits = 0
        self.by_name = {}

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.overloadpacket.__name__
        self.by_name[name] = self.by_name.get(name, 0) + 1
        self.operations += 1
        self.launches += not (is_view(function) or name in ALLOCATIONS)
        self.waits += _waits(name, args)
        return function(*args, **(kwargs or {}))


def is_view(function):
    """Does an operation return its argument's memory, without writing to it?"""
    aliases = [value.alias_info for value in function._schema.returns]
    return any(alias is not None and not alias.is_write for alias in aliases)


def _waits(name, args):
    if name in INDEXINGS:
        return any(torch.is_tensor(index) and index.dtype in (torch.bool, torch.uint8) for index in args[1])
    return name in WAITS


class Passes(torch.nn.Module):
    """``network``, and how many passes it has made: ``passes``."""

    def __init__(self, network):
        super().__init__()
        self.network, self.passes = network, 0

    def forward(self, x):
        self.passes += 1
        return self.network(x)


@contextmanager
def as_on_a_gpu():
    """In this block the solver works on all rows at once, and looks at none, as where a look would wait."""
    before, rows.LOOKS = rows.LOOKS, ()
    try:
        yield
    finally:
        rows.LOOKS = before


def counted(network, images, targets, **options):
    """One attack, counted: a dict of numbers. ``options`` are those of ``attack``."""
    from helpers import attack

    passes = Passes(network).eval()
    with as_on_a_gpu(), Counter() as counter:
        result = attack(passes, images, targets, progress=False, **options)
    overhead = counter.launches * MICROSECONDS_A_LAUNCH + counter.waits * MICROSECONDS_A_WAIT
    return {
        "images": len(images),
        "success": result.success.double().mean().item(),
        "mean_norm": result.norm[result.success].double().mean().item(),
        "evaluations": result.evaluations.double().mean().item(),
        "most_evaluations": int(result.evaluations.max()),
        "operations": counter.operations,
        "launches": counter.launches,
        "waits": counter.waits,
        "passes": passes.passes,
        "predicted_seconds": overhead / 1e6,
    }


def sentence(found):
    """What was counted, in words."""
    return (
        f"{found['images']} images, {found['success']:.1%} reached, mean norm {found['mean_norm']:.5f}, "
        f"{found['evaluations']:.1f} evaluations an image, at most {found['most_evaluations']}.\n"
        f"{found['passes']} passes of the network, {found['operations']} operations on tensors, of which "
        f"{found['launches']} launch a kernel, and {found['waits']} waits of the host.\n"
        f"On a GPU, at {MICROSECONDS_A_LAUNCH:g} µs a launch and {MICROSECONDS_A_WAIT:g} µs a wait (assumed): "
        f"{found['predicted_seconds']:.2f} s of overhead."
    )


def main(arguments=None):
    """The command line: ``python -m helpers.benchmark launches --help`` lists it."""
    from helpers.benchmark.__main__ import task

    parser = argparse.ArgumentParser(prog="python -m helpers.benchmark launches", description=__doc__)
    parser.add_argument("--images", type=int, default=1000, metavar="N", help="how many (default: %(default)s)")
    sharpness = {"type": float, "nargs": "+", "default": [1.0], "metavar": "β"}
    parser.add_argument("--sharpness", help="the schedule (default: 1)", **sharpness)
    parser.add_argument("--max-batch", type=int, metavar="N", help="images in flight at a time (default: all)")
    options = parser.parse_args(arguments)
    if options.images < 1 or (options.max_batch or 1) < 1:
        parser.error("--images and --max-batch must be at least 1")
    network, images, targets = task(options.images, "cpu")
    settings = {"max_batch": options.max_batch or options.images, "sharpness": tuple(options.sharpness)}
    print(sentence(counted(network, images, targets, **settings)))
