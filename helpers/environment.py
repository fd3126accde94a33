"""Is this the Python that the course was installed into, and is all of it there? ``check()`` says what to do if not."""

import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement

REQUIREMENTS = Path(__file__).parents[1] / "requirements.txt"
OLDEST = (3, 10)
FETCH = "git checkout -- helpers/data  (or unpack the archive anew)"


def check():
    """Print that the environment is sound, or one sentence for each thing that is wrong with it and how to mend it."""
    found = [sentence for part in (_python, _packages, _digits, _network) for sentence in part()]
    if found:
        print("\n".join(["The environment is not sound yet:", *(f"- {sentence}" for sentence in found)]))
    else:
        print("The environment is sound: Python, packages, digits and network are there, gradients are right.")


def _python():
    if sys.version_info < OLDEST:
        wanted = ".".join(map(str, OLDEST))
        yield f"This is Python {sys.version.split()[0]}; the course needs {wanted} or later. Make a new environment."


def _packages():
    """What requirements.txt asks for and this Python lacks, or has in another version."""
    wrong = []
    for line in REQUIREMENTS.read_text(encoding="utf-8").splitlines():
        try:
            wanted = Requirement(line.partition("#")[0].strip())
        except InvalidRequirement:  # an empty line, or -e .
            continue
        try:
            there = version(wanted.name)
        except PackageNotFoundError:
            wrong.append(f"{wanted.name} is missing")
            continue
        if not wanted.specifier.contains(there, prereleases=True):
            wrong.append(f"{wanted.name} is {there}, wanted is {wanted.specifier}")
    if wrong:
        yield (
            f"{'; '.join(wrong)}. Install into the Python that runs this notebook, which may not be the one of your "
            f'terminal, and restart the kernel:  "{sys.executable}" -m pip install -r requirements.txt'
        )


def _digits():
    from helpers.digits.mnist import read_idx

    try:
        images, labels = read_idx("test")
        whole = images.shape == (10_000, 784) and labels[:5].tolist() == [7, 2, 1, 0, 4]
    except (OSError, EOFError, ValueError):
        whole = False
    if not whole:
        yield f"The digits in helpers/data/mnist are missing or damaged. Fetch them again:  {FETCH}"


def _network():
    """A stored network must load, and torch's gradient of it must agree with a difference quotient."""
    try:
        import torch

        from helpers.digits.networks import load_network
    except ImportError as error:
        yield f"torch cannot be imported ({error}). Install it and restart the kernel; lessons 01 to 05 run without."
        return
    try:
        network = load_network("FC100-100-10").double()
    except Exception as error:  # a missing file, a cut download, a file that is no network: torch raises many kinds
        yield (f"The stored network FC100-100-10 does not load ({type(error).__name__}). Fetch it again:  {FETCH}")
        return
    x, h = torch.full((1, 784), 0.5, dtype=torch.float64, requires_grad=True), 1e-5
    (slope,) = torch.autograd.grad(network(x).square().sum(), x)
    step = h * torch.ones_like(x)
    difference = (network(x + step).square().sum() - network(x - step).square().sum()) / (2 * h)
    if not torch.isclose(slope.sum(), difference.detach(), rtol=1e-5):
        yield "torch computes wrong gradients on this machine. Install it again:  pip install --force-reinstall torch"
