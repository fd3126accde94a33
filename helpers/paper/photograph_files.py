"""What a file leaves of an adversarial photograph: 256 levels, a JPEG; and how much longer r must be to survive it."""

import torch

from helpers.adversarial.objective import margin
from helpers.photographs.pictures import through_file

FILES = {
    "256 levels": {},
    "JPEG 95": {"format": "JPEG", "quality": 95},
    "JPEG 75": {"format": "JPEG", "quality": 75},
}
FACTORS = tuple(round(1.02**k, 3) for k in range(71))  # r is made so many times as long: from 1 to 4, in steps of 2%


@torch.no_grad()
def lead(network, images, target):
    """By how much the target's logit leads each image's other logits: a list of numbers, negative where it does not."""
    return (-margin(network(images), torch.full((len(images),), target))).tolist()


def survival(network, image, adversarial, target):
    """What becomes of one answer, (1, 3, H, W), in files: a dict for JSON.

    "lead": as found, and in each file of FILES. "lost": what rounding to 256 levels takes away, the values of r below
    half a level: their share of the values, and their share of ‖r‖².
    """
    r = (adversarial - image).double()
    small = r.abs() < 0.5 / 255
    kept = {"as found": adversarial} | {name: through_file(adversarial, **file) for name, file in FILES.items()}
    return {
        "lead": {name: lead(network, picture, target)[0] for name, picture in kept.items()},
        "lost": {
            "of the values": small.double().mean().item(),
            "of the square": (r[small].square().sum() / r.square().sum().clamp(min=1e-300)).item(),
        },
    }


def stretched(network, image, adversarial, target, names):
    """How much longer one answer's r must be: a dict for JSON; and the picture in each file, None where there is none.

    "factor": for each file of ``names``, some of FILES, the first of FACTORS for which x + factor · r, clipped, has its
    target in the file, None where none has; "distortion": that picture's, in the file, from the photograph ``image``.
    """
    found, pictures = {"factor": {}, "distortion": {}}, {}
    for name in names:
        factor, picture = least_factor(network, image, adversarial - image, target, FILES[name])
        found["factor"][name], pictures[name] = factor, picture
        found["distortion"][name] = None if factor is None else (picture - image).square().mean().sqrt().item()
    return found, pictures


def least_factor(network, image, r, target, file):
    """The first of FACTORS for which x + factor · r has its target in ``file``, and that picture; None, None."""
    for factor in FACTORS:
        picture = through_file((image + factor * r).clamp(0, 1), **file)
        if lead(network, picture, target)[0] > 0:
            return factor, picture
    return None, None
