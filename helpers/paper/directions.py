"""Directions in a hidden layer, the images highest along each, and how alike these images are (section 3 of the paper).

φ(x) is a layer's activation vector and I a set of N images. The paper compares argmax over I of ⟨φ(x), e_i⟩, which is
what unit i likes best, with the same for a random direction v in place of e_i.
"""

import math
from dataclasses import dataclass

import torch
from torch import nn

from helpers.digits import training
from helpers.digits.networks import untrained

NEGLIGIBLE = 1e-8  # of the largest variance: a principal axis with less holds rounding errors


@dataclass(frozen=True)
class Layer:
    """A hidden layer of a Sequential: what comes out of its nonlinearity."""

    name: str  # "hidden 1", ...
    place: int  # of the nonlinearity in the Sequential
    shape: tuple[int, ...]  # of one image's activations: (units,), or (channels, rows, columns)

    @property
    def width(self):
        """The number of units."""
        return math.prod(self.shape)


def hidden_layers(network):
    """The hidden Layers of a Sequential that takes (batch, 784) pixels, in their order; softmax regression has none."""
    x, found = next(network.parameters()).new_zeros(1, 784), []
    with torch.no_grad():
        for place, part in enumerate(network):
            x = part(x)
            if isinstance(part, nn.Sigmoid | nn.ReLU):
                found.append(Layer(f"hidden {len(found) + 1}", place, tuple(x.shape[1:])))
    return found


def hidden_layer(network, name):
    """The Layer of that name. Raises ValueError, with the names that there are, for any other."""
    layers = {layer.name: layer for layer in hidden_layers(network)}
    if name not in layers:
        raise ValueError(f"this network has no layer {name!r}; its hidden layers are {', '.join(layers) or 'none'}")
    return layers[name]


@torch.no_grad()
def activations(network, images, name, before=False, batch=500):
    """φ(x) of each image: (N, width), flattened, in the images' dtype and on their device.

    images: (N, 784) in [0, 1], of the network's dtype. name: "hidden 1", ... before: stop before the nonlinearity, at
    the layer's sums A x + b. batch: images a pass. Raises ValueError for a name that is not there.
    """
    place = hidden_layer(network, name).place
    front = network[: place if before else place + 1]
    return torch.cat([front(rows).flatten(1) for rows in images.split(batch)])


def before_training(name):
    """The network of that name with the weights from which its training began; float32, eval mode, no gradients.

    (The autoencoder's training also set its hidden offsets, all to one number. No unit's order of images knows.)
    """
    network = untrained(name)
    training.first_weights(*(part for part in network if isinstance(part, nn.Linear | nn.Conv2d)))
    return network.eval().requires_grad_(False)


def unit_directions(width, units):
    """e_i for each i in ``units``: (len(units), width), float64. Raises IndexError for a unit that is not there."""
    units = torch.as_tensor(units)
    if len(units) and not 0 <= int(units.min()) <= int(units.max()) < width:
        raise IndexError(f"the layer has the units 0 to {width - 1}")
    return nn.functional.one_hot(units, width).double()


def random_directions(width, count, seed=0):
    """``count`` directions that favour none, of length 1: normalised Gaussian vectors, (count, width), float64."""
    v = torch.randn(count, width, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return v / v.norm(dim=1, keepdim=True)


def place_directions(shape, units, seed=0):
    """Random mixes of the channels at one place: for each of ``units`` a direction that is 0 off the unit's own place.

    shape: (channels, rows, columns) of a convolution's activations. units: numbers of units, flattened as φ is. At its
    place a direction is a normalised Gaussian vector over the channels. Returns (len(units), width), float64.
    """
    channels, places = shape[0], math.prod(shape[1:])
    units = torch.as_tensor(units)
    v = torch.zeros(len(units), channels, places, dtype=torch.float64)
    v[torch.arange(len(units)), :, units % places] = random_directions(channels, len(units), seed)
    return v.flatten(1)


def principal_axes(phi):
    """The variances along the principal axes of φ, (r,), largest first, and the axes, (r, width), float64.

    phi: (N, width). Axes along which φ does not vary are left out. The sign of an axis means nothing: its largest entry
    is made positive.
    """
    phi = phi.double()
    variance, axes = torch.linalg.eigh(torch.atleast_2d(torch.cov(phi.T)))
    variance, axes = variance.flip(0), axes.T.flip(0)
    kept = variance > NEGLIGIBLE * variance[0]
    variance, axes = variance[kept], axes[kept]
    largest = axes.gather(1, axes.abs().argmax(1, keepdim=True))
    return variance, axes * largest.sign()


def leading(variance, share):
    """How many principal axes hold ``share`` of all variance together. variance: (r,), the largest first."""
    return min(int((variance.cumsum(0) < share * variance.sum()).sum()) + 1, len(variance))


def whitened_directions(variance, axes, count, seed=0):
    """Random directions along which each of these principal axes counts alike: v = Σ_j g_j u_j / √λ_j, of length 1.

    variance, axes: λ_j, (r,), and u_j, (r, width), as ``principal_axes`` returns them, or the leading ones; g is
    Gaussian. Then ⟨φ, v⟩ is a random direction of the whitened activations, which have variance 1 along every axis.
    Returns (count, width), float64.
    """
    v = random_directions(len(variance), count, seed) @ (axes / variance.sqrt()[:, None])
    return v / v.norm(dim=1, keepdim=True)


def top_images(phi, v, k):
    """The places of the k images with the largest ⟨φ(x), v⟩, the largest first.

    phi: (N, width). v: (count, width). Returns top, (count, k) int64, and unique, (count,) bool: False where the image
    after the k-th has the same value as the k-th, so that the k images are a matter of choice (here the first ones).
    A dead unit, or one that is above 0 for fewer than k images, is of that kind. Raises ValueError unless 0 < k < N.
    """
    if not 0 < k < len(phi):
        raise ValueError(f"k must be from 1 to {len(phi) - 1}, one less than the images; it is {k}")
    found = []
    for rows in v.to(phi).split(100):
        value, order = (rows @ phi.T).sort(dim=1, descending=True, stable=True)
        found.append((order[:, :k], value[:, k - 1] > value[:, k]))
    top, unique = zip(*found, strict=True)
    return torch.cat(top), torch.cat(unique)


def purity(labels):
    """The share of the commonest label among each row of ``labels``, (count, k): (count,) float64, from 1/k to 1."""
    commonest = labels.mode(1, keepdim=True).values
    return (labels == commonest).double().mean(1)


def similarity(images):
    """The mean cosine of the angle between two images of a set: (count, k, n) → (count,). An image of zeros has 0."""
    unit = nn.functional.normalize(images.double(), dim=2)
    k = images.shape[1]
    return (unit.sum(1).square().sum(1) - unit.square().sum((1, 2))) / (k * (k - 1))


def alike(images, labels, top):
    """How alike the images of each set are, as a dict of (count,) float64 tensors.

    images: (N, n). labels: (N,). top: (count, k), the places of each set's images. "purity": the share of the commonest
    label. "similarity": the mean cosine between two images. "centred": the same after the mean of all N images is
    subtracted, since two digits share much ink whatever they are.
    """
    mean = images.mean(0)
    pieces = [(similarity(images[rows]), similarity(images[rows] - mean)) for rows in top.split(50)]
    plain, centred = (torch.cat(part) for part in zip(*pieces, strict=True))
    return {"purity": purity(labels[top]), "similarity": plain, "centred": centred}
