"""The stored run of section 3: what it says, that it goes on after an interruption, and that it is repeatable."""

import json

import numpy as np
import pytest
import torch

from helpers import load_mnist, load_network
from helpers.paper import archive, units
from helpers.paper import directions as d

FEW = {"images": 400, "draws": 12, "networks": ["FC100-100-10"]}


def without_clock(report):
    return {key: report[key] for key in ("settings", "of_images", "layers")}


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    folder = tmp_path_factory.mktemp("units")
    return folder, units.run(folder, **FEW)


def test_a_report_says_what_it_promises(small):
    folder, report = small
    assert json.loads((folder / "units.json").read_text()) == report
    assert set(report["layers"]) == {"FC100-100-10, hidden 1", "FC100-100-10, hidden 2"}
    assert report["command"] == "python -m helpers.paper units --images 400" and report["seconds"] > 0
    for layer in report["layers"].values():
        assert set(layer["kinds"]) == set(units.KINDS) - {"one place"}
        assert layer["shape"] == [100] and layer["dead"] == 0
        assert 1 < layer["axes_of_90_percent"] < layer["axes_of_99_percent"] < layer["axes"] <= 100
        for record in layer["kinds"].values():
            for k in map(str, units.SIZES):
                for name in units.MEASURES:
                    mean, low, high = record[k][name]
                    assert low <= mean <= high


def test_the_numbers_are_those_of_the_definitions(small):
    x, labels = (tensor[:400] for tensor in load_mnist("test"))
    network = load_network("FC100-100-10").double()
    phi = d.activations(network, x.double(), "hidden 2")
    top, _ = d.top_images(phi, d.random_directions(100, 12), 8)
    shown = [labels[row].bincount().max().item() / 8 for row in top]
    found = small[1]["layers"]["FC100-100-10, hidden 2"]["kinds"]["random"]["8"]["purity"]
    assert found[0] == pytest.approx(np.mean(shown), abs=1e-4)


def test_an_interrupted_run_goes_on_and_gives_the_same(small, tmp_path, monkeypatch):
    whole, calls = units.layer_record, []

    def interrupted(*args):
        calls.append(args)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return whole(*args)

    monkeypatch.setattr(units, "layer_record", interrupted)
    with pytest.raises(KeyboardInterrupt):
        units.run(tmp_path, **FEW)
    assert list(json.loads((tmp_path / "units.json").read_text())["layers"]) == ["FC100-100-10, hidden 1"]
    again = units.run(tmp_path, **FEW)
    assert len(calls) == 3  # the first layer was not done twice
    assert without_clock(again) == without_clock(small[1])
    units.run(tmp_path, **FEW)
    assert len(calls) == 3
    assert not list(tmp_path.glob("*.draft"))


def test_another_run_is_not_overwritten(small):
    with pytest.raises(ValueError, match="holds a run with"):
        units.run(small[0], images=401, draws=12, networks=["FC100-100-10"])


def test_the_table_prints_every_kind(small):
    text = units.table(small[1])
    for kind, name in (units.KINDS | units.OF_IMAGES | {"": "unit − random"}).items():
        assert (name in text) == (kind != "one place")
    assert "top 8 of 400 test images" in text and "top 32" in units.table(small[1], 32)
    assert len({len(line) for line in text.splitlines() if "directions v" in line or "e_i" in line}) == 1  # aligned


def test_with_two_measures_the_stored_table_fits_a_notebook():
    text = units.table(units.stored(), measures=("purity", "centred"))
    assert max(map(len, text.splitlines())) <= 95
    assert "label purity" in text and "cosine, mean removed" in text and " cosine  " not in text


