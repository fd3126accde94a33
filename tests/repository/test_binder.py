"""What mybinder.org would build: the rendered configuration, and its steps in a fresh virtual environment."""

import json
import os
import re
import runpy
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
import uuid
from types import SimpleNamespace

import psutil
import pytest
import websocket
from notebook_tools import ROOT, cells
from repo2docker.app import Repo2Docker

CPU_WHEELS = "--extra-index-url https://download.pytorch.org/whl/cpu"
LESSON = "notebooks/06_the_attack.ipynb"
MEMORY = 2e9  # bytes: what a session of mybinder.org has
CELL = 120  # seconds
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Binder runs Linux")


@pytest.fixture(scope="module")
def rendered():
    """What repo2docker makes of this repository: the build pack's name, the Python, the shell commands in order."""
    app, before = Repo2Docker(), os.getcwd()
    os.chdir(ROOT)  # where repo2docker looks
    try:
        for kind in app.buildpacks:
            pack = kind(base_image=app.base_image)
            pack.platform = "linux/amd64"
            if pack.detect():
                commands = [" ".join(script.split()) for _, script in pack.get_assemble_scripts()]
                commands += [f"./{script.strip()}" for script in pack.get_post_build_scripts()]
                name, python, start = type(pack).__name__, pack.python_version, pack.get_start_script()
                return SimpleNamespace(pack=name, python=python, commands=commands, start=start)
    finally:
        os.chdir(before)


def requirements(name):
    """The lines of a requirements file, without comments."""
    lines = (ROOT / name).read_text().splitlines()
    return sorted(line for line in map(str.strip, lines) if line and not line.startswith("#"))


def test_binder_reads_our_files(rendered):
    install = '${KERNEL_PYTHON_PREFIX}/bin/pip install --no-cache-dir -r "binder/requirements.txt"'
    assert (rendered.pack, rendered.python) == ("PythonBuildPack", "3.12")
    assert rendered.commands == [install, "./binder/postBuild"]
    assert rendered.start == "${REPO_DIR}/binder/start"


def test_both_lists_of_requirements_agree():
    assert requirements("binder/requirements.txt") == sorted([CPU_WHEELS, *requirements("requirements.txt")])


@linux
def test_the_scripts_can_be_run_and_stop_at_an_error():
    for name in ("postBuild", "start"):
        script = ROOT / "binder" / name
        assert os.access(script, os.X_OK) and script.read_text().startswith("#!/bin/bash\n")
    assert "\nset -e\n" in (ROOT / "binder" / "postBuild").read_text()


@linux
def test_start_hands_over_with_one_thread():
    show = [sys.executable, "-c", "import os, sys; print(os.environ['OMP_NUM_THREADS'], sys.argv[1])", "two words"]
    done = subprocess.run([str(ROOT / "binder" / "start"), *show], capture_output=True, text=True)
    assert done.stdout == "1 two words\n"


def test_one_command_sets_the_address_everywhere(tmp_path):
    address = runpy.run_path(str(ROOT / "binder" / "address.py"))
    for path in address["files"]():
        (tmp_path / path.relative_to(ROOT)).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, tmp_path / path.relative_to(ROOT))
    link = re.compile(r"mybinder\.org/v2/gh/([\w.-]+/[\w.-]+)/HEAD\?urlpath=lab/tree/notebooks/00_start_here\.ipynb")
    for new in ("ada/course-1", "grace/other.name"):  # the second time moves it
        address["set_address"](new, tmp_path)
        for name in ("README.md", "binder/README.md"):
            assert set(link.findall((tmp_path / name).read_text())) == {new}
    with pytest.raises(SystemExit, match="is not an address"):
        address["set_address"]("https://a.b/c/d", tmp_path)


# The steps themselves, in a fresh virtual environment; then JupyterLab, started as Binder starts it, on one CPU.


