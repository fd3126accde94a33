"""Whom a changed image misleads, how long the changes are, and pictures that no attack has made: longer ones, noise."""

import torch
from scipy.stats import norm

from helpers.paper import attacks
from helpers.paper.published import TABLE_1

NETWORKS = tuple(TABLE_1)
SCALES = (0.25, 0.5, 0.75, 0.9, 1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 5 / 3, 1.8, 2.0, 2.5, 3.0)
SIZES = tuple(round(0.02 * i, 2) for i in range(1, 11))  # root mean squares of r


@torch.no_grad()
def misled(network, images, labels):
    """Which images (batch, n) the network gives another label than theirs: (batch,) bool."""
    pieces = zip(images.split(attacks.CHUNK), labels.split(attacks.CHUNK), strict=True)
    return torch.cat([network(x).argmax(1) != y for x, y in pieces])


def counts(images, labels, networks=NETWORKS, device="cpu"):
    """For each of the networks, by name, the number of images that it gives another label than theirs."""
    images, labels = images.to(device), labels.to(device)
    return [int(misled(attacks.network_of(name, device), images, labels).sum()) for name in networks]


def mean(values):
    """The mean of numbers and the standard error of that mean."""
    values = torch.tensor(values, dtype=torch.float64)
    error = values.std() / len(values) ** 0.5 if len(values) > 1 else torch.tensor(0.0)
    return {"mean": values.mean().item(), "standard error": error.item()}


def whole(result):
    """The AttackResult as it is. Raises KeyboardInterrupt where Ctrl-C has cut it short: ``attack`` returns then."""
    if any(status.startswith("interrupted") for status in result.status):
        raise KeyboardInterrupt
    return result


def length(distortion):
    """Two means of distortions (batch,): the mean, and the root of the mean square, each with its standard error."""
    square = mean(distortion.square().tolist())
    root = square["mean"] ** 0.5
    error = square["standard error"] / (2 * root) if root else 0.0  # d√q = dq / 2√q
    return {**mean(distortion.tolist()), "root of mean square": {"mean": root, "standard error": error}}


def lengthened(result, images, labels, networks, device="cpu"):
    """Whom x + s r misleads, clipped, as s grows; and r with one root mean square for all images: a dict for JSON."""
    r, distortion = result.perturbation, result.distortion
    unit = torch.where(distortion > 0, 1 / distortion, 0).unsqueeze(1) * r
    rows = {"by factor": [(s, images + s * r) for s in SCALES], "to one size": [(a, images + a * unit) for a in SIZES]}
    found = {}
    for name, pictures in rows.items():
        shown = [(value, picture.clamp(0, 1)) for value, picture in pictures]
        found[name] = {
            "value": [value for value, _ in shown],
            "distortion": [(picture - images).square().mean(1).sqrt().mean().item() for _, picture in shown],
            "wrong": [counts(picture, labels, networks, device) for _, picture in shown],
        }
    return found


def expected_clip(images, stddev):
    """E clip(x + stddev z, 0, 1) for z of a standard normal distribution, pixel by pixel: (batch, n).

    With a = −x/σ and b = (1 − x)/σ it is x (Φ(b) − Φ(a)) + σ (φ(a) − φ(b)) + 1 − Φ(b).
    """
    x = images.double().cpu().numpy()
    a, b = -x / stddev, (1 - x) / stddev
    value = x * (norm.cdf(b) - norm.cdf(a)) + stddev * (norm.pdf(a) - norm.pdf(b)) + norm.sf(b)
    return torch.from_numpy(value).to(images)


def noise_in_parts(images, labels, stddev, device="cpu"):
    """Whom Gaussian noise misleads, as it is, clipped, and the clipped noise split in two: a dict for JSON.

    Clipping at 0 leaves on blank paper only the noise that adds ink, so the mean of what is left is not 0. "its mean"
    is that mean without any noise, the same in every draw; "without its mean" is the rest.
    """
    generator = torch.Generator().manual_seed(attacks.SEED)
    noise = stddev * torch.randn(images.shape, generator=generator).to(images)
    clipped, veiled = (images + noise).clamp(0, 1), expected_clip(images, stddev)
    pictures = {
        "not clipped": images + noise,
        "clipped": clipped,
        "clipped, without its mean": images + clipped - veiled,
        "its mean alone": veiled,
        "its mean over all pixels": images + (veiled - images).mean(1, keepdim=True),
    }
    return {
        name: {
            "change of a pixel": (picture - images).mean().item(),
            **length((picture - images).square().mean(1).sqrt()),
            "wrong": counts(picture, labels, device=device),
        }
        for name, picture in pictures.items()
    }
