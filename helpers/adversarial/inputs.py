"""What every attack asks of its arguments, at the door: one sentence saying what is wrong and what to pass instead."""

import copy

import torch

from helpers.adversarial.classifier import Classifier
from helpers.adversarial.objective import NORMS


def check_inputs(network, images, targets=None, max_batch=None):
    """Check a network, images (batch, ...) in [0, 1] and targets (batch,) or None; returns the network's Classifier.

    max_batch: the most images in a pass, None for as many as suit the device.

    Raises TypeError or ValueError, with one sentence, for anything that an attack could not honestly work with.
    """
    if max_batch is not None and max_batch < 1:
        raise ValueError(f"max_batch must be at least 1, got {max_batch}.")
    if not torch.is_tensor(images):
        raise TypeError(f"images must be a tensor, got {type(images).__name__}; use torch.as_tensor(images).")
    if not images.is_floating_point():
        raise TypeError(f"images must be floats in [0, 1], got {images.dtype}; use images.float() / 255 for bytes.")
    if images.ndim < 2:
        raise ValueError(
            f"images must have shape (batch, ...), got {tuple(images.shape)}; use image.unsqueeze(0) for one."
        )
    if torch.isnan(images).any():
        raise ValueError("images hold NaN.")
    if len(images) and (images.min() < 0 or images.max() > 1):
        low, high = images.min().item(), images.max().item()
        raise ValueError(
            f"images must lie in [0, 1], got [{low:.4g}, {high:.4g}]; any normalisation belongs inside the network."
        )
    if getattr(network, "training", False):
        raise ValueError(
            "the network is in training mode, where it answers differently each time; call network.eval()."
        )
    weights = next(iter(network.parameters()), None) if isinstance(network, torch.nn.Module) else None
    if weights is not None and weights.device != images.device:
        raise ValueError(f"the network is on {weights.device} and the images are on {images.device}; move one of them.")
    if weights is not None and weights.dtype != images.dtype:
        raise TypeError(
            f"the network computes in {weights.dtype} and the images are {images.dtype}; convert one of them."
        )
    classifier = Classifier(network, images, max_batch)
    if targets is not None:
        _check_targets(targets, images, classifier.classes)
    return classifier


def _check_targets(targets, images, classes):
    if not torch.is_tensor(targets) or targets.dtype != torch.long:
        got = targets.dtype if torch.is_tensor(targets) else type(targets).__name__
        raise TypeError(f"targets must be a tensor of integer labels (torch.long), got {got}.")
    if targets.shape != images.shape[:1]:
        raise ValueError(
            f"there are {len(images)} images but targets have shape {tuple(targets.shape)}; pass one label an image."
        )
    if targets.device != images.device:
        raise ValueError(
            f"the targets are on {targets.device} and the images are on {images.device}; move one of them."
        )
    if len(targets) and (targets.min() < 0 or targets.max() >= classes):
        raise ValueError(f"targets must be labels from 0 to {classes - 1}, got {targets.min()} to {targets.max()}.")


def check_schedule(sharpness):
    """The β of each stage, a tuple of increasing positive floats, from a number or a sequence of them."""
    schedule = tuple(float(b) for b in (sharpness if isinstance(sharpness, tuple | list) else (sharpness,)))
    if not schedule or not all(0 < b < float("inf") for b in schedule):
        raise ValueError(
            f"sharpness must be a positive number or an increasing schedule such as (1, 8, 64), got {sharpness}."
        )
    if list(schedule) != sorted(set(schedule)):
        raise ValueError(f"a sharpness schedule must increase, got {sharpness}.")
    return schedule


def check_starts(starts, effort, efforts, norm, sharpness):
    """The number of starts, or None for the paper's search; ``effort`` is one of the names in ``efforts``, or None.

    Raises TypeError or ValueError.
    """
    if effort is not None:
        if effort not in efforts:
            raise ValueError(f"effort must be None or one of {', '.join(map(repr, efforts))}; got {effort!r}.")
        if starts is not None or sharpness is not None:
            raise ValueError("effort chooses starts and sharpness itself; pass either effort or these.")
        starts = efforts[effort]
    if starts is None:
        return None
    if isinstance(starts, bool) or not isinstance(starts, int):
        raise TypeError(f"starts must be None or a whole number of starts, got {starts!r}.")
    if starts < 1:
        raise ValueError(f"starts must be at least 1, got {starts}.")
    if norm != "squared":
        raise ValueError('starts and effort need norm="squared": with c‖r‖ the sharp stages have no multiplier.')
    return starts


def check_norm(norm):
    """Raises ValueError unless ``norm`` is "squared", for c‖r‖², or "l2", for the paper's c‖r‖."""
    if norm not in NORMS:
        raise ValueError(f'norm must be "squared", for c‖r‖², or "l2", for the paper\'s c‖r‖; got {norm!r}.')


def check_targeted(network, images, targets):
    """What ``attack`` asks of its arguments, and that there are targets; returns the network's slack, for ``succeeds``.

    Raises TypeError or ValueError.
    """
    if targets is None:
        raise TypeError("targets must be a tensor with one label an image; only attack() chooses them by itself.")
    return check_inputs(network, images, targets, max_batch=256).slack


def double_copy(network):
    """A float64 copy of a module, whose parameters take no gradient. Raises TypeError for anything else."""
    if not isinstance(network, torch.nn.Module):
        raise TypeError(f"a float64 copy is made of a torch.nn.Module, but the network is a {type(network).__name__}.")
    return copy.deepcopy(network).double().requires_grad_(False)
