"""Rows in flight: choosing between two states of each by a mask, and dropping rows in place.

Where looking at a mask costs nothing, work is done for the rows that it chooses; elsewhere the host would have to wait
for it, and work is done for all rows, some of it in vain. The answers are the same.
"""

from typing import NamedTuple

import torch

LOOKS = ("cpu",)  # devices whose memory the host can look at without waiting


def chosen(mask):
    """An index of rows, (rows,) in ``mask``, that has all which are set: those, or where a look would wait, all."""
    return mask.nonzero().squeeze(1) if mask.device.type in LOOKS else slice(None)


def taken(x, rows):
    """x[rows], ``rows`` from ``chosen``. Whole rows are copied, which indexing does several times slower."""
    return x[rows] if isinstance(rows, slice) else x.index_select(0, rows)


def placed(x, rows, new):
    """x with ``new`` in its ``rows``, which are from ``chosen``. ``x`` may be written over."""
    return new if isinstance(rows, slice) else x.index_copy_(0, rows, new)


def patched(x, mask, other):
    """``other`` where the ``mask`` (rows,) is set, ``x`` elsewhere, both (rows, n). ``x`` may be written over."""
    if mask.device.type not in LOOKS:
        return torch.where(mask.unsqueeze(1), other, x)
    rows = chosen(mask)
    return placed(x, rows, taken(other, rows))


def merged(mask, new, old):
    """``new`` where the ``mask`` (rows,) is set, ``old`` elsewhere: of tensors (rows, ...), or of tuples of them."""
    if torch.is_tensor(new):
        return torch.where(mask.view(-1, *[1] * (new.ndim - 1)) if new.ndim > 1 else mask, new, old)
    return type(new)(*(merged(mask, a, b) for a, b in zip(new, old, strict=True)))


class Moves(NamedTuple):
    """Which rows move where, so that those that stay come to be the first ``count``."""

    source: torch.Tensor  # (k,)
    place: torch.Tensor  # (k,)
    count: int


def moves(gone, rows, device):
    """The Moves that drop the rows ``gone``, a list of some of the numbers below ``rows``.

    As few rows move as can: to copy all that stay would cost more than a tick, where the memory of each is large.
    """
    count, dropped = rows - len(gone), set(gone)
    places = [row for row in gone if row < count]
    sources = [row for row in range(count, rows) if row not in dropped]
    return Moves(torch.tensor(sources, device=device).long(), torch.tensor(places, device=device).long(), count)


def shrink(owner, names, moves):
    """Drop the rows that go from the attributes ``names`` of ``owner``."""
    for name, part in zip(names, kept(moves, *(getattr(owner, name) for name in names)), strict=True):
        setattr(owner, name, part)


def kept(moves, *tensors):
    """Each of the ``tensors`` (rows, ...), or tuples of them, without the rows that go. They are written over."""
    found = []
    for tensor in tensors:
        if not torch.is_tensor(tensor):
            found.append(type(tensor)(*kept(moves, *tensor)))
        else:
            tensor.index_copy_(0, moves.place, tensor.index_select(0, moves.source))
            found.append(tensor[: moves.count])
    return found
