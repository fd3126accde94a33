"""A real JupyterLab (or Voila) of its own, and Chromium to look at it: for the tests, the latency and the pictures."""

import contextlib
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import nbformat

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
ARGUMENTS += ["--disable-component-update", "--disable-sync"]
SETTINGS = {  # no news pop-up, which needs a network; every cell in the page, not only those in view
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False, "doNotDisturbMode": True},
    "notebook-extension/tracker": {"windowingMode": "none"},
}
PICTURE = 'svg.course-scene[role="img"]'
# The code of a cell that prints the state of each widget of ours, the latest of its kind, by the name of its class.
STATE = """import dataclasses, json
from ipywidgets.widgets.widget import _instances
from helpers.widgets._view import View
views = {type(w).__name__: w for w in _instances.values() if isinstance(w, View)}
print("STATE", json.dumps({name: dataclasses.asdict(view.state) for name, view in views.items()}))"""
# What the picture of each kind of widget begins to say.
BEGINNING = {
    "CPathSlider": "Path: c = ",
    "CSlider": "c = ",
    "PerturbationInspector": "Image ",
    "SolverTrace": "Iteration ",
    "TopImages": "Top images ",
}


def notebook(path, *sources):
    """Write a notebook with these code cells to ``path``, which is returned."""
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
    made.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(made, path)
    return path


def c_slider_notebook(path, *others):
    """A notebook with a CSlider, the code cells ``others``, and a last cell that prints the widgets' states."""
    return notebook(
        path,
        "from helpers import load_mnist, load_network\nfrom helpers.widgets import CSlider\n"
        'images, labels = load_mnist("test")\nnetwork = load_network("FC100-100-10")',
        "CSlider(network, images[0], 3, images=images[:3])",
        *others,
        STATE,
    )


def with_state_cell(lesson, path):
    """Copy the notebook ``lesson`` to ``path`` with a last cell that prints the states of its widgets."""
    made = nbformat.read(lesson, as_version=4)
    made.cells.append(nbformat.v4.new_code_cell(STATE))
    nbformat.write(made, path)


@contextlib.contextmanager
def server(program, folder):
    """Start ``program``, "lab" or "voila", in ``folder``. Yields the function from a notebook's name to its address."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    own, token = Path(folder) / ".jupyter-own", secrets.token_hex(16)
    for name, settings in SETTINGS.items():
        path = own / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(settings))
    environment = os.environ | {
        "JUPYTER_CONFIG_DIR": str(own / "config"),
        "JUPYTER_DATA_DIR": str(own / "data"),
        "JUPYTER_RUNTIME_DIR": str(own / "runtime"),
        "JUPYTERLAB_SETTINGS_DIR": str(own / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(own / "workspaces"),
        "IPYTHONDIR": str(own / "ipython"),
        "JUPYTER_PLATFORM_DIRS": "1",
        "OMP_NUM_THREADS": "1",
    }
    environment.pop("MPLBACKEND", None)
    base = f"http://127.0.0.1:{port}"
    if program == "lab":
        arguments = ["jupyterlab", "--allow-root", "--LabApp.expose_app_in_browser=True"]
        arguments += [f"--IdentityProvider.token={token}"]
        arguments += ["--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}", "--ServerApp.port_retries=0"]
        ready = f"{base}/api?token={token}"
    else:
        arguments = ["voila", f"--port={port}", "--Voila.ip=127.0.0.1", f"--token={token}"]
        ready = f"{base}/?token={token}"
    log = own / f"{program}.log"
    with log.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", *arguments, "--no-browser"], cwd=folder, env=environment, stdout=out, stderr=out
        )
        try:
            _wait_until_ready(ready, process, log)
            place = "lab/tree" if program == "lab" else "voila/render"
            yield lambda name: f"{base}/{place}/{name}?token={token}&reset"  # no notebook of the last visit
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(20)
            process.kill()


def _wait_until_ready(address, process, log, seconds=90):
    end, problem = time.monotonic() + seconds, None
    while time.monotonic() < end:
        if process.poll() is not None:
            break
        try:
            urllib.request.urlopen(address, timeout=5).close()
            return
        except OSError as error:
            problem = error
        time.sleep(0.3)
    raise RuntimeError(f"the server did not answer ({problem}):\n{log.read_text()[-3000:]}")


@contextlib.contextmanager
def chromium_page(width=1400, height=1100):
    """A page of a fresh Chromium. ``page.errors`` collects what its console calls an error, and exceptions."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = browser.new_page(viewport={"width": width, "height": height})
        page.errors = []
        # What pages fetch from elsewhere, such as Voila's fonts, must not matter: without a network it is not there.
        page.route(lambda url: not url.startswith("http://127.0.0.1"), lambda route: route.fulfill(status=200, body=""))
        page.on("console", lambda message: message.type == "error" and page.errors.append(message.text))
        page.on("pageerror", lambda error: page.errors.append(str(error)))
        try:
            yield page
        finally:
            browser.close()


