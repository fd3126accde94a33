"""The exact optimum of FC10, against an independent solver, its own proof, and what it must do at the edges."""

import numpy as np
import pytest
import torch
from scipy.optimize import nnls
from torch import nn

from helpers import load_mnist, load_network
from helpers.baselines.exact import exact_linear


@pytest.fixture(scope="module")
def digits():
    images, labels = load_mnist("test")
    return images[:150], (labels[:150] + 1) % 10


def float64(values):
    return torch.tensor(values, dtype=torch.float64)


def linear(weight, bias):
    layer = nn.Linear(len(weight[0]), len(weight)).double().eval().requires_grad_(False)
    layer.weight.data, layer.bias.data = float64(weight), float64(bias)
    return layer


def least_distance(G, h):
    """min ‖r‖ subject to Gr >= h, by non-negative least squares: Lawson & Hanson (1974), chapter 23, problem LDP.

    Its answer is a quotient of small residuals, good to five digits on some processors. Which rows are tight, u > 0, it
    finds exactly; r is then the shortest solution of those as equations.
    """
    E = np.vstack([G.T, h])
    u, _ = nnls(E, np.eye(len(E))[-1])
    return np.linalg.lstsq(G[u > 0], h[u > 0], rcond=None)[0]


def independent(network, image, l):
    """‖r‖ of the nearest point of the box that is given label l, by least_distance."""
    W, b = (p.double().numpy() for p in network.parameters())
    x, A, beta = image.double().numpy(), np.delete(W - W[l], l, axis=0), np.delete(b - b[l], l)
    G, h = np.vstack([-A, np.eye(len(x)), -np.eye(len(x))]), np.concatenate([A @ x + beta, -x, x - 1])
    r = least_distance(G, h)
    assert (G @ r >= h - 1e-9).all()  # it is a solution, so its length bounds the minimum from above
    return np.linalg.norm(r)


@pytest.mark.parametrize("name", ["FC10(1e-4)", "FC10(1e-2)"])
def test_it_is_as_good_as_non_negative_least_squares_on_digits(name, digits):
    network, (images, targets) = load_network(name), (part[:4] for part in digits)
    ours = exact_linear(network, images, targets).norm.tolist()
    theirs = [independent(network, x, l) for x, l in zip(images, targets.tolist(), strict=True)]
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6)


def test_it_is_as_good_as_non_negative_least_squares_where_the_box_is_tight():
    rng = np.random.default_rng(0)
    compared = 0
    for _ in range(60):
        n, k = rng.integers(2, 8), rng.integers(2, 6)
        network = linear(rng.normal(size=(k, n)).tolist(), rng.normal(size=k).tolist())
        x = torch.tensor(rng.uniform(size=(1, n))).where(torch.tensor(rng.uniform(size=(1, n))) < 0.6, 1.0)
        l = int(rng.integers(k))
        result = exact_linear(network, x, torch.tensor([l]))
        if result.success and result.norm > 0:
            compared += 1
            assert abs(result.norm.item() - independent(network, x[0], l)) < 1e-6
    assert compared >= 15


@pytest.mark.parametrize("name", ["FC10(1e-4)", "FC10(1e-2)"])
def test_every_answer_is_a_success_in_the_box_with_its_proof(name, digits, record_property):
    network, (images, targets) = load_network(name), digits
    result = exact_linear(network, images, targets)
    assert result.success.all() and result.adversarial.dtype == torch.float64
    assert result.adversarial.min() >= 0 and result.adversarial.max() <= 1
    assert torch.equal(network.double()(result.adversarial).argmax(1), targets)
    gap = result.norm.square() - result.bound.square()
    assert (gap < 1e-8).all() and (gap > -1e-12).all()
    record_property(
        "measured", f"exact optimum of {name}: mean ‖r‖ {result.norm.mean():.5f}, largest gap {gap.max():.1e}"
    )


def test_two_labels_without_the_box_are_the_closed_form():
    # The boundary w·x + b = 0 is far from every corner: r = −(w·x + b) w / ‖w‖², lesson 01.
    w, x = float64([0.6, -0.8]), float64([[0.5, 0.5]])
    result = exact_linear(linear([w.tolist(), [0.0, 0.0]], [0.3, 0.0]), x, torch.tensor([1]))
    torch.testing.assert_close(result.perturbation[0], -(w @ x[0] + 0.3) * w, atol=1e-8, rtol=0)


def test_the_box_moves_the_answer_to_the_free_pixels():
    # x₁ may not fall below 0, so x₂ does all the work; clipping the free solution would not reach the target.
    x = float64([[0.0, 0.9]])
    result = exact_linear(linear([[1.0, 1.0], [0.0, 0.0]], [-0.4, 0.0]), x, torch.tensor([1]))
    torch.testing.assert_close(result.perturbation[0], float64([0.0, -0.5]), atol=1e-8, rtol=0)


def test_a_label_that_no_image_in_the_box_is_given():
    x = float64([[0.5, 0.5], [0.0, 0.2]])
    result = exact_linear(linear([[1.0, 1.0], [0.0, 0.0]], [1.0, 0.0]), x, torch.tensor([1, 0]))
    assert result.success.tolist() == [False, True] and torch.isinf(result.bound[0]) and result.bound[1] == 0
    assert result.status[0].startswith("impossible")
    assert result.distortion.tolist() == [0, 0]


def test_float32_gives_the_float64_answer_and_nothing_is_changed(digits):
    network, (images, targets) = load_network("FC10(1e-4)"), (part[:5] for part in digits)
    single = exact_linear(network, images, targets)
    assert network[0].weight.dtype == torch.float32
    double = exact_linear(network.double(), images.double(), targets)
    assert torch.equal(single.perturbation, double.perturbation)


def test_any_shape_and_normalisation_inside_the_network(digits):
    flat, (images, targets) = load_network("FC10(1e-4)"), (part[:3] for part in digits)

    class Normalised(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = flat

        def forward(self, x):
            return self.inner(((x - 0.1) / 0.5).flatten(1) * 0.5 + 0.1)

    square = exact_linear(Normalised().eval(), images.view(3, 1, 28, 28), targets)
    assert square.adversarial.shape == (3, 1, 28, 28)
    torch.testing.assert_close(square.norm, exact_linear(flat, images, targets).norm, atol=1e-7, rtol=0)


def test_a_network_that_is_not_affine_is_refused(digits):
    with pytest.raises(ValueError, match="not affine"):
        exact_linear(load_network("FC100-100-10"), digits[0][:2], digits[1][:2])


def test_no_images():
    result = exact_linear(load_network("FC10(1e-4)"), torch.zeros(0, 784), torch.zeros(0, dtype=torch.long))
    assert result.adversarial.shape == (0, 784) and len(result.bound) == 0 and result.status == ()
