"""Results on disk, chunk by chunk: each file whole or not there, and all in a folder made in one way."""

import json
from datetime import date
from pathlib import Path

import torch

from helpers.benchmark.report import describe, write_json
from helpers.digits import training

KEPT = Path(__file__).parents[1] / "data" / "paper"  # the reports that come with the package


class Archive:
    """A folder of tensors, one file a chunk of images, and a ``made.json`` that says how they were made.

    folder: a Path. made: what the tensors depend on, a dict for JSON. Raises ValueError where the folder holds tensors
    that were made otherwise: a table of both would be of neither.
    """

    def __init__(self, folder, made):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        note = folder / "made.json"
        if not note.exists():
            write_json(made, note)
        before = json.loads(note.read_text(encoding="utf-8"))
        other = sorted(key for key in {*made, *before} if made.get(key) != before.get(key))
        if other:
            differences = ", ".join(f"{key} was {before.get(key)} and is {made.get(key)}" for key in other)
            raise ValueError(
                f"{folder} holds results made in another way ({differences}): delete it, or pass another --out."
            )

    def has(self, chunk):
        """Is the chunk, (first, last + 1), there?"""
        return self._path(chunk).exists()

    def save(self, chunk, content):
        """Write the tensors of a chunk: renamed into place once they are whole, so that no kill leaves half a file."""
        training.save(content, self._path(chunk))

    def load(self, chunk):
        """The tensors of a chunk, on the CPU; what is not looked at is not read."""
        return torch.load(self._path(chunk), map_location="cpu", weights_only=True, mmap=True)

    def _path(self, chunk):
        return self.folder / f"{chunk[0]:05}-{chunk[1]:05}.pt"


def stored(name):
    """A report that comes with the package, by its file's name; it says by which command it was made."""
    return json.loads((KEPT / name).read_text(encoding="utf-8"))


def made_by(command, device="cpu", threads=1):
    """What every report says of its making: the command, the machine, and the date."""
    return {"command": command, "machine": describe(device, threads), "date": date.today().isoformat()}
