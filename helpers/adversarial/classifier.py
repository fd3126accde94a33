"""A network as an attack meets it: how many images it takes at once, and how far its logits are to be trusted."""

import warnings

import torch

from helpers.adversarial.objective import NO_SLACK, Slack

PROBES = 8  # images of which the logits alone are compared with those in a full batch
TOLERANCE = 1e-3  # logits that differ by more (relative to 1 and to themselves) are another network's, not rounding ...
TOLERANCE_ULPS = 8  # ... or by more than so many units of their last place, which for 16 bits is more
ROUNDING = 1  # units of the largest logit's last place that are added to what the probes show: they are few
# What the images in flight may take together. A CPU is fastest while they fit its cache; 8 GB keep any GPU busy.
BYTES = {"cpu": 64e6}
BYTES_ELSEWHERE = 8e9
FREE_SHARE = 0.5  # of a GPU's free memory at most
VECTORS = 36  # vectors of its length that one image in flight takes: ten in pairs of the solver, the rest its work
HALVES = (torch.float16, torch.bfloat16)


class Classifier:
    """``network`` behind the checks of ``inputs``, for rows of pixels: (rows, n) → logits (rows, classes).

    The network is handed images of their own shape, dtype and memory format; the rows and the logits are ``working``:
    float32 where the images have 16 bits, otherwise their dtype.

    Args:
        network: from (batch, ...) images to (batch, classes) logits. images: (batch, ...) in [0, 1].
        max_batch: the most images in a pass; None: as many as suit the device, by the memory that autograd is seen to
            need for an image.

    Attributes:
        at_once: the most images in a pass. classes.
        slack: the Slack with which answers are chosen. The logits of the same image are compared alone and in a full
            batch, which differ where the kernels differ: with TF32 on a GPU by 1e-4 or more. If no logit moves by more
            than δ, no margin moves by more than 2δ.
        forwards: (batch,) how often each image has been seen so far, at the door; without gradients.

    Raises:
        ValueError: the network does not take the images, returns no logits, or answers differently each time. Running
        out of memory is raised as what it is.
    """

    def __init__(self, network, images, max_batch=None):
        self.network, self.shape, self.dtype = network, images.shape[1:], images.dtype
        self.working = torch.float32 if images.dtype in HALVES else images.dtype
        last = images.ndim == 4 and images.is_contiguous(memory_format=torch.channels_last)
        self.format = torch.channels_last if last and not images.is_contiguous() else torch.contiguous_format
        self.forwards = torch.zeros(len(images), dtype=torch.long, device=images.device)
        images = images.detach()
        first = self._first_look(images if len(images) else images.new_zeros(1, *self.shape))
        self.classes = first.shape[1]
        self.at_once = max_batch or self._suitable(images)
        self.slack = None
        while self.slack is None:
            try:
                self.slack = self._measured_slack(images)
            except (RuntimeError, MemoryError) as error:
                self.halve(error, len(images))

    def __call__(self, x):
        return self.network(self.pictures(x)).to(x.dtype)

    def pictures(self, x):
        """The rows (rows, n) as the images that the network is handed, (rows, ...)."""
        return x.view(-1, *self.shape).to(self.dtype, memory_format=self.format)

    def halve(self, error, most):
        """After ``error`` with ``most`` images in flight: half as many from now on, if memory was what it lacked.

        Raises ``error`` where it was not, or where one image was too much.
        """
        most = min(self.at_once, most)
        if most == 1 or not out_of_memory(error):
            raise error
        self.at_once = most // 2
        warnings.warn(f"out of memory with {most} images at once; going on with {self.at_once}", stacklevel=4)

    def _first_look(self, images):
        """The logits of the first image, (1, classes), once they are known to be logits, and the same twice."""
        try:
            with torch.no_grad():
                logits, again = self._see(images, 0, 1), self._see(images, 0, 1)
        except (RuntimeError, ValueError) as error:
            if out_of_memory(error):
                raise
            shape = tuple(images.shape[1:])
            raise ValueError(f"the network does not take images of shape {shape}: {error}") from None
        if not torch.is_tensor(logits) or logits.ndim != 2 or len(logits) != 1 or logits.shape[1] < 2:
            got = tuple(logits.shape) if torch.is_tensor(logits) else type(logits).__name__
            raise ValueError(f"the network must return logits of shape (batch, classes), got {got} for one image.")
        _check_same(logits, again)
        return logits

    def _see(self, images, start, stop):
        self.forwards[start:stop] += 1
        return self.network(images[start:stop])

    def _suitable(self, images):
        """How many images to have in flight, from the memory of the solver and of the network's activations."""
        device = images.device
        room = BYTES.get(device.type, BYTES_ELSEWHERE)
        if device.type == "cuda":
            room = min(room, FREE_SHARE * torch.cuda.mem_get_info(device)[0])
        each = VECTORS * self.shape.numel() * torch.finfo(self.working).bits // 8
        if len(images) > 1:
            each += self._activations(images)
        return max(1, int(room / each))

    def _activations(self, images):
        """Bytes that autograd keeps for one more image: what two take, less what one takes (weights are kept too)."""
        taken = []
        for count in (1, 2):
            kept = {}

            def pack(tensor, kept=kept):
                storage = tensor.untyped_storage()
                kept[storage.data_ptr()] = storage.nbytes()
                return tensor

            self.forwards[:count] += 1
            with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
                logits = self.network(images[:count].clone().requires_grad_(True))
            taken.append(sum(kept.values()))
            del logits  # holds what was packed until here, so that no storage was counted for another's
        return max(0, taken[1] - taken[0])

    def _measured_slack(self, images):
        """The Slack, from 2δ, δ the largest difference between the logits of an image alone and in a full batch.

        The full batch is a pass as the search makes them, with a graph: some networks take another way without one.
        """
        full = min(self.at_once, len(images))
        if not full:
            return NO_SLACK
        some = torch.linspace(0, full - 1, min(PROBES, full)).long().tolist()
        with torch.no_grad():
            alone = torch.cat([self._see(images, i, i + 1) for i in some])
        with torch.enable_grad():
            self.forwards[:full] += 1
            together = self.network(images[:full].clone().requires_grad_(True)).detach()[some]
        _check_same(alone, together)
        finite = torch.isfinite(alone) & torch.isfinite(together)
        moved = torch.where(finite, (together - alone).abs(), 0).max()
        return Slack(2 * moved.item(), 2 * ROUNDING * torch.finfo(self.dtype).eps)


def _check_same(logits, others):
    """Refuse a network whose logits differ by more than rounding. A function may hide a module's mode, not its work."""
    tolerance = max(TOLERANCE, TOLERANCE_ULPS * torch.finfo(logits.dtype).eps)
    if not torch.allclose(logits, others, rtol=tolerance, atol=tolerance, equal_nan=True):
        raise ValueError(
            "the network answers the same image differently each time or in another batch, as in training mode; "
            "call its eval() first."
        )


def out_of_memory(error):
    """Has this exception been raised for want of memory, on whatever device?"""
    words = str(error).lower()
    return isinstance(error, MemoryError) or "out of memory" in words or "allocate memory" in words
