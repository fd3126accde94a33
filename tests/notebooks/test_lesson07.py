"""Lesson 07: its folded functions are lesson 05's, its three steps ask alike, and its prose says what cells say."""

import ast
import re

import nbformat
import numpy as np
import pytest
import torch
from notebook_tools import NOTEBOOKS, cells, namespace

from helpers.benchmark import scaling

PATH = NOTEBOOKS / "07_ten_thousand_at_once.ipynb"
PROSE = "\n\n".join(c.source for c in nbformat.read(PATH, as_version=4).cells if c.cell_type == "markdown")
PRINTED = "".join(output.get("text", "") for cell in cells(PATH) for output in cell.outputs)


@pytest.fixture(scope="module")
def lesson():
    return namespace(PATH, until="rows_asked = ")


def definitions(path):
    """The functions and classes of a lesson that no exercise leaves open: from a name to its code, decorators apart."""
    found = {}
    for cell in cells(path):
        for node in ast.parse(cell.source).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and "exercise" not in cell.metadata.get("tags", []):
                node.decorator_list = []
                found.setdefault(node.name, ast.unparse(node))
    return found


def test_what_stands_word_for_word_in_lesson_05_does():
    (folded,) = [cell for cell in cells(PATH) if cell.source.startswith("# Lesson 05's functions, word for word.")]
    names = [node.name for node in ast.parse(folded.source).body if hasattr(node, "name")]
    five, seven = definitions(NOTEBOOKS / "05_the_box.ipynb"), definitions(PATH)
    assert "lbfgsb_with_trace" in names and "cauchy_point" in names
    assert [name for name in names if five[name] != seven[name]] == []


def wave(X, rows):
    """Not convex: many rows need several trials. Its least value in the box is not at one corner for all."""
    slope = np.cos(3 * X + np.array(rows)[:, None])
    return np.sin(3 * X + np.array(rows)[:, None]).sum(1) + 0.05 * (X**2).sum(1), 3 * slope + 0.1 * X


def test_the_three_steps_ask_alike_where_searches_are_long(lesson):
    rng = np.random.default_rng(70)
    x0, lower, upper = rng.uniform(-2, 2, (30, 4)), np.full((30, 4), -2.5), np.full((30, 4), 2.5)
    lower[::3], upper[1::3] = -np.inf, np.inf
    loop, ticks, rows = (lesson["Asked"](wave, 30) for _ in range(3))
    for i in range(30):
        lesson["lbfgsb_with_trace"](loop.alone(i), x0[i], lower[i], upper[i])
    lesson["together"]([lesson["lbfgsb_that_asks"](*box) for box in zip(x0, lower, upper, strict=True)], ticks)
    lesson["minimize_rows"](lesson["in_tensors"](rows), *map(torch.tensor, (x0, lower, upper)))
    assert sum(map(len, loop.points)) > 250
    assert loop.furthest(ticks) == 0 and loop.furthest(rows) < 1e-5
    assert ticks.sizes == rows.sizes == sorted(ticks.sizes, reverse=True)  # rows leave, and none comes back


def test_a_row_that_has_ended_stays_where_it_is(lesson):
    x0 = torch.tensor([[0.5, 0.5], [1.0, 1.0]], dtype=torch.float64)  # the second is the minimiser
    rows = lesson["Rows"](x0, 0 * x0 - 2, 0 * x0 + 2)
    for _ in range(5):
        rows.tell(*(torch.tensor(part) for part in lesson["valleys"](rows.trial.numpy(), [0, 1])))
        rows.aim()
        assert torch.equal(rows.trial[1], x0[1]) and rows.running.tolist() == [True, False]
    assert not torch.equal(rows.trial[0], x0[0])


def test_what_the_prose_says_of_the_hysteresis_is_what_the_cell_prints():
    odd, total = map(int, re.search(r"(\d+) of (\d+) digits: the largest c that succeeds differs", PRINTED).groups())
    assert 1 <= odd <= total / 5 and "On this network such digits are rare" in PROSE
    up, down = map(float, re.search(r"‖r‖ = ([\d.]+), going down .*\n?.*?([\d.]+)\n", PRINTED).groups())
    assert up < 0.9 * down
    found = float(re.search(r"attack, which searches from r = 0: ‖r‖ = ([\d.]+)", PRINTED)[1])
    assert found > 1.05 * up and "starts at $r = 0$, misses the shorter answer" in PROSE


def test_what_the_prose_says_of_the_stored_run_is_what_it_says():
    passes = {(e["who"], e["size"]): e.get("passes") for e in scaling.summary(scaling.stored()["turns"])}
    assert f"has {passes['float32', 10_000]:.0f} for 10,000 images" in PROSE
    rate = {(e["who"], e["size"]): e["rate"] for e in scaling.summary(scaling.stored()["turns"])}
    single = {size: rate["float32", size] for size in scaling.SIZES}
    assert single[30] > 10 * single[1] and "grows more than tenfold with the first thirty images" in PROSE
    assert single[10_000] < 1.3 * single[1000] and "levels off near a thousand" in PROSE
    needs = {e["who"]: e["evaluations"] for e in scaling.summary(scaling.stored()["turns"])}
    assert 7 < needs[scaling.SCIPY] / needs["float32"] < 9 and "needs an eighth of its evaluations" in PROSE
    assert rate["float64", 1000] < 0.8 * single[1000]
    spread = max(max(e["rates"]) / min(e["rates"]) for e in scaling.summary(scaling.stored()["turns"]))
    assert 2.2 < spread < 2.8 and "differ by up to a factor of two and a half" in PROSE
