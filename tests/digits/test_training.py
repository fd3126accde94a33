"""Training can be stopped, repeated and believed."""

import json
import os
import signal
import time
from functools import partial
from threading import Thread

import pytest
import torch
from torch import nn

from helpers.digits import __main__ as command
from helpers.digits import networks, training


def test_weight_decay_is_the_papers_formula():
    a, b = nn.Linear(3, 2), nn.Linear(2, 4)
    by_hand = 0.5 * sum(w * w for w in a.weight.flatten().tolist()) / 2
    by_hand += 0.25 * sum(w * w for w in b.weight.flatten().tolist()) / 4
    assert training.weight_decay([a, b], [0.5, 0.25]).item() == pytest.approx(by_hand)


@pytest.mark.parametrize("name", ["FC100-100-10", "AE400-10"])
def test_training_learns_stores_and_records(name, few, tmp_path):
    made = networks.train(name, folder=tmp_path, data=few)
    network = networks.load_network(name, folder=tmp_path)
    assert made["error_percent"]["train"] == networks.error(network, *few["train"]) < 20
    assert json.loads(networks.weights_path(name, None, tmp_path).with_suffix(".json").read_text()) == made
    assert not list(tmp_path.glob("*.checkpoint")) and not list(tmp_path.glob("*.draft"))


def shortened(module, optimizer, rounds, run, schedule=None, *, Stage):
    """A stage of at most five rounds."""
    return Stage(module, optimizer, min(rounds, 5), run, schedule)


@pytest.mark.parametrize("name", ["FC10(1e-2)", "FC100-100-10", "CNN", "AE400-10"])
def test_interrupted_training_goes_on_to_the_same_weights(name, few, tmp_path, monkeypatch):
    whole, halted = tmp_path / "whole", tmp_path / "halted"
    whole.mkdir(), halted.mkdir()
    monkeypatch.setattr(training, "Stage", partial(shortened, Stage=training.Stage))
    networks.train(name, folder=whole, data=few)

    save, calls = training.save, []

    def interrupted(content, path):
        save(content, path)
        calls.append(path)
        if len(calls) in (3, 8):  # for the autoencoder: one in each stage
            raise KeyboardInterrupt

    monkeypatch.setattr(training, "save", interrupted)
    stops = 0
    while not networks.weights_path(name, None, halted).exists():
        try:
            networks.train(name, folder=halted, data=few)
        except KeyboardInterrupt:
            stops += 1
    assert stops == (2 if name.startswith("AE") else 1)
    one, other = (networks.load_network(name, folder=folder).state_dict() for folder in (whole, halted))
    assert all(torch.equal(one[key], other[key]) for key in one)


def test_control_c_leaves_a_whole_checkpoint_and_says_how_to_go_on(data, tmp_path, monkeypatch, capsys):
    """The real signal, in the middle of a round."""
    some = {split: (images[:8000], labels[:8000]) for split, (images, labels) in data.items()}
    monkeypatch.setattr(networks, "load_mnist", some.get)
    weights = networks.weights_path("FC200-200-10", None, tmp_path)
    checkpoint = weights.with_suffix(".checkpoint")

    def press_control_c():
        while not checkpoint.exists():
            time.sleep(0.01)
        time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    Thread(target=press_control_c, daemon=True).start()
    with pytest.raises(SystemExit) as stop:
        command.main(["train", "FC200-200-10"], tmp_path)
    assert stop.value.code == 130
    assert 'To go on:  python -m helpers.digits train "FC200-200-10"' in capsys.readouterr().out
    assert torch.load(checkpoint, weights_only=True)["round"] >= 1
    assert not weights.exists()
