"""Bad input: each is refused with one sentence that says what was wrong."""

import pytest
import torch
from torch import nn

from helpers import attack, c_path


def network(inputs=4, classes=3, **options):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Linear(inputs, classes, **options).eval()


GOOD = {"network": network(), "images": torch.full((2, 4), 0.5), "targets": torch.tensor([0, 1])}


class ColumnOfLogits(nn.Module):
    def forward(self, x):
        return x.sum(1)


BAD_ATTACKS = {
    "an array": ({"images": [[0.5] * 4] * 2}, TypeError, r"images must be a tensor, got list"),
    "integers": ({"images": torch.ones(2, 4, dtype=torch.uint8)}, TypeError, r"floats in \[0, 1\], got torch.uint8"),
    "above 1": ({"images": torch.full((2, 4), 255.0)}, ValueError, r"must lie in \[0, 1\], got \[255, 255\]"),
    "below 0": ({"images": torch.full((2, 4), -0.1)}, ValueError, r"must lie in \[0, 1\], got \[-0.1, -0.1\]"),
    "infinite": ({"images": torch.full((2, 4), torch.inf)}, ValueError, r"must lie in \[0, 1\]"),
    "NaN": ({"images": torch.full((2, 4), torch.nan)}, ValueError, "images hold NaN"),
    "one image": ({"images": torch.full((4,), 0.5)}, ValueError, r"shape \(batch, ...\), got \(4,\); use image.unsq"),
    "wrong shape": ({"images": torch.full((2, 5), 0.5)}, ValueError, r"does not take images of shape \(5,\)"),
    "wrong dtype": (
        {"images": torch.full((2, 4), 0.5).double()},
        TypeError,
        "computes in torch.float32 and the images",
    ),
    "target too large": ({"targets": torch.tensor([0, 3])}, ValueError, "labels from 0 to 2, got 0 to 3"),
    "target negative": ({"targets": torch.tensor([-1, 2])}, ValueError, "labels from 0 to 2, got -1 to 2"),
    "targets of floats": ({"targets": torch.tensor([0.0, 1.0])}, TypeError, "torch.long.*got torch.float32"),
    "a list of targets": ({"targets": [0, 1]}, TypeError, "tensor of integer labels.*got list"),
    "one target": ({"targets": torch.tensor([0])}, ValueError, r"2 images but targets have shape \(1,\)"),
    "training mode": ({"network": network().train()}, ValueError, r"training mode.*call network.eval\(\)"),
    "no logits": ({"network": ColumnOfLogits().eval()}, ValueError, r"logits of shape \(batch, classes\), got \(1,\)"),
    "one class": ({"network": network(4, 1)}, ValueError, r"logits of shape \(batch, classes\), got \(1, 1\)"),
    "network elsewhere": ({"network": network(device="meta")}, ValueError, "the network is on meta and the images are"),
    "targets elsewhere": (
        {"targets": torch.zeros(2, dtype=torch.long, device="meta")},
        ValueError,
        "targets are on meta",
    ),
    "norm": ({"norm": "l1"}, ValueError, r'norm must be "squared".*got \'l1\''),
    "sharpness 0": ({"sharpness": 0}, ValueError, "sharpness must be a positive number.*got 0"),
    "sharpness -1": ({"sharpness": (-1, 2)}, ValueError, "sharpness must be a positive number"),
    "sharpness inf": ({"sharpness": float("inf")}, ValueError, "sharpness must be a positive number"),
    "sharpness NaN": ({"sharpness": float("nan")}, ValueError, "sharpness must be a positive number"),
    "no sharpness": ({"sharpness": ()}, ValueError, "sharpness must be a positive number"),
    "equal stages": ({"sharpness": (1, 8, 8)}, ValueError, r"schedule must increase, got \(1, 8, 8\)"),
    "falling stages": ({"sharpness": [8, 1]}, ValueError, "schedule must increase"),
    "max_batch 0": ({"max_batch": 0}, ValueError, "max_batch must be at least 1, got 0"),
}


@pytest.mark.parametrize("name", BAD_ATTACKS)
def test_attack_refuses(name):
    bad, error, message = BAD_ATTACKS[name]
    with pytest.raises(error, match=message):
        attack(**{**GOOD, **bad}, progress=False)


def test_attack_refuses_a_function_that_hides_a_module_in_training_mode():
    moody = torch.nn.Sequential(torch.nn.Dropout(0.5), GOOD["network"]).train()
    sociable = torch.nn.Sequential(GOOD["network"], torch.nn.BatchNorm1d(1)).train()
    images = torch.tensor([[0.1, 0.2, 0.3, 0.4], [0.9, 0.1, 0.2, 0.5]])
    for hidden in (moody, lambda x: sociable[1](sociable[0](x).unsqueeze(1)).squeeze(1)):
        with pytest.raises(ValueError, match=r"differently each time or in another batch.*call its eval\(\) first"):
            attack(**{**GOOD, "network": lambda x, hidden=hidden: hidden(x), "images": images}, progress=False)
    moody.eval()
    assert attack(**{**GOOD, "network": lambda x: moody(x)}, progress=False).success.shape == (2,)


def test_attack_takes_what_is_good_and_the_ends_of_the_box():
    assert attack(**GOOD, progress=False).success.shape == (2,)
    assert attack(GOOD["network"], torch.tensor([[0.0, 1, 1, 0]]), torch.tensor([2]), progress=False).success.shape == (
        1,
    )


BAD_PATHS = {
    "c = 0": ({"c": [0.0, 1.0]}, ValueError, "every c must be positive and finite"),
    "c < 0": ({"c": torch.tensor([-1.0])}, ValueError, "every c must be positive and finite"),
    "c infinite": ({"c": [1.0, float("inf")]}, ValueError, "every c must be positive and finite"),
    "c NaN": ({"c": [float("nan"), 1.0]}, ValueError, "every c must be positive and finite"),
    "target": ({"target": 3}, ValueError, "a label from 0 to 2, got 3"),
    "negative target": ({"target": -1}, ValueError, "a label from 0 to 2, got -1"),
    "integers": ({"image": torch.ones(4, dtype=torch.long)}, TypeError, "must be floats"),
    "outside": ({"image": torch.full((4,), 2.0)}, ValueError, r"must lie in \[0, 1\]"),
    "NaN": ({"image": torch.full((4,), torch.nan)}, ValueError, "hold NaN"),
    "two images": ({"image": torch.full((2, 4), 0.5)}, ValueError, "must return logits of shape"),
    "training mode": ({"network": network().train()}, ValueError, "training mode"),
    "norm": ({"norm": "max"}, ValueError, 'norm must be "squared"'),
    "sharpness": ({"sharpness": -2.0}, ValueError, "sharpness must be a positive number"),
}


@pytest.mark.parametrize("name", BAD_PATHS)
def test_c_path_refuses(name):
    bad, error, message = BAD_PATHS[name]
    good = {"network": GOOD["network"], "image": torch.full((4,), 0.5), "target": 1, "c": [0.1, 1.0]}
    with pytest.raises(error, match=message):
        c_path(**{**good, **bad})
