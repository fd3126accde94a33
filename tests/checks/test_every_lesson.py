"""What holds for the checks of every lesson: its solutions pass, its stubs are not attempted, nothing else moves."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from notebook_tools import notebooks, source, written
from torch.nn.functional import cross_entropy
from verdicts import said

from helpers import attack, checks, minimize

# What solutions call besides NumPy: functions of the lesson, and names that it imports.
NEEDS = {"04": ["keep_pair"]}
SCOPE = {"np": np, "torch": torch, "minimize": minimize, "attack": attack, "cross_entropy": cross_entropy}
NAMES = {  # 01, 02 and 05 take their solutions from a run of the cells that come before: see their own files
    "00": ["distortion"],
    "03": ["attack_objective", "bfgs_update", "bisection_search", "keep_pair"],
    "04": ["compact", "initial_scale", "remember", "two_loop"],
    "06": ["attackable", "largest_c", "solve"],
    "07": ["cauchy_points", "remember_rows", "together"],
    "08": ["amplified", "error_matrix", "wilson"],
    "09": ["difference_interval", "purity", "top_images"],
    "10": ["certificate", "circular_norm", "power_iteration"],
    "11": ["fgsm_loss", "new_examples"],
    "12": ["least_factor", "on_pixels", "survives"],
}
PATHS = {path.name[:2]: path for path in notebooks()}
EXERCISES = [(number, name) for number, names in NAMES.items() for name in names]
TORCH = [number for number in NAMES if number >= "06"]


def function(number, name, tag="solution"):
    return written(PATHS[number], name, tag=tag, needs=NEEDS.get(number, ()), scope=SCOPE)


@pytest.mark.parametrize("number, name", EXERCISES)
def test_the_lessons_solution_is_correct(capsys, number, name):
    assert said(capsys, name, function(number, name)).startswith(f"{name}: correct - ")


@pytest.mark.parametrize("number, name", EXERCISES)
def test_the_stub_is_not_attempted(capsys, number, name):
    assert said(capsys, name, function(number, name, tag="exercise")).startswith(f"{name}: not attempted yet")


@pytest.mark.parametrize("number", NAMES)
def test_every_exercise_has_its_check(number):
    assert sorted(getattr(checks, f"lesson{number}").__all__) == NAMES[number]
    assert [name for name in NAMES[number] if not source(PATHS[number], name, "exercise")] == []


@pytest.mark.parametrize("number", TORCH)
def test_the_checks_are_there_without_torch(number):
    code = f"import sys; from helpers import checks; checks.{NAMES[number][0]}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize("number", TORCH)
def test_the_readers_random_numbers_are_left_alone(capsys, number):
    torch.manual_seed(6)
    expected = torch.rand(3)
    torch.manual_seed(6)
    for name in NAMES[number]:
        said(capsys, name, function(number, name))
    assert torch.equal(torch.rand(3), expected)
