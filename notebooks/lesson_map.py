"""Measure every lesson and write the map into the README and lesson 00: ``python notebooks/lesson_map.py``.

Running time: the wall-clock seconds of a fresh kernel, its start included. Reading time: 150 words a minute, which is
slow, and 3 seconds a line of code. Exercises: the minutes that their headings give. What stands between
``<!-- lessons -->`` and ``<!-- /lessons -->`` is replaced.
"""

import datetime
import os
import platform
import re
import time

import build
import nbformat
from tqdm import tqdm

BLOCK = re.compile(r"(<!-- lessons -->\n).*?(<!-- /lessons -->)", re.DOTALL)
WORDS_A_MINUTE, LINES_A_MINUTE = 150, 20
EXERCISE = re.compile(r"^### Exercise .*· (\d+) minutes", re.MULTILINE)


def reading_minutes(notebook):
    """Minutes to read ``notebook``, to the next five. A formula counts as its symbols, a folded cell not at all."""
    words = lines = 0
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            words += len(re.findall(r"\w+", cell.source))
        elif not cell.metadata.get("jupyter", {}).get("source_hidden"):
            lines += len([line for line in cell.source.splitlines() if line.strip()])
    return 5 * -(-(words / WORDS_A_MINUTE + lines / LINES_A_MINUTE) // 5)


def row(path, seconds):
    """The map's line for the lesson at ``path`` that ran for ``seconds``: title, reading, exercises, running."""
    notebook = nbformat.read(path, as_version=4)
    prose = "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    title = prose.splitlines()[0].removeprefix("# ")
    minutes = [int(found) for found in EXERCISE.findall(prose)]
    exercises = f"{len(minutes)}, {sum(minutes)} min" if minutes else "none"
    return f"| [{title}]({path.name}) | {reading_minutes(notebook):.0f} min | {exercises} | {seconds:.0f} s |"


def table(seconds):
    """The map as Markdown, its links relative to notebooks/. ``seconds``: from a lesson's path to its running time."""
    where = f"{os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}, {datetime.date.today()}"
    lines = ["| lesson | reading | exercises | running |", "|---|---|---|---|"]
    lines += [row(path, value) for path, value in seconds.items()]
    return "\n".join([*lines, "", f"Measured by `python notebooks/lesson_map.py` on {where}."]) + "\n"


def insert(text, block):
    """``text`` with ``block`` between the two marks; raises ValueError where the marks are not there."""
    if not BLOCK.search(text):
        raise ValueError("no <!-- lessons --> ... <!-- /lessons -->")
    return BLOCK.sub(lambda marks: marks[1] + block + marks[2], text)


def measure(path):
    """Seconds to run the lesson at ``path``; its file is left as it is."""
    started = time.perf_counter()
    build.run(nbformat.read(path, as_version=4), path.parent)
    return time.perf_counter() - started


def main():
    """Measure, then write the README and lesson 00."""
    lessons = build.lessons()
    block = table({path: measure(path) for path in tqdm(lessons, unit="lesson")})
    readme = build.HERE.parent / "README.md"
    there = re.sub(r"\]\((?=\d\d_)", "](notebooks/", block)
    readme.write_text(insert(readme.read_text(encoding="utf-8"), there), encoding="utf-8")
    first = lessons[0]
    notebook = nbformat.read(first, as_version=4)
    for cell in notebook.cells:
        if BLOCK.search(cell.source):
            cell.source = insert(cell.source, block)
            build.write(notebook, first)
            build.build(first)  # its solutions hold the same map
            break
    print(block)


if __name__ == "__main__":
    main()
