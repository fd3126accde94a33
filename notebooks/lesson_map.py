"""Count and time every lesson, and write the map: ``python notebooks/lesson_map.py``.

The minutes to read come from one formula: 150 words a minute, 20 lines of code that is not folded a minute, a quarter
of a minute for each display formula, rounded up to the next five. Formulas, the targets of links and the map itself
are no words. The main line of a lesson is what stands before the heading ``## Going deeper``; the rest is counted by
the same formula. Exercises take the minutes that their headings give. Running time is the wall-clock seconds of a
fresh kernel, its start included.

The map replaces what stands between ``<!-- lessons -->`` and ``<!-- /lessons -->`` in the README and in lesson 00.
``--check`` runs nothing: it says which lesson's opening line or which map disagrees with the formula, and which main
line is too long.
"""

import argparse
import datetime
import math
import os
import platform
import re
import sys
import time
from dataclasses import dataclass

import build
import nbformat
from tqdm import tqdm

WORDS_A_MINUTE, LINES_A_MINUTE, FORMULA_MINUTES, ROUNDED_TO = 150, 20, 0.25, 5
LONGEST_MAIN_LINE = {"words": 3000, "minutes": 35, "lines": 250}
FIRST_COURSE, LONGEST_COURSE = "07", 180  # the main lines of lessons 00 to 07 together, in minutes

DEEPER = "## Going deeper"
BLOCK = re.compile(r"(<!-- lessons -->\n).*?(<!-- /lessons -->)", re.DOTALL)
EXERCISE = re.compile(r"^### Exercise .*· (\d+) minutes", re.MULTILINE)
OPENING = re.compile(r"^\*Main line: .*\*$", re.MULTILINE)
# Code comes first: a dollar sign in it begins no formula.
CODE_OR_FORMULA = re.compile(r"(?P<code>`[^`]*`)|(?P<display>\$\$.*?\$\$)|\$[^$]+\$", re.DOTALL)
LINK_TARGET = re.compile(r"(?<=\])\([^)\s]*\)")
MARKUP = re.compile(r"<!--.*?-->|</?[a-zA-Z][^>]*>", re.DOTALL)


@dataclass(frozen=True)
class Size:
    """What a reader has before them: words of prose, visible lines of code, display formulas."""

    words: int
    lines: int
    formulas: int

    @property
    def minutes(self):
        minutes = self.words / WORDS_A_MINUTE + self.lines / LINES_A_MINUTE + self.formulas * FORMULA_MINUTES
        return ROUNDED_TO * math.ceil(round(minutes / ROUNDED_TO, 9))


def words(text):
    """The number of words in Markdown: what stands between spaces and holds a letter or a digit. No formula, no map."""
    prose = CODE_OR_FORMULA.sub(lambda found: found["code"] or " ", BLOCK.sub(" ", text))
    prose = MARKUP.sub(" ", LINK_TARGET.sub("", prose))
    return len(re.findall(r"\S*[^\W_]\S*", prose))


def size(cells):
    """The Size of ``cells``. A cell whose code is folded counts no lines."""
    prose = [cell.source for cell in cells if cell.cell_type == "markdown"]
    code = [
        cell.source
        for cell in cells
        if cell.cell_type == "code" and not cell.metadata.get("jupyter", {}).get("source_hidden")
    ]
    return Size(
        words=sum(map(words, prose)),
        lines=sum(bool(line.strip()) for source in code for line in source.splitlines()),
        formulas=sum(bool(found["display"]) for source in prose for found in CODE_OR_FORMULA.finditer(source)),
    )


@dataclass(frozen=True)
class Lesson:
    """What the map says of one lesson, but for its running time."""

    name: str  # of its file
    title: str
    main: Size
    deeper: Size
    exercises: tuple  # minutes of each
    openings: tuple  # the lines before the first code that begin as an opening line does

    @property
    def opening(self):
        """The opening line that the lesson should have, up to its running time."""
        return (
            f"*Main line: {self.main.minutes} minutes. Going deeper: {self.deeper.minutes} more. "
            f"Exercises: {sum(self.exercises)} minutes. Runs in about "
        )


def read(path):
    """The Lesson at ``path``. Raises ValueError where the heading of its second part does not begin a cell."""
    cells = nbformat.read(path, as_version=4).cells
    prose = [cell.source if cell.cell_type == "markdown" else "" for cell in cells]
    where = [i for i, source in enumerate(prose) if DEEPER in source.splitlines()]
    if len(where) > 1 or any(prose[i].splitlines()[0] != DEEPER for i in where):
        raise ValueError(f"{path.name}: the heading {DEEPER!r} must stand once, as the first line of its cell")
    middle = where[0] if where else len(cells)
    first_code = next((i for i, cell in enumerate(cells) if cell.cell_type == "code"), len(cells))
    whole = "\n\n".join(prose)
    return Lesson(
        name=path.name,
        title=whole.splitlines()[0].removeprefix("# "),
        main=size(cells[:middle]),
        deeper=size(cells[middle:]),
        exercises=tuple(map(int, EXERCISE.findall(whole))),
        openings=tuple(OPENING.findall("\n\n".join(prose[:first_code]))),
    )


def row(lesson):
    """The map's line for ``lesson``, without its last column: title, main line, all of it, exercises."""
    minutes = lesson.main.minutes, lesson.main.minutes + lesson.deeper.minutes
    exercises = f"{len(lesson.exercises)}, {sum(lesson.exercises)} min" if lesson.exercises else "none"
    return f"| [{lesson.title}]({lesson.name}) | {minutes[0]} min | {minutes[1]} min | {exercises} |"


