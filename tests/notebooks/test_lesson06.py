"""Lesson 06: what its prose says of a stored run is what the run says."""

import nbformat
from notebook_tools import NOTEBOOKS

from helpers import benchmark
from helpers.benchmark import dangers

PATH = NOTEBOOKS / "06_the_attack.ipynb"


def section(heading):
    """The Markdown of the lesson from ``heading`` to the next heading."""
    cells = nbformat.read(PATH, as_version=4).cells
    prose = "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    return prose.split(f"\n{heading}\n")[1].split("\n##")[0]


def test_the_counts_of_the_dangers_are_those_of_the_stored_run():
    prose = section("### How often the dangers happen")
    square, norm, sharp_square, sharp_norm = dangers.stored()["tasks"]
    for counts in (
        f"for {square['not_monotone']['zero']} digit of {square['scanned']:,} with the square",
        f"for {sharp_square['not_monotone']['zero']} and {sharp_norm['not_monotone']['zero']} of 100",
        f"for {square['up_succeeds_further']} digits with the square and for {norm['up_succeeds_further']} with",
        f"for {square['attack_1_percent_longer']} digits, and shorter by more than 1% for "
        f"{square['scan_1_percent_longer']}; with the norm for {norm['attack_1_percent_longer']} and "
        f"{norm['scan_1_percent_longer']}",
        f"agree on average to {abs(norm['to_plain']['mean'] - 1):.2%}",
    ):
        assert counts in prose
    assert not any(task["not_monotone"]["down"] for task in (square, norm, sharp_square, sharp_norm))


def test_the_factors_against_scipy_are_those_of_the_stored_run():
    by = {entry["attack"]: entry for entry in benchmark.stored()["attacks"]}
    loop, ours = by["SciPy L-BFGS-B, a loop over images"], by["this attack, β = 1"]
    passes, faster = loop["evaluations"] / ours["evaluations"], ours["times_as_fast"]
    prose = section("### Methods that are not L-BFGS")
    assert f"`attack` is {faster:.0f} times as fast as SciPy's loop" in prose
    assert f"{passes:.0f} {faster / passes:.0f}" == "9 13"
    assert "About nine times comes from the search" in prose and "about thirteen times from the batch" in prose
    assert "about thirteen times as long as a batch" in section("## Fifty digits at once")