@pytest.fixture(scope="module")
def environment(rendered, tmp_path_factory):
    """A copy of the repository, and the variables under which Binder's own commands have made its environment."""
    work = tmp_path_factory.mktemp("binder")
    repository, prefix = work / "repository", work / "environment"
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "OMP", "PYTHON"))}
    variables |= {
        "KERNEL_PYTHON_PREFIX": str(prefix),
        "PATH": f"{prefix / 'bin'}:{os.environ['PATH']}",
        "PIP_RETRIES": "0",  # where the index of CPU wheels is out of reach, the default wheels do
        **{f"JUPYTER_{kind}": str(work / kind) for kind in ("CONFIG_DIR", "DATA_DIR", "RUNTIME_DIR")},
    }
    try:
        shutil.copytree(ROOT, repository, ignore=shutil.ignore_patterns(".venv*", ".git", "*.egg-info", "__pycache__"))
        subprocess.run([sys.executable, "-m", "venv", prefix], check=True)
        for command in rendered.commands:
            step = ["bash", "-c", command]
            done = subprocess.run(step, cwd=repository, env=variables, capture_output=True, text=True)
            assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        yield repository, variables
    finally:  # several GB: also where a step has failed, which may have been for want of room
        shutil.rmtree(work)


@linux
@pytest.mark.slow
@pytest.mark.skipif(not (ROOT / LESSON).exists(), reason="lesson 06 is not written yet")
def test_lesson_06_fits_into_a_binder_session(environment, record_property):
    repository, variables = environment
    with Lab(repository, variables) as lab:
        kernel = lab.post("sessions", path=LESSON, name="", type="notebook", kernel={"name": "python3"})["kernel"]["id"]
        started = time.monotonic()
        for cell in cells(repository / LESSON):
            lab.execute(kernel, cell.source)
        seconds, peak = time.monotonic() - started, lab.peak_memory()
    record_property(
        "measured",
        f"06 on one CPU as on Binder: {seconds:.0f} s, kernel and server together at most {peak / 1e6:.0f} MB",
    )
    assert peak < MEMORY


class Lab:
    """JupyterLab behind binder/start on one CPU, spoken to as a browser would."""

    def __init__(self, repository, variables):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.token = uuid.uuid4().hex
        self.address = f"127.0.0.1:{port}"
        options = [f"--ServerApp.port={port}", f"--IdentityProvider.token={self.token}", "--allow-root", "--no-browser"]
        one_cpu = ["taskset", "--cpu-list", str(min(os.sched_getaffinity(0)))]
        self.process = subprocess.Popen(
            [*one_cpu, "./binder/start", "jupyter", "lab", "--ServerApp.ip=127.0.0.1", *options],
            cwd=repository, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def __enter__(self):
        for _ in range(120):
            try:
                urllib.request.urlopen(f"http://{self.address}/api?token={self.token}").close()
                return self
            except OSError:
                assert self.process.poll() is None, "JupyterLab ended"
                time.sleep(0.5)
        raise AssertionError("JupyterLab did not start in 60 s")

    def __exit__(self, *_):
        for process in self._processes():
            process.terminate()
        self.process.wait(30)

    def _processes(self):
        server = psutil.Process(self.process.pid)
        return [*server.children(recursive=True), server]

    def peak_memory(self):
        """The sum of each process's peak resident memory, in bytes: what all held at once is no more."""
        status = [open(f"/proc/{process.pid}/status").read() for process in self._processes()]
        return sum(int(re.search(r"VmHWM:\s+(\d+) kB", text).group(1)) * 1024 for text in status)

    def post(self, what, **body):
        """Ask the server's REST interface for something new."""
        request = urllib.request.Request(f"http://{self.address}/api/{what}", json.dumps(body).encode())
        request.add_header("Authorization", f"token {self.token}")
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    def execute(self, kernel, code):
        """Run ``code`` in the kernel and wait for it; what it raises fails the test."""
        url = f"ws://{self.address}/api/kernels/{kernel}/channels?token={self.token}"
        header = {
            "msg_id": uuid.uuid4().hex,
            "msg_type": "execute_request",
            "username": "",
            "session": "",
            "version": "5.3",
        }
        content = {"code": code, "silent": False, "store_history": True, "allow_stdin": False, "stop_on_error": True}
        message = {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}
        connection = websocket.create_connection(url, timeout=CELL)
        try:
            connection.send(json.dumps(message))
            while True:
                reply = json.loads(connection.recv())
                if reply["parent_header"].get("msg_id") == header["msg_id"] and reply["msg_type"] == "execute_reply":
                    assert reply["content"]["status"] == "ok", reply["content"]
                    return
        finally:
            connection.close()