def table(seconds):
    """The map as Markdown, its links relative to notebooks/. ``seconds``: from a lesson's path to its running time."""
    where = f"{os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}, {datetime.date.today()}"
    lessons = [read(path) for path in seconds]
    lines = ["| lesson | main line | with Going deeper | exercises | running |", "|---|---|---|---|---|"]
    lines += [f"{row(lesson)} {value:.0f} s |" for lesson, value in zip(lessons, seconds.values(), strict=True)]
    main = sum(lesson.main.minutes for lesson in lessons)
    deeper = sum(lesson.deeper.minutes for lesson in lessons)
    exercises = [minutes for lesson in lessons for minutes in lesson.exercises]
    total = f"| together | {main} min | {main + deeper} min | {len(exercises)}, {sum(exercises)} min |"
    lines += [f"{total} {sum(seconds.values()):.0f} s |"]
    return "\n".join([*lines, "", f"Made by `python notebooks/lesson_map.py` on {where}."]) + "\n"


def insert(text, block):
    """``text`` with ``block`` between the two marks; raises ValueError where the marks are not there."""
    if not BLOCK.search(text):
        raise ValueError("no <!-- lessons --> ... <!-- /lessons -->")
    return BLOCK.sub(lambda marks: marks[1] + block + marks[2], text)


def in_readme(text):
    """``text`` with the links of a map in notebooks/ as they must be one folder above."""
    return re.sub(r"\]\((?=\d\d_)", "](notebooks/", text)


def faults(lesson):
    """What is wrong with the opening line and the length of ``lesson``, one sentence each."""
    found = []
    right = re.compile(re.escape(lesson.opening) + r"\d+ s\.\*")
    if len(lesson.openings) != 1:
        found.append(f"it has {len(lesson.openings)} opening lines; wanted is one, {lesson.opening}NN s.*")
    elif not right.fullmatch(lesson.openings[0]):
        found.append(f"it opens with {lesson.openings[0]} and the formula says {lesson.opening}NN s.*")
    for what, most in LONGEST_MAIN_LINE.items():
        if (there := getattr(lesson.main, what)) > most:
            found.append(f"its main line has {there} {what}, more than {most}")
    return [f"{lesson.name}: {sentence}" for sentence in found]


def course_faults(lessons):
    """One sentence if the main lines of the first lessons, up to 06, take too long together."""
    minutes = sum(lesson.main.minutes for lesson in lessons if lesson.name[:2] <= FIRST_COURSE)
    if minutes <= LONGEST_COURSE:
        return []
    return [f"the main lines of 00 to {FIRST_COURSE} take {minutes} minutes together, more than {LONGEST_COURSE}"]


def map_faults(lessons, text, name):
    """One sentence if the map in ``text``, of a file ``name``, does not say of each of ``lessons`` what row says."""
    block = BLOCK.search(text)
    there = block[0].replace("](notebooks/", "](").splitlines() if block else []
    old = [lesson.name for lesson in lessons if not any(line.startswith(row(lesson)) for line in there)]
    if not old:
        return []
    return [f"the map in {name} is out of date for {', '.join(old)}; run python notebooks/lesson_map.py"]


def all_faults(paths, readme):
    """Everything that is wrong with the lessons at ``paths`` and the maps, the first lesson's and the README's."""
    lessons = [read(path) for path in paths]
    first = "\n".join(cell.source for cell in nbformat.read(paths[0], as_version=4).cells)
    return [
        *(sentence for lesson in lessons for sentence in faults(lesson)),
        *course_faults(lessons),
        *map_faults(lessons, readme.read_text(encoding="utf-8"), readme.name),
        *map_faults(lessons, first, paths[0].name),
    ]


def report(lessons):
    """The main lines in words, lines, formulas and minutes, and their sum, as text."""
    lines = [f"{'main line':36} {'words':>6} {'lines':>6} {'formulas':>9} {'minutes':>8} {'deeper':>7}"]
    for lesson in lessons:
        main = lesson.main
        columns = f"{main.words:6} {main.lines:6} {main.formulas:9} {main.minutes:8} {lesson.deeper.minutes:7}"
        lines.append(f"{lesson.name[:36]:36} {columns}")
    total = [
        sum(getattr(lesson.main, what) for lesson in lessons) for what in ("words", "lines", "formulas", "minutes")
    ]
    deeper = sum(lesson.deeper.minutes for lesson in lessons)
    lines.append(f"{'together':36} {total[0]:6} {total[1]:6} {total[2]:9} {total[3]:8} {deeper:7}")
    return "\n".join(lines)


def measure(path):
    """Seconds to run the lesson at ``path``; its file is left as it is."""
    started = time.perf_counter()
    build.run(nbformat.read(path, as_version=4), path.parent)
    return time.perf_counter() - started


def write(seconds, readme):
    """Write the map into ``readme`` and the first of the lessons in ``seconds``, which is then built."""
    block, first = table(seconds), next(iter(seconds))
    notebook = nbformat.read(first, as_version=4)
    cell = next(cell for cell in notebook.cells if BLOCK.search(cell.source))
    cell.source = insert(cell.source, block)
    build.write(notebook, first)
    build.build(first)  # its solutions hold the same map
    readme.write_text(insert(readme.read_text(encoding="utf-8"), in_readme(block)), encoding="utf-8")


def main(arguments=None):
    """Run the command line and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="run nothing; say what disagrees with the formula")
    options = parser.parse_args(arguments)
    paths, readme = build.lessons(), build.HERE.parent / "README.md"
    if not options.check:
        write({path: measure(path) for path in tqdm(paths, unit="lesson")}, readme)
    print(report([read(path) for path in paths]))
    found = all_faults(paths, readme)
    print("\n".join(found) if found else "Every opening line and both maps agree with the formula.")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
