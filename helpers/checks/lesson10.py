"""Lesson 10's checks: the operator norm by power iteration and by Fourier, and what a bound on the network proves.

torch is imported where it is used, for the checks of the lessons before are loaded with this file.
"""

import math

from ._verdict import array, check, expect

__all__ = ["certificate", "circular_norm", "power_iteration"]


@check
def power_iteration(candidate):
    import torch

    wide = {"generator": torch.Generator().manual_seed(101), "dtype": torch.float64}
    cases = []
    for m, n in ((6, 4), (4, 6), (5, 5), (3, 3)):
        U, V = (torch.linalg.qr(torch.randn(k, k, **wide))[0] for k in (m, n))
        values = torch.tensor([3.0, 1.9, 1.2, 0.7, 0.3, 0.1])[: min(m, n)].double()
        cases.append((f"a {m}×{n} matrix", (U[:, : len(values)] * values) @ V[:, : len(values)].T, (n,)))
    cases.append(("the shear ((1, 5), (0, 1))", torch.tensor([[1.0, 5.0], [0.0, 1.0]]).double(), (2,)))
    cases.append(("1e5 times a 3×3 matrix", 1e5 * cases[3][1], (3,)))
    cases.append(("a 6×4 matrix of a 2×2 picture", cases[0][1], (1, 2, 2)))
    for name, A, shape in cases:
        _one_operator(candidate, name, A, torch.randn(shape, **wide))
    return f"the largest singular value of {len(cases)} linear maps, square, tall and wide"


def _one_operator(candidate, name, A, v):
    import torch

    asked = []

    def apply(x):
        asked.append(x)
        expect(
            torch.is_tensor(x) and x.shape == v.shape,
            f"{name}: apply takes a tensor of the shape of v, {tuple(v.shape)}; it got "
            f"{tuple(x.shape) if torch.is_tensor(x) else type(x).__name__}",
        )
        return A @ x.flatten()

    answer, largest = candidate(apply, v, 80), torch.linalg.svdvals(A)[0].item()
    expect(asked, f"{name}: it never called apply")
    expect(
        not hasattr(answer, "__float__") or getattr(answer, "ndim", 0) > 0 or math.isfinite(float(answer)),
        f"{name}: after 80 steps it is {answer}: AᵀA makes v longer each time, so divide v by its norm",
    )
    found = _number(answer)
    _refuse_alternatives(
        found,
        largest,
        name,
        {
            "that is the norm squared: AᵀA has the eigenvalues σ²; return ‖Av‖/‖v‖": largest**2,
            "that is the smallest singular value": torch.linalg.svdvals(A)[-1].item(),
            "that is the Frobenius norm, the root of the sum of all squares": A.norm().item(),
            "that is ‖Av‖/‖v‖ for the v you were given: nothing was iterated": (
                (A @ v.flatten()).norm() / v.norm()
            ).item(),
            "that is ‖Av‖ with the v you were given, not divided by ‖v‖": (A @ v.flatten()).norm().item(),
            "A itself was iterated, which finds an eigenvalue; multiply by AᵀA": (
                torch.linalg.eigvals(A).abs().max().item() if A.shape[0] == A.shape[1] else math.nan
            ),
        },
    )
    w = (A.T @ (A @ v.flatten())).view_as(v)
    first, again = ((A @ w.flatten()).norm() / w.norm()).item(), _number(candidate(apply, v, 1))
    expect(
        first > (1 - 1e-4) * largest or again < (1 - 1e-6) * largest,
        f"{name}: with steps = 1 it is already {again:.6f}, the norm to six digits: make as many steps as asked for",
    )


@check
def circular_norm(candidate):
    import torch

    wide = {"generator": torch.Generator().manual_seed(102), "dtype": torch.float64}
    cases = [(3, 2, 3, 6, 1), (2, 3, 2, 5, 1), (1, 1, 3, 8, 1), (3, 2, 3, 8, 2), (2, 4, 4, 8, 4), (5, 1, 5, 12, 2)]
    for outputs, inputs, kernel, size, stride in cases:
        weight = torch.randn(outputs, inputs, kernel, kernel, **wide)
        name = f"{inputs} → {outputs} channels, kernel {kernel}×{kernel}, a torus of {size}×{size}, stride {stride}"
        found = _number(candidate(weight, size, stride))
        _refuse_alternatives(found, _around(weight, size, stride), name, _misread(weight, size, stride))
    return f"the norm of the dense matrix, for {len(cases)} convolutions of strides 1, 2 and 4"


