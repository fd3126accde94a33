"""The experiments are saved one by one, never done twice, and printed."""

import json

import pytest
import torch

from helpers.paper import differences
from helpers.paper.archive import stored


@pytest.fixture
def few(monkeypatch):
    """Only three of the experiments, without the trainings."""
    chosen = {name: differences.EXPERIMENTS[name] for name in ("objective", "longer", "noise")}
    monkeypatch.setattr(differences, "EXPERIMENTS", chosen)
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def without_seconds(report):
    return {key: value for key, value in report.items() if key not in ("seconds", "run")}


def test_what_is_done_is_not_done_again(few, tmp_path, monkeypatch):
    whole = differences.differences(8, tmp_path)
    path = tmp_path / differences.FILE
    assert json.loads(path.read_text(encoding="utf-8")) == whole
    assert set(whole["seconds"]) == {"objective", "longer", "noise"} and whole["images"] == 8
    half = {**whole, "seconds": {"objective": whole["seconds"]["objective"]}}
    del half["longer"], half["noise"]
    path.write_text(json.dumps(half), encoding="utf-8")

    def never(*_):
        raise AssertionError("it was done already")

    monkeypatch.setitem(differences.EXPERIMENTS, "objective", never)
    assert without_seconds(differences.differences(8, tmp_path)) == without_seconds(whole)


def test_ctrl_c_keeps_what_was_done(few, tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setitem(differences.EXPERIMENTS, "longer", interrupted)
    with pytest.raises(KeyboardInterrupt):
        differences.differences(8, tmp_path)
    saved = json.loads((tmp_path / differences.FILE).read_text(encoding="utf-8"))
    assert set(saved["seconds"]) == {"objective"} and "longer" not in saved


def test_another_number_of_images_is_refused(few, tmp_path):
    (tmp_path / differences.FILE).write_text(json.dumps({"images": 9}), encoding="utf-8")
    with pytest.raises(ValueError, match="about 9 images"):
        differences.differences(8, tmp_path)


def test_the_stored_run_prints_every_experiment():
    report = stored(differences.FILE)
    text = differences.table(report)
    assert report["images"] == 1000 and set(report["seconds"]) == set(differences.EXPERIMENTS)
    for words in (
        "l2, sharpened",
        "farthest",
        "c / 2, 10 iterations",
        "FC10(1)",
        "clipped, without its mean",
        "5 passes",
    ):
        assert words in text
    assert max(map(len, text.splitlines())) < 250
