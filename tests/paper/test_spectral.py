"""Operator norms against the dense matrix; the product bound and what it proves, on networks and pairs of any kind."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from helpers import attack, load_network
from helpers.baselines import exact_linear, noisy
from helpers.paper import spectral

SLACK = 1 + 1e-9  # of an inequality between two computed numbers
seeds = st.integers(0, 10**6)


def largest(matrix):
    """Another way to a largest singular value: LAPACK's."""
    return torch.linalg.svdvals(matrix)[0].item()


def convolution(seed, inputs, outputs, kernel, **options):
    torch.manual_seed(seed)
    return nn.Conv2d(inputs, outputs, kernel, **options).double()


# --- operator norms ---


@given(seeds, st.integers(1, 12), st.integers(1, 12), st.sampled_from([1e-200, 1.0, 1e200]))
def test_the_norm_of_a_matrix_is_its_largest_singular_value(seed, m, n, scale):
    A = scale * torch.randn(m, n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    assert spectral.matrix_norm(A).item() == pytest.approx(largest(A / scale) * scale, rel=1e-12)


def test_norms_of_many_complex_matrices_at_once_and_of_zero():
    A = torch.randn(5, 3, 4, dtype=torch.complex128, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(spectral.matrix_norm(A), torch.linalg.svdvals(A)[:, 0], rtol=1e-12)
    assert spectral.matrix_norm(torch.zeros(2, 3)).item() == 0


def test_the_dense_matrix_does_what_the_layer_does_but_for_its_offsets():
    layer, x = convolution(0, 2, 3, (2, 3), stride=2, padding=1), torch.randn(2, 5, 6, dtype=torch.float64)
    there = layer(x[None]) - layer(torch.zeros(1, 2, 5, 6, dtype=torch.float64))
    assert torch.allclose(spectral.dense(layer, (2, 5, 6)) @ x.flatten(), there.flatten())


def around(weight, size, stride):
    """The dense matrix of a circular convolution: the zero-free way, by copying the image around itself."""
    kernel = weight.shape[2:]
    units = torch.eye(weight.shape[1] * math.prod(size), dtype=torch.float64).view(-1, weight.shape[1], *size)
    rows = torch.arange(size[0] + kernel[0] - 1) % size[0]
    columns = torch.arange(size[1] + kernel[1] - 1) % size[1]
    return nn.functional.conv2d(units[:, :, rows][:, :, :, columns], weight, stride=stride).flatten(1).T


@settings(deadline=None, max_examples=60)
@given(
    seeds,
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.tuples(st.integers(1, 5), st.integers(1, 5)),
    st.sampled_from([1, 2, 4, (1, 2), (4, 2)]),
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
)
def test_a_circular_convolution_has_the_norm_of_its_dense_matrix(seed, channels, kernel, stride, outputs):
    pair = stride if isinstance(stride, tuple) else (stride, stride)
    size = tuple(s * count for s, count in zip(pair, outputs, strict=True))  # kernels larger than the torus too
    weight = convolution(seed, *channels, kernel).weight.detach()
    wanted = largest(around(weight, size, stride))
    assert spectral.circular_norm(weight, size, stride) == pytest.approx(wanted, rel=1e-9)


def test_torchs_own_circular_padding_agrees():
    layer = convolution(3, 2, 3, 3, stride=2, padding=1, padding_mode="circular")
    wanted = largest(spectral.dense(layer, (2, 8, 6)))
    assert spectral.circular_norm(layer.weight, (8, 6), 2) == pytest.approx(wanted, rel=1e-9)


def test_the_papers_formula_is_too_small_by_the_stride():
    """It has Δ⁻² where Parseval gives Δ⁻¹: the dense matrix decides."""
    weight = convolution(4, 2, 3, 5).weight.detach()
    spectrum = torch.fft.fft2(weight, s=(8, 8)).unflatten(2, (4, 2)).unflatten(4, (4, 2))  # stride 4, outputs 2×2
    blocks = spectrum.permute(3, 5, 0, 1, 2, 4).flatten(3)
    printed = torch.linalg.svdvals(blocks)[..., 0].max().item() / 4**2
    assert largest(around(weight, (8, 8), 4)) == pytest.approx(4 * printed, rel=1e-9)


def test_a_stride_that_does_not_divide_the_torus_is_refused():
    with pytest.raises(ValueError, match=r"a stride of \(2, 2\) must divide the size of the torus, which is \(8, 7\)"):
        spectral.circular_norm(torch.ones(1, 1, 3, 3), (8, 7), 2)


padded = {
    "seed": seeds,
    "channels": st.tuples(st.integers(1, 2), st.integers(1, 3)),
    "kernel": st.tuples(st.integers(1, 5), st.integers(1, 5)),
    "stride": st.sampled_from([1, 2, 4, (2, 1)]),
    "padding": st.tuples(st.integers(0, 5), st.integers(0, 3)),
    "size": st.tuples(st.integers(5, 8), st.integers(5, 8)),
}


@settings(deadline=None, max_examples=60)
@given(**padded)
def test_power_iteration_has_the_norm_of_the_dense_matrix(seed, channels, kernel, stride, padding, size):
    layer, shape = convolution(seed, *channels, kernel, stride=stride, padding=padding), (channels[0], *size)
    wanted = largest(spectral.dense(layer, shape))
    found = spectral.power_iteration(layer, shape)
    assert found == pytest.approx(wanted, rel=1e-6) and found <= wanted * SLACK


@settings(deadline=None, max_examples=100)
@given(**padded, dilation=st.sampled_from([1, 1, 2]))
def test_a_convolution_with_zeros_around_the_image_stays_below_its_bound(
    seed, channels, kernel, stride, padding, size, dilation
):
    if dilation == 2:
        kernel = tuple(min(side, 3) for side in kernel)
    options = {"stride": stride, "padding": padding, "dilation": dilation}
    layer, shape = convolution(seed, *channels, kernel, **options), (channels[0], *size)
    bound, exact = spectral.convolution_bound(layer, shape), largest(spectral.dense(layer, shape))
    assert exact <= bound * SLACK


@settings(deadline=None, max_examples=40)
@given(seeds, st.integers(1, 4), st.integers(0, 4), st.integers(0, 4), st.sampled_from([1, 2, 3]))
def test_on_its_torus_the_zero_padded_layer_is_a_part_of_the_circular_one(seed, size, padding, smaller, stride):
    """Its matrix is found in the other, entry by entry, even where the kernel is larger than image and torus."""
    kernel = max(1, size + 2 * padding - smaller)  # the largest that fits, or a little less
    layer = convolution(seed, 1, 2, kernel, stride=stride, padding=padding)
    zeros = spectral.dense(layer, (1, size, size))
    (N, _), side = spectral.torus(layer, (1, size, size)), math.isqrt(len(zeros) // 2)
    circular = around(layer.weight.detach(), (N, N), 1).view(2, N, N, N, N)
    places = (stride * torch.arange(side) - padding) % N  # where the layer's outputs are
    assert len(set(places.tolist())) == side
    part = circular[:, places][:, :, places][..., :size, :size]
    assert torch.allclose(part.reshape(zeros.shape), zeros)
    assert largest(zeros) <= spectral.convolution_bound(layer, (1, size, size)) * SLACK


def test_the_torus_is_no_larger_than_it_must_be():
    layer = convolution(1, 2, 3, 3, padding=1)
    assert spectral.torus(layer, (2, 6, 8)) == (7, 9)  # the zeros of the two edges are the same zeros
    one_less = spectral.circular_norm(layer.weight, (6, 8))
    assert one_less != pytest.approx(spectral.circular_norm(layer.weight, (7, 9)), rel=1e-3)


def test_every_output_has_a_place_of_its_own_on_the_torus():
    layer = convolution(
        1, 1, 2, 1, padding=3, stride=4
    )  # reads at −3, 1 and 5: outputs three, though 5 + 3 is only 2·4
    assert layer(torch.zeros(1, 1, 5, 5, dtype=torch.float64)).shape[-2:] == (3, 3)
    assert spectral.torus(layer, (1, 5, 5)) == (12, 12)


def test_a_torus_of_the_images_own_size_would_be_no_bound():
    """Three pixels have no frequency at which neighbours alternate; four have."""
    layer, side = convolution(0, 1, 1, 3, padding=1), torch.tensor([-1.0, 1, -1], dtype=torch.float64)
    layer.weight.data[0, 0] = torch.outer(side, side)
    exact = largest(spectral.dense(layer, (1, 3, 3)))
    assert exact == pytest.approx((1 + 2**0.5) ** 2) and spectral.circular_norm(layer.weight, (3, 3)) < exact
    assert spectral.torus(layer, (1, 3, 3)) == (4, 4)
    assert exact < spectral.convolution_bound(layer, (1, 3, 3)) == pytest.approx(9)


def test_groups_act_each_on_its_own_channels():
    layer = convolution(5, 4, 6, 3, groups=2, padding=1)
    exact = largest(spectral.dense(layer, (4, 6, 6)))
    assert exact <= spectral.convolution_bound(layer, (4, 6, 6)) <= 1.2 * exact
    assert spectral.power_iteration(layer, (4, 6, 6)) == pytest.approx(exact, rel=1e-6)


@pytest.mark.parametrize("options", [{"padding": "same"}, {"padding": 1, "padding_mode": "reflect"}])
def test_other_paddings_are_left_to_power_iteration(options):
    layer = convolution(0, 1, 2, 3, **options)
    with pytest.raises(ValueError, match="try power_iteration"):
        spectral.convolution_bound(layer, (1, 6, 6))
    wanted = largest(spectral.dense(layer, (1, 6, 6)))
    assert spectral.power_iteration(layer, (1, 6, 6)) == pytest.approx(wanted, rel=1e-6)


@pytest.mark.parametrize(
    "layer, shape",
    [
        (nn.Linear(7, 3), (7,)),
        (nn.ConvTranspose2d(2, 3, 4, stride=2, padding=1), (2, 4, 4)),
        (nn.AvgPool2d(3, stride=2), (2, 7, 7)),
        (nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(18, 4)), (1, 5, 5)),
    ],
    ids=["linear", "transposed", "average", "two layers"],
)
def test_power_iteration_takes_any_linear_layer_and_leaves_it_as_it_was(layer, shape):
    before = [p.clone() for p in layer.parameters()]
    wanted = largest(spectral.dense(layer, shape))
    assert spectral.power_iteration(layer, shape) == pytest.approx(wanted, rel=1e-6)
    assert all(torch.equal(p, q) and p.requires_grad for p, q in zip(layer.parameters(), before, strict=True))


def test_power_iteration_refuses_what_is_not_linear_and_says_when_it_gives_up():
    with pytest.raises(ValueError, match="not linear"):
        spectral.power_iteration(nn.ReLU(), (5,))
    with pytest.raises(RuntimeError, match="no convergence to 1e-07 in 2 steps"):
        spectral.power_iteration(convolution(0, 2, 3, 3), (2, 8, 8), most=2)


# --- the product bound ---


@pytest.mark.parametrize("kernel, stride, K", [(2, 2, 1), (3, 2, 2), (3, 3, 1), (3, 1, 3), ((1, 3), (1, 2), 2**0.5)])
def test_max_pooling_amplifies_by_the_windows_that_a_pixel_is_in(kernel, stride, K):
    pool = nn.MaxPool2d(kernel, stride)
    assert spectral.constant(pool, (1, 12, 12)) == pytest.approx(K)
    moved = torch.zeros(144, 1, 12, 12).view(144, 144).fill_diagonal_(1).view(144, 1, 12, 12)
    assert pool(moved).flatten(1).norm(dim=1).max().item() == pytest.approx(K)  # one pixel is enough to reach it


@settings(deadline=None, max_examples=30)
@given(seeds, st.sampled_from([(2, 2), (3, 2), (3, 1)]), st.floats(1e-3, 10))
def test_max_pooling_amplifies_no_pair_by_more(seed, window, size):
    pool, generator = nn.MaxPool2d(*window), torch.Generator().manual_seed(seed)
    a, d = torch.randn(2, 20, 2, 9, 9, generator=generator, dtype=torch.float64)
    grown = (pool(a + size * d) - pool(a)).flatten(1).norm(dim=1) / (size * d).flatten(1).norm(dim=1)
    assert grown.max() <= spectral.constant(pool, (2, 9, 9)) * SLACK


def random_network(seed, bend, pooled):
    torch.manual_seed(seed)
    middle = [nn.MaxPool2d(3, 2), nn.Conv2d(4, 3, 2, padding=1)] if pooled else [nn.Conv2d(4, 3, 2, stride=2)]
    size = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), *middle)(torch.zeros(1, 2, 7, 7)).flatten().numel()
    layers = [nn.Unflatten(1, (2, 7, 7)), nn.Conv2d(2, 4, 3, padding=1), bend(), *middle, bend(), nn.Flatten()]
    network = nn.Sequential(*layers, nn.Linear(size, 6), bend(), nn.Linear(6, 4)).requires_grad_(False)
    for p in network.parameters():
        p.mul_(3)
    return network.double().eval()


