"""Take the pictures of the widgets in this folder: ``python docs/screenshots.py``

Each is a screenshot of a real JupyterLab in Chromium: c_slider.png, c_slider_dark.png, inspector.png, trace.png.
Needs what the browser tests need.
"""

import ast
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))

import browser_tools  # noqa: E402
import nbformat  # noqa: E402

LARGEST = 200_000  # bytes of one picture
DIGITS = """from helpers import attack, load_mnist, load_network
from helpers.widgets import CSlider, PerturbationInspector
images, labels = load_mnist("test")
network = load_network("FC100-100-10")"""
SLIDER = "CSlider(network, images[0], 3, images=images[:8])"
INSPECTOR = """result = attack(network, images[:8], (labels[:8] + 1) % 10, progress=False)
inspector = PerturbationInspector(result, network)
inspector.index = 7
inspector"""


def trace_cells():
    """The code of lesson 05 up to its solver, then a run on Rosenbrock's function in a box."""
    lesson = nbformat.read(HERE.parent / "notebooks" / "05_the_box.ipynb", as_version=4)
    code = [cell.source for cell in lesson.cells if cell.cell_type == "code" and "checks." not in cell.source]
    code = [source for source in code if "NotImplementedError" not in source]
    solver = next(i for i, source in enumerate(code) if "def lbfgsb(" in source)
    wanted = [source for source in code[: solver + 1] if "plt.show" not in source]
    trees = [node for source in code for node in ast.parse(source).body]
    rosenbrock = next(node for node in trees if isinstance(node, ast.FunctionDef) and node.name == "rosenbrock")
    run = """from helpers.widgets import SolverTrace
low, high = np.array([-1.5, -0.5]), np.array([0.6, 1.6])
run = lbfgsb(rosenbrock, np.array([-1.2, 1.2]), low, high, gtol=1e-8, ftol=0.0)
trace = SolverTrace(run["trace"], rosenbrock, low, high)
trace.step = 14
trace"""
    return ["\n\n".join(wanted), ast.unparse(rosenbrock), run]


def shoot(page, address, path, theme="JupyterLab Light"):
    """Run the notebook at ``address`` and write what its widget looks like to ``path``."""
    browser_tools.open_in_lab(page, address)
    if errors := browser_tools.output_errors(page):
        raise RuntimeError(f"{path.name}: {errors[0]}")
    page.evaluate("theme => jupyterapp.commands.execute('apputils:change-theme', { theme })", theme)
    page.wait_for_function("theme => document.body.dataset.jpThemeName === theme", arg=theme)
    page.wait_for_timeout(1500)
    page.locator(
        ".jp-OutputArea-output .jupyter-widgets.widget-vbox, .jp-OutputArea-output .widget-vbox"
    ).first.screenshot(path=path)
    if (size := path.stat().st_size) > LARGEST:
        raise RuntimeError(f"{path.name} takes {size} bytes, more than {LARGEST}")
    print(f"{path.name}: {size / 1000:.0f} kB")


def main():
    """Take all the pictures."""
    shots = {
        "c_slider": [DIGITS, SLIDER],
        "c_slider_dark": [DIGITS, SLIDER],
        "inspector": [DIGITS, INSPECTOR],
        "trace": trace_cells(),
    }
    with tempfile.TemporaryDirectory() as folder:
        for name, cells in shots.items():
            browser_tools.notebook(Path(folder) / f"{name}.ipynb", *cells)
        with browser_tools.server("lab", folder) as address:
            for name in shots:
                theme = "JupyterLab Dark" if name.endswith("dark") else "JupyterLab Light"
                with browser_tools.chromium_page(1250, 1900) as page:
                    shoot(page, address(f"{name}.ipynb"), HERE / f"{name}.png", theme)


if __name__ == "__main__":
    main()
