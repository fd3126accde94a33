"""The house: rooms whose imports point one way, short functions, and a test file for every module."""

import ast

import pytest
from notebook_tools import ROOT

HELPERS = ROOT / "helpers"
MODULES = sorted(path for path in HELPERS.rglob("*.py"))
# What each room may import, besides itself: only what lies below it.
BELOW = {
    "solver": set(),
    "digits": set(),
    "figures": set(),
    "photographs": set(),
    "adversarial": {"solver"},
    "baselines": {"adversarial", "solver"},
    "benchmark": {"adversarial", "baselines", "digits", "solver"},
    "paper": {"adversarial", "baselines", "benchmark", "digits", "figures", "photographs", "solver"},
    "checks": {"solver"},
    "environment": {"digits"},
    "widgets": {"adversarial", "baselines", "figures", "paper"},
}
LINES, ARGUMENTS = 60, 6
# Longer, each for a reason of its own. _cubic_step: every row goes through its four cases. The checks: they try one
# property after another, and name the mistake behind each.
LONG = {"_cubic_step", "_name_the_mistake", "_one_cap", "_one_search", "sharpened_loss", "solve"}


def name(path):
    return str(path.relative_to(HELPERS))


def room(path):
    return path.relative_to(HELPERS).parts[0].removesuffix(".py")


def tree(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def imported_rooms(path):
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("helpers."):
            yield node.module.split(".")[1]
        elif isinstance(node, ast.ImportFrom) and node.module == "helpers":
            yield from (alias.name for alias in node.names if alias.name in BELOW)


@pytest.mark.parametrize("path", [p for p in MODULES if p.parent != HELPERS or room(p) in BELOW], ids=name)
def test_the_arrows_point_down(path):
    assert set(imported_rooms(path)) <= BELOW[room(path)] | {room(path)}


def functions(path):
    return [node for node in ast.walk(tree(path)) if isinstance(node, ast.FunctionDef)]


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_functions_are_short_and_calls_have_few_positional_arguments(path):
    long = {f.name: f.end_lineno - f.lineno + 1 for f in functions(path) if f.name not in LONG}
    assert {key: lines for key, lines in long.items() if lines > LINES} == {}
    if room(path) == "checks":  # they call what a reader writes: a function of the arrays that the text names
        return
    calls = [node for node in ast.walk(tree(path)) if isinstance(node, ast.Call)]
    assert [(c.lineno, len(c.args)) for c in calls if len(c.args) > ARGUMENTS] == []


def test_every_module_has_a_test_file_in_the_place_that_mirrors_its_own():
    without = []
    for path in MODULES:
        relative = path.relative_to(HELPERS)
        stem = relative.stem.strip("_")
        if relative.stem not in ("__init__", "__main__"):
            test = ROOT / "tests" / relative.parent / f"test_{stem}.py"
            if not test.exists():
                without.append(f"{relative}: no {test.relative_to(ROOT)}")
    assert without == []
