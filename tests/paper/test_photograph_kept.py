"""The changes and the path that come with the course: small, in the box, and those of the report."""

import pytest
import torch

from helpers.paper import photograph, photograph_kept
from helpers.paper.archive import KEPT
from helpers.paper.photograph_files import FILES
from helpers.photographs.networks import OSTRICH
from helpers.photographs.pictures import load_photographs

REPORT = photograph.report()
IMAGES, NAMES = load_photographs()


def test_the_stored_run_is_whole_and_says_how_it_was_made():
    assert REPORT["run"]["command"] == "python -m helpers.paper photograph" and "cores" in REPORT["run"]["machine"]
    assert REPORT["target"] == "ostrich" and list(REPORT["says"]) == list(NAMES) and REPORT["message"] is None
    assert {*photograph.SETTINGS, "DDN, 100 steps"} <= set(REPORT["attacks"])
    for who, found in REPORT["attacks"].items():
        assert len(found) == (photograph.SCIPY_IMAGES if who == photograph.SCIPY else len(NAMES)), who
        for entry in found.values():
            assert entry["in the box"] and entry["lead"] > 0 and set(entry["in files"]["lead"]) == {"as found", *FILES}


def test_the_stored_answers_are_those_of_the_report():
    answers = photograph_kept.load_answers()
    assert answers.adversarial.min() >= 0 and answers.adversarial.max() <= 1
    assert answers.targets.tolist() == [OSTRICH] * len(NAMES)
    for name, distortion, r in zip(NAMES, answers.distortion.tolist(), answers.perturbation, strict=True):
        entry = REPORT["attacks"][photograph.KEPT][name]
        assert distortion == pytest.approx(entry["distortion"], rel=0.01)
        lost = (r.abs() < 0.5 / 255).double().mean().item()
        assert lost == pytest.approx(entry["in files"]["below half a level"], abs=1e-3)


def test_the_stored_path_is_a_path_of_the_first_photograph():
    path = photograph_kept.load_path(IMAGES[0])
    assert path.c.tolist() == pytest.approx(REPORT["path"]["c"]) and path.logits.shape == (len(path.c), 1000)
    assert (path.norm.diff() <= 0).all() and (path.loss.diff() >= 0).all()  # the exchange lemma
    assert path.success.tolist() == (path.logits.argmax(1) == OSTRICH).tolist() and path.best is not None
    size = torch.linalg.vector_norm(path.perturbation.flatten(1), dim=1)
    assert torch.allclose(size, path.norm, rtol=0.01, atol=2e-3)  # r is stored in steps
    assert path.adversarial.min() >= 0 and path.adversarial.max() <= 1


def test_what_is_stored_is_small():
    assert sum((KEPT / name).stat().st_size for name in (photograph_kept.CHANGES, photograph_kept.PATH)) < 3e6


def test_the_stored_run_prints_in_the_width_of_a_notebook():
    table = photograph.table(REPORT)
    assert max(map(len, table.splitlines())) <= 95
    assert all(who in table for who in REPORT["attacks"])
