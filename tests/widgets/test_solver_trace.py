"""The solver's trace without a browser."""

import ast
import json
import subprocess
import sys

import numpy as np
import pytest
from notebook_tools import cells, notebooks

from helpers.widgets import SolverTrace


def test_stepping_through_a_trace(trace, label, bowl):
    state = trace.state
    assert (state.step, state.last, state.x, state.cauchy) == (0, 1, (0, 0), (0.5, 0.3))
    assert state.subspace == (2.8, 0.6) and state.how == "projected" and state.f == pytest.approx(bowl(np.zeros(2))[0])
    assert "Cauchy point (0.5000, 0.3000), subspace minimiser (2.8000, 0.6000)" in label(trace)
    trace.forward.click()
    assert trace.step == 1 and trace.state.cauchy is None and "Cauchy" not in label(trace)
    trace.forward.click()
    assert trace.step == 1
    trace.back.click()
    assert trace.step == 0
    with pytest.raises(IndexError, match="from 0 to 1"):
        trace.step = 2


def test_a_trace_needs_a_plane_and_an_entry(bowl):
    with pytest.raises(ValueError, match="empty"):
        SolverTrace([], bowl)
    with pytest.raises(ValueError, match=r"shape \(3,\)"):
        SolverTrace([{"x": np.zeros(3), "f": 0.0}], bowl)
    bare = SolverTrace([{"x": np.zeros(2), "f": 1.0}, {"x": np.ones(2), "f": 0.0}], lambda x: bowl(x)[0])
    bare.step = 1
    assert bare.state.x == (1, 1) and bare.state.g_norm is None


def test_the_trace_needs_no_torch():
    code = (
        "import sys, json, numpy as np; from helpers.widgets import SolverTrace;"
        "w = SolverTrace([{'x': np.zeros(2), 'f': 0.0}], lambda x: float(x @ x));"
        "w._repr_mimebundle_(); print(json.dumps('torch' in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) is False


STEPPED = [path for path in notebooks() if any("SolverTrace(" in cell.source for cell in cells(path))]


def test_lessons_03_to_05_have_a_trace_to_step_through():
    assert [path.name[:2] for path in STEPPED] == ["03", "04", "05"]


@pytest.mark.parametrize("path", STEPPED, ids=lambda path: path.stem)
def test_what_a_lesson_with_a_trace_imports_is_without_torch(path):
    nodes = [node for cell in cells(path) for node in ast.walk(ast.parse(cell.source))]
    imports = [ast.unparse(node) for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)]
    assert "from helpers.widgets import SolverTrace" in imports
    code = "\n".join([*imports, "import sys; print('torch' in sys.modules)"])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
