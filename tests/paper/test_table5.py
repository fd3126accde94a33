"""Table 5: the stored run, one layer's arithmetic, and what is said where the trained weights are not to be had."""

import json
import math

import pytest
import torch

from helpers.paper import spectral, table5


def test_the_stored_run_has_every_layer_and_says_how_it_was_made():
    report = table5.stored()
    assert list(report["initial"]) == list(table5.PAPER)
    assert report["command"] == "python -m helpers.paper table5"
    assert report["seconds"] > 0 and report["date"] and "cores" in report["machine"]
    for name, (shape, *_) in table5.PAPER.items():
        assert report["initial"][name]["shape"] == list(shape)
    assert {name: row["shape"] for name, row in report["grouped"].items()} == {
        "conv2": [256, 48, 5, 5],  # as in Krizhevsky, Sutskever & Hinton (2012)
        "conv4": [384, 192, 3, 3],
        "conv5": [256, 192, 3, 3],
    }
    assert bool(report["message"]) == (not report["trained"])


@pytest.mark.parametrize("name", ["conv1", "fc3"])
def test_the_stored_norms_are_those_of_the_initial_weights(name):
    """The two layers that take seconds."""
    found = table5.norm(name, table5.initial(name))
    assert found == pytest.approx(table5.stored()["initial"][name]["norm"], rel=1e-6)


def test_random_matrices_have_the_norm_that_the_theory_of_random_matrices_gives():
    """deviation · (√m + √n), up to a relative error that vanishes with the size (Bai & Yin 1993)."""
    for name in ("fc1", "fc2", "fc3"):
        m, n = table5.PAPER[name][0]
        expected = table5.DEVIATION * (math.sqrt(m) + math.sqrt(n))
        assert table5.stored()["initial"][name]["norm"] == pytest.approx(expected, rel=0.01)


def test_the_norm_of_a_convolution_is_the_bound_on_its_torus():
    weight = torch.randn(2, 3, 11, 11, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    assert table5.norm("conv1", weight) == pytest.approx(spectral.circular_norm(weight, (228, 228), 4), rel=1e-12)


def test_with_groups_the_norm_is_the_largest_of_theirs():
    weight = torch.randn(4, 3, 5, 5, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    weight[2:] *= 2
    each = [spectral.circular_norm(part, (29, 29)) for part in (weight[:2], weight[2:])]
    assert table5.norm("conv2", weight, groups=2) == pytest.approx(each[1], rel=1e-12) and each[0] < each[1]


def test_two_groups_of_random_numbers_amplify_less_than_one():
    """Each has half the inputs and half the outputs: about 1/√2 of the norm."""
    report = table5.stored()
    for name, row in report["grouped"].items():
        assert row["norm"] / report["initial"][name]["norm"] == pytest.approx(2**-0.5, abs=0.02)


def test_without_a_network_the_message_says_what_to_do(offline):
    with pytest.raises(FileNotFoundError, match=r"not in torch's cache.*run python -m helpers\.paper table5 again"):
        table5.trained_weights()


def test_a_file_that_only_bears_the_name_is_refused(offline):
    offline.mkdir(parents=True)
    torch.save({"features.0.weight": torch.ones(64, 3, 11, 11)}, offline / "alexnet-owt-7be5be79.pth")
    with pytest.raises(ValueError, match="is not torchvision's file: delete it"):
        table5.trained_weights()


def test_a_run_goes_on_where_it_was_and_leaves_the_trained_column_empty(offline, tmp_path, monkeypatch):
    out = tmp_path / "table5.json"
    small = {"conv5": table5.PAPER["conv5"], "fc3": table5.PAPER["fc3"]}
    small["conv5"] = ((2, 2, 3, 3), *small["conv5"][1:])
    monkeypatch.setattr(table5, "PAPER", small)
    whole = table5.table5(tmp_path)
    assert json.loads(out.read_text()) == whole and not list(tmp_path.glob("*.draft"))
    cut = json.loads(out.read_text())
    cut["initial"] = {"conv5": {"shape": [2, 2, 3, 3], "norm": -1.0}}  # a value that only the file can know
    out.write_text(json.dumps(cut))
    again = table5.table5(tmp_path)
    assert again["initial"]["conv5"]["norm"] == -1 and again["initial"]["fc3"] == whole["initial"]["fc3"]
    assert list(whole["grouped"]) == ["conv5"] and whole["grouped"]["conv5"]["shape"] == [2, 1, 3, 3]
    norm = f"{whole['initial']['fc3']['norm']:.2f}"
    shown = table5.table(whole)
    assert f"| fc3 | 1000×4096 | 4 | {norm} | {norm} |\n" in shown and table5.ABSENT in shown
    assert "not to be had" in whole["message"] and "not to be had" not in shown


def test_trained_weights_of_other_widths_have_columns_of_their_own():
    trained = {"conv1": {"shape": [64, 3, 11, 11], "norm": 1.5}}
    shown = table5.table({"initial": {}, "grouped": {}, "trained": trained, "message": None})
    assert "| conv1 | 96×3×11×11 | 2.75 | – | – | 1.50 | 64×3×11×11 |" in shown
    assert "| product |  | 7.93e+05 | – | – | – |  |" in shown and table5.ABSENT not in shown


def test_the_stored_table_fits_a_notebook_and_says_what_it_lacks():
    text = table5.text(table5.stored())
    assert max(map(len, text.splitlines())) <= 95 and " ".join(text.split()).endswith(table5.ABSENT)
    assert ["conv1", "96×3×11×11", "2.75", "0.47", "0.47"] in [line.split() for line in text.splitlines()]
    empty = table5.text({"initial": {}, "grouped": {}, "trained": {}, "message": None})
    assert "product" in empty and "conv2 256×96×5×5 10 – –" in " ".join(empty.split())


def test_the_names_of_torchvisions_layers_are_right():
    torchvision = pytest.importorskip("torchvision")
    with torch.device("meta"):
        weights = torchvision.models.alexnet().state_dict()
    shapes = {name: tuple(weights[f"{key}.weight"].shape) for name, key in table5.TRAINED.items()}
    assert list(shapes) == list(table5.PAPER)
    assert shapes["conv1"] == (64, 3, 11, 11) and shapes["conv5"] == (256, 256, 3, 3)
    assert all(shapes[name] == table5.PAPER[name][0] for name in ("fc1", "fc2", "fc3"))
