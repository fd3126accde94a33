"""What all tests share: a network and digits, thread counts, markers, what may be skipped, the measured figures."""

import os
import urllib.request

import pytest

if "PYTEST_XDIST_WORKER" in os.environ:
    # Workers and the kernels they start share the cores. Must be set before NumPy or torch is first imported.
    os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="module")
def network():
    """FC100-100-10 with its stored weights."""
    from helpers import load_network

    return load_network("FC100-100-10")


@pytest.fixture(scope="module")
def digits():
    """The first hundred test images, and for each the digit after its own: a target."""
    from helpers import load_mnist

    images, labels = load_mnist("test")
    return images[:100], (labels[:100] + 1) % 10


@pytest.fixture
def offline(tmp_path, monkeypatch):
    """No network, as behind a proxy that is not there, and an empty cache of torch's: the folder of its weights."""
    import torch

    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    # urlopen keeps the proxies of its first call for ever: this one's must not be those of the tests that follow.
    monkeypatch.setattr(urllib.request, "_opener", None)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    return tmp_path / "hub" / "checkpoints"


def pytest_collection_modifyitems(items):
    """A notebook's cells take minutes in all: they count as slow, and can be asked for as lessons."""
    for item in items:
        if item.path.suffix == ".ipynb":
            item.add_marker(pytest.mark.slow)
            item.add_marker(pytest.mark.lesson)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """In CI a browser test that is skipped (no Chromium, say) has failed."""
    report = yield
    if report.skipped and os.environ.get("CI") and item.get_closest_marker("browser"):
        report.outcome = "failed"
        report.longrepr = f"skipped, which CI does not allow for a browser test: {report.longrepr}"
    return report


def pytest_terminal_summary(terminalreporter):
    """Print what the tests measured with ``record_property("measured", sentence)``."""
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.stats.get(kind, [])]
    sentences = {
        value for report in reports for key, value in getattr(report, "user_properties", []) if key == "measured"
    }
    if sentences:
        terminalreporter.section("measured")
        terminalreporter.write_line("\n".join(sorted(sentences)))
