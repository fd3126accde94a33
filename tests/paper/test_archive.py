"""Chunks of results on disk: whole or not there, and never beside others that were made in another way."""

import json

import pytest
import torch

from helpers.paper.archive import Archive, write_json


def test_what_is_saved_is_loaded(tmp_path):
    archive = Archive(tmp_path / "a" / "b", {"seed": 1})
    assert not archive.has((0, 3))
    archive.save((0, 3), {"x": torch.arange(3), "seconds": 1.5})
    again = Archive(tmp_path / "a" / "b", {"seed": 1})
    assert again.has((0, 3)) and not again.has((0, 4))
    assert again.load((0, 3))["x"].tolist() == [0, 1, 2] and again.load((0, 3))["seconds"] == 1.5


def test_a_write_that_dies_leaves_no_chunk(tmp_path, monkeypatch):
    archive = Archive(tmp_path, {})

    def dies(content, path):
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", dies)
        with pytest.raises(KeyboardInterrupt):
            archive.save((0, 3), {})
    assert not archive.has((0, 3))
    archive.save((0, 3), {"x": torch.zeros(1)})
    assert archive.has((0, 3)) and len(archive.load((0, 3))["x"]) == 1


def test_results_made_in_another_way_are_refused(tmp_path):
    Archive(tmp_path, {"seed": 1, "torch": "2"})
    with pytest.raises(ValueError, match=r"another way \(seed was 1 and is 2\): delete it, or pass another --out"):
        Archive(tmp_path, {"seed": 2, "torch": "2"})
    with pytest.raises(ValueError, match="norm was None and is l2"):
        Archive(tmp_path, {"seed": 1, "torch": "2", "norm": "l2"})


def test_json_is_written_whole(tmp_path, monkeypatch):
    path = tmp_path / "report.json"
    write_json({"β": [1, 2.5]}, path)
    assert json.loads(path.read_text(encoding="utf-8")) == {"β": [1, 2.5]}
    with pytest.raises(TypeError):
        write_json({"x": object()}, path)
    assert json.loads(path.read_text(encoding="utf-8")) == {"β": [1, 2.5]}
