"""The map of the lessons: what it counts, where it is written, and that every lesson's opening line agrees with it."""

import lesson_map
import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from notebook_tools import NOTEBOOKS, ROOT, notebooks

LESSONS = notebooks()
README = (ROOT / "README.md").read_text(encoding="utf-8")
OPENING = "*Main line: 10 minutes. Going deeper: 5 more. Exercises: 35 minutes. Runs in about 4 s.*"


def made(folder, *cells, name="03_a_question.ipynb"):
    """A lesson in ``folder``: what begins with ">" is code, with ">>" folded code, all else prose."""
    built = [
        new_code_cell(text[2:], metadata={"jupyter": {"source_hidden": True}})
        if text.startswith(">>")
        else new_code_cell(text[1:])
        if text.startswith(">")
        else new_markdown_cell(text)
        for text in cells
    ]
    nbformat.write(new_notebook(cells=built), folder / name)
    return folder / name


@pytest.fixture
def path(tmp_path):
    return made(
        tmp_path,
        f"# 03 · A question\n\n{OPENING}\n\n" + "word " * 700,  # 725 words with those below: 4.8 minutes
        "> x = 1\n\n" * 20,  # 1 minute
        ">>" + "y = 2\n" * 500,
        "### Exercise 3.1 · One · ●○○ · 10 minutes\n",
        "$$a = b$$ and\n$$\\text{four words of mathematics}$$",  # half a minute
        "## Going deeper\n\n" + "word " * 700,
        "### Exercise 3.2 · Two · ●●● · 25 minutes\n",
    )


# What the formula counts.


@pytest.mark.parametrize(
    "text, expected",
    [
        ("L-BFGS doesn't need the matrix.", 5),
        ("", 0),
        ("one — two - three | : |---|", 3),
        ("for $m = 10$ pairs of $n$\nnumbers $$F(x + r) = 3$$ each", 5),
        ("the $m$-th pair", 3),
        ("see [lesson 04](04_l_bfgs.ipynb#A-long-heading-in-it) first", 4),
        ("see ![a seven](../docs/seven.png)", 3),
        ("`a $b` and `$c`", 4),
        ("<details><summary>Hint</summary>\n\nSquare it.\n\n</details><!-- a remark -->", 3),
        ("x < y and y > z", 5),
        ("before\n<!-- lessons -->\n| a | b |\n<!-- /lessons -->\nafter", 2),
        ("an *idea* of **L-BFGS**, and 784 pixels", 7),
    ],
)
def test_words(text, expected):
    assert lesson_map.words(text) == expected


@pytest.mark.parametrize(
    "words, lines, formulas, minutes",
    [
        (0, 0, 0, 0),
        (1, 0, 0, 5),
        (750, 0, 0, 5),
        (751, 0, 0, 10),
        (600, 20, 0, 5),
        (600, 21, 0, 10),
        (600, 0, 4, 5),
        (600, 0, 5, 10),
        (3000, 250, 10, 35),
        (3000, 250, 11, 40),
    ],
)
def test_minutes(words, lines, formulas, minutes):
    assert lesson_map.Size(words, lines, formulas).minutes == minutes


def test_a_lesson_is_counted_in_two_parts(path):
    lesson = lesson_map.read(path)
    assert lesson.title == "03 · A question" and lesson.exercises == (10, 25) and lesson.openings == (OPENING,)
    assert lesson.main == lesson_map.Size(words=3 + 16 + 700 + 5 + 1, lines=20, formulas=2)
    assert lesson.deeper == lesson_map.Size(words=2 + 700 + 5, lines=0, formulas=0)
    assert (lesson.main.minutes, lesson.deeper.minutes) == (10, 5)
    assert lesson_map.row(lesson) == "| [03 · A question](03_a_question.ipynb) | 10 min | 15 min | 2, 35 min |"


def test_a_lesson_without_depth_or_exercises(tmp_path):
    lesson = lesson_map.read(made(tmp_path, "# 03 · A question\n\nThis lesson speaks of what stands\n### Going deeper"))
    assert lesson.deeper.minutes == 0 and lesson.exercises == () and lesson.openings == ()
    assert lesson_map.row(lesson) == "| [03 · A question](03_a_question.ipynb) | 5 min | 5 min | none |"


