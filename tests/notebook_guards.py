"""What nbval cannot see. Each guard takes the path of a notebook and returns what is wrong with it, one sentence each.

nbval compares no output where none is stored, lets a misspelt magic pass with all that follows in its cell, and takes
``raises-exception`` for an answer where nothing is raised.
"""

import ast
import re

import nbformat
from IPython.core.inputtransformer2 import TransformerManager
from notebook_tools import cells

LARGEST = 1_500_000  # bytes of one notebook
WIDEST = 95  # characters of a printed line: JupyterLab wraps longer ones in a window of 1100 pixels, and a table breaks
MAGIC = re.compile(r"get_ipython\(\)\.(?:run_line_magic|run_cell_magic|system|getoutput)\('([^']*)'")
MACHINE = re.compile(r"(?:/home|/Users|/root|/tmp|/work|/usr|/opt|/mnt)/\w|[A-Z]:\\|site-packages|ipykernel_\d")
NOISE = {
    "a traceback": re.compile(r"Traceback \(most recent call last\)"),
    "a warning": re.compile(r"\b\w*Warning: "),
    "a path of this machine": MACHINE,
    "an address in memory": re.compile(r"\bat 0x[0-9a-fA-F]{4,}"),
}


def checked_cells_have_output(path):
    """A cell tagged nbval-check-output must have a stored text, or nbval compares it with nothing."""
    return [
        f"code cell {i} is checked, but has no stored text: print a rounded value or a boolean"
        for i, cell in _numbered(path)
        if "nbval-check-output" in _tags(cell) and not any(_plain(output).strip() for output in cell.outputs)
    ]


def no_magics(path):
    """A misspelt magic ends its cell without an error. The course needs none, so none may stand."""
    found = [(i, MAGIC.findall(TransformerManager().transform_cell(cell.source))) for i, cell in _numbered(path)]
    return [f"code cell {i} uses the magic or shell command {name!r}" for i, names in found for name in names]


def executed_in_one_go(path):
    """The cells must be numbered 1, 2, 3, ... as a fresh kernel numbers them."""
    counts = [cell.execution_count for cell in cells(path) if cell.source.strip()]
    if counts == list(range(1, len(counts) + 1)):
        return []
    return [f"not executed top to bottom in one go: the cells are numbered {counts}"]


def outputs_are_clean(path):
    """No warning, traceback, machine path or memory address, nothing on stderr, no widget without a picture."""
    found = []
    for i, cell in _numbered(path):
        for output in cell.outputs:
            text = re.sub(r"base64,[A-Za-z0-9+/=]+", "", _text(output))
            found += [
                f"code cell {i} shows {what}: {text.strip()[:80]!r}" for what in NOISE if NOISE[what].search(text)
            ]
            if output.output_type == "error" or output.get("name") == "stderr":
                found.append(f"code cell {i} has an error or writes to stderr: {text.strip()[:80]!r}")
            if any("widget-view" in kind for kind in output.get("data", {})):
                found.append(f"code cell {i} stores a widget's view, dead without its kernel: run notebooks/build.py")
    return found


def no_printed_line_wraps(path):
    """A table whose lines wrap cannot be read. (What a check says is a sentence, and may wrap.)"""
    found = []
    for i, cell in _numbered(path):
        for output in cell.outputs if "exercise-check" not in _tags(cell) else ():
            lines = output.text.splitlines() if output.get("name") == "stdout" else ()
            wide = [line for line in lines if len(line) > WIDEST]
            found += [f"code cell {i} prints a line of {len(line)} characters: {line[:60]!r}" for line in wide[:1]]
    return found


def no_exceptions_expected(path):
    """A cell that may raise, or that is skipped, proves nothing."""
    banned = {"raises-exception", "nbval-raises-exception", "nbval-skip", "skip-execution"}
    return [f"code cell {i} is tagged {tag}" for i, cell in _numbered(path) for tag in sorted(banned & _tags(cell))]


