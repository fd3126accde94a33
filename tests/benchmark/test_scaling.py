"""Images a second: what is measured, in which turns, and that the stored run is the one that the page shows."""

import json

import pytest
from notebook_tools import ROOT

from helpers.benchmark import __main__ as command_line
from helpers.benchmark import scaling
from helpers.benchmark.report import headline
from helpers.benchmark.scaling import DTYPES, SCIPY, SIZES

MOST = 2e9  # bytes resident for 60,000 images


def test_a_turn_counts_images_calls_and_passes():
    one, many = (scaling.turn("float32", size, 0, "cpu") for size in (1, 10))
    assert one["images"] == many["images"] == 10 and min(one["seconds"], many["seconds"]) > 0
    assert one["passes"] < one["evaluations"] + 12  # a call has one image: its evaluations, and the looks at the door
    assert many["passes"] > one["passes"]  # it has as many as its slowest image
    assert many["evaluations"] == pytest.approx(one["evaluations"], rel=0.1)


def test_every_size_has_its_turns_and_the_largest_one():
    turns = list(scaling.plan(SIZES, 3))
    for name in DTYPES:
        starts = [start for who, size, start in turns if (who, size) == (name, 100)]
        assert starts == [0, 100, 200]  # other images each round
        assert [size for who, size, _ in turns if who == name and size == SIZES[-1]] == [10_000]
    assert sum(who == SCIPY for who, *_ in turns) == 3


def test_the_median_over_the_turns():
    def turn(seconds):
        return {"who": "float32", "size": 10, "images": 10, "seconds": seconds, "passes": 40, "evaluations": 30}

    loop = {"who": SCIPY, "size": 1, "images": 5, "seconds": 1.0, "evaluations": 200}
    turns = [turn(1.0), turn(9.0), loop, turn(0.5)]
    ours, theirs = scaling.summary(turns)
    assert ours["rate"] == 10 and ours["rates"] == [10, pytest.approx(10 / 9), 20] and ours["passes"] == 40
    assert theirs["rate"] == 5 and "passes" not in theirs
    assert "| 10 | 10 | 2 | – | – | 40 | 30.0 |" in scaling.table({"turns": turns})

    assert "| 10 | 10 | – | – | – | 40 | 30.0 |" in scaling.table({"turns": turns[:1]})  # before SciPy's turn


def test_the_command(tmp_path, capsys):
    path = tmp_path / "a.json"
    command_line.main(["scaling", "--largest", "3", "--rounds", "1", "--no-whole", "--json", str(path)])
    said, report = capsys.readouterr().out, json.loads(path.read_text(encoding="utf-8"))
    assert "SciPy's loop: " in said and "\n| 3 | " in said and "training images" not in said
    assert len(report["turns"]) == 5 and report["whole"] is None and not report["interrupted"]


def test_it_saves_as_it_goes_and_goes_on_from_there(tmp_path, capsys, monkeypatch):
    real, path, turns = scaling.turn, tmp_path / "a.json", []

    def interrupted_once(name, size, start, device):
        turns.append((name, size))
        if turns.count(("float32", 3)) == 1 and size == 3:
            raise KeyboardInterrupt
        return real(name, size, start, device)

    monkeypatch.setattr(scaling, "turn", interrupted_once)
    arguments = ["--rounds", "1", "--largest", "3", "--no-whole", "--json", str(path)]
    with pytest.raises(SystemExit, match="130"):
        scaling.main(arguments)
    left = json.loads(path.read_text(encoding="utf-8"))
    assert [one["who"] for one in left["turns"]] == [SCIPY, "float32", "float64"] and left["interrupted"]
    scaling.main(arguments)
    report = json.loads(path.read_text(encoding="utf-8"))
    assert report["turns"][:3] == left["turns"] and len(report["turns"]) == 5 and not report["interrupted"]
    assert turns.count(("float32", 1)) == 1


@pytest.mark.parametrize("arguments", [["--rounds", "0"], ["--largest", "0"], ["--device", "tpu"]])
def test_bad_options(arguments, capsys):
    with pytest.raises(SystemExit):
        scaling.main(arguments)
    assert arguments[0] in capsys.readouterr().err


def test_a_fresh_process_attacks_and_says_what_it_took(record_property):
    found = scaling.in_a_process_of_its_own(300)
    assert found["images"] == 300 and found["success"] == 1 and found["seconds"] > 0
    assert found["resident"] is None or 1e8 < found["resident"] < MOST


@pytest.mark.slow
def test_all_training_images_in_two_gigabytes(record_property):
    found = scaling.in_a_process_of_its_own()
    words = f"60,000 training images: {found['resident'] / 1e9:.2f} GB resident, {found['seconds']:.0f} s of one thread"
    record_property("measured", words)
    assert found["success"] > 0.999 and found["resident"] < MOST


def test_the_page_shows_the_stored_run_which_was_whole():
    report = scaling.stored()
    assert not report["interrupted"] and report["whole"]["images"] == 60_000
    assert {(one["who"], one["size"]) for one in report["turns"]} == {(SCIPY, 1)} | {
        (d, n) for d in DTYPES for n in SIZES
    }
    assert report["whole"]["resident"] < MOST
    page = (ROOT / "docs" / "benchmark.md").read_text(encoding="utf-8")
    for part in (scaling.table(report), scaling.sentence(report), headline(report)):
        assert part in page