networks = {"seed": seeds, "bend": st.sampled_from([nn.ReLU, nn.Sigmoid]), "pooled": st.booleans()}


@settings(deadline=None, max_examples=40)
@given(**networks, size=st.sampled_from([1e-6, 1e-2, 1.0, 30.0]))
def test_the_product_bound_is_never_violated(seed, bend, pooled, size):
    network = random_network(seed, bend, pooled)
    parts = spectral.stages(network, (98,))
    a, d = torch.randn(2, 30, 98, dtype=torch.float64)
    moved = a + size * d
    lengths = spectral.differences(parts, a, moved)
    assert torch.allclose(lengths[-1], (network(moved) - network(a)).norm(dim=1))
    for stage, before, after in zip(parts, lengths[:-1], lengths[1:], strict=True):
        assert (after <= stage.K * before * SLACK + 1e-12).all()
    assert (lengths[-1] <= math.prod(stage.K for stage in parts) * lengths[0] * SLACK + 1e-12).all()


@settings(deadline=None, max_examples=15)
@given(**networks)
def test_no_attack_violates_the_bound_or_the_certificates(seed, bend, pooled):
    network = random_network(seed, bend, pooled)
    parts, images = spectral.stages(network, (98,)), torch.rand(6, 98, dtype=torch.float64)
    targets = network(images).argsort(1)[:, 1]
    found = attack(network, images, targets, progress=False)
    lengths = spectral.differences(parts, images, found.adversarial)
    for stage, before, after in zip(parts, lengths[:-1], lengths[1:], strict=True):
        assert (after <= stage.K * before * SLACK).all()
    crude, sharp = spectral.certificates(parts, images, targets)
    assert (crude <= sharp * SLACK).all() and (crude > 0).all()
    assert (sharp <= found.norm * SLACK)[found.success].all()


