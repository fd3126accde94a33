"""The map of the lessons: what it counts, and where it is written."""

import lesson_map
import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from notebook_tools import ROOT, notebooks


@pytest.fixture
def lesson(tmp_path):
    cells = [
        new_markdown_cell("# 03 · A question\n" + "word " * 1000),
        new_code_cell("x = 1\n\n" * 30),
        new_code_cell("y = 2\n" * 500, metadata={"jupyter": {"source_hidden": True}}),
        new_markdown_cell("### Exercise 3.1 · One · ●○○ · 10 minutes\n"),
        new_markdown_cell("### Exercise 3.2 · Two · ●●● · 25 minutes\n"),
    ]
    nbformat.write(new_notebook(cells=cells), tmp_path / "03_a_question.ipynb")
    return tmp_path / "03_a_question.ipynb"


def test_a_row(lesson):
    # 1018 words are 6.8 minutes, 30 lines 1.5: 8.3, so 10
    assert lesson_map.row(lesson, 4.4) == "| [03 · A question](03_a_question.ipynb) | 10 min | 2, 35 min | 4 s |"


def test_the_block_is_replaced_and_nothing_else(lesson):
    text = "before\n<!-- lessons -->\nold\n<!-- /lessons -->\nafter\n"
    new = lesson_map.insert(text, lesson_map.table({lesson: 4.4}))
    assert new.startswith("before\n<!-- lessons -->\n| lesson |") and new.endswith("<!-- /lessons -->\nafter\n")
    assert "old" not in new and "lesson_map.py` on" in new
    assert lesson_map.insert(new, "x\n") == text.replace("old", "x")
    with pytest.raises(ValueError, match="no <!-- lessons -->"):
        lesson_map.insert("nothing", "x")


def test_the_readme_names_every_lesson():
    block = lesson_map.BLOCK.search((ROOT / "README.md").read_text(encoding="utf-8"))
    missing = [path.name for path in notebooks() if f"](notebooks/{path.name})" not in block[0]]
    assert missing == [], "run python notebooks/lesson_map.py"
