"""Lesson 12: what its prose says of the stored run is what the run says."""

import re

import nbformat
from notebook_tools import NOTEBOOKS

from helpers.paper import photograph

PATH = NOTEBOOKS / "12_a_real_photograph.ipynb"
CELLS = nbformat.read(PATH, as_version=4).cells
PROSE = "\n\n".join(cell.source for cell in CELLS if cell.cell_type == "markdown")
REPORT = photograph.report()
NAMES = list(REPORT["says"])
ATTACKS, PATHS = REPORT["attacks"], REPORT["path"]
PAPERS, SHARP, EFFORTS = photograph.PLAIN, photograph.KEPT, ("quick", "thorough", "exhaustive")
LEADS = list(photograph.LEADING)


def mean(who, key="distortion"):
    return sum(ATTACKS[who][name][key] for name in NAMES) / len(NAMES)


def thousandths(who):
    return f"{1000 * mean(who):.2f}"


def files(who):
    return [ATTACKS[who][name]["in files"] for name in NAMES]


def objective(c, way, k):
    return c * way["norm"][k] ** 2 + way["loss"][k]


def test_the_mean_distortions_are_those_of_the_stored_run():
    ours = f"is {thousandths(PAPERS)} thousandths on average with the paper's loss and {thousandths(SHARP)}"
    assert ours in PROSE and f"at a distortion of {thousandths(SHARP)} thousandths (sharpened)" in PROSE
    assert f"{1000 * photograph.PAPER:.1f}" == "6.5" and "The paper's attack found 6.5" in PROSE
    for who in (*photograph.OTHERS, *(f"this attack, {effort}" for effort in EFFORTS)):
        assert thousandths(who) in PROSE, f"{who}: the section on other attacks does not speak of it"
    others = [who for who in ATTACKS if who not in LEADS and who != photograph.SCIPY]
    exhaustive, pdgd = "this attack, exhaustive", "PDGD, 1000 steps"
    assert sorted(others, key=mean)[:2] == [exhaustive, pdgd]
    for name in NAMES:
        who = pdgd if name == "astronaut" else exhaustive
        assert min(others, key=lambda who: ATTACKS[who][name]["distortion"]) == who
    assert f"to {thousandths(exhaustive)} in {mean(exhaustive, 'passes'):.0f}" in PROSE
    assert photograph.SCIPY_ITERATIONS == 100 and "a hundred iterations for each price" in PROSE
    assert list(ATTACKS[photograph.SCIPY]) == ["cat"]
    for effort in ("quick", "thorough"):
        assert f"in {mean(f'this attack, {effort}', 'passes'):.0f}" in PROSE


def test_what_is_said_of_rounding_is_what_the_run_says():
    for who in (PAPERS, SHARP):
        assert all(file["lead"]["256 levels"] < 0 for file in files(who))
    for key in ("of the values", "of the square"):
        lost = [file["lost"][key] for file in files(SHARP)]
        assert f"{min(lost):.0%} to {max(lost):.0%}" in PROSE
    factors = [file["factor"]["256 levels"] for file in files(PAPERS)]
    assert f"{min(factors):.2f} to {max(factors):.2f} times as long" in PROSE
    for who in LEADS:
        kept = sum(file["lead"]["256 levels"] > 0 for file in files(who))
        assert re.search(rf"{('none', 'one', 'two', 'three', 'all')[kept]}( of the)? four", PROSE)
    assert all(file["factor"]["256 levels"] == 1 for file in files(photograph.ROUNDING))
    for name in NAMES:  # the picture of the third row, as it is shown, and the noise
        said = REPORT["stored"][name]
        assert said["256 levels"]["says"][0] != "ostrich" and said["as stored"]["says"][0] == "ostrich"
        assert said["noise"]["says"][0] == REPORT["says"][name][0][0]


def test_what_is_said_of_jpegs_is_what_the_run_says():
    for found in ATTACKS.values():
        assert all(entry["in files"]["lead"]["JPEG 95"] < 0 for entry in found.values())
    factors = [file["factor"]["JPEG 95"] for file in files(PAPERS)]
    assert [name for name, factor in zip(NAMES, factors, strict=True) if factor is None] == ["coffee"]
    found = [factor for factor in factors if factor]
    assert f"{min(found):.1f} to {max(found):.1f} times as long" in PROSE


def test_what_is_said_of_the_path_is_what_the_run_says():
    best, zero, other = (PATHS[way] for way in ("best", "from r = 0", "from the answer"))
    last, first = best["success"].index(False) - 1, best["success"].index(False)
    assert all(best["success"][: last + 1]) and not any(best["success"][first:])
    words = f"between $c={best['c'][last]:.1f}$ and $c={best['c'][first]:.0f}$, where $\\lVert r\\rVert$ goes from "
    assert f"{words}{best['norm'][last]:.2f} to {best['norm'][first]:.2f}" in PROSE
    assert best["norm"][first] < PATHS["answer"]["norm"] < best["norm"][last]
    places = [zero["c"].index(c) for c in other["c"]]
    both = [
        (c, objective(c, zero, place), objective(c, other, k))
        for k, (c, place) in enumerate(zip(other["c"], places, strict=True))
    ]
    lower = [c for c, from_zero, from_answer in both if from_answer < from_zero - 1e-2]
    assert f"From $c={lower[0]:g}$ to {lower[-1]:.1f}" in PROSE
    still = [
        c
        for k, c in enumerate(zero["c"])
        if c * PATHS["answer"]["norm"] ** 2 + PATHS["answer"]["loss"] < objective(c, zero, k)
    ]
    assert f"at $c={still[0]:.0f}$ and {still[-1]:.0f}" in PROSE and len(still) == 2
