"""The environment check: sound here, and one sentence with a remedy for each thing that can be missing."""

import builtins
import sys
from importlib.metadata import PackageNotFoundError

import pytest

from helpers import environment
from helpers.digits import mnist, networks


def said(capsys):
    environment.check()
    return capsys.readouterr().out


def test_this_environment_is_sound(capsys):
    assert said(capsys).startswith("The environment is sound: ")


def test_an_old_python(capsys, monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 9, 1))
    monkeypatch.setattr(sys, "version", "3.9.1 (main)")
    assert "This is Python 3.9.1; the course needs 3.10 or later" in said(capsys)


@pytest.mark.parametrize(
    "line, message",
    [
        ("no-such-package-here>=1", "no-such-package-here is missing"),
        ("numpy>=1,<2  # a comment", "wanted is <2,>=1"),
    ],
)
def test_packages_missing_or_too_old(capsys, monkeypatch, tmp_path, line, message):
    file = tmp_path / "requirements.txt"
    file.write_text(f"# what it needs\n-e .\n\nmatplotlib>=3\n{line}\n")
    monkeypatch.setattr(environment, "REQUIREMENTS", file)
    out = said(capsys)
    assert message in out and f'"{sys.executable}" -m pip install -r requirements.txt' in out
    assert "matplotlib" not in out


def test_every_requirement_is_looked_up(capsys, monkeypatch):
    def missing(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(environment, "version", missing)
    out = said(capsys)
    for name in ("numpy", "scipy", "matplotlib", "torch", "jupyterlab", "ipywidgets", "tqdm"):
        assert f"{name} is missing" in out


@pytest.mark.parametrize("content", [None, b"not gzip at all", b""])
def test_digits_missing_or_damaged(capsys, monkeypatch, tmp_path, content):
    for name in ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"):
        if content is not None:
            (tmp_path / name).write_bytes(content)
    monkeypatch.setattr(mnist, "FOLDER", tmp_path)
    mnist._bytes.cache_clear()
    try:
        assert "The digits in helpers/data/mnist are missing or damaged" in said(capsys)
    finally:
        mnist._bytes.cache_clear()


def test_torch_missing(capsys, monkeypatch):
    real = builtins.__import__

    def without_torch(name, *args, **kwargs):
        if name == "torch":
            raise ImportError("No module named 'torch'")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_torch)
    assert "torch cannot be imported (No module named 'torch')" in said(capsys)


def test_network_missing(capsys, monkeypatch):
    def missing(name):
        raise FileNotFoundError(name)

    monkeypatch.setattr(networks, "load_network", missing)
    assert "FC100-100-10 does not load (FileNotFoundError). Fetch it again" in said(capsys)


def test_wrong_gradients(capsys, monkeypatch):
    import torch

    real = torch.autograd.grad
    monkeypatch.setattr(torch.autograd, "grad", lambda *args: (1.01 * real(*args)[0],))
    assert "torch computes wrong gradients" in said(capsys)
