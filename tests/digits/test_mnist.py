"""The images are the original ones, and nobody can spoil them for the next caller."""

import gzip
import hashlib
import subprocess
import sys

import numpy as np
import pytest
import torch

import helpers
from helpers.digits import mnist

ORIGINAL_MD5 = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}
SIZE = {"train": 60_000, "test": 10_000}


@pytest.mark.parametrize("name", ORIGINAL_MD5)
def test_the_shipped_files_are_the_original_ones(name):
    content = gzip.decompress((mnist.FOLDER / f"{name}.gz").read_bytes())
    assert hashlib.md5(content).hexdigest() == ORIGINAL_MD5[name]


@pytest.mark.parametrize("split", SIZE)
def test_load_mnist_gives_float32_in_the_unit_box(split):
    images, labels = helpers.load_mnist(split)
    assert images.shape == (SIZE[split], 784) and images.dtype == torch.float32
    assert labels.shape == (SIZE[split],) and labels.dtype == torch.int64
    assert images.min() == 0 and images.max() == 1
    assert labels.unique().tolist() == list(range(10))


def test_read_idx_gives_float64_in_the_unit_box():
    images, labels = mnist.read_idx("test")
    assert images.shape == (10_000, 784) and images.dtype == np.float64
    assert labels.shape == (10_000,) and labels.dtype == np.int64
    assert images.min() == 0 and images.max() == 1


def test_both_readers_agree():
    images, labels = mnist.read_idx("test")
    tensors, targets = mnist.load_mnist("test")
    assert np.array_equal(images.astype(np.float32), tensors.numpy())
    assert np.array_equal(labels, targets.numpy())


def test_torchvision_reads_the_same_digits(tmp_path):
    torchvision = pytest.importorskip("torchvision", reason="the independent reader is torchvision's")
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name in ORIGINAL_MD5:
        (raw / name).write_bytes(gzip.decompress((mnist.FOLDER / f"{name}.gz").read_bytes()))
    for split in SIZE:
        theirs = torchvision.datasets.MNIST(tmp_path, train=split == "train", download=False)
        images, labels = mnist.load_mnist(split)
        assert torch.equal((images * 255).round().to(torch.uint8), theirs.data.flatten(1))
        assert torch.equal(labels, theirs.targets)


@pytest.mark.parametrize("read", [mnist.load_mnist, mnist.read_idx])
def test_changing_what_you_were_given_changes_nothing_for_the_next_caller(read):
    images, labels = read("test")
    first, label = images[0] + 0, int(labels[0])
    images[:] = -1
    labels[:] = -1
    images, labels = read("test")
    assert (images[0] == first).all() and int(labels[0]) == label


@pytest.mark.parametrize("read", [mnist.load_mnist, mnist.read_idx])
def test_an_unknown_split_is_refused(read):
    with pytest.raises(ValueError, match=r'no MNIST split \'valid\': pass "train" or "test"'):
        read("valid")


def test_a_file_that_is_no_idx_file_is_refused(tmp_path):
    path = tmp_path / "wrong.gz"
    path.write_bytes(gzip.compress(b"<html>not found</html>"))
    with pytest.raises(ValueError, match=r"wrong\.gz is not an IDX file"):
        mnist._read(path)


def test_read_idx_does_not_import_torch():
    code = "import sys; from helpers.digits.mnist import read_idx; read_idx('test'); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
