"""Where the time goes: every part is counted, once, and what is counted is what was done. No test looks at a clock."""

import pytest
import torch
from notebook_tools import ROOT

from helpers.benchmark import __main__ as command_line
from helpers.benchmark import overhead
from helpers.benchmark.overhead import PARTS, Parts, Traffic


def test_what_a_part_calls_that_is_another_part_counts_there():
    ticks = iter(range(100))
    parts = Parts(lambda: next(ticks))
    inner = parts.watched(lambda: None, "network")
    parts.watched(lambda: (inner(), inner()), "search over c")()
    assert parts.spent["search over c"] == 3 and parts.spent["network"] == 2
    assert sum(parts.spent.values()) == 5


def test_the_functions_are_left_as_they_were():
    before = [getattr(owner, name) for owned in PARTS.values() for owner, name in owned]
    with Parts(lambda: 0).watching():
        assert all(getattr(owner, name) not in before for owned in PARTS.values() for owner, name in owned)
    assert before == [getattr(owner, name) for owned in PARTS.values() for owner, name in owned]


def test_the_bytes_that_an_operation_reads_and_writes_and_the_arithmetic_of_products():
    a, b, rows, two = torch.rand(4, 8), torch.rand(8, 2), torch.rand(100, 3), torch.rand(2, 3)
    index = torch.tensor([7, 2])
    for run, flops, bytes_ in (
        (lambda: a + 1, 0, 2 * 4 * 32),
        (lambda: a @ b, 2 * 4 * 8 * 2, 4 * (32 + 16 + 8)),
        (lambda: a.view(8, 4)[:2], 0, 0),
        (lambda: rows.index_select(0, index), 0, 8 * 2 + 2 * 4 * 6),
        (lambda: rows.index_copy_(0, index, two), 0, 8 * 2 + 2 * 4 * 6),
    ):
        with Traffic() as traffic:
            run()
        assert (traffic.flops, traffic.bytes) == (flops, bytes_)


def test_an_attack_is_measured(network, digits):
    parts = overhead.measured(network, digits[0][:4], digits[1][:4], 1.0, rounds=1)
    assert [part["part"] for part in parts] == list(PARTS)
    assert all(part["us"] > 0 for part in parts if part["part"] != "compaction")
    by = {part["part"]: part for part in parts}
    assert by["network"]["flops"] > by["Cauchy point"]["flops"] > by["line search"]["flops"] == 0
    assert all(part["bytes"] > 0 for part in parts if part["part"] != "compaction")
    entry = {"task": "a", "parts": parts, "flops_a_second": 1e9, "bytes_a_second": 1e9, "least_bytes": 1e3}
    assert overhead.table(entry).count("\n") == 4 + len(
        PARTS
    ) and "times the network's own passes" in overhead.sentence(entry)


def test_the_floors_are_speeds():
    flops, bytes_ = overhead.floors(size=64, megabytes=1, repeats=2)
    assert flops > 1e6 and bytes_ > 1e6


def test_the_stored_run_has_every_task_and_stands_on_the_page():
    report = overhead.stored()
    assert overhead.text(report) in (ROOT / "docs" / "benchmark.md").read_text(encoding="utf-8")
    assert [entry["task"] for entry in report["tasks"]] == list(overhead.TASKS)
    assert report["command"].startswith("python -m helpers.benchmark overhead") and overhead.text(report)


def test_the_command_refuses_bad_options(capsys):
    with pytest.raises(SystemExit):
        command_line.main(["overhead", "--images", "0"])
    assert "at least 1" in capsys.readouterr().err
