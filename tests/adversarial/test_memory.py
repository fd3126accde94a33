"""What an attack needs beside the images: their answers, and what is in flight."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("resource", reason="the largest resident memory is not measured on this system")

SCRIPT = """
import resource, sys
import torch
from torch import nn
from strange_networks import seeded
from helpers import attack

count, untargeted = int(sys.argv[1]), sys.argv[2] == "untargeted"
starts = 3 if sys.argv[2] == "three starts" else None
layers = [nn.Conv2d(3, 8, 7, stride=4), nn.ReLU(), nn.Conv2d(8, 16, 3, stride=2), nn.ReLU(), nn.AdaptiveAvgPool2d(4)]
network = seeded(nn.Sequential(*layers, nn.Flatten(), nn.Linear(256, 10)))
images = torch.rand(count, 3, 224, 224, generator=torch.Generator().manual_seed(0))
with torch.no_grad():
    targets = (torch.cat([network(part) for part in images.split(4)]).argmax(1) + 1) % 10
few = images[:2].clone()
attack(network, few, targets[:2], max_batch=2, progress=False)  # what torch loads at first use
unit = 1024 if sys.platform == "linux" else 1  # of ru_maxrss, in bytes
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
result = attack(network, images, None if untargeted else targets, starts=starts, max_batch=4, progress=False)
assert result.success.all()
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit - before) / 1e6)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "count, kind, limit",
    [(96, "targeted", 370), (200, "targeted", 450), (12, "untargeted", 180), (48, "three starts", 250)],
)
def test_memory_is_answers_and_what_is_in_flight(count, kind, limit, record_property):
    """Answers, two of 0.6 MB an image: 116, 241 and 14 MB. In flight: four times 36 of 0.6 MB, 87 MB."""
    command = [sys.executable, "-c", SCRIPT, str(count), kind]
    here = Path(__file__).parents[1]
    done = subprocess.run(command, capture_output=True, text=True, cwd=here.parent, env=_environment(here), check=True)
    megabytes = float(done.stdout)
    record_property("measured", f"attack, {count} images of 3×224×224, {kind}, max_batch=4: {megabytes:.0f} MB more")
    assert megabytes <= limit


def _environment(here):
    import os

    paths = [str(here), str(here.parent), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in paths if path)}
