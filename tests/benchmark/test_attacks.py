"""The attacks take turns, and their scores are what their names say."""

import numpy as np
import pytest
import torch
from attack_results import result

from helpers.benchmark import attacks
from helpers.benchmark.measure import Scores, Turn
from helpers.benchmark.peers import SCIPY, Peer


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
