"""The benchmark: what it measures is right, and it runs. No test here looks at a clock."""

import json
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch
from notebook_tools import ROOT

from helpers import AttackResult, benchmark, load_mnist, load_network
from helpers.benchmark import __main__ as command_line
from helpers.benchmark import attacks, peers, solver
from helpers.benchmark.measure import Interrupt, Scores, Turn, markdown
from helpers.benchmark.peers import SCIPY, Peer
from helpers.benchmark.report import headline


def result(norm, success):
    """An AttackResult whose perturbations are as long as ``norm`` says."""
    norm, success = torch.tensor(norm), torch.tensor(success)
    r = torch.zeros(len(norm), 4)
    r[:, 0] = torch.where(success, norm, 0.0)
    ones = torch.ones(len(norm), dtype=torch.long)
    return AttackResult(r + 0.5, r, ones, norm, norm / 2, success, 7 * ones, 0 * ones, ("",) * len(norm))


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


def test_the_page_shows_the_stored_run_which_was_whole():
    report = benchmark.stored()
    assert report["missing"] == [] and not report["interrupted"] and "--images 1000" in report["command"]
    page = (ROOT / "docs" / "benchmark.md").read_text(encoding="utf-8")
    assert benchmark.tables(report) in page and headline(report) in page


def test_what_is_missing_is_named_with_its_command(monkeypatch):
    monkeypatch.setattr(peers, "find_spec", lambda name: None)
    present, missing = peers.peers()
    assert len(present) == 5 and len(missing) == 2
    for package, command in (("botorch", "pip install botorch"), ("adv_lib", "pip install --no-deps adv-lib")):
        assert any(package in sentence and sentence.endswith(command) for sentence in missing)


def test_what_cannot_be_imported_is_named_too(monkeypatch):
    def broken():
        raise ImportError("no pyro")

    monkeypatch.setattr(peers, "find_spec", lambda name: object())
    monkeypatch.setattr(peers, "_botorch", broken)
    monkeypatch.setattr(peers, "_adversarial_library", list)
    assert any("botorch" in sentence and "no pyro" in sentence for sentence in peers.peers()[1])


def test_every_peer_that_is_installed_reaches_the_target_inside_the_box():
    network, (images, labels) = load_network("FC100-100-10"), (part[:2] for part in load_mnist("test"))
    for peer in peers.peers()[0]:
        found = peer.run(network, images, (labels + 1) % 10)
        assert found.adversarial.min() >= 0 and found.adversarial.max() <= 1, peer.name
        assert found.success.all() or peer.name.startswith("FGSM"), peer.name
        assert (found.evaluations >= 1).all(), peer.name


def test_in_turns_every_image_meets_every_peer(monkeypatch):
    images, targets = torch.rand(7, 4), torch.arange(7)
    seen = {"quick": [], "slow": []}

    def run(name):
        def attack(network, x, t):
            assert torch.equal(x, images[t])
            seen[name].append(t.tolist())
            return torch.get_num_threads()

        return attack

    monkeypatch.setattr(attacks, "_found", lambda threads: {"threads": threads})

    before = torch.get_num_threads()
    contestants = [Peer("quick", run("quick")), Peer("slow", run("slow"), quick=False, threads=1)]
    turns = list(attacks.turns(contestants, None, images, targets, rounds=3, threads=2))
    assert [(turn.who, turn.round) for turn in turns] == [(n, t) for t in (1, 2, 3) for n in ("quick", "slow")]
    assert seen["quick"][1:] == [list(range(7))] * 3 and [i for share in seen["slow"][1:] for i in share] == list(
        range(7)
    )
    assert [turn.found["threads"] for turn in turns] == [2, 1] * 3
    assert torch.get_num_threads() == before


def turn_of(who, number, rows, found, seconds):
    return Turn(attacks.TASK, who, number, torch.tensor(rows), attacks._found(found), seconds)


