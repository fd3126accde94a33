"""Who is misled: what is shown to the networks, and that the counts are counts."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from helpers import load_mnist, load_network
from helpers.adversarial.result import result_of
from helpers.baselines.noise import noisy
from helpers.paper import attacks, transfer


def rms(r):
    return r.square().mean(1).sqrt()


def changed(seed, scale):
    """Three images, and a result that changes the first two of them."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand(3, 50, generator=generator, dtype=torch.float64)
    other = (images + scale * torch.randn(3, 50, generator=generator, dtype=torch.float64)).clamp(0, 1)
    return images, result_of(images, other, torch.zeros(3).long(), torch.tensor([True, True, False]))


@given(seed=st.integers(0, 10**6), scale=st.floats(0.001, 0.5))
def test_what_is_shown(seed, scale):
    images, result = changed(seed, scale)
    shown = transfer.variants(images, result, seed)
    r = {name: picture - images for name, picture in shown.items()}
    assert torch.equal(shown["found"], result.adversarial)
    for name in set(shown) - {"amplified, not clipped", "as printed"}:
        assert shown[name].min() >= 0 and shown[name].max() <= 1, name
    assert torch.allclose(rms(r["amplified, not clipped"])[:2], torch.tensor(0.1, dtype=torch.float64))
    assert torch.allclose(r["as printed"].norm(dim=1)[:2], torch.tensor(0.1, dtype=torch.float64))
    direction = torch.nn.functional.cosine_similarity(r["amplified, not clipped"], r["found"], dim=1)
    assert torch.allclose(direction[:2], torch.ones(2, dtype=torch.float64))
    assert torch.equal(shown["amplified"], shown["amplified, not clipped"].clamp(0, 1))
    assert torch.allclose(shown["5/3 as long"], (images + 5 / 3 * r["found"]).clamp(0, 1))
    for control, like in (("noise of its length", "found"), ("noise of the amplified length", "amplified")):
        assert torch.allclose(rms(r[control]), rms(r[like]), atol=1e-9)
        assert not torch.allclose(r[control][:2], r[like][:2], atol=1e-3 * scale)
    assert all(torch.equal(picture[2], images[2]) for picture in shown.values())  # where nothing was found


def test_the_counts_are_those_of_a_plain_loop(halves_run):
    out, report = halves_run
    images, labels = (part[:30] for part in load_mnist("test"))
    names = report["networks"]
    assert report["images"] == 30 and report["split"] == "test" and names[1] == "FC123-456-10 P1"
    networks = [load_network(name[:-3], part=name[-2:]) for name in names]
    for j, network in enumerate(networks):
        assert report["clean"][j] == sum(
            int(network(x[None]).argmax()) != y for x, y in zip(images, labels, strict=True)
        )
    for setting, rows in report["made for"].items():
        for i, name in enumerate(names):
            run = attacks.Run(name, setting, "test")
            archive = run.archive(out, "cpu")
            made = torch.cat([attacks.found(run, chunk, archive).adversarial for chunk in ((0, 20), (20, 30))])
            row = rows[name]
            for j, network in enumerate(networks):
                said = torch.cat([network(x[None]).argmax(1) for x in made])
                # one image may stand on a border that rounding moves
                assert abs(row["wrong"]["found"][j] - int((said != labels).sum())) <= 1
            assert row["wrong"]["found"][i] == row["reached"] == 30
            assert row["distortion"]["mean"] == pytest.approx(rms(made - images).mean().item(), rel=1e-4)


def test_the_sharpened_changes_are_shorter(halves_run):
    rows = halves_run[1]["made for"]
    for name in rows["paper"]:
        plain, sharp = (rows[setting][name]["distortion"]["mean"] for setting in ("paper", "sharpened"))
        assert 0.9 * plain < sharp < plain


def test_errors_are_over_the_whole_splits(halves_run):
    found = halves_run[1]["errors"]["FC100-100-10 P2"]
    assert list(found) == ["P1", "P2", "test"] and found["P2"] == 0 and 2 < found["P1"] < 4


def test_noise_is_counted_clipped_and_not(halves_run):
    found = halves_run[1]["noise"]["0.1"]
    images = attacks.digits("test")[0][:30]
    clipped = noisy(images, stddev=0.1, seed=attacks.SEED)
    assert found["distortion"]["mean"] == pytest.approx(rms(clipped - images).mean().item(), rel=1e-5)
    assert found["distortion"]["mean"] < 0.08 and len(found["clipped"]) == len(found["not clipped"]) == 3
