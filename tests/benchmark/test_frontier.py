"""Quality against passes: measured once, gone on with, and put over the best known."""

import json
from pathlib import Path

import pytest

from helpers.benchmark import __main__ as command_line
from helpers.benchmark import frontier, peers

ROOT = Path(__file__).parents[2]


@pytest.fixture
def few(monkeypatch):
    """The frontier with two contestants."""
    monkeypatch.setattr(peers, "curves", dict)
    for name in list(frontier.OURS)[2:]:
        monkeypatch.delitem(frontier.OURS, name)


def run(path, images="4"):
    command_line.main(["frontier", "--images", images, "--networks", "FC10(1e-4)", "--json", str(path)])


def test_a_run_is_kept_and_gone_on_with(few, tmp_path, capsys, monkeypatch):
    path = tmp_path / "frontier.json"
    run(path)
    report = json.loads(path.read_text(encoding="utf-8"))
    assert report["command"] == "python -m helpers.benchmark frontier --images 4"
    found = report["networks"]["FC10(1e-4)"]
    assert list(found) == ["this attack, β = 1", "this attack, β = 1, 8, 64"]
    assert all(len(entry["norms"]) == 4 and entry["passes"] > 10 for entry in found.values())
    assert "| this attack, β = 1, 8, 64 | 4 |" in capsys.readouterr().out

    first, second = found
    kept = report["networks"]["FC10(1e-4)"].pop(second)
    path.write_text(json.dumps(report), encoding="utf-8")
    begun = []
    monkeypatch.setattr(frontier, "measured", lambda contestant, *task: begun.append(contestant) or kept)
    run(path)
    assert len(begun) == 1
    assert json.loads(path.read_text(encoding="utf-8"))["networks"]["FC10(1e-4)"][first] == found[first]


def test_a_file_of_another_run_is_left_alone(few, tmp_path, capsys):
    path = tmp_path / "frontier.json"
    path.write_text(json.dumps({"images": 7, "machine": "another", "networks": {}}), encoding="utf-8")
    with pytest.raises(SystemExit):
        run(path)
    assert "holds a run with other images" in capsys.readouterr().err


def test_the_ratio_is_over_the_least_of_all_and_a_failure_is_infinite():
    found = {"a": {"norms": [1.0, 2.0, None]}, "b": {"norms": [2.0, 1.0, 3.0]}, "few": {"norms": [1.5]}}
    ratios = frontier.ratios(found)
    assert ratios["a"] == float("inf") and ratios["b"] == pytest.approx(4 / 3) and ratios["few"] == 1.5


def test_no_images(capsys):
    with pytest.raises(SystemExit):
        command_line.main(["frontier", "--images", "0"])
    assert "--images must be from 1 to 4000" in capsys.readouterr().err


def test_the_page_shows_the_stored_run():
    report = frontier.stored()
    page = (ROOT / "docs" / "frontier.md").read_text(encoding="utf-8")
    assert frontier.table(report) in page and frontier.headline(report) in page
    assert (ROOT / "docs" / "frontier.png").exists()


@pytest.mark.parametrize("network", ["FC100-100-10", "FC200-200-10", "CNN"])
def test_the_stored_run_is_ahead_at_every_budget(network):
    """Passes do not depend on the machine: what the documentation says of effort is held to the stored run."""
    of = {e["attack"]: e for e in frontier.entries(frontier.stored()) if e["network"] == network}
    for effort, passes in (("quick", 110), ("thorough", 250), ("exhaustive", 1000)):
        assert of[f"this attack, {effort}"]["passes"] <= passes
    assert of["this attack, quick"]["ratio"] < of["DDN, 1000 steps"]["ratio"]
    assert of["this attack, thorough"]["ratio"] < of["PDGD, 1000 steps"]["ratio"] + (0.001 if network == "CNN" else 0)
    assert of["this attack, exhaustive"]["ratio"] == min(entry["ratio"] for entry in of.values())


def test_the_readme_quotes_the_stored_run():
    of = {}
    for entry in frontier.entries(frontier.stored()):
        of.setdefault(entry["attack"], []).append(entry)
    words = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    for effort, shape in (
        ("quick", "({} to {} passes of the"),
        ("thorough", "({} to {} passes)"),
        ("exhaustive", "({} to {})"),
    ):
        passes = [round(entry["passes"]) for entry in of[f"this attack, {effort}"]]
        assert f"*{effort}* " + shape.format(min(passes), max(passes)) in words
    for effort, other in (("quick", "DDN, 1000 steps"), ("thorough", "PDGD, 1000 steps")):
        pairs = zip(of[f"this attack, {effort}"], of[other], strict=True)
        assert all(own["ratio"] < theirs["ratio"] for own, theirs in pairs)
    for own in of["this attack, exhaustive"]:
        rest = [entry["ratio"] for entries in of.values() for entry in entries if entry["network"] == own["network"]]
        assert own["ratio"] <= min(rest) + 1e-4
