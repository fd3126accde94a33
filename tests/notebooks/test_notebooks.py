"""Every lesson and every notebook of solutions keeps the rules, and every rule catches its breach."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import arithmetic
import build
import nbformat
import notebook_guards as guards
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from notebook_tools import ROOT, cells, namespace, notebooks

LESSONS, SOLUTIONS = notebooks(), notebooks(solutions=True)
MEMORY = 1.5e9  # bytes, resident


def name(value):
    return getattr(value, "__name__", None) or str(value.relative_to(ROOT / "notebooks"))


@pytest.mark.parametrize("path", LESSONS, ids=name)
@pytest.mark.parametrize("guard", guards.LESSON, ids=name)
def test_the_lessons_keep_the_rules(guard, path):
    assert guard(path) == []


@pytest.mark.parametrize("path", SOLUTIONS, ids=name)
@pytest.mark.parametrize("guard", guards.SOLUTION, ids=name)
def test_the_solutions_keep_the_rules(guard, path):
    assert guard(path) == []


def test_the_lessons_are_numbered_without_a_gap():
    assert [int(path.name[:2]) for path in LESSONS] == list(range(len(LESSONS)))


def test_the_solutions_are_those_of_the_lessons():
    assert build.outdated() == {}


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads the peak memory from /proc")
@pytest.mark.parametrize("path", LESSONS, ids=name)
def test_a_lesson_needs_little_memory_and_torch_only_from_06_on(path, record_property):
    probe = (
        "import sys\n"
        "_peak = [line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')][0]\n"
        "print('probe', _peak, 'torch' in sys.modules)"
    )
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.append(new_code_cell(probe))
    ran = build.run(notebook, path.parent)
    kibibytes, torch = re.search(r"probe (\d+) (True|False)", ran.cells[-1].outputs[0].text).groups()
    peak = int(kibibytes) * 1024
    record_property("measured", f"{path.stem}: peak resident memory {peak / 1e6:.0f} MB, torch imported: {torch}")
    assert peak <= MEMORY
    assert torch == "False" or not "01" <= path.name[:2] <= "05", "lessons 01 to 05 need no torch"


# The guards themselves. A sound lesson passes all of them; each breach below is one change to it.

STUB = 'def double(x):\n    """x, (n,), to 2x."""\n    raise NotImplementedError'
ANSWER = "# Solution 3.1 (folded; used where yours has not passed)\n@checks.reference\ndef double(x):\n    return 2 * x"


def said(text, stream="stdout"):
    return new_output("stream", name=stream, text=text)


def lesson(tmp_path, **changes):
    """Write a sound lesson 03 to disk, with the named cells changed, and return its path."""
    parts = {
        "title": new_markdown_cell("# 03 · A question\nSee [the next](04_more.ipynb) and ![a picture](../docs/a.png)."),
        "key": new_code_cell(
            "print(round(2 / 3, 3))", outputs=[said("0.667\n")], metadata={"tags": ["nbval-check-output"]}
        ),
        "task": new_markdown_cell("### Exercise 3.1"),
        "stub": new_code_cell(STUB, metadata={"tags": ["exercise"]}),
        "check": new_code_cell(
            "from helpers import checks\nfrom helpers.checks._verdict import check, expect\n\nyours = double\n\n"
            "@check\ndef double(candidate):\n    expect(candidate(3) == 6, 'it does not double 3')\n"
            "    return '2 times 3 is 6'\n\ndouble(yours)\ndouble = yours",
            outputs=[said("double: not attempted yet - fill in the function above and run this cell again.\n")],
            metadata={"tags": ["exercise-check"]},
        ),
        "solution": new_code_cell(ANSWER, metadata={"tags": ["solution"], "jupyter": {"source_hidden": True}}),
        "end": new_markdown_cell("What is now known."),
    }
    for key, change in changes.items():
        parts[key].update(change)
    code = [cell for cell in parts.values() if cell.cell_type == "code"]
    for i, cell in enumerate(code, 1):
        cell.execution_count = cell.execution_count or i
    path = tmp_path / "03_sound.ipynb"
    nbformat.write(build.clean(new_notebook(cells=list(parts.values()))), path)
    return path


def test_a_sound_lesson_passes_every_guard(tmp_path):
    path = lesson(tmp_path)
    assert {guard.__name__: guard(path) for guard in guards.LESSON if guard(path)} == {}


BREACHES = [
    ("checked_cells_have_output", {"key": {"outputs": []}}, "cell 1 is checked, but has no stored text"),
    (
        "checked_cells_have_output",
        {"key": {"outputs": [new_output("display_data", data={"text/plain": "<Figure size 640x480 with 1 Axes>"})]}},
        "cell 1 is checked, but has no stored text",
    ),
    ("no_magics", {"key": {"source": "%matplotib inline\n1"}}, "magic or shell command 'matplotib'"),
    ("no_magics", {"key": {"source": "x = 1\n!ls"}}, "magic or shell command 'ls'"),
    ("no_magics", {"key": {"source": "%%tme\n1"}}, "magic or shell command 'tme'"),
    ("executed_in_one_go", {"stub": {"execution_count": 7}}, "numbered [1, 7, 3, 4]"),
    ("outputs_are_clean", {"key": {"outputs": [said("x", "stderr")]}}, "writes to stderr"),
    ("outputs_are_clean", {"key": {"outputs": [said("a.py:3: UserWarning: no")]}}, "shows a warning"),
    ("outputs_are_clean", {"key": {"outputs": [said(f"in {Path.home() / 'course'}")]}}, "a path of this machine"),
    ("outputs_are_clean", {"key": {"outputs": [said("<object at 0x7f12ab34>")]}}, "an address in memory"),
    (
        "outputs_are_clean",
        {
            "key": {
                "outputs": [new_output("error", ename="E", evalue="", traceback=["Traceback (most recent call last)"])]
            }
        },
        "a traceback",
    ),
    ("no_printed_line_wraps", {"key": {"outputs": [said("short\n" + 96 * "x")]}}, "prints a line of 96 characters"),
    ("no_exceptions_expected", {"key": {"metadata": {"tags": ["raises-exception"]}}}, "tagged raises-exception"),
    ("not_too_large", {"title": {"source": "x" * 1_500_001}}, "more than 1.5 MB"),
    ("exercises_are_open", {"stub": {"source": ANSWER}}, "does not end with raise NotImplementedError"),
    (
        "exercises_are_open",
        {"stub": {"source": "def double(x):\n    return 2 * x\n    raise NotImplementedError"}},
        "already holds its solution",
    ),
    ("exercises_are_open", {"solution": {"source": "def triple(x):\n    return 3 * x"}}, "does not define double"),
    (
        "exercises_are_open",
        {"solution": {"source": ANSWER.replace("@checks.reference\n", "")}},
        "overwrites a reader's own",
    ),
    ("exercises_are_open", {"check": {"metadata": {}}}, "no cell tagged exercise-check"),
    (
        "exercises_are_open",
        {"check": {"outputs": [said("double: correct")]}},
        "does not say that the stub is not attempted",
    ),
    ("has_title_and_end", {"title": {"source": "# 04 · Another"}}, "not a title '# 03"),
    ("checks_say_correct", {}, "does not say correct"),
]


@pytest.mark.parametrize("guard, changes, message", BREACHES, ids=[f"{b[0]}-{i}" for i, b in enumerate(BREACHES)])
def test_each_guard_catches_its_breach(tmp_path, guard, changes, message):
    found = getattr(guards, guard)(lesson(tmp_path, **changes))
    assert any(message in sentence for sentence in found), found


def test_a_stored_widget_view_is_a_breach(tmp_path):
    path = lesson(tmp_path)
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[1].outputs = [new_output("display_data", data={build.WIDGET: {"model_id": "1"}, "text/plain": "x"})]
    nbformat.write(notebook, path)
    assert "stores a widget's view" in guards.outputs_are_clean(path)[0]


@pytest.mark.slow
def test_nbval_compares_the_checked_cells_and_only_them(tmp_path):
    for folder, source, stored in [
        ("same", "print(0.667)", "0.667\n"),
        ("zero", "print(0.0, 0.667)", "-0.0 0.667\n"),  # a zero's sign is noise
        ("other", "print(0.667)", "0.668\n"),
    ]:
        (tmp_path / folder).mkdir()
        lesson(tmp_path / folder, key={"source": source, "outputs": [said(stored)]})
    command = [sys.executable, "-m", "pytest", "-c", "pyproject.toml", "-p", "no:cacheprovider", "-rf", str(tmp_path)]
    variables = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    done = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True)
    assert re.findall(r"^FAILED .*?(\w+)/03_sound.ipynb::Cell (\d)", done.stdout, re.MULTILINE) == [("other", "0")]
    assert "1 failed, 11 passed" in done.stdout


# build.py, on the same sound lesson.


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    path = lesson(tmp_path_factory.mktemp("built"))
    build.build(path)
    return path


@pytest.mark.slow
def test_building_writes_a_lesson_and_its_solutions_that_pass_every_guard(built):
    target = built.parent / "solutions" / built.name
    assert [guard(built) for guard in guards.LESSON] == [[]] * len(guards.LESSON)
    assert [guard(target) for guard in guards.SOLUTION] == [[]] * len(guards.SOLUTION)
    assert build.outdated(built.parent) == {}
    assert cells(target, "exercise")[0].source == "# Solution 3.1\ndef double(x):\n    return 2 * x"
    assert cells(target, "solution") == []
    text = nbformat.read(target, as_version=4).cells
    assert "python notebooks/build.py 03" in text[0].source
    assert "(../04_more.ipynb)" in text[1].source and "(../../docs/a.png)" in text[1].source


@pytest.mark.slow
def test_the_lesson_goes_on_with_the_readers_own_function_where_it_passed(tmp_path):
    path = lesson(tmp_path)
    notebook = nbformat.read(path, as_version=4)
    for body, expected in [("return x + x  # mine", "x + x"), ("return x + 2", "2 * x")]:
        for cell in notebook.cells:
            if "exercise" in cell.metadata.get("tags", []):
                cell.source = f"def double(x):\n    {body}"
        notebook.cells[-1] = new_code_cell("import inspect\nprint(inspect.getsource(double))")
        assert expected in build.run(notebook, tmp_path).cells[-1].outputs[0].text


@pytest.mark.slow
def test_a_checked_cell_that_hangs_on_the_processor_fails_the_build(tmp_path):
    # What differs here is the variable that chooses the arithmetic, whatever the machine makes of it.
    source = "import os\nprint(os.environ.get('ATEN_CPU_CAPABILITY'))"
    path = lesson(tmp_path, key={"source": source})
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"03_sound\.ipynb: code cell 1 is checked, .*'default\\n' in plain"):
        build.build(path)
    assert path.read_bytes() == before
    build.build(lesson(tmp_path, key={"source": source, "metadata": {"tags": []}}))


def test_the_arithmetics_choose_for_a_command_and_take_an_earlier_choice_back():
    own, plain, avx2 = arithmetic.ARITHMETICS
    assert (own, plain, avx2) == ("own", "plain", "avx2")
    show = [sys.executable, "-c", "import os; print(os.environ.get('ONEDNN_MAX_CPU_ISA'), os.environ['PATH'] != '')"]
    run = [sys.executable, arithmetic.__file__]
    nested = subprocess.run([*run, "plain", *run, "avx2", *show], capture_output=True, text=True)
    assert nested.stdout == "AVX2 True\n"
    assert subprocess.run([*run, "none", *show], capture_output=True).returncode == 1
    assert subprocess.run([*run, "plain", sys.executable, "-c", "raise SystemExit(3)"]).returncode == 3


@pytest.mark.slow
def test_building_twice_changes_nothing(built):
    target = built.parent / "solutions" / built.name
    before = built.read_bytes(), target.read_bytes()
    build.build(built)
    assert (built.read_bytes(), target.read_bytes()) == before


@pytest.mark.slow
def test_a_lesson_that_fails_leaves_its_files_as_they_were(tmp_path):
    path = lesson(tmp_path, solution={"source": "def double(x):\n    return 1 / 0\n\ndouble(1)"})
    before = path.read_bytes()
    with pytest.raises(build.CellExecutionError, match="ZeroDivisionError"):
        build.build(path)
    assert path.read_bytes() == before and list(tmp_path.glob("**/*.part")) == []


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="sends a POSIX signal")
def test_ctrl_c_leaves_every_file_as_it_was(tmp_path):
    began = tmp_path / "began"
    path = lesson(tmp_path, key={"source": f"open({str(began)!r}, 'w').close()\nimport time\ntime.sleep(60)"})
    before = path.read_bytes()
    code = f"import build, pathlib, sys; build.HERE = pathlib.Path({str(tmp_path)!r}); sys.exit(build.main([]))"
    running = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT / "notebooks", stderr=subprocess.PIPE, text=True)
    for _ in range(300):
        if began.exists():
            break
        time.sleep(0.1)
    running.send_signal(signal.SIGINT)
    told = running.communicate(timeout=30)[1]
    assert running.returncode == 130 and "stopped: 03_sound.ipynb is as it was" in told and "Traceback" not in told
    assert path.read_bytes() == before and list(tmp_path.glob("**/*.part")) == []


def test_solutions_that_differ_from_their_lesson_are_found(tmp_path):
    path = lesson(tmp_path)
    target = tmp_path / "solutions" / path.name
    assert build.outdated(tmp_path) == {path.name: "it was never made"}
    build.write(build.solved(nbformat.read(path, as_version=4), path.name), target)
    assert build.outdated(tmp_path) == {}
    lesson(tmp_path, solution={"source": ANSWER.replace("2 * x", "x + x")})
    assert build.outdated(tmp_path) == {path.name: "its cells differ from the lesson's"}
    path.unlink()
    assert build.outdated(tmp_path) == {path.name: "its lesson is gone"}


def test_an_exercise_and_its_solution_come_in_pairs(tmp_path):
    for cell, message in [("solution", "an exercise without a solution"), ("stub", "a solution without an exercise")]:
        path = lesson(tmp_path, **{cell: {"metadata": {}}})
        with pytest.raises(ValueError, match=message):
            build.solved(nbformat.read(path, as_version=4), path.name)


def test_a_half_written_notebook_never_replaces_a_whole_one(tmp_path, monkeypatch):
    path = lesson(tmp_path)
    before = path.read_bytes()

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(build.os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        build.write(nbformat.read(path, as_version=4), path)
    assert path.read_bytes() == before and list(tmp_path.glob("*.part")) == []


def test_progress_bars_and_widget_views_are_not_stored():
    bar = "  0%|          | 0/3 [00:00<?, ?it/s]\r100%|##########| 3/3 [00:00<00:00,  9.9it/s]\n"
    bar += "solving for 41 values of c: 77 passes [00:01, 71.20 passes/s]\n24it [00:02, 11.9it/s]\n"
    view = {build.WIDGET: {"model_id": "1"}, "text/plain": "Slider()", "image/png": "iVBO"}
    cell = new_code_cell(
        "1", outputs=[said(bar, "stderr"), said("a.py: Warning\n", "stderr"), new_output("display_data", view)]
    )
    outputs = build.clean(new_notebook(cells=[cell])).cells[0].outputs
    assert [output.get("text") for output in outputs] == ["a.py: Warning\n", None]
    assert outputs[1].data == {"text/plain": "Slider()", "image/png": "iVBO"}


def test_a_namespace_holds_what_the_notebook_defines(tmp_path, capsys):
    path = lesson(tmp_path)
    assert namespace(path)["double"](4) == 8
    with pytest.raises(NotImplementedError):
        namespace(path, until="# Solution")["double"](4)
    with pytest.raises(ValueError, match=r"no code cell of 03_sound\.ipynb contains 'nowhere'"):
        namespace(path, until="nowhere")
    assert capsys.readouterr().out == ""
