"""What a file leaves of an adversarial photograph: 256 levels, a JPEG; and how much longer r must be to survive it."""

import torch

from helpers.adversarial.objective import margin
from helpers.photographs.pictures import through_file

FILES = {
    "256 levels": {},
    "JPEG 95": {"format": "JPEG", "quality": 95},
    "JPEG 75": {"format": "JPEG", "quality": 75},
}
FACTORS = tuple(round(1.1**k, 3) for k in range(30))  # r is made so many times as long: from 1 to 15.9


@torch.no_grad()
def lead(network, images, target):
    """By how much the target's logit leads each image's other logits: a list of numbers, negative where it does not."""
    return (-margin(network(images), torch.full((len(images),), target))).tolist()


def survival(network, image, adversarial, target):
    """What becomes of one answer, (1, 3, H, W), in files: a dict for JSON.

    "lead": as found, and in each file of FILES. "factor": for each file the least of FACTORS for which x + factor · r,
    clipped to the box, has its target in the file, None where none has; "distortion": that picture's, in the file, from
    the photograph ``image``. "below half a level": the share of the values of r that rounding alone would take away.
    """
    r = adversarial - image
    found = {"lead": {"as found": lead(network, adversarial, target)[0]}, "factor": {}, "distortion": {}}
    found["below half a level"] = (r.abs() < 0.5 / 255).double().mean().item()
    for name, file in FILES.items():
        found["lead"][name] = lead(network, through_file(adversarial, **file), target)[0]
        factor, picture = _least_factor(network, image, r, target, file)
        found["factor"][name] = factor
        found["distortion"][name] = None if factor is None else _distortion(picture, image)
    return found


def _least_factor(network, image, r, target, file):
    for factor in FACTORS:
        picture = through_file((image + factor * r).clamp(0, 1), **file)
        if lead(network, picture, target)[0] > 0:
            return factor, picture
    return None, None


def _distortion(picture, image):
    return (picture - image).square().mean().sqrt().item()
