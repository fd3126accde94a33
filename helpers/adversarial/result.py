"""What an attack returns."""

from dataclasses import dataclass, replace

import torch

ALREADY = "nothing to do: the network already says the target"


@dataclass(frozen=True)
class AttackResult:
    """One entry an image, in the order of the images; ... stands for the shape of one image.

    Where an attack failed, ``success`` is False, ``adversarial`` the image itself and ``distortion`` zero: leave those
    rows out of any mean, as in ``result.distortion[result.success].mean()``.
    """

    adversarial: torch.Tensor  # (batch, ...): x + r, every pixel in [0, 1] exactly
    perturbation: torch.Tensor  # (batch, ...): r = adversarial − image
    targets: torch.Tensor  # (batch,): the label that was wanted; without targets, the one that was reached
    c: torch.Tensor  # (batch,): r was seen while (P_c) was being minimised for this c; NaN where there is none
    distortion: torch.Tensor  # (batch,): sqrt(mean r²), the paper's root mean square change per pixel
    success: torch.Tensor  # (batch,) bool: judged on ``adversarial`` as it stands here
    evaluations: torch.Tensor  # (batch,): forward and backward passes spent on the image
    status: tuple  # (batch,) strings: what happened, in words

    @property
    def norm(self):
        """‖r‖₂ of each perturbation, (batch,)."""
        return torch.linalg.vector_norm(self.perturbation.flatten(1), dim=1)

    def with_status(self, status):
        """The same result with other words."""
        return replace(self, status=tuple(status))

    def __repr__(self):
        if not len(self.success):
            return "AttackResult(no images)"
        reached = f"{int(self.success.sum())} of {len(self.success)} reached"
        mean = self.distortion[self.success].mean().item()
        passes = self.evaluations.float().mean().item()
        return f"AttackResult({reached}, mean distortion {mean:.4f}, {passes:.0f} evaluations an image)"


@torch.no_grad()
def predictions(network, images, at_once=256):
    """The label of each image, (batch,), ``at_once`` images at a time; -1 where the logits are not numbers."""
    labels = [torch.zeros(0, dtype=torch.long, device=images.device)]
    for part in images.split(at_once) if len(images) else ():
        logits = network(part)
        labels.append(torch.where(torch.isnan(logits).any(1), -1, logits.argmax(1)))
    return torch.cat(labels)


def assemble(network, images, adversarial, targets, c, evaluations, status=None):
    """Build the AttackResult of any attack: success is judged here, for all alike, on the tensors that are returned.

    ``c``: (batch,), None where the attack has none. ``status``: (batch,) strings; by default "found" or "not found".
    """
    success = predictions(network, adversarial) == targets
    adversarial = torch.where(by_image(success, images), adversarial, images)
    perturbation = adversarial - images
    distortion = perturbation.flatten(1).square().mean(1).sqrt()
    c = images.new_full((len(images),), torch.nan) if c is None else torch.where(success, c, torch.nan)
    status = tuple("found" if ok else "not found" for ok in success.tolist()) if status is None else tuple(status)
    return AttackResult(adversarial, perturbation, targets, c, distortion, success, evaluations, status)


def by_image(values, images):
    """``values`` (batch,) shaped to broadcast against ``images`` (batch, ...)."""
    return values.view(-1, *[1] * (images.ndim - 1))
