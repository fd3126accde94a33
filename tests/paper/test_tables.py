"""Tables 1 to 4 as text, and the stored run."""

import re

import pytest

from helpers.paper import published, tables


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
    assert len({len(line) for line in tables.table3(report).splitlines()}) == 1
    assert [line.split()[0:2] for line in tables.table3(report).splitlines()[1:]] == [
        n.split() for n in published.TABLE_3
    ]