@pytest.mark.parametrize("name", ["FC100-100-10", "FC200-200-10", "AE400-10", "CNN"])
def test_the_courses_networks_keep_their_bounds_under_attack_and_noise(name, digits):
    network, (images, targets) = load_network(name), digits
    parts = spectral.stages(network, (784,))
    found = attack(network, images[:20], targets[:20], progress=False)
    for moved in (found.adversarial, noisy(images[:20], like=found)):
        lengths = spectral.differences(parts, images[:20], moved)
        constants = torch.tensor([[stage.K] for stage in parts])
        assert (lengths[1:] <= constants * lengths[:-1] * (1 + 1e-6)).all()
    crude, sharp = spectral.certificates(parts, images[:20], targets[:20])
    assert (crude <= sharp * SLACK).all() and (sharp <= found.norm).all() and (crude > 0).all()


def test_the_stages_are_the_papers_layers():
    parts = spectral.stages(load_network("CNN"), (784,))
    assert [s.name for s in parts] == ["convolution, ReLU", "convolution, ReLU", "linear, ReLU", "linear"]
    assert [type(layer).__name__ for layer in parts[0].part] == ["Unflatten", "Conv2d", "ReLU"]
    sigmoid = spectral.stages(load_network("FC100-100-10"), (784,))
    assert sigmoid[1].K == pytest.approx(largest(sigmoid[1].part[0].weight) / 4, rel=1e-9)


