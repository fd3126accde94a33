"""What tests need of a notebook: its path, its cells, and the names that its code defines."""

import contextlib
import io
import os
import warnings
from pathlib import Path

import build
import matplotlib
import nbformat
import numpy as np

from helpers.checks import _verdict

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = ROOT / "notebooks"


def notebooks(solutions=False):
    """The paths of the lessons, in order; with ``solutions=True`` those of the filled-in ones."""
    return sorted((NOTEBOOKS / "solutions" if solutions else NOTEBOOKS).glob("[0-9][0-9]_*.ipynb"))


def cells(path, tag=None):
    """The notebook's code cells in order, all or those with ``tag``; each has ``source`` and ``outputs``."""
    code = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    return [cell for cell in code if tag is None or tag in cell.metadata.get("tags", [])]


def source(path, name, tag):
    """The source of the first cell with ``tag`` of the notebook at ``path`` that defines the function ``name``."""
    found = next(cell.source for cell in cells(path, tag) if f"def {name}(" in cell.source)
    return found.replace(build.REFERENCE, "")


def written(path, name, *changes, tag="solution", needs=(), scope=None):
    """The function ``name`` of the notebook, with pieces of its source replaced: a mistake in one place.

    ``changes``: pairs of what stands in the source and what shall stand there. ``needs``: names of functions of the
    notebook that it calls. It sees these, NumPy as ``np``, and the names in ``scope``, a dictionary.
    """
    text = source(path, name, tag)
    for old, new in changes:
        assert old in text, f"{name} does not contain {old!r}"
        text = text.replace(old, new)
    scope = {"np": np, **(scope or {})}
    for other in needs:
        exec(source(path, other, None), scope)
    exec(text, scope)
    return scope[name]


def namespace(path, until=None):
    """Run the notebook's code here, without pictures or printing, and return the dictionary of the names it defines.

    ``until``: stop before the first cell that contains this text, for a test that needs only what comes earlier.
    Raises ValueError if no cell does. A cell that raises raises here, with the cell's number as its file name.
    """
    import matplotlib.pyplot as plt

    code = cells(path)
    if until is not None:
        ends = [i for i, cell in enumerate(code) if until in cell.source]
        if not ends:
            raise ValueError(f"no code cell of {Path(path).name} contains {until!r}")
        code = code[: ends[0]]

    _verdict._passed.clear()  # or what another test's candidate has left there would be "the reader's"
    scope = {"__name__": "__main__"}
    backend, folder, style = matplotlib.get_backend(), Path.cwd(), matplotlib.rcParams.copy()
    matplotlib.use("Agg")
    os.chdir(Path(path).parent)
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*non-interactive")  # plt.show() on Agg
            for i, cell in enumerate(code):
                exec(compile(cell.source, f"{Path(path).name}[{i}]", "exec"), scope)
    finally:
        os.chdir(folder)
        plt.close("all")
        matplotlib.use(backend)
        dict.update(matplotlib.rcParams, style)
    return scope
