"""Lesson 08: what its prose says of the stored runs is what they say."""

import re

import nbformat
import pytest
from notebook_tools import NOTEBOOKS

from helpers.paper import differences
from helpers.paper.archive import stored

PATH = NOTEBOOKS / "08_one_perturbation_many_networks.ipynb"
PROSE = "\n\n".join(c.source for c in nbformat.read(PATH, as_version=4).cells if c.cell_type == "markdown")
FULL, HALVES, OTHER = (stored(name) for name in ("tables1and2.json", "tables3and4.json", differences.FILE))


def share(report, maker, judge, variant="found", setting="paper"):
    """The error in percent of ``judge`` on what was made for ``maker``."""
    wrong = report["made for"][setting][maker]["wrong"][variant]
    return 100 * wrong[report["networks"].index(judge)] / report["images"]


def test_the_answer_is_that_of_the_full_run():
    pair = "FC200-200-10", "FC100-100-10"
    there, noise = (share(FULL, *pair, variant) for variant in ("found", "noise of its length"))
    back, silence = (share(FULL, *pair[::-1], variant) for variant in ("found", "noise of its length"))
    assert f"errs on {there:.1f}% of them, and on {noise:.1f}% with noise of the same length" in PROSE
    assert f"it is {back:.1f}%, against {silence:.1f}% for noise" in PROSE
    assert FULL["images"] == HALVES["images"] == 10_000


@pytest.mark.parametrize(
    ("maker", "judge"),
    [
        ("FC100-100-10", "FC10(1e-4)"),
        ("FC200-200-10", "FC10(1e-4)"),
        ("FC10(1e-4)", "FC100-100-10"),
        ("FC10(1e-4)", "FC200-200-10"),
    ],
)
def test_the_asymmetry_is_that_of_the_full_run(maker, judge):
    asymmetry = PROSE.split("*The matrix is not symmetric.*")[1].split("\n")[0]
    assert f"{share(FULL, maker, judge):.1f}%" in asymmetry


def between(halves, variant="found"):
    """The least and the greatest error between networks that share no training image, in whole percent."""
    first, second, third = HALVES["networks"]
    pairs = [(first, third), (second, third), (third, first), (third, second)]
    values = [share(HALVES, *pair, variant) for pair in pairs]
    return f"{min(values):.0f}% to {max(values):.0f}%"


def test_the_numbers_between_the_halves_are_those_of_the_full_run():
    assert f"misleads that of the other half in {between(HALVES)} of the cases" in PROSE
    assert f"the network of the other half in {between(HALVES, 'amplified')}" in PROSE
    assert f"noise of that length misleads it in {between(HALVES, 'noise of the amplified length')}" in PROSE
    first, second, _ = HALVES["networks"]
    within = sorted((share(HALVES, first, second), share(HALVES, second, first)))
    assert "in {:.1f}% and {:.1f}%".format(*within) in PROSE


def test_the_answer_between_the_halves_is_that_of_the_full_run():
    assert f"mislead each other in {between(HALVES)} of the cases" in PROSE
    first, second, third = HALVES["networks"]
    longer = [share(HALVES, *pair, "5/3 as long") for pair in ((first, third), (second, third), (third, first))]
    assert all(45 < value < 60 for value in longer)


def test_every_target_is_reached():
    assert all(row["reached"] == FULL["images"] for row in FULL["made for"]["paper"].values())


def test_another_training_is_that_of_the_run():
    trained, networks = OTHER["training"]["all digits"], OTHER["networks"]
    wide, soft, own = (networks.index(name) for name in ("FC200-200-10", "FC10(1e-4)", "FC100-100-10"))
    assert trained["decay at scale 10"]["misled by"][wide] < trained["as stored"]["misled by"][wide]
    assert f"{trained['no decay']['misled by'][wide] / 10:.0f}% without" in PROSE
    assert min(row["misled by"][soft] for row in trained.values()) > 90
    assert {trained["another start"][key][own] for key in ("misleads", "misled by")} <= set(range(155, 165))
    assert trained["5 passes"]["errors"]["train"] > 1.85 and f"{trained['5 passes']['mean']:.3f}" == "0.057"


def test_five_thirds_come_nearer_to_the_paper_everywhere():
    from helpers.paper.published import AMPLIFIED_4

    for maker, paper in AMPLIFIED_4.items():
        for judge, theirs in zip(HALVES["networks"], paper, strict=True):
            if judge != maker:
                near, far = (abs(share(HALVES, maker, judge, v) - theirs) for v in ("5/3 as long", "amplified"))
                assert near < far


def test_the_lengths_are_those_of_the_other_attacks():
    for kind, name in (("target", "nearest"), ("target", "farthest"), ("stopping", "c / 10")):
        assert f"{OTHER[kind][name]['mean']:.3f}" in PROSE
    stopped = OTHER["stopping"]
    judge = OTHER["networks"].index("FC200-200-10")
    errors = [stopped[n]["wrong"][judge] / 10 for n in ("largest c", "c / 2", "c / 10", "c / 10, 10 iterations")]
    assert "{:.1f}%, {:.1f}%, {:.1f}% and {:.1f}%".format(*errors) in PROSE


def test_a_tenth_more_length_is_that_of_the_curve():
    curve = OTHER["longer"]["FC123-456-10 P1"]
    wrong = dict(zip(curve["by factor"]["value"], curve["by factor"]["wrong"], strict=True))
    there, longer = (wrong[scale][0] / 10 for scale in (1.0, 1.1))
    assert f"in {there:.0f}% of the cases, and in {longer:.0f}% if it is made 10% longer" in PROSE


def test_no_difference_that_is_sure_favours_the_longer_change():
    sure = [
        pair
        for row in OTHER["closer"].values()
        for pair, p in zip(row["only β = 1, only sharpened"], row["p"], strict=True)
        if p < 0.05 / 30
    ]
    assert len(sure) == 8 and "all eight pairs" in PROSE and all(a < b for a, b in sure)


def test_the_noise_and_its_mean_are_those_of_the_run():
    clipped, plain = (
        [100 * n / FULL["images"] for n in FULL["noise"]["0.3"][kind]] for kind in ("clipped", "not clipped")
    )
    deep = FULL["networks"].index("FC100-100-10")
    assert f"it is {plain[deep]:.1f}%" in PROSE and f"it is {clipped[deep]:.1f}%" in PROSE
    parts = {name: part["wrong"][deep] for name, part in OTHER["noise"]["0.3"].items()}
    assert abs(parts["its mean alone"] - parts["clipped"]) < 50 < 300 < parts["clipped"]
    assert parts["clipped, without its mean"] < 30 and parts["its mean over all pixels"] > 0.4 * parts["clipped"]


def test_every_section_that_is_linked_is_there():
    headings = {h.replace(" ", "-") for h in re.findall(r"^#+ (.*)$", PROSE, re.MULTILINE)}
    assert set(re.findall(r"\]\(#([^)]*)\)", PROSE)) <= headings and "PLACEHOLDER" not in PROSE