def _around(weight, size, stride):
    """The norm of the dense matrix, column by column: the image is copied around itself, then nothing is padded."""
    import torch

    wrap = torch.arange(size + weight.shape[-1] - 1) % size
    units = torch.eye(weight.shape[1] * size**2, dtype=torch.float64).view(-1, weight.shape[1], size, size)
    matrix = torch.nn.functional.conv2d(units[:, :, wrap][..., wrap], weight, stride=stride).flatten(1)
    return torch.linalg.matrix_norm(matrix, 2).item()


def _misread(weight, size, stride):
    """The classic wrong answers for a convolution: what each mistake gives."""
    import torch

    def largest(blocks):
        return torch.linalg.matrix_norm(blocks, 2).max().item()

    spectrum = torch.fft.fft2(weight, s=(size, size))
    blocks = spectrum.permute(2, 3, 0, 1)  # (size, size, outputs, inputs)
    split = spectrum.unflatten(2, (stride, -1)).unflatten(4, (stride, -1))  # (o, i, sh, size/s, sw, size/s)
    folded = split.permute(3, 5, 0, 1, 2, 4)  # (size/s, size/s, o, i, sh, sw)
    near = spectrum.unflatten(2, (-1, stride)).unflatten(4, (-1, stride)).permute(2, 4, 0, 1, 3, 5)
    right = largest(folded.flatten(3)) / stride
    answers = {
        "this is the largest entry of the transform; at each frequency it is a matrix of outputs × inputs, and its "
        "operator norm counts": spectrum.abs().max().item() / stride,
        "the transform has the frequencies of the kernel alone; pad it with zeros to the torus, s=(size, size)": (
            largest(torch.fft.fft2(weight).permute(2, 3, 0, 1))
        ),
        "that is the norm of the weights as one flat matrix, without a transform": largest(weight.flatten(1)),
        "that is the Frobenius norm of the blocks; the operator norm is the largest singular value": (
            torch.linalg.matrix_norm(folded.flatten(3)).max().item() / stride
        ),
        "that is the sum of all singular values of a block": (
            torch.linalg.matrix_norm(folded.flatten(3), "nuc").max().item() / stride
        ),
        "the norms of all frequencies are averaged; the largest counts": (
            torch.linalg.matrix_norm(folded.flatten(3), 2).mean().item() / stride
        ),
    }
    if stride > 1:
        answers |= {
            "it divides by stride², as the paper does; Parseval leaves a division by the stride": right / stride,
            "the division by the stride is missing": right * stride,
            "it divides by √stride; the two axes give √stride each": right * math.sqrt(stride),
            "the stride is not used: this is the norm for stride 1": largest(blocks),
            "each frequency is taken alone, and divided by the stride; those that fold onto one output frequency stand "
            "side by side in one block": largest(blocks) / stride,
            "the blocks that fold together stand one below the other; the output is one sum: put them side by side": (
                largest(folded.permute(0, 1, 2, 4, 5, 3).flatten(2, 4)) / stride
            ),
            "the blocks that fold together are added up; they act on different parts of the input, so put them side "
            "by side": largest(folded.sum((4, 5))) / stride,
            "neighbouring frequencies are folded; those that fold together lie size/stride apart": (
                largest(near.flatten(3)) / stride
            ),
        }
    return answers


@check
def certificate(candidate):
    import torch

    wide = {"generator": torch.Generator().manual_seed(103), "dtype": torch.float64}
    for labels, width, K in ((4, 6, 2.5), (10, 8, 0.3), (2, 5, 7.0)):
        A, logits = (
            torch.randn(labels, width, **wide) * torch.arange(1, labels + 1)[:, None],
            torch.randn(9, labels, **wide),
        )
        targets = logits.argsort(1)[:, 0]
        targets[:3] = logits.argmax(1)[:3]  # three that have their label already
        _one_certificate(candidate, logits, targets, A, K, f"{labels} labels, K = {K:g}")
    return "the best that the margins and the rows of A prove, and 0 where the label is there already"


