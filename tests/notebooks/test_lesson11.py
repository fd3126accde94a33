"""Lesson 11: what its prose says of the stored run is what the run says."""

import nbformat
from notebook_tools import NOTEBOOKS

from helpers.paper import adversarial_training

PATH = NOTEBOOKS / "11_learning_from_mistakes.ipynb"
BASE, ALL, FGSM = "weight decay", "pools for all three", "FGSM at every update"


def prose():
    cells = nbformat.read(PATH, as_version=4).cells
    return "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


def test_the_errors_are_those_of_the_stored_run():
    trainings, text = adversarial_training.stored()["trainings"], prose()
    mean = {name: sum(row["test error"] for row in rows) / len(rows) for name, rows in trainings.items()}
    for sentence in (
        f"With weight decay alone our networks err on {mean[BASE]:.2f}% of the test digits",
        f"for the input and both hidden layers on {mean[ALL]:.2f}%",
        f"it lowers it from {mean[BASE]:.2f}% to {mean[FGSM]:.2f}%",
    ):
        assert sentence in text, sentence
    pools = [name for name in mean if name.startswith("pool")]
    changes = [mean[name] - mean[BASE] for name in pools]
    words = "by {:.2f} points with a pool for the input, {:.2f} for the first hidden layer, {:.2f} for the second"
    assert words.format(*changes) in text and f"and {changes[3]:.2f} for all three" in text
    assert changes[0] > 0 and changes[1] > changes[2] > 0, "the higher the layer, the better its pool"
    pairs = zip(trainings[FGSM], trainings[BASE], strict=True)
    assert all(a["test error"] < b["test error"] for a, b in pairs), "in every seed"


def test_the_lengths_are_those_of_the_stored_run():
    found, text = adversarial_training.stored()["robustness"], prose()
    norm = {name: entry["untargeted"]["norm"] for name, entry in found.items()}
    assert f"grows from {norm[BASE]:.2f} to {norm[ALL]:.2f} on average" in text
    assert f"the mean change needed grows from {norm[BASE]:.2f} to {norm[FGSM]:.2f}" in text
    assert max(norm, key=norm.get) == ALL or max(norm, key=norm.get) == "pool for the input"
    for entry in found.values():
        assert all(row["success"] == row["right"] for row in entry["targeted"]), "the attack reaches every target"
        assert entry["untargeted"]["success"] == entry["untargeted"]["right"]


def test_looking_again_found_what_the_prose_says():
    found, text = adversarial_training.stored()["robustness"], prose()
    again = [entry["other starts"] for entry in found.values()]
    worst = max(start["more than 1% shorter"] for entry in again for start in entry["by start"].values())
    assert f"more than 1% shorter for more than {100 * worst:.1f}% of the digits" in text
    gain = max(1 - entry["shortest"] / entry["attack"] for entry in again)
    assert f"on average at most {100 * gain:.1f}% shorter than the attack's answer" in text
