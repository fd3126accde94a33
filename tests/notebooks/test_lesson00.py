"""Lesson 00's code that answers the reader: it is the README's too, it runs, and does what the text says."""

import contextlib
import io
import re

import nbformat
import numpy as np
import pytest
from notebook_tools import NOTEBOOKS, ROOT, cells

from helpers import checks

PATH = NOTEBOOKS / "00_start_here.ipynb"
README = (ROOT / "README.md").read_text(encoding="utf-8")


def fenced(mark, language):
    """What stands in the README's fenced block after the comment ``mark``."""
    found = re.findall(rf"<!-- {mark} -->\n```{language}\n(.*?)\n```", README, re.DOTALL)
    assert len(found) == 1, f"README.md must hold one block of {language} after <!-- {mark} -->"
    return found[0]


@pytest.fixture(scope="module")
def ran():
    """What the README's code prints, and the names that it defines."""
    scope, printed = {}, io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(fenced("the code of lesson 00", "python"), scope)
    return printed.getvalue(), scope


def test_the_readme_has_the_code_of_the_lesson_and_what_it_prints(ran):
    first = cells(PATH)[0]
    assert first.source == fenced("the code of lesson 00", "python")
    assert "nbval-check-output" in first.metadata.tags
    said = first.outputs[0].text.strip()
    assert said == fenced("what it prints", "text") == ran[0].strip()


def test_it_is_short_and_open():
    first = cells(PATH)[0]
    assert len([line for line in first.source.splitlines() if line.strip()]) <= 18
    assert not first.metadata.get("jupyter", {}).get("source_hidden")


def test_ten_is_the_largest_price_that_succeeds_with_room_to_spare(ran):
    """Far enough from every border that no processor prints anything else."""
    _, scope = ran
    network, x, target = scope["network"], scope["x"], scope["target"].item()
    for c, image in scope["answers"].items():
        logits = network(image)
        rival = logits.clone()
        rival[target] = -float("inf")
        ahead = (logits[target] - rival.max()).item()
        assert ahead > 0.3 if c <= 10 else ahead < -3
        hundredths = 100 * (image - x).norm().item()
        assert abs(hundredths - round(hundredths)) < 0.49  # not half way between two printed numbers


@pytest.mark.parametrize("c", [30, 3])
def test_priced_gives_the_gradient_of_its_value(ran, c):
    _, scope = ran
    point = (0.9 * scope["x"] + 0.05).numpy()
    value, gradient = scope["priced"](point, c)
    direction = gradient / (gradient @ gradient) ** 0.5
    step = 1e-5
    ahead, behind = (scope["priced"](point + side * step * direction, c)[0] for side in (1, -1))
    assert value > 0 and (ahead - behind) / (2 * step) == pytest.approx(gradient @ direction, rel=1e-5)


@pytest.mark.parametrize("kept", [0, 1, 4])
def test_the_two_loops_are_those_of_lesson_04(kept):
    def two_loop(path, *tags):
        source = next(cell.source for cell in cells(path, *tags) if "def two_loop(" in cell.source)
        scope = {"np": np, "checks": checks}
        with contextlib.redirect_stdout(io.StringIO()):
            exec(source, scope)
        return scope["two_loop"]

    rng = np.random.default_rng(kept)
    pairs = [(s, np.arange(1, 7) * s) for s in rng.normal(size=(kept, 6))]
    g = rng.normal(size=6)
    lesson_04 = two_loop(next(NOTEBOOKS.glob("04_*.ipynb")), "solution")
    assert two_loop(PATH)(g, pairs, 0.5) == pytest.approx(lesson_04(g, pairs, 0.5), rel=1e-12)


def test_what_is_looked_up_is_there():
    prose = "\n".join(cell.source for cell in _prose())
    headings = {line.lstrip("# ").replace(" ", "-") for line in prose.splitlines() if line.startswith("#")}
    wanted = re.findall(r"\]\(#([^)]+)\)", prose)
    assert {"Check-your-environment", "Notation"} <= set(wanted) and set(wanted) <= headings


def test_the_notation_has_one_row_a_letter():
    table = next(cell.source for cell in _prose() if cell.source.startswith("## Notation\n"))
    rows = re.findall(r"^\| ((?:\$|`)[^|]+) \| ([^|]+) \| (\d\d) \|$", table, re.MULTILINE)
    assert len(rows) > 35 and all(meaning.strip() for _, meaning, _ in rows)
    # b is the one letter with two rows: the literature's name of an offset, and the second loop's coefficient.
    letters = [letter for row in rows for letter in re.split(r", ", row[0])]
    assert {letter for letter in letters if letters.count(letter) > 1} == {"$b$"}
    assert {lesson for _, _, lesson in rows} <= {path.name[:2] for path in NOTEBOOKS.glob("[0-9][0-9]_*.ipynb")}


def _prose():
    return [cell for cell in nbformat.read(PATH, as_version=4).cells if cell.cell_type == "markdown"]
