"""How long from a key press on the slider to the changed picture: ``python tests/widget_latency.py``

Starts a JupyterLab of its own and drives its slider in Chromium. Prints the median over 50 presses, one after the
other, and how many of ten fast presses, 20 ms apart, the final state holds. Exits with 1 where a press was lost.
"""

import os
import statistics
import sys
import tempfile
from pathlib import Path

import browser_tools
from browser_tools import PICTURE

PRESSES, FAST, APART = 50, 10, 20  # apart: milliseconds

# In the page itself: from the event of the key to the frame in which the new picture is in place.
WATCH = """where => {
    globalThis.pressed = 0; globalThis.changes = []; globalThis.milliseconds = [];
    document.addEventListener('keydown', () => { globalThis.pressed = performance.now(); }, true);
    const box = document.querySelector(where).parentElement;
    new MutationObserver(() => {
        if (!box.querySelector('svg')) return;
        const start = globalThis.pressed;
        globalThis.changes.push(box.querySelector('svg').getAttribute('aria-label'));
        requestAnimationFrame(() => globalThis.milliseconds.push(performance.now() - start));
    }).observe(box, { childList: true });
}"""


def measure(page):
    """A dictionary of what was measured on the page of an open notebook with a CSlider."""
    page.evaluate(WATCH, PICTURE)
    slider = page.locator(".jupyter-widgets .noUi-handle").first
    slider.focus()
    page.keyboard.press("Home")
    page.wait_for_timeout(1000)
    page.evaluate("globalThis.milliseconds = []")
    for k in range(PRESSES):
        page.keyboard.press("ArrowRight" if k % 40 < 20 else "ArrowLeft")
        page.wait_for_function("k => globalThis.milliseconds.length > k", arg=k)
    times = page.evaluate("globalThis.milliseconds")

    page.keyboard.press("Home")
    page.wait_for_timeout(1000)
    page.evaluate("globalThis.changes = []")
    for _ in range(FAST):
        page.keyboard.press("ArrowRight")
        page.wait_for_timeout(APART)
    page.wait_for_timeout(2000)
    shown, drawn = browser_tools.label(page), page.evaluate("globalThis.changes.length")
    state = browser_tools.state_in_lab(page)
    agree = f"c = {state['c']:.3g}:" in shown
    return {
        "median": statistics.median(times),
        "slowest": max(times),
        "presses": len(times),
        "index": state["index"],
        "drawn": drawn,
        "kept": state["index"] == FAST and agree,
    }


def main():
    """Measure and print. Returns the exit status."""
    with tempfile.TemporaryDirectory() as folder:
        browser_tools.c_slider_notebook(Path(folder) / "latency.ipynb")
        with browser_tools.server("lab", folder) as address, browser_tools.chromium_page() as page:
            browser_tools.open_in_lab(page, address("latency.ipynb"))
            found = measure(page)
    print(
        f"key to picture: median {found['median']:.0f} ms, slowest {found['slowest']:.0f} ms of {found['presses']} "
        f"presses ({os.cpu_count()} cores, load {os.getloadavg()[0]:.1f})\n"
        f"{FAST} presses {APART} ms apart: {found['drawn']} pictures, the slider at {found['index']}; "
        f"{'nothing lost' if found['kept'] else 'STATE LOST'}"
    )
    return 0 if found["kept"] else 1


if __name__ == "__main__":
    sys.exit(main())