def test_a_layer_that_is_not_known_is_refused():
    with pytest.raises(ValueError, match=r"a BatchNorm1d can amplify is not known here; known are Linear, "):
        spectral.stages(nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)), (3,))


# --- what it proves ---


def test_the_certificates_are_those_of_the_formulas(digits):
    network, (images, targets) = load_network("FC100-100-10"), digits
    crude, sharp = spectral.certificates(spectral.stages(network, (784,)), images[:5], targets[:5])
    A1, A2, A3 = (network[i].weight.double() for i in (0, 2, 4))
    before = largest(A1) * largest(A2) / 16
    for x, l, low, high in zip(images[:5], targets[:5], crude, sharp, strict=True):
        z = network.double()(x.double())
        lead = [(z[j] - z[l]).item() for j in range(10)]
        assert low.item() == pytest.approx(max(lead) / (2**0.5 * before * largest(A3)))
        each = [lead[j] / (A3[j] - A3[l]).norm().item() for j in range(10) if j != l]
        assert high.item() == pytest.approx(max(each) / before)


def test_for_two_labels_of_a_linear_network_the_sharp_certificate_is_the_distance_to_the_border():
    torch.manual_seed(0)
    layer, x = nn.Linear(5, 2).double().requires_grad_(False), torch.randn(8, 5, dtype=torch.float64)
    z, targets = layer(x), layer(x).argmin(1)
    a = layer.weight[0] - layer.weight[1]
    crude, sharp = spectral.certificates(spectral.stages(nn.Sequential(layer), (5,)), x, targets)
    assert torch.allclose(sharp, (z[:, 0] - z[:, 1]).abs() / a.norm())
    assert torch.allclose(crude, (z[:, 0] - z[:, 1]).abs() / (2**0.5 * largest(layer.weight)))


