"""One process alone; several are tested with a whole run, in test_attacks.py."""

import pytest
import torch

from helpers.paper import team


def test_one_process_is_first_and_hears_itself():
    own = team.join()
    assert own.first and own.size == 1 and own.device == "cpu"
    assert own.told([1, 2]) == [1, 2] and own.gathered("x") == ["x"]
    own.leave()
    assert not torch.distributed.is_initialized()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_device_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match=r"torch sees no CUDA device here; leave --device out\."):
        team.join("cuda")
