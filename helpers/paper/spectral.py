"""How much a layer can amplify (section 4.3 of the paper): operator norms, the product bound, and what it proves.

All in float64 on the CPU, whatever the weights and images are in. "Proved" is meant up to rounding.

The operator norm of a matrix A is ‖A‖₂ = max ‖Av‖/‖v‖, its largest singular value. A convolution is such a matrix, too
large to be written down. With circular padding the discrete Fourier transform makes it block-diagonal (Sedghi, Gupta &
Long 2019); a stride s folds s² frequencies of the input onto one of the output. With zeros around the image it is a
part of a circular one on a larger torus, so that its norm is at most that one's.
"""

import copy
import math
from dataclasses import dataclass

import torch
from torch import nn

LINEAR = (nn.Linear, nn.Conv2d)
# The largest slope of each: |s(a) − s(b)| <= constant · |a − b| for every pair of numbers. Shapes change no length.
SLOPES = {nn.Sigmoid: 0.25, nn.ReLU: 1.0, nn.Flatten: 1.0, nn.Unflatten: 1.0}


def matrix_norm(A):
    """The largest singular value of A (..., m, n), real or complex: (...).

    The square root of the largest eigenvalue of the smaller of A Aᴴ and Aᴴ A. That loses digits of small singular
    values and none of the largest.
    """
    A = A.cpu().to(torch.promote_types(A.dtype, torch.float64))
    scale = A.abs().amax((-2, -1), keepdim=True).clamp(min=torch.finfo(torch.float64).tiny)
    A = A / scale  # so that no square overflows
    gram = A @ A.mH if A.shape[-2] <= A.shape[-1] else A.mH @ A
    return torch.linalg.eigvalsh(gram)[..., -1].clamp(min=0).sqrt() * scale[..., 0, 0]


def linear_part(layer):
    """A copy of an affine ``layer`` (any module) without its offsets, in float64 and evaluation mode."""
    bare = copy.deepcopy(layer).cpu().double().eval().requires_grad_(False)
    for module in bare.modules():
        if getattr(module, "bias", None) is not None:
            module.bias = None
    return bare


def dense(layer, shape):
    """The matrix (outputs, inputs) of an affine layer for one input of ``shape``; small layers only.

    Column i is what the layer, without its offsets, makes of the i-th unit vector.
    """
    bare, units = linear_part(layer), torch.eye(math.prod(shape), dtype=torch.float64).view(-1, *shape)
    # 256 at a time: a convolution in float64 copies the patches of its whole batch
    return torch.cat([bare(some).flatten(1) for some in units.split(256)]).T


