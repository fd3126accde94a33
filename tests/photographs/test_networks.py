"""The networks that name photographs: normalisation inside, and what is said where none is there."""

import pytest
import torch

from helpers import attack
from helpers.photographs import networks
from helpers.photographs.networks import Normalised
from helpers.photographs.pictures import NAMES, load_photographs


@pytest.fixture(scope="module")
def images():
    return load_photographs()[0]


def test_normalisation_is_the_first_step(images):
    whole = Normalised(torch.nn.Identity(), (0.5, 0.4, 0.3), (0.1, 0.2, 0.3), "nothing")
    assert torch.allclose(whole(images)[:, 1], (images[:, 1] - 0.4) / 0.2)
    assert whole.double()(images.double()).dtype == torch.float64 and not list(whole.parameters())


def test_the_small_network_knows_its_four_photographs(images):
    network = networks.load_small()
    p = network(images).softmax(1)
    assert p.argmax(1).tolist() == list(range(len(NAMES))) and p.amax(1).min() > 0.95
    assert not network.training and not any(w.requires_grad for w in network.parameters())
    network.network[0].weight.zero_()
    assert networks.load_small().network[0].weight.abs().sum() > 0, "two loads share their weights"


def test_the_small_network_can_be_attacked_at_full_size(images):
    target = torch.tensor([2])
    result = attack(networks.load_small(), images[:1], target, progress=False)
    assert result.success.all() and 0 <= result.adversarial.min() and result.adversarial.max() <= 1
    assert networks.load_small()(result.adversarial).argmax(1).tolist() == [2]


def test_the_labels_are_imagenets():
    labels = networks.labels()
    assert len(labels) == 1000 and labels[networks.OSTRICH] == "ostrich" and labels[967] == "espresso"


def test_without_a_network_the_message_says_what_to_do(offline, monkeypatch):
    monkeypatch.setattr(networks, "PACKAGES", ("no_such_package",))
    for download, why in ((False, r"is not in torch's cache\.$"), (True, "there is no way to")):
        with pytest.raises(FileNotFoundError, match=why) as absent:
            networks.load_imagenet(download=download)
        assert networks.INSTALL in str(absent.value) and "download=True" in str(absent.value)
    with pytest.raises(FileNotFoundError, match=f"^For EfficientNet-Lite0 .*{networks.INSTALL}"):
        networks.load_lite()


def test_a_file_that_only_bears_the_name_is_refused(offline):
    offline.mkdir(parents=True)
    torch.save({"features.0.weight": torch.ones(64, 3, 11, 11)}, offline / "alexnet-owt-7be5be79.pth")
    with pytest.raises(ValueError, match="is not torchvision's file: delete it"):
        networks.load_imagenet()


def test_alexnet_takes_its_weights_and_its_own_normalisation(images):
    """With weights of our own in place of a download: what comes out is what torchvision's own class computes."""
    torchvision = pytest.importorskip("torchvision")
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        alexnet = torchvision.models.alexnet().eval()
    network = networks._alexnet(alexnet.state_dict()).eval()
    standard = torchvision.transforms.Normalize(*networks.IMAGENET)
    with torch.no_grad():
        assert torch.allclose(network(images[:1]), alexnet(standard(images[:1])), atol=1e-5)
    assert network.name == networks.ALEXNET


def test_the_optional_network_names_the_photographs(images, offline):
    for package in networks.PACKAGES:
        pytest.importorskip(package)
    network, labels = networks.load_imagenet(), networks.labels()
    with torch.no_grad():
        said = [labels[k] for k in network(images).argmax(1)]
    assert network.name == networks.load_lite().name == networks.LITE
    assert said[1] == "espresso" and "cat" in said[0] and said[2] == "missile"
