"""Lesson 10: what its prose says of stored runs is what the runs say, and what it says of AlexNet's sizes is right."""

import math
import re

import nbformat
from notebook_tools import NOTEBOOKS

from helpers.paper import table5

PATH = NOTEBOOKS / "10_how_much_can_a_layer_amplify.ipynb"
CELLS = nbformat.read(PATH, as_version=4).cells
PROSE = "\n\n".join(cell.source for cell in CELLS if cell.cell_type == "markdown")
TEXT = "".join(output.text for cell in CELLS for output in cell.get("outputs", []) if "text" in output)


def test_the_products_of_table_5_are_those_of_the_stored_run():
    start = {name: row["norm"] for name, row in table5.stored()["initial"].items()}
    grouped = start | {name: row["norm"] for name, row in table5.stored()["grouped"].items()}
    paper = {name: row[-1] for name, row in table5.PAPER.items()}
    one, two, last = (math.prod(values.values()) for values in (start, grouped, paper))
    up = [f"{math.ceil(100 * product) / 100:.2f}" for product in (one, two)]  # they bound from above
    assert f"at most {up[0]} times with the printed shapes, and {up[1]} times with the groups" in PROSE
    assert f"is {round(last, -4):,.0f}." in PROSE
    for norms, words in ((start, "two to ten times"), (grouped, "two to fourteen times")):
        ratios = [paper[name] / norms[name] for name in paper]
        named = {"ten": 10, "fourteen": 14}[words.split()[2]]
        assert round(min(ratios)) == 2 and round(max(ratios)) == named and words in PROSE
    assert 4.5e5 < last / one < 5.5e5 and 1.25e6 < last / two < 1.35e6
    assert "half a million, or to 1.3 million" in PROSE


def numbers(line):
    """The numbers of the first printed line that begins so, the label left out."""
    return [float(word.rstrip("%")) for word in re.search(rf"^{re.escape(line)} +(.*)$", TEXT, re.MULTILINE)[1].split()]


def test_the_answer_has_the_numbers_that_the_cells_print():
    answer = next(line for line in PROSE.splitlines() if line.startswith("**The answer.**"))
    bound, attack, noise, _ = numbers("FC100-100-10")
    for words in (f"more than {math.ceil(bound)} times", f"amplified {attack:.0f} times", f"length {noise:.0f} times"):
        assert words in answer
    lengths = TEXT[TEXT.index("proved for the attack's target") :]
    rows = dict(re.findall(r"^(\S+) +([\d.]+ +[\d.]+ +[\d.]+) +[\d.]+%$", lengths, re.MULTILINE))
    proved, wrong, needed = map(float, rows["FC100-100-10"].split())
    for words in (f"at least {proved:.2f} if", f"at least {wrong:.3f} if", f"needs {needed:.2f} for"):
        assert words in answer
    shares = [int(share) for share in re.findall(r"proved / shortest: median (\d+)%", TEXT)]
    assert f"{min(shares)} to {max(shares)}% of it is proved" in answer


def test_the_matrix_of_alexnets_first_layer_is_as_large_as_the_lesson_says():
    (outputs, inputs, kernel, _), (height, width), stride, padding, _ = table5.PAPER["conv1"]
    side = (height + 2 * padding - kernel) // stride + 1
    assert f"{outputs * side**2 * inputs * height * width / 1e9:.0f} billion" in PROSE


def test_the_summary_has_the_shares_that_a_cell_prints():
    shares = {name: float(share) for name, share in re.findall(r"^(\S+) +[\d.]+% +([\d.]+)%$", TEXT, re.MULTILINE)}
    assert len(shares) == 7
    linear = [share for name, share in shares.items() if name.startswith("FC10(")]
    hidden = [shares[name] for name in ("FC100-100-10", "FC200-200-10", "AE400-10")]
    assert f"is {min(linear):.0f} to {max(linear):.0f}% of the attack's in softmax regression" in PROSE
    assert (
        f"{min(hidden):.0f} to {max(hidden):.0f}% with one or two hidden layers, and {shares['CNN']:.0f}% in" in PROSE
    )
