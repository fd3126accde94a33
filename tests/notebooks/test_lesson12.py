"""Lesson 12: what its prose says of the stored run is what the run says."""

import re

import nbformat
from notebook_tools import NOTEBOOKS

from helpers.paper import photograph

PATH = NOTEBOOKS / "12_a_real_photograph.ipynb"
CELLS = nbformat.read(PATH, as_version=4).cells
PROSE = "\n\n".join(cell.source for cell in CELLS if cell.cell_type == "markdown")
REPORT = photograph.report()
NAMES = list(REPORT["says"])
PAPERS, SHARP, LEAD = "this attack, β = 1", "this attack, β = 1, 8, 64", "this attack, β = 1, lead 2"


def mean(who, key="distortion"):
    return sum(REPORT["attacks"][who][name][key] for name in NAMES) / len(NAMES)


def files(who):
    return [REPORT["attacks"][who][name]["in files"] for name in NAMES]


def test_the_mean_distortions_are_those_of_the_stored_run():
    ours = f"is {1000 * mean(PAPERS):.2f} thousandths on average with the paper's loss and {1000 * mean(SHARP):.2f}"
    assert ours in PROSE and f"at a distortion of {1000 * mean(SHARP):.2f} thousandths (sharpened)" in PROSE
    assert f"{1000 * photograph.PAPER:.1f}" == "6.5" and "AlexNet needed 6.5 thousandths" in PROSE
    for who in REPORT["attacks"]:
        if who.startswith(("DDN", "PDGD")):
            assert f"{1000 * mean(who):.2f}" in PROSE, f"{who}: the section on other attacks does not speak of it"


def test_what_is_said_of_files_is_what_the_run_says():
    for who in (PAPERS, SHARP):
        assert all(file["lead"]["256 levels"] < 0 for file in files(who))
    factors = [file["factor"]["256 levels"] for file in files(PAPERS)]
    assert f"{min(factors):.2g} to {max(factors):.2g} times as long" in PROSE
    for found in REPORT["attacks"].values():
        assert all(entry["in files"]["lead"]["JPEG 95"] < 0 for entry in found.values())
    lost = [file["below half a level"] for file in files(SHARP)]
    assert f"{min(lost):.0%} to {max(lost):.0%}".replace("% to", " to") in PROSE
    kept = sum(file["lead"]["256 levels"] > 0 for file in files(LEAD))
    assert re.search(rf"{['none', 'one', 'two', 'three', 'all'][kept]} of the four", PROSE)
    assert f"{mean(LEAD) / mean(PAPERS) - 1:.0%} longer" in PROSE


def test_scipys_passes_are_those_of_the_stored_run():
    for entry in REPORT["attacks"].get(photograph.SCIPY, {}).values():
        assert f"{entry['passes']:,} passes" in PROSE