def test_the_scores_of_the_attacks_are_what_their_names_say():
    scores = Scores()
    scores.add(turn_of(SCIPY, 1, [0, 1], result([1.0, 2.0], [True, True]), 0.2))
    scores.add(turn_of(SCIPY, 2, [2, 3], result([4.0, 1.0], [True, False]), 0.6))
    for number, seconds in ((1, 0.04), (2, 0.02)):
        scores.add(turn_of("ours", number, [0, 1, 2, 3], result([2.0, 1.0, 2.0, 5.0], [True] * 4), seconds))
    scipy, ours = entries = attacks.summary(scores)
    assert (scipy["success"], ours["success"]) == (0.75, 1)
    assert scipy["ratio"] == pytest.approx((1 + 2 + 2) / 3)  # the failure is left out
    assert ours["ratio"] == pytest.approx((2 + 1 + 1 + 1) / 4)
    assert scipy["ms"] == pytest.approx(200) and ours["ms"] == pytest.approx(7.5)
    assert ours["times_as_fast"] == pytest.approx((100 / 10 + 300 / 5) / 2)  # each round against itself
    assert scipy["mean_distortion"] == pytest.approx((1 + 2 + 4) / 3 / 2) and ours["evaluations"] == 7
    assert attacks.table(entries).count("\n") == 3
    assert attacks.summary(Scores()) == []


def test_an_attack_that_never_succeeds_has_no_ratio():
    scores = Scores()
    scores.add(turn_of("none", 1, [0, 1], result([1.0, 1.0], [False, False]), 0.2))
    (entry,) = attacks.summary(scores)
    assert np.isnan(entry["ratio"]) and np.isnan(entry["mean_distortion"]) and entry["success"] == 0


def test_a_table_has_a_line_for_each_entry():
    assert (
        markdown({"a": lambda e: e[0], "b": lambda e: e[1]}, ["12", "34"])
        == "| a | b |\n|---|---|\n| 1 | 2 |\n| 3 | 4 |"
    )


def test_ctrl_c_is_noticed_where_an_attack_catches_it():
    def polite(*_):
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            return result([1.0], [True])

    taken, before = [], signal.getsignal(signal.SIGINT)
    with Interrupt() as interrupt:
        for turn in attacks.turns([Peer("polite", polite)], None, torch.zeros(1, 4), torch.zeros(1).long(), 1, 1):
            interrupt.check()
            taken.append(turn)
    assert interrupt.asked and taken == []
    assert signal.getsignal(signal.SIGINT) is before
    with pytest.raises(ZeroDivisionError), Interrupt():
        raise ZeroDivisionError


@pytest.mark.parametrize("problem", solver.problems(), ids=lambda problem: problem.name)
def test_both_solvers_get_the_same_problem(problem):
    x = torch.from_numpy(problem.x0).requires_grad_()
    values = problem.together(x, *map(torch.from_numpy, problem.args))
    (gradients,) = torch.autograd.grad(values.sum(), x)
    for i in range(0, len(x), 17):
        value, gradient = problem.alone(problem.x0[i], *(a[i] for a in problem.args))
        np.testing.assert_allclose(value, values[i].item(), rtol=1e-12)
        np.testing.assert_allclose(gradient, gradients[i].numpy(), rtol=1e-9, atol=1e-12)
    assert (problem.lower <= problem.x0).all() and (problem.x0 <= problem.upper).all()


def test_bounds_matter_in_every_problem():
    for problem in solver.problems():
        x0, lower, upper, *args = map(torch.from_numpy, (problem.x0, problem.lower, problem.upper, *problem.args))
        x = solver.minimize(problem.together, x0, lower, upper, args).x
        active = ((x == lower) | (x == upper)) & (lower < upper)
        assert active.any(1).double().mean() > 0.5, problem.name


def test_the_scores_of_the_solvers_are_what_their_names_say():
    def turn(who, iterations, value, seconds):
        return Turn("p", who, 1, torch.arange(2), {"iterations": iterations, "value": value}, seconds)

    scores = Scores()
    scores.add(turn(solver.OURS, [3, 5], [10.0, 0.5], 0.002))
    assert solver.summary(scores) == []  # SciPy has not had its turn
    scores.add(turn(solver.SCIPY, [4, 6], [5.0, 0.25], 0.008))
    (entry,) = solver.summary(scores)
    assert entry["ratio"] == 0.8 and entry["worst_difference"] == 1 and entry["median_difference"] == 0.625
    assert (entry["ms"], entry["scipy_ms"], entry["times_as_fast"]) == (1, 4, 4)


@pytest.mark.parametrize("arguments", [["--images", "0"], ["--threads", "0"], ["--device", "tpu"]])
def test_bad_options(arguments, capsys):
    with pytest.raises(SystemExit):
        command_line.parsed(arguments)
    assert arguments[0] in capsys.readouterr().err