def circular_norm(weight, size, stride=1, dilation=1):
    """The operator norm of a convolution with circular padding, exactly, by the 2-D discrete Fourier transform.

    weight: (outputs, inputs, kh, kw) as in torch.nn.Conv2d; a kernel may be larger than the torus. How far the padding
    shifts the image does not matter. size: (H, W) of the torus. stride, dilation: a number, or one for each axis.
    With ŵ(f) = Σ_u w(u) e^(−2πi f·u/size), a matrix (outputs, inputs), the norm is

        max over g of ‖[ŵ(g + j·size/stride)]_j‖₂ / √(s_h s_w),   j = (0..s_h − 1, 0..s_w − 1),

    the s_h s_w matrices side by side. (The paper's formula has Δ⁻² for a stride Δ where this has Δ⁻¹: lesson 10.)
    Raises ValueError where the stride does not divide the size.
    """
    (H, W), (sh, sw), (dh, dw) = size, _pair(stride), _pair(dilation)
    if H % sh or W % sw:
        raise ValueError(f"a stride of {(sh, sw)} must divide the size of the torus, which is {(H, W)}.")
    weight = weight.detach().cpu().to(torch.complex128)
    rows, columns = H // sh, W // sw  # of the output, and of its frequencies
    horizontal = _waves(torch.arange(W), dw * torch.arange(weight.shape[3]), W).T
    norms = []
    for g in range(rows):  # a row of output frequencies at a time, for memory
        vertical = _waves(g + rows * torch.arange(sh), dh * torch.arange(weight.shape[2]), H)
        folded = (vertical @ weight @ horizontal).unflatten(3, (sw, columns))  # (outputs, inputs, sh, sw, columns)
        half = folded[..., : columns // 2 + 1]  # the others are complex conjugates of these, at −g
        norms.append(matrix_norm(half.permute(4, 0, 1, 2, 3).flatten(2)).max())
    return torch.stack(norms).max().item() / math.sqrt(sh * sw)


def torus(layer, shape):
    """(H, W) of the smallest torus on which a zero-padded nn.Conv2d for inputs of ``shape`` is part of a circular one.

    The zeros at one edge may be those at the other, so size + padding will do; the outputs must have places of their
    own, and the stride must divide the size.
    """
    if layer.padding_mode != "zeros" or isinstance(layer.padding, str):
        raise ValueError("only zeros around the image, padding given as numbers, are known here; try power_iteration.")
    sizes = []
    for axis in range(2):
        size, padding, stride = shape[-2 + axis], layer.padding[axis], layer.stride[axis]
        outputs = (size + 2 * padding - layer.dilation[axis] * (layer.kernel_size[axis] - 1) - 1) // stride + 1
        sizes.append(stride * max(math.ceil((size + padding) / stride), outputs))
    return tuple(sizes)


def convolution_bound(layer, shape):
    """What a zero-padded nn.Conv2d for inputs of ``shape`` (channels, H, W) can amplify at most: its norm on `torus`.

    The zero-padded convolution is R C E: E writes the image on the torus, with zeros beside it, C is the circular
    convolution, R keeps the outputs. ‖E‖ = 1 and ‖R‖ <= 1, so that its norm is at most ‖C‖ (compare Delattre et al.
    2024). With groups, each acts on channels of its own, and the largest norm counts.
    """
    groups = layer.weight.chunk(layer.groups)
    return max(circular_norm(group, torus(layer, shape), layer.stride, layer.dilation) for group in groups)


def power_iteration(layer, shape, tolerance=1e-7, block=6, most=20_000):
    """The operator norm of any linear layer for inputs of ``shape``, by products with A and Aᵀ alone.

    layer: any module that is affine in its input; its offsets are left out. Av is a forward pass, and AᵀAv the gradient
    of ½‖Av‖². ``block`` orthonormal vectors are multiplied by AᵀA and made orthonormal again; the best combination of
    them, v, has the value σ = ‖Av‖. Stops where ‖AᵀAv − σ²v‖ <= tolerance · σ².

    What that proves: σ <= ‖A‖₂, and some singular value squared lies within tolerance · σ² of σ². That it is the
    largest is not proved; from a random start it would take a chance of measure zero, or a stop on the way.
    Raises ValueError where the layer is not linear, RuntimeError after ``most`` steps.
    """
    bare, generator = linear_part(layer), torch.Generator().manual_seed(0)
    n = math.prod(shape)
    block = min(block, n)
    Q = _orthonormal(torch.randn(block, n, generator=generator, dtype=torch.float64))
    _refuse_if_not_linear(bare, Q.view(block, *shape))
    for _ in range(most):
        v = Q.view(block, *shape).requires_grad_()
        (W,) = torch.autograd.grad(bare(v).square().sum() / 2, v)  # AᵀA of each row
        Q, W = Q.detach(), W.flatten(1)
        values, combinations = torch.linalg.eigh(Q @ W.T)
        squared, best = values[-1].clamp(min=0), combinations[:, -1]
        if (best @ W - squared * (best @ Q)).norm() <= tolerance * squared:
            return squared.sqrt().item()
        Q = _orthonormal(W)
    raise RuntimeError(f"no convergence to {tolerance:g} in {most} steps: several singular values are nearly alike.")


def constant(layer, shape):
    """K with ‖layer(a) − layer(b)‖ <= K‖a − b‖ for all inputs a, b of ``shape``: proved for every layer known here.

    The operator norm of a Linear; `convolution_bound` of a Conv2d; ¼ for a Sigmoid; 1 for ReLU, Flatten, Unflatten.
    A MaxPool2d has √(number of windows that a pixel can be in): 1 only where they do not overlap. Raises ValueError for
    any other layer.
    """
    if isinstance(layer, nn.Linear):
        return matrix_norm(layer.weight.detach()).item()
    if isinstance(layer, nn.Conv2d):
        return convolution_bound(layer, shape)
    if isinstance(layer, nn.MaxPool2d) and _pair(layer.dilation) == (1, 1):
        sides = zip(_pair(layer.kernel_size), _pair(layer.stride), strict=True)
        return math.sqrt(math.prod(math.ceil(kernel / stride) for kernel, stride in sides))
    if type(layer) in SLOPES:
        return SLOPES[type(layer)]
    raise ValueError(f"how much a {type(layer).__name__} can amplify is not known here; known are {_known()}.")


@dataclass(frozen=True, eq=False)
class Stage:
    """One of the paper's layers φ_k: a linear map with what follows it, up to the next linear map."""

    name: str
    part: nn.Sequential  # in float64
    K: float  # ‖part(a) − part(b)‖ <= K‖a − b‖


def stages(network, shape):
    """The Stages of a torch.nn.Sequential for one input of ``shape``; the product of their K bounds the whole.

    What stands before the first linear map belongs to the first stage. Raises ValueError as `constant` does.
    """
    found, inputs = [], torch.zeros(1, *shape, dtype=torch.float64)
    for layer in copy.deepcopy(network).cpu().double().eval():
        K = constant(layer, tuple(inputs.shape[1:]))
        inputs = layer(inputs)
        if not found or (isinstance(layer, LINEAR) and any(isinstance(other, LINEAR) for other in found[-1][0])):
            found.append(([], []))
        found[-1][0].append(layer)
        found[-1][1].append(K)
    return [Stage(_name(layers), nn.Sequential(*layers), math.prod(constants)) for layers, constants in found]


@torch.no_grad()
def differences(parts, images, moved):
    """‖φ_k(moved) − φ_k(images)‖ for k = 0 (the images themselves) to the last of the Stages ``parts``: (k, batch)."""
    a, b = images.cpu().double(), moved.cpu().double()
    lengths = [(b - a).flatten(1).norm(dim=1)]
    for stage in parts:
        a, b = stage.part(a), stage.part(b)
        lengths.append((b - a).flatten(1).norm(dim=1))
    return torch.stack(lengths)


@torch.no_grad()
def certificates(parts, images, targets):
    """Lengths that no r with the target's label at image + r can go below, for each image: two of them, (batch,) each.

    parts: the Stages of a network whose last is a Linear, z = A φ + b. The label l needs z_j <= z_l at image + r for
    every j, and z_j − z_l is now δ_j. It must fall by δ_j. As ‖z(x+r) − z(x)‖ <= K‖r‖, with K the product of all
    constants, and as z_j − z_l moves by at most √2 times that:       ‖r‖ >= max_j δ_j / (√2 K).
    And as z_j − z_l = (a_j − a_l)ᵀφ + b_j − b_l, with K' the product of all constants but the last:
                                                                      ‖r‖ >= max_j δ_j / (‖a_j − a_l‖ K').
    Returns the two bounds in this order; the second is never smaller. Zero where the label is the target's already.
    Raises ValueError where the last stage is no Linear.
    """
    if [type(layer) for layer in parts[-1].part][-1:] != [nn.Linear]:
        raise ValueError("the last layer must be a Linear, whose outputs are the logits.")
    logits, targets = images.cpu().double(), targets.cpu()
    for stage in parts:
        logits = stage.part(logits)
    A, before = parts[-1].part[-1].weight, math.prod(stage.K for stage in parts[:-1])
    lead = (logits - logits.gather(1, targets[:, None])).clamp(min=0)
    rows = (A[None] - A[targets][:, None]).norm(dim=2)  # (batch, labels): ‖a_j − a_l‖, zero for j = l
    sharp = torch.where(lead > 0, lead / (rows * before), 0.0)
    return lead.amax(1) / (math.sqrt(2) * before * parts[-1].K), sharp.amax(1)


def _pair(value):
    return (value, value) if isinstance(value, int) else tuple(value)


def _waves(frequencies, positions, size):
    """e^(−2πi f u/size), (frequencies, positions); the product f u is reduced first, so that the angle is exact."""
    angles = (frequencies[:, None] * positions % size).double() * (-2 * math.pi / size)
    return torch.polar(torch.ones_like(angles), angles)


def _orthonormal(rows):
    return torch.linalg.qr(rows.T)[0].T.contiguous()


def _refuse_if_not_linear(bare, v):
    both = bare(v[:1] - 2 * v[-1:]) - (bare(v[:1]) - 2 * bare(v[-1:]))
    if both.norm() > 1e-9 * (bare(v[:1]).norm() + bare(v[-1:]).norm()):
        raise ValueError("the layer is not linear: power iteration needs layer(v) = Av + b.")


def _known():
    names = [layer.__name__ for layer in (*LINEAR, nn.MaxPool2d, *SLOPES)]
    return f"{', '.join(names[:-1])} and {names[-1]}"


def _name(layers):
    """The linear map's kind, and what bends its output."""
    kinds = {nn.Linear: "linear", nn.Conv2d: "convolution", nn.Sigmoid: "sigmoid", nn.ReLU: "ReLU"}
    kinds[nn.MaxPool2d] = "max-pool"
    return ", ".join(kinds[type(layer)] for layer in layers if type(layer) in kinds)
