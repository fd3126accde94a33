"""The changes and the path that come with the course: small, in the box, and those of the report."""

import pytest
import torch

from helpers.paper import photograph, photograph_kept
from helpers.paper.archive import KEPT
from helpers.paper.photograph_files import FILES
from helpers.paper.photograph_kept import CHANGES, PATH
from helpers.paper.photograph_kept import FILES as KEPT_FILES
from helpers.photographs.networks import OSTRICH
from helpers.photographs.pictures import load_photographs, rounded

REPORT = photograph.report()
IMAGES, NAMES = load_photographs()


def test_the_stored_run_is_whole_and_says_how_it_was_made():
    assert REPORT["run"]["command"] == "python -m helpers.paper photograph" and "cores" in REPORT["run"]["machine"]
    assert REPORT["target"] == "ostrich" and list(REPORT["says"]) == list(NAMES) and REPORT["message"] is None
    whom = {*photograph.SETTINGS, *photograph.LEADING, *photograph.OTHERS, photograph.ROUNDING}
    assert whom == set(REPORT["attacks"]) - {photograph.SCIPY}
    for who, found in REPORT["attacks"].items():
        assert len(found) == (photograph.SCIPY_IMAGES if who == photograph.SCIPY else len(NAMES)), who
        for entry in found.values():
            assert entry["in the box"] and entry["lead"] > 0 and set(entry["in files"]["lead"]) == {"as found", *FILES}
            assert set(entry["in files"].get("factor", {})) == set(photograph.STRETCHED.get(who, ()))


def test_the_stored_answers_are_those_of_the_report():
    answers = photograph_kept.load_answers()
    assert answers.adversarial.min() >= 0 and answers.adversarial.max() <= 1
    assert answers.targets.tolist() == [OSTRICH] * len(NAMES)
    for name, distortion, r in zip(NAMES, answers.distortion.tolist(), answers.perturbation, strict=True):
        entry = REPORT["attacks"][photograph.KEPT][name]
        assert distortion == pytest.approx(entry["distortion"], rel=0.01)
        lost = (r.abs() < 0.5 / 255).double().mean().item()
        assert lost == pytest.approx(entry["in files"]["lost"]["of the values"], abs=3e-3)
        said = REPORT["stored"][name]
        assert said["as stored"]["says"][0] == "ostrich" and said["as stored"]["lead"] > photograph.SURE


def test_a_file_of_each_photograph_is_kept_that_has_its_target():
    files = photograph_kept.load_files()
    assert set(files) == set(NAMES) == set(REPORT["files"])
    for name, image in zip(NAMES, IMAGES, strict=True):
        assert torch.equal(rounded(files[name]), files[name])
        distortion = (files[name] - image).square().mean().sqrt().item()
        assert distortion == pytest.approx(REPORT["files"][name]["distortion"], rel=1e-3)
        assert REPORT["stored"][name]["file"]["says"][0] == "ostrich"
        ours = [found for who, found in REPORT["attacks"].items() if who in photograph.STRETCHED and who[0] == "t"]
        all_of_them = [found[name]["in files"]["distortion"]["256 levels"] for found in ours]
        assert REPORT["files"][name]["distortion"] == min(value for value in all_of_them if value)


def test_the_stored_path_is_a_path_of_the_first_photograph():
    path = photograph_kept.load_path(IMAGES[0])
    assert path.c.tolist() == pytest.approx(REPORT["path"]["best"]["c"]) and path.logits.shape == (len(path.c), 1000)
    assert (path.norm.diff() <= 0).all() and (path.loss.diff() >= 0).all()  # the exchange lemma
    assert path.success.tolist() == (path.logits.argmax(1) == OSTRICH).tolist() and path.best is not None
    size = torch.linalg.vector_norm(path.perturbation.flatten(1), dim=1)
    assert torch.allclose(size, path.norm, rtol=0.01, atol=5e-3)  # r is stored in steps
    assert path.adversarial.min() >= 0 and path.adversarial.max() <= 1


def test_what_is_stored_is_small():
    assert sum((KEPT / name).stat().st_size for name in (CHANGES, KEPT_FILES, PATH)) < 3e6
