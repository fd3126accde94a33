"""Run the lessons and write their solutions: ``python notebooks/build.py`` for all, ``… 03 05`` for some.

Each lesson runs top to bottom in a fresh kernel, in its own folder, and is written back with its outputs. From its
cells tagged ``exercise`` and ``solution`` comes solutions/NN_*.ipynb, with every exercise filled in; that runs too.
Both run under every arithmetic of ``arithmetic.py``: a cell tagged ``nbval-check-output`` whose text hangs on the
processor fails the build. A lesson that fails leaves its files as they were, and so does Ctrl-C. What changes from run
to run or from machine to machine is left out, so that a second run changes nothing. ``--check`` runs nothing: it says
which solutions are out of date.
"""

import argparse
import configparser
import copy
import hashlib
import os
import re
import sys
from pathlib import Path

import arithmetic
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from tqdm import tqdm

HERE = Path(__file__).resolve().parent
SANITIZE = HERE.parent / "tests" / "nbval_sanitize.cfg"
CELL_TIMEOUT = 120  # seconds
WIDGET = "application/vnd.jupyter.widget-view+json"
REFERENCE = "@checks.reference\n"  # what leaves a reader's function in place, and has no use in the solutions
# A line that tqdm printed, with a total or without: "  5%|▌   | 1/20 [00:01<…]" or "solving: 77 passes [00:01, …]".
PROGRESS = re.compile(r"[^\r\n]*(?:\d+%\|[^\r\n]*\||\d+ ?\w+ \[\d+:\d\d)[^\r\n]*[\r\n]*")
RELATIVE_LINK = re.compile(r'(\]\(|(?:src|href)=")(?![a-z]+:|#|/)', re.IGNORECASE)


def lessons(prefixes=(), folder=None):
    """The lessons in ``folder`` (default: here) in order: all, or those whose names begin with one of ``prefixes``."""
    found = sorted((folder or HERE).glob("[0-9][0-9]_*.ipynb"))
    for prefix in prefixes:
        if not any(path.name.startswith(prefix) for path in found):
            raise SystemExit(f"no lesson begins with {prefix!r}; there are {', '.join(path.name for path in found)}")
    return [path for path in found if not prefixes or path.name.startswith(tuple(prefixes))]


def solved(lesson, name):
    """The notebook ``lesson``, whose file is called ``name``, with each exercise replaced by its solution.

    Returns a new notebook without outputs, or None where the lesson has no exercise. Raises ValueError where an
    exercise has no solution after it, or a solution no exercise before it.
    """
    out = copy.deepcopy(lesson)
    out.cells, waiting, exercises = [], None, 0
    for cell in copy.deepcopy(lesson.cells):
        tags = cell.metadata.get("tags", [])
        if "solution" in tags:
            if waiting is None:
                raise ValueError(f"{name}: a solution without an exercise before it: {cell.source[:60]!r}")
            source = re.sub(r"\A(# Solution [\d.]+) \(.*\)$", r"\1", cell.source, flags=re.MULTILINE)
            waiting.source = source.replace(REFERENCE, "")
            waiting = None
            continue
        if "exercise" in tags:
            if waiting is not None:
                break
            waiting, exercises = cell, exercises + 1
        if cell.cell_type == "markdown":
            cell.source = RELATIVE_LINK.sub(r"\1../", cell.source)  # the solutions live one folder deeper
        out.cells.append(cell)
    if waiting is not None:
        raise ValueError(f"{name}: an exercise without a solution after it: {waiting.source[:60]!r}")
    if not exercises:
        return None
    note = (
        f"*Generated from [{name}](../{name}) by `python notebooks/build.py {name[:2]}`: the same lesson with every "
        "exercise filled in. Change the lesson, not this file.*"
    )
    out.cells.insert(0, nbformat.v4.new_markdown_cell(note))
    return clean(clear(out))


