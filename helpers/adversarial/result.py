"""What an attack returns."""

from dataclasses import dataclass, fields, replace

import torch

from helpers.adversarial.objective import succeeds

ALREADY = "nothing to do: the network already says the target"


@dataclass(frozen=True, eq=False)
class AttackResult:
    """One entry an image, in the order of the images; ... stands for the shape of one image.

    Where an attack failed, ``success`` is False, ``adversarial`` the image itself and ``distortion`` zero: leave those
    rows out of any mean, as in ``result.distortion[result.success].mean()``.

    ``result[3:5]``, ``result[2]``, ``result[result.success]`` and ``result[[4, 0]]`` are results of those images, in
    that order; ``len(result)`` is their number. Two results are equal where they are the same object.
    """

    adversarial: torch.Tensor  # (batch, ...): x + r, every pixel in [0, 1] exactly
    perturbation: torch.Tensor  # (batch, ...): r = adversarial − image
    targets: torch.Tensor  # (batch,): the label that was wanted; without targets, the one that was reached
    c: torch.Tensor  # (batch,): r was seen while (P_c) was being minimised for this c; NaN where there is none
    distortion: torch.Tensor  # (batch,): sqrt(mean r²), the paper's root mean square change per pixel
    success: torch.Tensor  # (batch,) bool: judged on ``adversarial`` as it stands here
    evaluations: torch.Tensor  # (batch,): forward passes with a gradient that were spent on the image
    forwards: torch.Tensor  # (batch,): ``attack``'s forward passes without a gradient; the baselines have zeros here
    status: tuple  # (batch,) strings: what happened, in words

    @property
    def norm(self):
        """‖r‖₂ of each perturbation, (batch,)."""
        return _length(self.perturbation)

    def with_status(self, status):
        """The same result with other words."""
        return replace(self, status=tuple(status))

    def __len__(self):
        return len(self.success)

    def __getitem__(self, index):
        """The images ``index``: a number, a slice, a mask, or a sequence or tensor of numbers. Raises IndexError."""
        rows = torch.arange(len(self))[index.cpu() if torch.is_tensor(index) else index].reshape(-1)
        status = tuple(self.status[i] for i in rows.tolist())
        parts = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "status"}
        return replace(self, status=status, **{name: part[rows.to(part.device)] for name, part in parts.items()})

    def __repr__(self):
        if not len(self):
            return "AttackResult(no images)"
        reached = f"{int(self.success.sum())} of {len(self.success)} reached"
        mean = self.distortion[self.success].mean().item()
        passes = self.evaluations.float().mean().item()
        return f"AttackResult({reached}, mean distortion {mean:.4f}, {passes:.0f} evaluations an image)"


@torch.no_grad()
def judged(network, images, targets, at_once=256):
    """Does the network give each image its target, (batch,) bool? ``at_once`` images at a time."""
    verdicts = [torch.zeros(0, dtype=torch.bool, device=images.device)]
    for part, target in zip(images.split(at_once), targets.split(at_once), strict=True) if len(images) else ():
        verdicts.append(succeeds(network(part), target))
    return torch.cat(verdicts)


def assemble(network, images, adversarial, targets, c, evaluations):
    """Build the AttackResult of an attack whose answers, ``adversarial``, have not been judged yet: here they are.

    ``c``: (batch,), None where the attack has none. ``status`` says "found" or "not found".
    """
    result = result_of(images, adversarial, targets, judged(network, adversarial, targets), c)
    return replace(result, evaluations=evaluations)


def result_of(images, adversarial, targets, success, c=None):
    """The AttackResult of answers with a known ``success``; where there is none, the answer is the image."""
    adversarial = adversarial if success.all() else torch.where(by_image(success, images), adversarial, images)
    perturbation = adversarial - images
    distortion = _length(perturbation) / images.shape[1:].numel() ** 0.5
    c = torch.full_like(distortion, torch.nan) if c is None else torch.where(success, c, torch.nan)
    status = tuple("found" if ok else "not found" for ok in success.tolist())
    none = torch.zeros_like(targets)
    return AttackResult(
        adversarial=adversarial,
        perturbation=perturbation,
        targets=targets,
        c=c,
        distortion=distortion,
        success=success,
        evaluations=none,
        forwards=none,
        status=status,
    )


def _length(perturbation):
    """‖r‖₂ of each image, (batch,), without a copy; float32 at least."""
    axes = tuple(range(1, perturbation.ndim))
    dtype = torch.promote_types(perturbation.dtype, torch.float32)
    return torch.linalg.vector_norm(perturbation, dim=axes, dtype=dtype)


def by_image(values, images):
    """``values`` (batch,) shaped to broadcast against ``images`` (batch, ...)."""
    return values.view(-1, *[1] * (images.ndim - 1))
