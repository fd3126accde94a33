"""The 70,000 handwritten digits of MNIST, read from the four original IDX files that ship with the package.

The images are by Yann LeCun, Corinna Cortes and Christopher J. C. Burges (http://yann.lecun.com/exdb/mnist),
licence CC BY-SA 3.0.
"""

import gzip
from functools import lru_cache
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parents[1] / "data" / "mnist"
_PREFIX = {"train": "train", "test": "t10k"}


def read_idx(split):
    """The digits as NumPy arrays; needs no torch.

    split: "train" (n = 60,000) or "test" (n = 10,000).
    Returns images, float64 of shape (n, 784), row-major 28×28 pixels from 0 (paper) to 1 (ink), and labels, int64 of
    shape (n,) from 0 to 9. Both are yours to change. The training images take 376 MB in float64.
    Raises ValueError for any other split.
    """
    images, labels = _bytes(split)
    return images / 255, labels.astype(np.int64)


def load_mnist(split):
    """The digits as torch tensors.

    split: "train" (n = 60,000) or "test" (n = 10,000).
    Returns images, float32 of shape (n, 784), row-major 28×28 pixels from 0 (paper) to 1 (ink), and labels, int64 of
    shape (n,) from 0 to 9. Both are yours to change. Raises ValueError for any other split.
    """
    import torch

    images, labels = _bytes(split)
    return torch.from_numpy(images.astype(np.float32) / 255), torch.from_numpy(labels.astype(np.int64))


@lru_cache(maxsize=2)
def _bytes(split):
    """One byte a pixel, read-only: the cache costs 55 MB for both splits, and nobody can write into it."""
    if split not in _PREFIX:
        raise ValueError(f'there is no MNIST split {split!r}: pass "train" or "test"')
    images = _read(FOLDER / f"{_PREFIX[split]}-images-idx3-ubyte.gz")
    labels = _read(FOLDER / f"{_PREFIX[split]}-labels-idx1-ubyte.gz")
    return images.reshape(len(images), -1), labels


def _read(path):
    """One IDX file: two zero bytes, the type (8 = unsigned byte), the number of axes, each axis as a big-endian int32,
    then the values in row-major order."""
    content = gzip.decompress(path.read_bytes())
    if content[:3] != b"\x00\x00\x08":
        raise ValueError(f"{path.name} is not an IDX file of bytes: its first bytes are {content[:4].hex()}")
    axes = content[3]
    shape = np.frombuffer(content, ">i4", axes, offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * axes).reshape(shape)
