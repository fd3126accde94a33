"""A small run of the attacks behind tables 3 and 4."""

import pytest
import torch

from helpers.paper import attacks, team, transfer

COUNT = 30


@pytest.fixture(scope="session")
def halves_run(tmp_path_factory):
    """The folder of a run on 30 images in chunks of 20, and its report."""
    out, threads = tmp_path_factory.mktemp("run"), torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(attacks, "CHUNK", 20)
        attacks.attack_all(transfer.runs("halves"), COUNT, out, team.join())
        report = transfer.measured("halves", COUNT, out)
    torch.set_num_threads(threads)
    return out, report
