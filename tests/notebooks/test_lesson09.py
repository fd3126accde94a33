"""Lesson 09: what its prose says of the stored run is what the run says."""

import nbformat
import pytest
from notebook_tools import NOTEBOOKS

from helpers.paper import units

PATH = NOTEBOOKS / "09_units_and_directions.ipynb"


@pytest.fixture(scope="module")
def prose():
    return "\n\n".join(cell.source for cell in nbformat.read(PATH, as_version=4).cells if cell.cell_type == "markdown")


@pytest.fixture(scope="module")
def layers():
    return units.stored()["layers"]


def percent(record, k="8"):
    return f"{record[k]['purity'][0]:.0%}"


def of(layers, start, end):
    return [layer for name, layer in layers.items() if name.startswith(start) and name.endswith(end)]


def points(layers, measure="purity", scale=100, other="random"):
    return sorted(scale * layer["differences"][f"unit − {other}"]["8"][measure][0] for layer in layers)


def test_the_answer_is_that_of_the_run(prose, layers):
    report, last = units.stored(), layers["CNN, hidden 3"]["kinds"]
    answer = prose.split("**The answer.**")[1].split("**Builds on**")[0]
    assert f"{percent(last['unit'])} of them bear the same label" in answer
    assert f"and {percent(last['random'])} where it is random" in answer
    assert last["unit"]["directions"] - last["unit"]["8"]["left_out"] == 26 and "26 units" in answer
    assert f"reaches {percent(report['of_images']['pixels'])}" in answer
    assert f"eight digits drawn at random reach {percent(report['of_images']['sets'])}" in answer
    assert f"by {points(of(layers, 'AE', '1'))[0]:.0f} points" in answer


def test_what_the_run_says_of_the_claim(prose, layers):
    said = prose.split("What the run says of the paper's claim:")[1].split("## Why")[0]
    first, second = of(layers, "FC", "hidden 1"), of(layers, "FC", "hidden 2")
    assert len(first) == len(second) == 5 and said.count("(five)") == 2
    assert [f"{points(first)[i]:+.0f}" for i in (0, -1)] == ["-1", "+3"] and "between −1 and +3 points" in said
    assert [f"{points(first, 'centred', 1)[i]:.2f}" for i in (0, -1)] == ["0.09", "0.10"] and "0.09 to 0.10" in said
    assert [f"{-points(second)[i]:.0f}" for i in (-1, 0)] == ["5", "9"] and "by 5 to 9 points" in said
    convolutions = [f"{points([layers[f'CNN, hidden {i}']])[0]:.0f}" for i in (1, 2)]
    assert f"purer by {convolutions[0]} and {convolutions[1]} points" in said
    (ae,) = of(layers, "AE", "1")
    assert f"by {points([ae])[0]:.0f} points, and closer by {points([ae], 'centred', 1)[0]:.2f}" in said
    untrained = sorted(
        layer["kinds"][kind]["8"]["purity"][0]
        for layer in layers.values()
        for kind in ("untrained unit", "untrained random")
    )
    assert f"between {untrained[0]:.0%} and {untrained[-1]:.0%} in every layer" in said
    one = layers["CNN, hidden 1"]["kinds"]
    assert f"{percent(one['unit'])} for units and {percent(one['random'])} for random directions" in said
    added = sorted(
        100 * (layer["kinds"][kind]["8"]["purity"][0] - layer["kinds"][f"untrained {kind}"]["8"]["purity"][0])
        for layer in [*second, layers["CNN, hidden 3"]]
        for kind in ("unit", "random")
    )
    assert f"{added[0]:.0f} to {added[-1]:.0f} points, in the last hidden layers" in said


def gained(layer, kind):
    """What training has added to the purity of this kind, in points."""
    before, after = (layer["kinds"][name]["8"]["purity"][0] for name in (f"untrained {kind}", kind))
    return 100 * (after - before)


def test_what_training_has_added_elsewhere(prose, layers):
    first = sorted(gained(layer, kind) for layer in of(layers, "FC", "hidden 1") for kind in ("unit", "random"))
    assert f"In the first layers of the latter it has added {first[0]:.0f} to {first[-1]:.0f}." in prose
    ae, second = layers["AE400-10, hidden 1"], layers["CNN, hidden 2"]
    assert f"it is {gained(ae, 'unit'):.0f} for units and only {gained(ae, 'random'):.0f} for random" in prose
    assert f"the second convolution {gained(second, 'unit'):.0f} and {gained(second, 'random'):.0f}." in prose
    assert all(gained(layers["CNN, hidden 1"], kind) < 3 for kind in ("unit", "random"))


