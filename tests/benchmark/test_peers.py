"""Who takes part: everybody who is installed, and a sentence for everybody who is not."""

import pytest
import torch

from helpers import load_mnist, load_network
from helpers.benchmark import peers


def test_what_is_missing_is_named_with_its_command(monkeypatch):
    monkeypatch.setattr(peers, "find_spec", lambda name: None)
    present, missing = peers.peers()
    assert len(present) == 5 and len(missing) == 2
    for package, command in (("botorch", "pip install botorch"), ("adv_lib", "pip install --no-deps adv-lib")):
        assert any(package in sentence and sentence.endswith(command) for sentence in missing)


def test_what_cannot_be_imported_is_named_too(monkeypatch):
    def broken():
        raise ImportError("no pyro")

    monkeypatch.setattr(peers, "find_spec", lambda name: object())
    monkeypatch.setattr(peers, "_botorch", broken)
    monkeypatch.setattr(peers, "_adversarial_library", list)
    assert any("botorch" in sentence and "no pyro" in sentence for sentence in peers.peers()[1])


def test_every_peer_that_is_installed_reaches_the_target_inside_the_box():
    network, (images, labels) = load_network("FC100-100-10"), (part[:2] for part in load_mnist("test"))
    for peer in peers.peers()[0]:
        found = peer.run(network, images, (labels + 1) % 10)
        assert found.adversarial.min() >= 0 and found.adversarial.max() <= 1, peer.name
        assert found.success.all() or peer.name.startswith("FGSM"), peer.name
        assert (found.evaluations >= 1).all(), peer.name


def test_ddns_own_rounding_ends_on_grey_levels():
    pytest.importorskip("adv_lib")
    network, (images, labels) = load_network("FC100-100-10"), (part[:2] for part in load_mnist("test"))
    images = (255 * images).round() / 255
    x = peers.rounding_ddn(50)(network, images, (labels + 1) % 10).adversarial
    assert ((255 * x) - (255 * x).round()).abs().max() < 1e-3
    assert not torch.equal(peers.curves()["DDN, 50 steps"][0](network, images, (labels + 1) % 10).adversarial, x)
