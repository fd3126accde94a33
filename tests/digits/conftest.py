"""The digits, all of them and a few."""

import pytest

import helpers


@pytest.fixture(scope="module")
def data():
    return {split: helpers.load_mnist(split) for split in ("train", "test")}


@pytest.fixture(scope="module")
def few(data):
    return {split: (images[:200], labels[:200]) for split, (images, labels) in data.items()}