def test_at_one_place_the_lead_of_a_convolutions_units_is_gone(prose, layers):
    both = [layers[f"CNN, hidden {i}"] for i in (1, 2)]
    at_place = [layer["differences"]["unit − one place"]["8"] for layer in both]
    assert all(found["purity"][1] < 0 < found["purity"][2] for found in at_place)
    signed = [f"{100 * found['purity'][0]:+.1f}".replace("-", "−") for found in at_place]
    assert f"the difference is {signed[0]} and {signed[1]} points, with intervals that contain 0" in prose
    assert f"stay closer, by {at_place[1]['centred'][0]:.2f} in the cosine" in prose and at_place[1]["centred"][1] > 0
    larger = both[1]["differences"]["unit − one place"]["32"]["purity"]
    assert f"they are purer by {100 * larger[0]:.0f} points" in prose and larger[1] > 0
    tied = both[0]["kinds"]["one place"]["8"]["left_out"]
    assert f"of the mixes at one place, {tied} of 500 in the first convolution" in prose
    channels = [layer["shape"][0] for layer in both]
    assert f"only {channels[0]} or {channels[1]} channels to mix" in prose


def test_counting_silent_units_as_random_images(prose, layers):
    report, leads = units.stored(), []
    chance = report["of_images"]["sets"]["8"]["purity"][0]
    for i in (1, 2):
        unit, random = (layers[f"CNN, hidden {i}"]["kinds"][kind] for kind in ("unit", "random"))
        share = unit["8"]["left_out"] / unit["directions"]
        leads.append(100 * ((1 - share) * unit["8"]["purity"][0] + share * chance - random["8"]["purity"][0]))
    assert f"would shrink to {leads[0]:.0f} and {leads[1]:.0f} points" in prose


def test_the_axes_and_the_autoencoder(prose, layers):
    axes = {name: layer["axes_of_90_percent"] for name, layer in layers.items()}
    few = [axes["CNN, hidden 3"], *(count for name, count in axes.items() if name.startswith("FC") and name[-1] == "2")]
    assert f"Where {min(few)} to {max(few)} axes hold 90%" in prose and axes["FC100-100-10, hidden 2"] == 8
    many = (
        f"{axes['AE400-10, hidden 1']} in the autoencoder, {axes['CNN, hidden 1']} and {axes['CNN, hidden 2']} in the"
    )
    assert many in prose
    between = [count for name, count in axes.items() if name.startswith("FC") and name[-1] == "1"]
    assert f"({min(between)} to {max(between)}, the first layers)" in prose
    ae = layers["AE400-10, hidden 1"]["kinds"]
    assert f"purer ({percent(ae['unit'])}) than their *lowest* ({percent(ae['lowest'])}" in prose
    assert f"random directions at {percent(ae['random'])}" in prose
    sides = [
        abs(layer["kinds"]["unit"]["8"]["purity"][0] - layer["kinds"]["lowest"]["8"]["purity"][0])
        for name, layer in layers.items()
        if name.startswith("FC")
    ]
    assert f"differ by {100 * max(sides):.0f} points at most" in prose


def test_how_many_layers_tell_units_from_random_directions(prose, layers):
    told = 0
    for layer in layers.values():
        differences = layer["differences"]["unit − random"]["8"]
        told += any(differences[measure][1] * differences[measure][2] > 0 for measure in ("purity", "centred"))
    assert (told, len(layers)) == (13, 14) and "in thirteen of fourteen layers" in prose
    assert max(map(abs, points(layers.values()))) < 10


def test_ties_and_overlaps(prose, layers):
    left_out = [layers[f"CNN, hidden {i}"]["kinds"]["unit"]["8"]["left_out"] for i in (1, 2, 3)]
    dead = [layers[f"CNN, hidden {i}"]["dead"] for i in (1, 2, 3)]
    assert f"{left_out[0]} of 500 units in the first convolution (it has {dead[0]} constant units" in prose
    assert (
        f"{left_out[1]} of 500 in the second, and {left_out[2]} of 32" in prose
        and f"{dead[2]} of them constant" in prose
    )
    share = {name: layer["kinds"]["random"]["8"]["overlap"] for name, layer in layers.items()}
    last = share.pop("CNN, hidden 3")
    assert (
        f"share {last:.1%} of their eight images" in prose and f"at most {max(share.values()):.1%} elsewhere" in prose
    )
    assert f"units share up to {max(layer['kinds']['unit']['8']['overlap'] for layer in layers.values()):.1%}" in prose


def test_what_is_left_before_the_nonlinearity(prose, layers):
    said = prose.split("in favour of random directions: a unit there")[1].split("## What the paper")[0]
    second = points(of(layers, "FC", "hidden 2"), other="before")
    assert [f"{-second[i]:.0f}" for i in (-1, 0)] == ["5", "9"] and "ahead, by 5 to 9 points of purity" in said
    convolutions = [layers["CNN, hidden 1"], layers["CNN, hidden 2"]]
    assert [f"{x:.0f}" for x in points(convolutions, other="before")] == ["5", "5"] and "by 5 points in each" in said
    assert f"stay ahead by {points(of(layers, 'AE', '1'), other='before')[0]:.0f}." in said
    first = points(of(layers, "FC", "hidden 1"), "centred", 1, "before")
    assert -0.03 < first[0] and first[-1] < 0 and "shrink to at most 0.03, in favour of random directions" in prose
