"""The command: it runs, prints every contestant, and refuses bad options. No test here looks at a clock."""

import json
import subprocess
import sys

import pytest

from helpers.benchmark import __main__ as command_line
from helpers.benchmark import peers, solver
from helpers.benchmark.peers import SCIPY


def test_the_command_prints_every_contestant(tmp_path):
    options = ["--images", "3", "--threads", "1", "--json", tmp_path / "a.json"]
    command = [sys.executable, "-m", "helpers.benchmark", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    present, missing = peers.peers()
    for name in [*(peer.name for peer in present), *missing, *(problem.name for problem in solver.problems())]:
        assert name in done.stdout
    assert "it/s]" not in done.stdout and "turn" in done.stderr  # the bar does not mix with the tables
    report = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    assert [entry["attack"] for entry in report["attacks"]] == [peer.name for peer in present]
    assert all(entry["images"] == 3 and len(entry["ms_of_each_round"]) == 3 for entry in report["attacks"])
    assert not report["interrupted"]
    lbfgs = [entry for entry in report["attacks"] if "this attack" in entry["attack"] or entry["attack"] == SCIPY]
    assert len(lbfgs) == 3 and all(entry["success"] == 1 and entry["ratio"] < 1.03 for entry in lbfgs)


@pytest.mark.parametrize("arguments", [["--images", "0"], ["--threads", "0"], ["--device", "tpu"]])
def test_bad_options(arguments, capsys):
    with pytest.raises(SystemExit):
        command_line.parsed(arguments)
    assert arguments[0] in capsys.readouterr().err