def clear(notebook):
    """Remove every output from ``notebook``, which is returned."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return notebook


def run(notebook, folder, progress=lambda: None, computing="own"):
    """Execute ``notebook`` in a fresh kernel started in ``folder``, and return it. A cell that raises raises here.

    ``computing``: the name of the kernel's arithmetic.
    """
    client = NotebookClient(
        clear(notebook),
        timeout=CELL_TIMEOUT,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
        record_timing=False,
        coalesce_streams=True,
        shutdown_kernel="immediate",
        store_widget_state=False,
        extra_arguments=["--IPKernelApp.log_level=40"],  # its warnings are about the machine, not the lesson
        on_cell_executed=lambda **_: progress(),
    )
    # Cell by cell, because client.execute() takes Ctrl-C for itself and then fails over a kernel that is gone.
    with client.setup_kernel(env=arithmetic.environment(computing)):
        for i, cell in enumerate(notebook.cells):
            client.execute_cell(cell, i)
    return clean(notebook)


def clean(notebook):
    """Remove from ``notebook`` what differs between two runs or two machines, and return it."""
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"file_extension": ".py", "name": "python", "pygments_lexer": "ipython3"},
        }
    )
    seen = set()
    for cell in notebook.cells:
        cell.metadata = nbformat.from_dict({k: v for k, v in cell.metadata.items() if k in ("tags", "jupyter")})
        cell.id = _name(cell, seen)
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if _keep(output)]
    return notebook


def _name(cell, seen):
    # An id made from the text stays when cells are inserted before it, and when a script writes the cell anew.
    digest, i = hashlib.sha256(f"{cell.cell_type}\n{cell.source}".encode()).hexdigest(), 0
    while (name := f"{digest[:10]}{f'-{i}' if i else ''}") in seen:
        i += 1
    seen.add(name)
    return name


def _keep(output):
    if output.output_type == "stream" and output.name == "stderr":
        # A progress bar is full of seconds and says nothing later. Anything else stays, for the guards to see.
        output.text = PROGRESS.sub("", output.text)
        return bool(output.text.strip())
    # A widget's view names a model that dies with its kernel: JupyterLab would show "model not found". What stays is
    # the picture or text that the widget sends along, which shows everywhere.
    if WIDGET in output.get("data", {}):
        del output.data[WIDGET]
        return not PROGRESS.fullmatch(output.data.get("text/plain", ""))
    return True


def build(path, progress=lambda: None):
    """Run the lesson at ``path`` and its solutions under every arithmetic, and write both as run under this machine's.

    Raises ValueError where a checked cell's text differs, CellExecutionError where a cell fails under any of them.
    """
    lesson = nbformat.read(path, as_version=4)
    target = path.parent / "solutions" / path.name
    target.parent.mkdir(exist_ok=True)
    answers = solved(lesson, path.name)
    lesson = _run_under_every_arithmetic(lesson, path, progress)
    answers = answers and _run_under_every_arithmetic(answers, target, progress)
    write(lesson, path)
    if answers:
        write(answers, target)
    else:
        target.unlink(missing_ok=True)


def _run_under_every_arithmetic(notebook, path, progress):
    ran = {name: run(copy.deepcopy(notebook), path.parent, progress, computing=name) for name in arithmetic.ARITHMETICS}
    if found := differences(ran):
        raise ValueError("\n".join(f"{path.parent.name}/{path.name}: {sentence}" for sentence in found))
    return ran["own"]


def differences(ran):
    """The checked cells whose text is not the same in all of ``ran``, a dict from an arithmetic to the notebook run so.

    Returns one sentence for each cell and arithmetic, with the two texts; the number is that among the code cells.
    """
    first, *others = ran
    found = []
    for other in others:
        for i, (mine, theirs) in enumerate(zip(_checked(ran[first]), _checked(ran[other]), strict=True), 1):
            if mine != theirs:
                found.append(
                    f"code cell {i} is checked, but says {mine!r} in arithmetic {first} and {theirs!r} in {other}: "
                    "round it, print a boolean with room to spare, or take its tag away"
                )
    return found


def _checked(notebook):
    """The text that nbval would compare of each code cell; None where it is not checked."""
    rules = configparser.RawConfigParser()
    rules.read(SANITIZE, encoding="utf-8")
    texts = []
    for cell in (cell for cell in notebook.cells if cell.cell_type == "code"):
        text = "".join(o.get("text", "") or o.get("data", {}).get("text/plain", "") for o in cell.outputs)
        for rule in rules.sections():
            text = re.sub(rules[rule]["regex"], rules[rule]["replace"], text)
        texts.append(text if "nbval-check-output" in cell.metadata.get("tags", []) else None)
    return texts


def write(notebook, path):
    """Write ``notebook`` to ``path`` at once, or not at all."""
    nbformat.validate(notebook)
    path.parent.mkdir(exist_ok=True)
    part = path.with_suffix(".part")
    try:
        part.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8")
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def outdated(folder=HERE):
    """The names of the solutions in ``folder`` whose cells are not what their lesson would give, each with a reason."""
    found = {path.name: "its lesson is gone" for path in (folder / "solutions").glob("*.ipynb")}
    for path in lessons(folder=folder):
        target = path.parent / "solutions" / path.name
        wanted = solved(nbformat.read(path, as_version=4), path.name)
        if wanted and not target.exists():
            found[path.name] = "it was never made"
        elif wanted and _written(wanted) != _written(nbformat.read(target, as_version=4)):
            found[path.name] = "its cells differ from the lesson's"
        elif wanted:
            found.pop(path.name)
    return found


def _written(notebook):
    return [(cell.cell_type, cell.source, cell.metadata) for cell in notebook.cells]


def main(arguments=None):
    """Run the command line and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lesson", nargs="*", help="how the lesson's name begins, such as 03 (default: every lesson)")
    parser.add_argument("--check", action="store_true", help="say which solutions are out of date, and run nothing")
    options = parser.parse_args(arguments)
    if options.check:
        for name, reason in (found := outdated()).items():
            print(f"notebooks/solutions/{name}: {reason}; run python notebooks/build.py {name[:2]}")
        return bool(found)

    os.environ.pop("MPLBACKEND", None)  # the kernel chooses its own, or pictures would be missing
    failed = 0
    for path in lessons(options.lesson):
        code = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
        filled_in = [cell for cell in code if "solution" not in cell.metadata.get("tags", [])]
        total = len(arithmetic.ARITHMETICS) * (len(code) + (len(filled_in) if len(filled_in) < len(code) else 0))
        with tqdm(total=total, desc=path.stem, unit="cell") as bar:
            try:
                build(path, bar.update)
            except (CellExecutionError, ValueError) as error:
                failed += 1
                bar.write(f"{path.name} is as it was, for it fails:\n{error}", file=sys.stderr)
            except KeyboardInterrupt:
                bar.write(f"stopped: {path.name} is as it was, and so are the lessons after it", file=sys.stderr)
                return 130
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
