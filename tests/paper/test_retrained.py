"""The network trained otherwise: it starts elsewhere, is trained once, and comes back with its pixels in place."""

import torch

from helpers import load_mnist
from helpers.digits import training
from helpers.digits.networks import error, untrained
from helpers.paper import attacks, retrained

DATA = tuple(part[:600] for part in attacks.digits("train")[:2])


def test_a_network_is_trained_once_and_then_read(tmp_path):
    first = retrained.trained("two passes", (2, 5.0, False), DATA, tmp_path)
    written = (tmp_path / "two-passes.pt").stat().st_mtime_ns
    again = retrained.trained("two passes", (2, 5.0, False), DATA, tmp_path)
    assert (tmp_path / "two-passes.pt").stat().st_mtime_ns == written
    assert not list(tmp_path.glob("*.checkpoint"))
    pairs = zip(first.parameters(), again.parameters(), strict=True)
    assert all(torch.equal(a, b) and not b.requires_grad for a, b in pairs)
    plain = untrained(retrained.NETWORK)
    training.train(plain, [5.0 * l for l in (1e-5, 1e-5, 1e-6)], DATA, tmp_path / "checkpoint", epochs=2)
    assert torch.equal(plain[0].weight, first[0].weight)


def test_another_start_is_another_network_of_the_same_pixels(tmp_path):
    same, other = (retrained.trained(name, (8, 5.0, name == "other"), DATA, tmp_path) for name in ("same", "other"))
    assert not torch.allclose(same[0].weight, other[0].weight, atol=0.1)
    assert error(other, *DATA) < 40  # on pixels in their own order, so they have been put back
    order = retrained.start_order(784)
    assert torch.equal(order.sort().values, torch.arange(784)) and (order == torch.arange(784)).sum() < 10
    start = untrained(retrained.NETWORK)
    training.first_weights(start[0], start[2], start[4])
    never = DATA[0].amax(0) == 0  # pixels without ink in any of the images: only the decay has moved their weights
    put, drawn = other[0].weight[:, order][:, never[order]], start[0].weight[:, never[order]]
    assert torch.nn.functional.cosine_similarity(put.flatten(), drawn.flatten(), dim=0) > 0.5  # 0.8; by chance 0.01


def test_the_stored_network_stands_in_table_2_as_it_is(tmp_path, monkeypatch):
    monkeypatch.setattr(retrained, "VARIANTS", {"another start": (1, 5.0, True)})
    small = {split: tuple(part[:300] for part in load_mnist(split)) for split in ("train", "test")}
    monkeypatch.setattr(retrained, "load_mnist", small.get)
    found = retrained.trainings(10, tmp_path)
    stored, other = found["all digits"].values()
    column = retrained.NETWORKS.index(retrained.NETWORK)
    assert stored["misleads"][column] == stored["misled by"][column] == stored["reached"] == 10
    assert stored["errors"]["train"] == 0 and len(other["misled by"]) == len(other["misleads"]) == 6
    halves = found["halves"]
    assert list(halves) == ["made for P1", "made for P2", "made for P2, another start"]
    assert halves["made for P1"]["P1"] == halves["made for P2"]["P2"] == 10
