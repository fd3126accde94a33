"""What both contests share: the table, and what Ctrl-C leaves."""

import signal

import pytest
import torch
from attack_results import result

from helpers.benchmark import attacks
from helpers.benchmark.measure import Interrupt, markdown
from helpers.benchmark.peers import Peer


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
