"""The run that counts lesson 02's dangers: it measures what it says, goes on after an interruption, and is stored."""

import json
import signal

import pytest
import torch

from helpers import load_mnist, load_network
from helpers.benchmark import dangers


@pytest.fixture
def small(monkeypatch):
    """Few prices, so that a test is quick."""
    monkeypatch.setattr(dangers, "PRICES", 5)
    monkeypatch.setattr(dangers, "REFINE", 2)
    monkeypatch.setattr(dangers, "CHUNK", 2)
    monkeypatch.setattr(dangers, "TASKS", (("squared", 1.0), ("l2", 1.0)))


def digits(count):
    images, labels = load_mnist("test")
    return images[:count], (labels[:count] + 1) % 10


def test_a_record_says_what_happened_to_each_digit(small):
    network, (images, targets) = load_network(dangers.NETWORK), digits(2)
    record = dangers.dangers(network, images, targets, "squared", 1.0)
    assert set(record) == {"attack", "evaluations", "scan", "zero", "up", "down"}
    assert all(len(values) == 2 for values in record.values())
    for word in record["zero"] + record["up"] + record["down"]:
        assert len(word) == 5 and word[0] == "1" and word[-1] == "0"  # at a tenth of the price, at ten times the price
    for attack, scan in zip(record["attack"], record["scan"], strict=True):
        assert 0.9 < attack / scan < 1.02  # the bracket of this scan is wide
    assert set(dangers.dangers(network, images, targets, "l2", 1.0, scan=False)) == {"attack", "evaluations"}


def test_a_solve_goes_through_every_price_of_every_image(small, monkeypatch):
    monkeypatch.setattr(dangers, "ROWS", 3)
    network, (images, targets) = load_network(dangers.NETWORK), digits(2)
    c = torch.tensor([[0.01, 1000.0], [1000.0, 0.01]])
    x, success = dangers._solve((network, images, targets, "squared", 1.0), images, c)
    assert x.shape == (2, 2, 784) and success.tolist() == [[True, False], [False, True]]
    assert ((x >= 0) & (x <= 1)).all()
    assert torch.equal(network(x[0]).argmax(1) == targets[0], success[0])


def test_the_summary_counts_what_its_names_say():
    def record(**changes):
        words = ["1100", "1010", "1100"]
        found = {"attack": [1.0, 2.0, None], "evaluations": [3, 4, 5], "scan": [1.0, 1.9, 1.0], "zero": words}
        return {**found, "up": ["1110"] * 3, "down": ["1100"] * 3, **changes}

    measured = {("squared", 1.0): record(), ("l2", 64.0): record(attack=[1.0, 1.0, 1.0], scan=[None], zero=["1000"])}
    measured["l2", 64.0] |= {"up": ["1000"], "down": ["1000"]}
    plain, sharp = dangers.summary(measured)
    assert plain["images"] == 3 and plain["scanned"] == 3 and plain["attack_success"] == 2 and plain["evaluations"] == 4
    assert plain["not_monotone"] == {"zero": 1, "up": 0, "down": 0} and plain["examples"]["zero"] == [1]
    assert plain["up_succeeds_further"] == 3
    assert plain["attack_1_percent_longer"] == 1 and plain["scan_1_percent_longer"] == 0
    assert plain["attack_to_scan"]["greatest"] == pytest.approx(2 / 1.9)
    assert plain["to_plain"] == {"mean": 1, "least": 1, "greatest": 1}
    assert sharp["to_plain"]["mean"] == 0.75 and sharp["attack_to_scan"] is None and sharp["scanned"] == 1
    lines = dangers.table({"tasks": [plain, sharp]}).splitlines()
    assert len({len(line) for line in lines}) == 1 and "‖r‖, β = 64" in lines[0]


def test_an_interrupted_run_goes_on_where_it_was(small, monkeypatch, tmp_path, capsys):
    path, calls = tmp_path / "a.json", []

    def counted(network, images, targets, norm, beta, scan):
        calls.append(norm)
        if len(calls) == 2:
            signal.raise_signal(signal.SIGINT)
        n = len(images)
        words = {name: ["10"] * n for name in ("zero", "up", "down")}
        return {"attack": [1.0] * n, "evaluations": [7] * n, "scan": [1.0] * n, **words}

    monkeypatch.setattr(dangers, "dangers", counted)
    with pytest.raises(SystemExit):
        dangers.run(3, path)
    assert not path.exists() and len(json.loads((tmp_path / "a.part.json").read_text())["done"]) == 1
    report = dangers.run(3, path)
    assert len(calls) == 5  # four chunks, one of them twice
    assert "Going on from a.part.json" in capsys.readouterr().out
    assert not (tmp_path / "a.part.json").exists() and json.loads(path.read_text()) == report
    assert [task["images"] for task in report["tasks"]] == [3, 3]


def test_another_number_of_images_starts_afresh(small, monkeypatch, tmp_path):
    (tmp_path / "a.part.json").write_text(json.dumps({"images": 9, "seconds": 1.0, "done": {}}))
    report = dangers.run(2, tmp_path / "a.json")
    assert report["tasks"][0]["images"] == 2 and "--images 2" in report["command"]


def test_the_stored_run_is_over_a_thousand_digits():
    report = dangers.stored()
    assert report["command"] == "python -m helpers.benchmark.dangers --images 1000"
    assert {"machine", "date", "seconds"} <= set(report)
    assert [(task["norm"], task["beta"]) for task in report["tasks"]] == list(dangers.TASKS)
    for task in report["tasks"]:
        assert task["images"] == task["attack_success"] == 1000 and task["scanned"] in (100, 1000)


def test_bad_options(capsys):
    with pytest.raises(SystemExit):
        dangers.main(["--images", "0"])
    assert "--images" in capsys.readouterr().err
