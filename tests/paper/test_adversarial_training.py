"""The whole run of section 4.2 in small: the same numbers after a kill, and a table that says what they are."""

import json
import signal
import subprocess
import sys
import time
from dataclasses import asdict

import pytest
import torch
from notebook_tools import ROOT

from helpers.digits.mnist import load_mnist
from helpers.paper import adversarial_training, robustness
from helpers.paper.training import Plan

CANDIDATES = adversarial_training.CANDIDATES[-1:]
NAMES = "plain", "weight decay", "pool for the input", "pools for all three"
METHODS = {name: adversarial_training.METHODS[name] for name in NAMES}
PLAN = Plan(epochs=2, pool=60, drawn=10, every=5, replaced=10)
# The same run as a process of its own, which a test can kill.
SCRIPT = f"""
import sys
from pathlib import Path
from helpers.digits.mnist import load_mnist
from helpers.paper import adversarial_training, robustness, team
from helpers.paper.training import Plan
robustness.IMAGES = 10
adversarial_training.METHODS = {{name: adversarial_training.METHODS[name] for name in {NAMES}}}
parts = {{split: tuple(part[:800] for part in load_mnist(split)) for split in ("train", "test")}}
own = team.join()
candidates = adversarial_training.CANDIDATES[-1:]
adversarial_training.adversarial_training(Path(sys.argv[1]), 2, own, {PLAN}, parts, candidates)
own.leave()
"""


def small():
    return {split: tuple(part[:800] for part in load_mnist(split)) for split in ("train", "test")}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out, threads = tmp_path_factory.mktemp("run"), torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(robustness, "IMAGES", 10)
        patch.setattr(adversarial_training, "METHODS", METHODS)
        report = adversarial_training.adversarial_training(out, 2, plan=PLAN, data=small(), candidates=CANDIDATES)
    torch.set_num_threads(threads)
    return out, report


def numbers(out):
    """Everything in the folder of a run but its seconds."""
    found = {}
    for path in sorted(out.rglob("*.json")):
        content = json.loads(path.read_text())
        found[path.name] = {key: value for key, value in content.items() if key != "cpu seconds"}
    weights = {path.name: torch.load(path, weights_only=True) for path in sorted(out.glob("*.pt"))}
    return found, {name: torch.cat([w.flatten() for w in state.values()]) for name, state in weights.items()}


def assert_same(out, other):
    (found, weights), (theirs, their_weights) = numbers(out), numbers(other)
    assert found == theirs and weights.keys() == their_weights.keys()
    assert all(torch.equal(weights[name], their_weights[name]) for name in weights)


def test_every_method_and_seed_is_there(run):
    out, report = run
    assert list(report["trainings"]) == list(report["robustness"]) == list(METHODS)
    assert all([row["seed"] for row in rows] == [0, 1] for rows in report["trainings"].values())
    (candidate,) = report["held out"]
    assert candidate["pools"] == [0, 2, 4] and 0 < candidate["held out error"] <= 100
    assert not list(out.rglob("*.checkpoint")) and len(list(out.glob("*.pt"))) == 2 * len(METHODS)
    assert report == json.loads(json.dumps(report)) and report["hours of CPU"]["training"] >= 0


@pytest.mark.slow
def test_killed_three_times_and_started_again_it_gives_the_same_numbers(run, tmp_path):
    out, _ = run
    script, killed = tmp_path / "run.py", tmp_path / "killed"
    script.write_text(SCRIPT)
    command = [sys.executable, script, killed]
    # In the first pool's training, in the last one's, and between the attacks on the trained networks.
    moments = "pool for the input.0.checkpoint", "pools for all three.1.checkpoint", "plain.1.robustness.json"
    for name in moments:
        process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 300
        while not (killed / name).exists() and time.monotonic() < deadline:
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    assert not (killed / "pools for all three.1.robustness.json").exists()
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    assert_same(out, killed)


@pytest.mark.slow
def test_two_processes_give_the_same_numbers(run, tmp_path):
    out, _ = run
    script = tmp_path / "run.py"
    script.write_text(SCRIPT)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    subprocess.run([*torchrun, script, tmp_path / "team"], cwd=ROOT, check=True, capture_output=True)
    assert_same(out, tmp_path / "team")


def test_results_made_otherwise_are_refused(run):
    out, _ = run
    with pytest.raises(ValueError, match=r"plan was .* and is .*"):
        adversarial_training.adversarial_training(out, 1, data=small())


def test_an_interval_is_students():
    mean, half = adversarial_training.interval([1.0, 2.0, 3.0])
    assert mean == 2 and half == pytest.approx(4.303 / 3**0.5, rel=1e-3)  # from the tables, two degrees of freedom


def test_the_table_has_a_row_a_method_with_the_papers_figures(run):
    _, report = run
    lines = adversarial_training.table(report).splitlines()
    assert len(lines) == 2 + len(METHODS) and max(map(len, lines)) <= 95
    errors = [row["test error"] for row in report["trainings"]["weight decay"]]
    assert lines[3].startswith(f"weight decay             {sum(errors) / 2:.2f} ± ") and " 1.6% " in lines[3]
    change = [a["test error"] - b for a, b in zip(report["trainings"]["plain"], errors, strict=True)]
    assert f" {sum(change) / 2:+.2f} ± " in lines[2]


def test_the_methods_were_candidates():
    assert all(
        method in adversarial_training.CANDIDATES
        for name, method in adversarial_training.METHODS.items()
        if name != "plain"
    )


def test_the_stored_run_is_of_these_methods():
    report = adversarial_training.stored()
    methods = {name: adversarial_training._plain(method) for name, method in adversarial_training.METHODS.items()}
    assert report["methods"] == methods and report["plan"] == asdict(adversarial_training.PLAN)
    assert all([row["seed"] for row in rows] == [0, 1, 2, 3, 4] for rows in report["trainings"].values())
    assert report["command"] == "python -m helpers.paper adversarial-training"
    assert adversarial_training.run_line(report).startswith(f"{report['command']}, ")
