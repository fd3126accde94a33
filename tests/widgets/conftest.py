"""What the tests of the widgets share: one of each widget, and what its picture says of itself."""

import re

import numpy as np
import pytest
import torch

from helpers import attack, load_mnist, load_network
from helpers.widgets import CSlider, PerturbationInspector, SolverTrace

C = torch.logspace(-1, 2, 7)
A = np.array([[4.0, 1.0], [1.0, 2.0]])


@pytest.fixture(scope="module")
def network():
    return load_network("FC10(1e-4)")


@pytest.fixture(scope="module")
def images():
    return load_mnist("test")[0][:4]


@pytest.fixture(scope="session")
def c():
    """The seven values of c of the ``slider``."""
    return C


@pytest.fixture
def slider(network, images):
    return CSlider(network, images[0], 3, images=images[:3], c=C)


@pytest.fixture(scope="module")
def result(network, images):
    wanted = (network(images).argmax(1) + 1) % 10
    return attack(network, images, wanted, progress=False)


@pytest.fixture
def inspector(network, result):
    return PerturbationInspector(result, network)


@pytest.fixture(scope="session")
def bowl():
    """A convex quadratic function of the plane, from x to its value and gradient; its minimum is (0.8, 0.8)."""
    return lambda x: (0.5 * (x - 0.8) @ A @ (x - 0.8), A @ (x - 0.8))


@pytest.fixture
def trace(bowl):
    """Two iterates and a last one; the subspace minimiser of the first lies outside the box."""
    x0, x1 = np.zeros(2), np.array([0.5, 0.5])
    first = {"x": x0, "f": bowl(x0)[0], "g": bowl(x0)[1], "g_norm": 1.0, "theta": 3.0, "W": np.zeros((2, 0))}
    first |= {"M": np.zeros((0, 0)), "cauchy": np.array([0.5, 0.3]), "subspace": np.array([2.8, 0.6])}
    first |= {"target": x1, "alpha": 1.0, "how": "projected", "evaluations": 1}
    entries = [first, {"x": x1, "f": bowl(x1)[0], "g": bowl(x1)[1], "g_norm": 0.0, "evaluations": 2}]
    return SolverTrace(entries, bowl, np.zeros(2), np.full(2, 0.5))


@pytest.fixture(scope="session")
def label():
    """From a widget to the text equivalent of what is on display: there must be one picture, with a role."""

    def read(widget):
        (found,) = re.findall(r'<svg [^>]*role="img" aria-label="([^"]+)"', widget.shown)
        return found

    return read


@pytest.fixture(scope="session")
def texts():
    """From a widget to what is written in its picture."""
    return lambda widget: {shape[2] for kind, *shape in widget.scene().shapes if kind == "text"}