def not_too_large(path):
    """A notebook is read in a browser and kept in git."""
    size = path.stat().st_size
    return [f"{size / 1e6:.1f} MB, more than {LARGEST / 1e6:.1f} MB"] if size > LARGEST else []


def exercises_are_open(path):
    """Each exercise is a stub that raises NotImplementedError, is checked, and has a solution of the same name."""
    found, stub = [], None
    for i, cell in _numbered(path):
        if "exercise" in _tags(cell):
            stub, checked = (i, _functions(cell)), False
            if not stub[1]:
                found.append(f"exercise in code cell {i} has no function to write")
            for name, body in stub[1].items():
                if not body or ast.dump(body[-1]) != ast.dump(ast.parse("raise NotImplementedError").body[0]):
                    found.append(f"exercise {name} in code cell {i} does not end with raise NotImplementedError")
        elif "exercise-check" in _tags(cell) and stub:
            checked = True
            text = "".join(map(_plain, cell.outputs))
            if "not attempted yet" not in text:
                found.append(f"the check in code cell {i} does not say that the stub is not attempted: {text[:60]!r}")
        elif "solution" in _tags(cell) and stub:
            answers = _functions(cell)
            if "@checks.reference\n" not in cell.source:
                found.append(f"the solution in code cell {i} overwrites a reader's own: put @checks.reference on it")
            for name, body in stub[1].items():
                if name not in answers:
                    found.append(f"the solution in code cell {i} does not define {name}")
                elif {*map(ast.dump, answers[name])} <= {*map(ast.dump, body)}:
                    found.append(f"exercise {name} in code cell {stub[0]} already holds its solution")
            if not checked:
                found.append(f"exercise in code cell {stub[0]} has no cell tagged exercise-check before its solution")
            stub = None
    return found


def checks_say_correct(path):
    """In a notebook of solutions, every check prints "correct"."""
    outputs = [
        (i, "".join(map(_plain, cell.outputs))) for i, cell in _numbered(path) if "exercise-check" in _tags(cell)
    ]
    if not outputs:
        return ["no cell is tagged exercise-check"]
    return [
        f"the check in code cell {i} does not say correct: {text[:120]!r}"
        for i, text in outputs
        if ": correct" not in text
    ]


def has_title_and_end(path):
    """A lesson opens with a title that bears its number, and both its first and its last cell are prose."""
    whole = nbformat.read(path, as_version=4).cells
    first, last = whole[0], whole[-1]
    found = []
    if first.cell_type != "markdown" or not first.source.startswith(f"# {path.name[:2]} · "):
        found.append(f"the first cell is not a title '# {path.name[:2]} · ...': {first.source[:40]!r}")
    if last.cell_type != "markdown":
        found.append("the last cell is not prose: say what is now known")
    return found


ALL = [
    checked_cells_have_output,
    no_magics,
    executed_in_one_go,
    outputs_are_clean,
    no_printed_line_wraps,
    no_exceptions_expected,
    not_too_large,
]
LESSON = [*ALL, exercises_are_open, has_title_and_end]
SOLUTION = [*ALL, checks_say_correct]


def _numbered(path):
    return list(enumerate(cells(path), 1))


def _tags(cell):
    return set(cell.metadata.get("tags", []))


def _plain(output):
    """What nbval would compare: printed text, or a value's text. A figure's is only its size."""
    text = output.get("text", "") or output.get("data", {}).get("text/plain", "")
    return "" if text.startswith("<Figure size") or output.get("name") == "stderr" else text


def _text(output):
    parts = [v for k, v in output.get("data", {}).items() if k.startswith("text/") and isinstance(v, str)]
    return "\n".join([output.get("text", ""), *parts, *output.get("traceback", [])])


def _functions(cell):
    """Each top-level function of the cell, as the list of its statements without the docstring."""
    found = {}
    for node in ast.parse(cell.source).body:
        if isinstance(node, ast.FunctionDef):
            found[node.name] = node.body[1:] if ast.get_docstring(node) is not None else node.body
    return found
