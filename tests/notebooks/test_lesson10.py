"""Lesson 10: what its prose says of stored runs is what the runs say, and what it says of AlexNet's sizes is right."""

import math
import re

import nbformat
from notebook_tools import NOTEBOOKS

from helpers.paper import table5

PATH = NOTEBOOKS / "10_how_much_can_a_layer_amplify.ipynb"
CELLS = nbformat.read(PATH, as_version=4).cells
PROSE = "\n\n".join(cell.source for cell in CELLS if cell.cell_type == "markdown")


def test_the_products_of_table_5_are_those_of_the_stored_run():
    initial, paper = table5.stored()["initial"], {name: row[-1] for name, row in table5.PAPER.items()}
    first, last = (math.prod(values) for values in ([row["norm"] for row in initial.values()], paper.values()))
    assert f"amplify at most {first:.1f} times" in PROSE
    assert f"is {round(last, -4):,.0f}." in PROSE
    ratios = [paper[name] / initial[name]["norm"] for name in paper]
    assert 1.5 < min(ratios) < 2.5 and 9.5 < max(ratios) < 10.5 and "two to ten times" in PROSE
    assert 4.5e5 < last / first < 5.5e5 and "half a million" in PROSE


def test_the_matrix_of_alexnets_first_layer_is_as_large_as_the_lesson_says():
    (outputs, inputs, kernel, _), (height, width), stride, padding, _ = table5.PAPER["conv1"]
    side = (height + 2 * padding - kernel) // stride + 1
    assert f"{outputs * side**2 * inputs * height * width / 1e9:.0f} billion" in PROSE


def test_the_summary_has_the_shares_that_a_cell_prints():
    text = "".join(output.text for cell in CELLS for output in cell.get("outputs", []) if "text" in output)
    shares = {name: float(share) for name, share in re.findall(r"^(\S+) +[\d.]+% +([\d.]+)%$", text, re.MULTILINE)}
    assert len(shares) == 7
    linear = [share for name, share in shares.items() if name.startswith("FC10(")]
    hidden = [shares[name] for name in ("FC100-100-10", "FC200-200-10", "AE400-10")]
    assert f"is {min(linear):.0f} to {max(linear):.0f}% of the attack's in softmax regression" in PROSE
    assert (
        f"{min(hidden):.0f} to {max(hidden):.0f}% with one or two hidden layers, and {shares['CNN']:.0f}% in" in PROSE
    )