def test_only_a_convolution_has_mixes_of_channels_at_one_place():
    first, _, last = d.hidden_layers(load_network("CNN"))
    assert units.kinds_of(first) == list(units.KINDS)
    assert units.kinds_of(last) == [kind for kind in units.KINDS if kind != "one place"]
    x, (network, raw) = load_mnist("test")[0][:60].double(), units.network_of("CNN")
    found = {kind: (phi, v) for kind, phi, v in units.kinds(network, raw, first.name, x, 40)}
    assert list(found) == units.kinds_of(first)
    (phi, unit), (same, mixed) = found["unit"], found["one place"]
    assert torch.equal(phi, same)
    at = [v.view(40, 16, 14 * 14).abs().sum(1) > 0 for v in (unit, mixed)]
    assert torch.equal(*at)  # the unit's own place, and no other


def test_an_interval_holds_the_mean_and_shrinks_with_the_sample():
    rng = np.random.default_rng(1)
    few, many = rng.normal(3, 1, 30), rng.normal(3, 1, 3000)
    mean, low, high = units.interval(few)
    assert low < mean < high and mean == pytest.approx(few.mean(), abs=1e-4)
    assert high - low == pytest.approx(2 * 1.96 * few.std() / 30**0.5, rel=0.15)
    assert np.ptp(units.interval(many)[1:]) < (high - low) / 5
    assert units.interval([]) is None and units.difference(few, []) is None
    assert units.interval(few) == units.interval(few)


def test_a_difference_holds_its_value_and_covers_zero_for_two_samples_of_one_kind():
    rng = np.random.default_rng(2)
    a, b = rng.normal(0, 1, (2, 400))
    value, low, high = units.difference(a, b)
    assert value == pytest.approx(a.mean() - b.mean(), abs=1e-4) and low < 0 < high
    assert high - low == pytest.approx(2 * 1.96 * (2 / 400) ** 0.5, rel=0.15)
    assert units.difference(a + 1, b)[1] > 0.8


def test_the_overlap_is_the_share_that_two_sets_have_in_common():
    top = torch.tensor([[0, 1, 2, 3], [2, 3, 4, 5], [6, 7, 8, 9]])
    assert units.overlap(top) == pytest.approx((2 + 0 + 0) / 3 / 4, abs=1e-5)
    assert units.overlap(top[:1]) is None


def test_some_units_are_different_ones_and_all_where_there_are_few():
    assert units.some_units(30, 500).tolist() == list(range(30))
    few = units.some_units(3000, 200)
    assert len(few.unique()) == 200 and few.max() > 2000 and torch.equal(few, units.some_units(3000, 200))


def test_a_network_of_a_half_can_be_named(monkeypatch):
    monkeypatch.setattr(units, "weights_path", lambda name, part: archive.KEPT)  # as if all were there
    assert {"FC100-100-10", "FC100-100-10 P1", "FC123-456-10 P1", "CNN"} <= set(units.available())
    assert not any(name.startswith("FC10(") for name in units.available())
    with pytest.raises(FileNotFoundError, match=r"FC200-200-10\.P2\.pt"):
        units.network_of("FC200-200-10 P2")


def test_the_stored_run_is_whole_and_its_numbers_can_be_measured_again():
    report = units.stored()
    assert report["settings"] == {"images": 10_000, "draws": units.DRAWS}
    assert {"FC100-100-10, hidden 2", "FC200-200-10, hidden 1", "AE400-10, hidden 1", "CNN, hidden 3"} <= set(
        report["layers"]
    )
    images, labels = load_mnist("test")
    network = load_network("CNN").double()
    phi = d.activations(network, images.double(), "hidden 3")
    for kind, v in (("random", d.random_directions(32, units.DRAWS)), ("unit", d.unit_directions(32, range(32)))):
        record, _ = units.measure(images.double(), labels, phi, v)
        there = report["layers"]["CNN, hidden 3"]["kinds"][kind]
        for k in map(str, units.SIZES):
            for name in units.MEASURES:  # a near tie may fall another way on another processor
                assert record[k][name] == pytest.approx(there[k][name], abs=0.003)
