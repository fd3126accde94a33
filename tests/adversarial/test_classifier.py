"""The network as an attack meets it: rows of pixels, the slack, the size of a batch."""

import pytest
import torch
from strange_networks import Counting, Uneven, photographic
from torch import nn

from helpers.adversarial import classifier as module
from helpers.adversarial.classifier import Classifier, out_of_memory
from helpers.adversarial.objective import NO_SLACK


@pytest.mark.parametrize("amount", [0.0, 1e-4, 3e-4])
def test_the_slack_is_twice_how_far_logits_move(amount, network, digits):
    met = Classifier(Uneven(network, amount), digits[0], max_batch=50)
    assert met.classes == 10 and met.at_once == 50
    assert 2 * amount <= met.slack.moved <= 4 * amount + 1e-4


def test_what_is_no_number_does_not_count_for_the_slack(network, digits):
    images = digits[0][:6].clone()
    images[0, 0] = 1
    assert Classifier(lambda x: torch.where(x[:, :1] == 1, torch.nan, network(x)), images).slack.moved < 1e-3


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16])
def test_rows_are_shown_in_the_shape_dtype_and_format_of_the_images(dtype):
    images = torch.rand(3, 3, 8, 8).to(dtype, memory_format=torch.channels_last)
    shown = []

    def network(x):
        shown.append((x.shape[1:], x.dtype, x.is_contiguous(memory_format=torch.channels_last)))
        return x.flatten(1)[:, :4]

    met = Classifier(network, images)
    rows = images.flatten(1).to(met.working)
    assert met.working == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert torch.equal(met.pictures(rows), images) and met(rows).dtype == met.working
    assert set(shown) == {((3, 8, 8), dtype, True)}


def test_the_activations_of_one_image_are_measured_and_the_weights_are_not():
    images = torch.rand(4, 20)
    network = nn.Sequential(nn.Linear(20, 1000), nn.Sigmoid(), nn.Linear(1000, 3)).requires_grad_(False)
    assert Classifier(network, images)._activations(images) == 1000 * 4  # sigmoid keeps what it returns
    network.requires_grad_(True)
    assert Classifier(network, images)._activations(images) == (20 + 1000) * 4


def test_a_network_with_large_activations_gets_small_batches(monkeypatch):
    images = torch.rand(6, 20)
    narrow, wide = (nn.Sequential(nn.Linear(20, k), nn.Sigmoid(), nn.Linear(k, 3)) for k in (10, 10000))
    for p in (*narrow.parameters(), *wide.parameters()):
        p.requires_grad_(False)
    monkeypatch.setattr(module, "BYTES", {"cpu": 2.5 * (module.VECTORS * 20 * 4 + 10000 * 4)})
    assert Classifier(wide, images).at_once == 2 and Classifier(narrow, images).at_once > 10
    assert Classifier(wide, images, max_batch=5).at_once == 5


@pytest.mark.parametrize("max_batch", [1, 2, 5])
def test_the_door_keeps_max_batch_and_counts(max_batch):
    counting = Counting(photographic())
    images = torch.rand(5, 3, 64, 64)
    met = Classifier(counting, images, max_batch)
    assert counting.largest <= max_batch and met.forwards.sum() == counting.rows


def test_no_images_and_networks_that_return_something_else():
    assert Classifier(nn.Linear(4, 3), torch.zeros(0, 4)).slack == NO_SLACK
    with pytest.raises(ValueError, match="must return logits"):
        Classifier(lambda x: x.sum(1), torch.rand(2, 4))
    with pytest.raises(ValueError, match="does not take images of shape"):
        Classifier(nn.Linear(5, 3), torch.rand(2, 4))


def test_half_as_many_after_an_error_of_memory_alone():
    met = Classifier(nn.Linear(4, 3), torch.rand(2, 4), max_batch=9)
    error = RuntimeError("CUDA error: out of memory")
    with pytest.warns(UserWarning, match="out of memory with 6 images at once; going on with 3"):
        met.halve(error, 6)
    with pytest.raises(RuntimeError, match="mat1"):
        met.halve(RuntimeError("mat1 and mat2"), 6)
    with pytest.raises(RuntimeError, match="CUDA"):
        met.halve(error, 1)
    assert met.at_once == 3 and out_of_memory(MemoryError()) and not out_of_memory(RuntimeError("shape"))
