"""Take the pictures of the widgets in this folder: ``python docs/screenshots.py``

Each is a screenshot of a real JupyterLab in Chromium: c_slider.png, c_slider_dark.png, inspector.png, trace.png.
Needs what the browser tests need.
"""

import re
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / folder) for folder in ("tests", "notebooks")]

import browser_tools  # noqa: E402
from notebook_tools import NOTEBOOKS, cells  # noqa: E402

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
    """The code of lesson 05 up to its SolverTrace, without the exercises and the other pictures."""
    sources = []
    for cell in cells(NOTEBOOKS / "05_the_box.ipynb"):
        if "raise NotImplementedError" not in cell.source and not re.search(r"plt\.show|^checks\.", cell.source):
            sources.append(cell.source)
        if "SolverTrace(" in cell.source:
            return sources


def shoot(page, address, path, theme="JupyterLab Light"):
    """Run the notebook at ``address`` and write what its widget looks like to ``path``."""
    browser_tools.open_in_lab(page, address)
    if errors := browser_tools.output_errors(page):
        raise RuntimeError(f"{path.name}: {errors[0]}")
    browser_tools.choose_theme(page, theme)
    page.wait_for_timeout(1000)
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
        for name, sources in shots.items():
            browser_tools.notebook(Path(folder) / f"{name}.ipynb", *sources)
        with browser_tools.server("lab", folder) as address:
            for name in shots:
                theme = "JupyterLab Dark" if name.endswith("dark") else "JupyterLab Light"
                with browser_tools.chromium_page(1250, 1900) as page:
                    shoot(page, address(f"{name}.ipynb"), HERE / f"{name}.png", theme)


if __name__ == "__main__":
    main()
