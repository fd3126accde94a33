"""Digits that the network classifies correctly, each with the digit after its own as its target."""

import pytest

from helpers import load_mnist


@pytest.fixture(scope="module")
def digits(network):
    images, labels = (part[:100] for part in load_mnist("test"))
    right = network(images).argmax(1) == labels
    return images[right], (labels[right] + 1) % 10