def open_in_lab(page, address, seconds=120):
    """Open a notebook in JupyterLab, run all its cells and wait until the last one is done."""
    page.goto(address)
    page.set_default_timeout(1000 * seconds)
    page.wait_for_function(
        """() => {
            const kernel = globalThis.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel;
            return kernel?.connectionStatus === 'connected' && kernel.status === 'idle'
                && document.querySelector('.jp-Notebook .jp-CodeCell');
        }"""
    )
    # The promise is kept when the last cell has run.
    page.evaluate("jupyterapp.commands.execute('notebook:run-all-cells')")
    try:
        page.wait_for_function(
            """() => [...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')]
                .every(prompt => !/\\[[ *]\\]/.test(prompt.innerText))""",
            timeout=10_000,
        )
    except Exception as error:
        prompts = page.locator(".jp-CodeCell .jp-InputPrompt").all_inner_texts()
        raise RuntimeError(f"not every cell ran: {prompts}, {output_errors(page)}") from error


def choose_theme(page, theme):
    """Switch JupyterLab to ``theme``, "JupyterLab Light" or "JupyterLab Dark", and wait until its colours are there."""
    page.evaluate("theme => jupyterapp.commands.execute('apputils:change-theme', { theme })", theme)
    page.wait_for_function("theme => document.body.dataset.jpThemeName === theme", arg=theme)
    page.wait_for_timeout(500)


def output_errors(page):
    """The texts of all errors among the outputs."""
    kinds = ", ".join(f'.jp-OutputArea-output[data-mime-type$="{kind}"]' for kind in ("stderr", "error"))
    return page.locator(kinds).all_inner_texts()


def state_in_lab(page, widget="CSlider"):
    """Run the notebook's last cell again, and read the state of the ``widget`` that it prints."""
    cell = page.locator(".jp-Notebook .jp-CodeCell").last
    before = cell.locator(".jp-InputPrompt").inner_text()
    cell.locator(".cm-content").click()
    page.keyboard.press("Control+Enter")
    page.wait_for_function(
        """before => { const prompt = [...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')].at(-1).innerText;
                       return prompt !== before && /\\[\\d+\\]/.test(prompt); }""",
        arg=before,
    )
    output = cell.locator(".jp-OutputArea-output")
    output.get_by_text("STATE").wait_for()
    return json.loads(output.inner_text().split("STATE", 1)[1])[widget]


class Shown:
    """One of our widgets in a page: ``place`` locates it, ``picture`` its picture. ``name`` is that of its class."""

    def __init__(self, page, name):
        self.page, self.name = page, name
        self._where = f'{PICTURE}[aria-label^="{BEGINNING[name]}"]'
        self.place = page.locator(f".widget-vbox:has({self._where})").first
        self.picture = self.place.locator(PICTURE)

    def label(self):
        """What the picture says of itself."""
        return self.picture.get_attribute("aria-label")

    def texts(self):
        """What is written in the picture."""
        return self.picture.locator("text").all_text_contents()

    def state(self):
        """The widget's state, from Python."""
        return state_in_lab(self.page, self.name)

    def handle(self, number=0):
        """The knob of the widget's slider with this number, from the top."""
        return self.place.locator(".noUi-handle").nth(number)

    def press(self, knob, key):
        """Give the ``knob`` the focus, press the ``key``, and return what the picture says then."""
        old = self.label()
        knob.focus()
        self.page.keyboard.press(key)
        return self.wait_for_other_label(old)

    def wait_for_other_label(self, old, seconds=10):
        """Wait until the picture says something else than ``old``, and return that."""
        self.page.wait_for_function(
            "([where, old]) => document.querySelector(where)?.getAttribute('aria-label') !== old",
            arg=[self._where, old],
            timeout=1000 * seconds,
        )
        return self.label()