@pytest.mark.parametrize("last", ["What is known.\n\n## Going deeper\n\nMore.", "## Going deeper"])
def test_the_heading_must_stand_once_at_the_top_of_its_cell(tmp_path, last):
    with pytest.raises(ValueError, match=r"03_a_question\.ipynb: the heading '## Going deeper' must stand once"):
        lesson_map.read(made(tmp_path, "# 03 · A question", "## Going deeper\n\nMore.", last))


# What it finds wrong.


def changed(path, old, new):
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        cell.source = cell.source.replace(old, new)
    nbformat.write(notebook, path)
    return lesson_map.faults(lesson_map.read(path))


def test_the_running_time_may_be_any(path):
    assert lesson_map.faults(lesson_map.read(path)) == []
    assert changed(path, "about 4 s", "about 12 s") == []


@pytest.mark.parametrize(
    "old, new",
    [
        ("line: 10 minutes", "line: 15 minutes"),
        ("deeper: 5 more", "deeper: 0 more"),
        ("Exercises: 35", "Exercises: 3"),
        ("35 minutes. Runs", "35. Runs"),
        ("4 s.*", "4 seconds.*"),
        ("10 minutes. Going", "10 min. Going"),
        ("· 25 minutes", "· 20 minutes"),
    ],
)
def test_an_opening_line_that_disagrees(path, old, new):
    (found,) = changed(path, old, new)
    assert found.startswith("03_a_question.ipynb: it opens with *Main line: ") and "the formula says" in found


def test_an_opening_line_that_is_not_there_or_comes_too_late_or_twice(path):
    assert "it has 2 opening lines" in changed(path, OPENING, f"{OPENING}\n\n{OPENING}")[0]
    (found,) = changed(path, OPENING, "")
    assert "it has 0 opening lines; wanted is one, *Main line: 10 minutes. Going deeper: 5 more. Ex" in found
    assert "it has 0 opening lines" in changed(path, "## Going deeper\n", f"## Going deeper\n\n{OPENING}\n")[0]


@pytest.mark.parametrize(
    "cell, message",
    [
        ("word " * 3000, "words, more than 3000"),
        (">" + "x = 1\n" * 251, "its main line has 271 lines, more than 250"),
        ("$$a$$\n\n" * 120, "its main line has 40 minutes, more than 35"),
    ],
)
def test_a_main_line_that_is_too_long(path, cell, message):
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.insert(-2, new_code_cell(cell[1:]) if cell[0] == ">" else new_markdown_cell(cell))
    nbformat.write(notebook, path)
    assert any(message in sentence for sentence in lesson_map.faults(lesson_map.read(path)))
    notebook.cells.append(notebook.cells.pop(-3))  # under Going deeper there is room for it
    nbformat.write(notebook, path)
    assert not any(message in sentence for sentence in lesson_map.faults(lesson_map.read(path)))


def test_the_main_lines_of_the_first_course_together(tmp_path):
    def lessons(*numbers):
        text = "word " * 3700  # 25 minutes
        return [
            lesson_map.read(made(tmp_path, f"# {n} · A\n\n{text}", name=f"{n}_a.ipynb"))
            for n in map("{:02}".format, numbers)
        ]

    assert lesson_map.course_faults(lessons(0, 1, 2, 3, 4, 5, 6)) == []  # 175 minutes
    assert lesson_map.course_faults(lessons(0, 1, 2, 3, 4, 5, 6, 8, 9)) == []  # later lessons do not count
    (found,) = lesson_map.course_faults(lessons(0, 1, 2, 3, 4, 5, 6, 7))
    assert found == "the main lines of 00 to 07 take 200 minutes together, more than 180"


# Where it is written.