def _one_certificate(candidate, logits, targets, A, K, name):
    import torch

    found = candidate(logits, targets, A, K)
    bound = torch.as_tensor(array(found.detach() if torch.is_tensor(found) else found, (len(logits),), f"{name}: it"))
    lead = logits - logits.gather(1, targets[:, None])
    there = lead.amax(1) == 0
    wrong = bound[there].abs().max().item()
    expect(
        wrong == 0,
        f"{name}: an image that has its label needs no change, so nothing above 0 can be proved; it says {wrong:.3f}",
    )
    expect(not (bound < 0).any(), f"{name}: a length is never below 0, and {int((bound < 0).sum())} of these are")
    rows = (A[None] - A[targets][:, None]).norm(dim=2)
    each = torch.where(lead > 0, lead / rows, 0.0)  # ‖a_l − a_l‖ = 0 is never divided by
    best, first = each.amax(1) / K, lead.amax(1).clamp(min=0)
    whole, rival = torch.linalg.matrix_norm(A, 2), logits.argmax(1, keepdim=True)
    beaten = torch.where(lead > 0, each, torch.inf).amin(1)
    mistakes = {
        "that is the first bound, with √2 ‖A‖₂; ‖a_j − a_l‖ is smaller and proves more": first / (2**0.5 * whole * K),
        "‖A‖₂ alone is no bound on the difference of two logits: (1, −1) has the length √2": first / (whole * K),
        "only the label that leads now is compared; every j with z_j > z_l proves something, and the largest counts": (
            each.gather(1, rival).squeeze(1) / K
        ),
        "the smallest of the rivals' bounds; all of them hold, so the largest does": torch.where(there, 0, beaten) / K,
        "the rivals' bounds are added; each holds, their sum need not": each.sum(1) / K,
        "K is a factor; ‖r‖ is at least the lead divided by K‖a_j − a_l‖": best * K * K,
        "K is not used": best * K,
        "it divides by ‖a_j − a_l‖²; the Cauchy–Schwarz inequality has the norm": (
            torch.where(lead > 0, lead / rows**2, 0.0).amax(1) / K
        ),
        "it divides by ‖a_j‖, without a_l": torch.where(lead > 0, lead / A.norm(dim=1), 0.0).amax(1) / K,
        "it divides by ‖a_j‖ + ‖a_l‖, which is valid and never smaller than ‖a_j − a_l‖": (
            torch.where(lead > 0, lead / (A.norm(dim=1) + A[targets].norm(dim=1)[:, None]), 0.0).amax(1) / K
        ),
        "the difference of the rows is missing: that is the lead over K": first / K,
        "it has half the lead, as if both logits could move freely; ‖a_j − a_l‖ counts both already": best / 2,
    }
    if not torch.allclose(bound, best, rtol=1e-6):
        for words, answer in mistakes.items():
            expect(not torch.allclose(bound, answer.to(bound), rtol=1e-6), f"{name}: {words}")
    row = int((bound - best).abs().argmax())
    expect(
        torch.allclose(bound, best, rtol=1e-6),
        f"{name}: for image {row} it says {bound[row]:.4f}, and the largest bound over the rivals is {best[row]:.4f}",
    )


def _number(value):
    return float(array(value.detach() if hasattr(value, "detach") else value, ()))


def _refuse_alternatives(found, right, name, mistakes):
    """Name the mistake whose value ``found`` is, or say what it must be."""
    if abs(found - right) > 1e-6 * right:
        for words, value in mistakes.items():
            same = abs(found - value) <= 1e-6 * abs(value)  # False for NaN
            expect(not same or abs(value - right) < 1e-3 * right, f"{name}: {words}")
    expect(abs(found - right) <= 1e-6 * right, f"{name}: it is {found:.6f}, and the norm is {right:.6f}")