@pytest.mark.parametrize("name", ["FC10(1e-4)", "FC10(1e-2)", "FC10(1)"])
def test_for_softmax_regression_it_proves_less_than_the_optimum(name, digits):
    network, (images, targets) = load_network(name), digits
    best = exact_linear(network, images[:20], targets[:20])
    crude, sharp = spectral.certificates(spectral.stages(network, (784,)), images[:20], targets[:20])
    assert (crude <= sharp * SLACK).all() and (sharp <= best.norm * SLACK).all()
    assert 0.5 < (sharp / best.norm).nanmedian() < 1  # 0/0 where the network is wrong, and says the target


def test_an_image_that_has_its_label_needs_nothing():
    network = load_network("FC10(1)")
    images = torch.rand(3, 784)
    crude, sharp = spectral.certificates(spectral.stages(network, (784,)), images, network(images).argmax(1))
    assert crude.tolist() == sharp.tolist() == [0, 0, 0]


def test_without_a_linear_layer_at_the_end_there_are_no_logits():
    parts = spectral.stages(nn.Sequential(nn.Linear(3, 2), nn.Sigmoid()), (3,))
    with pytest.raises(ValueError, match="the last layer must be a Linear"):
        spectral.certificates(parts, torch.rand(1, 3), torch.tensor([0]))
