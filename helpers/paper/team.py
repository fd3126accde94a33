"""The processes that share the work: one alone, or those that torchrun has started, on one machine or on many."""

import os
from dataclasses import dataclass

import torch
from torch import distributed


@dataclass(frozen=True)
class Team:
    """One process's place among ``size`` of them. The first, rank 0, alone reads and writes files and prints."""

    rank: int
    size: int
    device: str

    @property
    def first(self):
        return self.rank == 0

    def told(self, value):
        """What the first process has as ``value``, in every process."""
        if self.size == 1:
            return value
        box = [value]
        distributed.broadcast_object_list(box, src=0)
        return box[0]

    def gathered(self, value):
        """In the first process a list of every process's ``value``, by rank; an empty list in the others."""
        if self.size == 1:
            return [value]
        values = [None] * self.size if self.first else None
        distributed.gather_object(value, values)
        return values or []

    def leave(self):
        """Say goodbye to the others."""
        if self.size > 1:
            distributed.destroy_process_group()


def join(device="cpu"):
    """The Team of this process: what torchrun's environment says, or one alone, without torch.distributed.

    device: "cpu" (the processes talk by gloo) or "cuda" (by NCCL; each process takes the GPU of its local rank).
    Raises ValueError where there is no such device, or fewer GPUs than processes.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("torch sees no CUDA device here; leave --device out.")
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return Team(0, 1, device)
    local = int(os.environ["LOCAL_RANK"])
    if device == "cuda":
        if local >= torch.cuda.device_count():
            raise ValueError(f"there are {torch.cuda.device_count()} GPUs; pass torchrun --nproc-per-node so many.")
        device = f"cuda:{local}"
        torch.cuda.set_device(local)
    distributed.init_process_group("gloo" if device == "cpu" else "nccl")
    return Team(distributed.get_rank(), distributed.get_world_size(), device)
