"""Tables 1 to 4 as text, and the stored run."""

import re

import pytest

from helpers.paper import archive, published, tables


@pytest.mark.parametrize("wrong, low, high", [(67, 21.2, 31.9), (0, 0.0, 1.5), (256, 98.5, 100.0), (128, 43.9, 56.1)])
def test_wilsons_interval(wrong, low, high):
    # (p + z²/2n ± z sqrt(p(1 − p)/n + z²/4n²)) / (1 + z²/n)
    z, n, p = 1.959964, 256, wrong / 256
    middle, half = p + z * z / (2 * n), z * (p * (1 - p) / n + z * z / (4 * n * n)) ** 0.5
    assert [round(100 * (middle + s * half) / (1 + z * z / n), 1) for s in (-1, 1)] == [low, high]
    assert tables.percent(wrong, n) == f"{100 * p:.1f} ({low}–{high})"


def test_a_size_has_its_interval():
    assert tables.size({"mean": 0.0581, "standard error": 0.0002}) == "0.0581 ± 0.0004"


def test_tables_3_and_4_show_every_number_beside_the_papers(halves_run):
    report = halves_run[1]
    text = tables.table4(report)
    for network, row in published.TABLE_4.items():
        assert text.count(f"made for {network}") == 4  # found and amplified, at β = 1 and sharpened
        line = "  the paper" + ".*" + ".*".join(f"{value:g}" for value in row)
        assert re.search(line, text)
        for variant, counts in report["made for"]["sharpened"][network]["wrong"].items():
            assert all(tables.percent(wrong, 30) in text for wrong in counts), variant
    above, *lines = tables.table3(report).splitlines()
    assert above.split() == ["distortion"] * 2 and len({len(line) for line in lines}) == 1
    assert [line.split()[0:2] for line in lines[1:]] == [n.split() for n in published.TABLE_3]


def test_no_table_of_the_stored_runs_is_wider_than_a_notebook():
    whole, halves = archive.stored("tables1and2.json"), archive.stored("tables3and4.json")
    shown = tables.table1(whole), tables.table2(whole), tables.table3(halves), tables.table4(halves)
    assert max(len(line) for text in shown for line in text.splitlines()) <= 95


def test_a_wide_table_is_printed_in_blocks_that_repeat_the_first_column():
    rows = [["names", *"abcde"], ["row", *range(5)]]
    assert tables.blocks(rows) == "names  a  b  c\nrow    0  1  2\n\nnames  d  e\nrow    3  4"
    assert tables.blocks([["x", "y"]]) == tables.text([["x", "y"]])
