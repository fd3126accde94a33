"""Where walks set out to, and how far: the kinds of starts, in the order in which they are taken.

The fourth is no walk but a descent.

Which basin a walk ends in depends more on its first radius than on its direction: from inside the border it meets other
places than from outside. So the kinds differ in both.
"""

import torch

GREY = 0.5
KINDS = 3  # before the noise: zero, grey, black
DESCENT = 3  # the kind that is a ``descent``, which takes as many passes as fifteen walks
RADII = (1.0, 0.3, 3.0)  # in turn: first radii, in distances to where the linearised loss is 0


def directions(images, kind):
    """The direction of each row's start: images (rows, n), kind (rows,) integers; returns (rows, n).

    0: zero, which lets the walk begin against the gradient, from r = 0 as the paper does. 1: to half way to a grey
    image, ½x + ¼. 2: to half way to a black one, ½x. Beyond: Gaussian noise, a draw for each kind and the same for
    every image, so that no answer depends on the batch.
    """
    most = int(kind.max()) + 1 if len(kind) else 0
    noise = [_noise(number, images) for number in range(KINDS, most)]
    fixed = images.new_zeros(KINDS, images.shape[1])
    per_kind = torch.stack([*fixed, *noise])
    towards = torch.where(kind == 1, GREY, 0.0).to(images.dtype).unsqueeze(1)
    half_way = (towards - images) / 2
    return torch.where(((kind == 1) | (kind == 2)).unsqueeze(1), half_way, per_kind[kind])


def first_radii(kind, like):
    """The first radius of each start, as a multiple of the distance to where the linearised loss is 0: (rows,)."""
    return like.new_tensor(RADII)[kind % len(RADII)]


def _noise(number, images):
    """Drawn on the CPU, so that every device has the same."""
    generator = torch.Generator().manual_seed(number)
    return torch.randn(images.shape[1], generator=generator).to(images)
