"""How long from a key press on a slider to the painted picture: ``python tests/widget_latency.py``

Starts a JupyterLab of its own and drives the widgets' sliders in Chromium. Prints for each the median over 50 presses a
fifth of a second apart, as a person looks and presses again, and over 50 that each follow the last picture at once; and
for the c slider what ten presses 20 ms apart end in. Exits with 1 where the c slider takes 50 ms or more, or loses one.

The c slider's pictures wait in the browser. The other widgets ask the kernel for each; there, presses in quick
succession show the 40 ms of a delayed acknowledgement, for Jupyter's server leaves TCP_NODELAY unset.
"""

import os
import random
import statistics
import sys
import tempfile
from pathlib import Path

import browser_tools
from browser_tools import Shown

PRESSES, APART, GOAL = 50, 200, 50
FAST, FAST_APART = 10, 20  # apart, goal: milliseconds
WIDGETS = {
    "CSlider": "CSlider(network, images[0], 3)",
    "PerturbationInspector": "PerturbationInspector(result, network)",
    "SolverTrace": "SolverTrace([{'x': [0.01 * k, 0.5], 'f': 1.0 - 0.01 * k} for k in range(40)], lambda x: x @ x)",
}

# In the page itself: from the event of the key to the frame with the new picture, painted.
WATCH = """slider => {
    const view = slider.closest('.jp-OutputArea-output');
    const said = () => view.querySelector('svg[role="img"]')?.getAttribute('aria-label');
    let pressed = 0, old = said();
    globalThis.said = []; globalThis.milliseconds = [];
    document.addEventListener('keydown', () => { pressed = performance.now(); }, true);
    new MutationObserver(() => {
        if (!said() || said() === old) return;
        const start = pressed;
        globalThis.said.push(old = said());
        requestAnimationFrame(() => setTimeout(() => globalThis.milliseconds.push(performance.now() - start)));
    }).observe(view, { childList: true, subtree: true });
}"""


def measure(page, slider, apart):
    """The milliseconds of each of PRESSES presses on ``slider``, ``apart`` milliseconds after the last picture."""
    slider.focus()
    page.keyboard.press("Home")
    page.wait_for_timeout(1000)
    page.evaluate("globalThis.milliseconds = []")
    for k in range(PRESSES):
        page.keyboard.press("ArrowRight" if k % 40 < 20 else "ArrowLeft")
        page.wait_for_function("k => globalThis.milliseconds.length > k", arg=k)
        page.wait_for_timeout(apart * random.uniform(0.8, 1.2))  # not in step with the screen
    return page.evaluate("globalThis.milliseconds")


def fast_presses(page, slider):
    """Press FAST times, faster than anyone. Returns how many pictures came, and if Python and the last one agree."""
    slider.focus()
    page.keyboard.press("Home")
    page.wait_for_timeout(1000)
    page.evaluate("globalThis.said = []")
    for _ in range(FAST):
        page.keyboard.press("ArrowRight")
        page.wait_for_timeout(FAST_APART)
    page.wait_for_timeout(1000)
    said, state = page.evaluate("globalThis.said"), browser_tools.state_in_lab(page)
    return len(said), state["index"] == FAST and f"c = {state['c']:.3g}:" in said[-1]


def main():
    """Measure and print. Returns the exit status."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "latency.ipynb"
        setup = "from helpers import attack, load_mnist, load_network\nfrom helpers.widgets import *\n"
        setup += 'images, labels = load_mnist("test")\nnetwork = load_network("FC100-100-10")\n'
        setup += "result = attack(network, images[:3], (labels[:3] + 1) % 10, progress=False)"
        browser_tools.notebook(path, setup, *WIDGETS.values(), browser_tools.STATE)
        with browser_tools.server("lab", folder) as address, browser_tools.chromium_page() as page:
            browser_tools.open_in_lab(page, address(path.name))
            print(f"from the key to the painted picture, milliseconds ({os.cpu_count()} cores)")
            medians = {}
            for name in WIDGETS:
                slider = Shown(page, name).handle(1 if name == "PerturbationInspector" else 0)  # there: of the row
                slider.evaluate(WATCH)
                for pace, apart in (("a person's pace", APART), ("at once", 0)):
                    times = measure(page, slider, apart)
                    medians[name, apart] = statistics.median(times)
                    print(f"{name:22} {pace:16} median {medians[name, apart]:3.0f}  slowest {max(times):3.0f}")
                if name == "CSlider":
                    drawn, kept = fast_presses(page, slider)
            print(f"{FAST} presses {FAST_APART} ms apart: {drawn} pictures, {'nothing lost' if kept else 'STATE LOST'}")
    return 0 if kept and medians["CSlider", APART] < GOAL else 1


if __name__ == "__main__":
    sys.exit(main())
