"""The command line of the paper's room, and the page that shows its stored runs."""

import functools
import json
import runpy

import pytest
from notebook_tools import ROOT

from helpers.digits.mnist import load_mnist
from helpers.paper import __main__ as command
from helpers.paper import adversarial_training, attacks, robustness, units
from helpers.paper.training import Plan


@pytest.mark.parametrize(
    "words, sentence",
    [
        (["table6"], "invalid choice: 'table6'"),
        (["table2", "--images", "0"], "pass a number of images from 1 to 10000, or all; got '0'"),
        (["table2", "--images", "some"], "pass a number of images from 1 to 10000, or all; got 'some'"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_sentence(words, sentence, capsys):
    with pytest.raises(SystemExit) as refused:
        command.main(words)
    assert refused.value.code == 2 and sentence in capsys.readouterr().err


def test_results_made_otherwise_are_refused_in_one_sentence(tmp_path, capsys, monkeypatch):
    words = ["table4", "--images", "1", "--out", str(tmp_path)]
    command.main(words)
    said = capsys.readouterr().out
    assert said.startswith("\ntable4: python -m helpers.paper table4 --images 1, one process;") and "paper" in said
    assert json.loads((tmp_path / "tables3and4.json").read_text())["images"] == 1
    monkeypatch.setattr(attacks, "SETTINGS", {"paper": (3.0,), "sharpened": (1.0, 8.0, 64.0)})
    with pytest.raises(SystemExit):
        command.main(words)
    assert "delete it, or pass another --out." in capsys.readouterr().err


def test_ctrl_c_says_that_nothing_is_lost(tmp_path, capsys, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(units, "run", interrupted)
    with pytest.raises(SystemExit) as stopped:
        command.main(["units", "--out", str(tmp_path)])
    assert stopped.value.code == 130 and "the same command goes on from there" in capsys.readouterr().out


def test_adversarial_training_writes_its_report_and_finds_everything_there_again(tmp_path, capsys, monkeypatch):
    small = functools.partial(
        adversarial_training.adversarial_training,
        seeds=2,
        plan=Plan(epochs=1, pool=60, drawn=10, every=5, replaced=10),
        data={split: tuple(part[:300] for part in load_mnist(split)) for split in ("train", "test")},
        candidates=(),
    )
    methods = {name: adversarial_training.METHODS[name] for name in ("weight decay", "plain")}
    monkeypatch.setattr(adversarial_training, "METHODS", methods)
    monkeypatch.setattr(adversarial_training, "adversarial_training", small)
    monkeypatch.setattr(robustness, "IMAGES", 5)
    words, path = ["adversarial-training", "--out", str(tmp_path)], tmp_path / "adversarial_training.json"
    command.main(words)
    said, report = capsys.readouterr().out, json.loads(path.read_text())
    assert said.startswith("\nadversarial-training: python -m helpers.paper adversarial-training, 0.")
    assert adversarial_training.table(report) in said
    monkeypatch.setattr(adversarial_training, "train", None)  # nothing is trained again
    command.main(words)
    assert capsys.readouterr().out == said and json.loads(path.read_text()) == report


def test_the_figures_are_drawn(tmp_path, capsys):
    command.main(["figures1and2", "--out", str(tmp_path)])
    assert (tmp_path / "figures1and2.png").stat().st_size > 10_000 and "drawn in" in capsys.readouterr().out


def test_the_page_shows_the_stored_runs():
    page = runpy.run_path(str(ROOT / "docs" / "paper.py"))["page"]()
    assert (ROOT / "docs" / "paper.md").read_text(encoding="utf-8") == page