def test_the_block_is_replaced_and_nothing_else(path):
    text = "before\n<!-- lessons -->\nold\n<!-- /lessons -->\nafter\n"
    new = lesson_map.insert(text, lesson_map.table({path: 4.4}))
    assert new.startswith("before\n<!-- lessons -->\n| lesson |") and new.endswith("<!-- /lessons -->\nafter\n")
    assert "| 2, 35 min | 4 s |" in new and "| together | 10 min | 15 min | 2, 35 min | 4 s |" in new
    assert "old" not in new and "lesson_map.py` on" in new
    assert lesson_map.insert(new, "x\n") == text.replace("old", "x")
    with pytest.raises(ValueError, match="no <!-- lessons -->"):
        lesson_map.insert("nothing", "x")


def test_a_map_that_is_out_of_date_is_found(path):
    lesson, new = lesson_map.read(path), lesson_map.table({path: 4.4})
    whole = lesson_map.insert("<!-- lessons -->\n<!-- /lessons -->\n", lesson_map.in_readme(new))
    assert "](notebooks/03_a_question.ipynb)" in whole and lesson_map.map_faults([lesson], whole, "a.md") == []
    for text in (whole.replace("10 min", "5 min"), whole.replace("2, 35", "1, 35"), new, ""):
        (found,) = lesson_map.map_faults([lesson], text, "a.md")
        assert found.startswith("the map in a.md is out of date for 03_a_question.ipynb; run")


@pytest.fixture
def course(path, monkeypatch):
    """A course of two lessons with a README, in which nothing is run."""
    first = made(path.parent, "# 00 · Start", "<!-- lessons -->\n<!-- /lessons -->", name="00_start.ipynb")
    readme = path.parent / "README.md"
    readme.write_text("<!-- lessons -->\n<!-- /lessons -->\n", encoding="utf-8")
    notebooks_folder = path.parent / "notebooks"
    notebooks_folder.mkdir()
    monkeypatch.setattr(lesson_map.build, "HERE", notebooks_folder)
    monkeypatch.setattr(lesson_map.build, "lessons", lambda: [first, path])
    monkeypatch.setattr(lesson_map.build, "build", lambda path: None)
    return first, path, readme


def test_the_command_writes_both_maps_and_says_what_is_wrong(course, monkeypatch, capsys):
    monkeypatch.setattr(lesson_map, "measure", lambda path: 2.6)
    assert lesson_map.main([]) == 1
    out = capsys.readouterr().out
    assert "03_a_question.ipynb" in out and "together" in out and "the map in" not in out
    assert "00_start.ipynb: it has 0 opening lines" in out
    first, _, readme = course
    assert "](notebooks/03_a_question.ipynb) | 10 min | 15 min | 2, 35 min | 3 s |" in readme.read_text(
        encoding="utf-8"
    )
    assert "](03_a_question.ipynb) | 10 min |" in nbformat.read(first, as_version=4).cells[1].source

    needed = lesson_map.read(first).opening + "3 s.*"
    changed(first, "# 00 · Start", f"# 00 · Start\n\n{needed}")
    assert lesson_map.main(["--check"]) == 0
    assert "Every opening line and both maps agree" in capsys.readouterr().out


def test_check_runs_and_writes_nothing(course, monkeypatch, capsys):
    monkeypatch.setattr(lesson_map, "measure", None)
    before = [path.read_bytes() for path in course]
    assert lesson_map.main(["--check"]) == 1
    assert "the map in README.md is out of date for 00_start.ipynb, 03_a_question.ipynb" in capsys.readouterr().out
    assert [path.read_bytes() for path in course] == before


# The lessons themselves.


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_a_lesson_keeps_to_the_formula_and_is_short_enough(path):
    assert lesson_map.faults(lesson_map.read(path)) == []


def test_the_course_is_short_enough():
    assert lesson_map.course_faults([lesson_map.read(path) for path in LESSONS]) == []


@pytest.mark.parametrize("name", ["README.md", "notebooks/00_start_here.ipynb"])
def test_the_maps_are_up_to_date(name):
    cells = nbformat.read(NOTEBOOKS / "00_start_here.ipynb", as_version=4).cells
    text = README if name == "README.md" else "\n".join(cell.source for cell in cells)
    assert lesson_map.map_faults([lesson_map.read(path) for path in LESSONS], text, name) == []
