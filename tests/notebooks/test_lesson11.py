"""Lesson 11: what its prose says of the stored run is what the run says."""

import nbformat
from notebook_tools import NOTEBOOKS

from helpers.paper import adversarial_training

PATH = NOTEBOOKS / "11_learning_from_mistakes.ipynb"
BASE, ALL, FGSM = "weight decay", "pools for all three", "FGSM at every update"
POOLS = ["pool for the input", "pool for hidden layer 1", "pool for hidden layer 2", ALL]


def prose():
    cells = nbformat.read(PATH, as_version=4).cells
    return "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


def mean(rows, key="test error"):
    return sum(row[key] for row in rows) / len(rows)


def assert_said(*sentences):
    text = prose()
    for sentence in sentences:
        assert sentence in text, sentence


def test_the_errors_are_those_of_the_stored_run():
    trainings = adversarial_training.stored()["trainings"]
    error = {name: mean(rows) for name, rows in trainings.items()}
    assert_said(
        f"With weight decay alone our networks err on {error[BASE]:.2f}% of the test digits",
        f"with pools for the input and both hidden layers on {error[ALL]:.2f}%",
        f"(FGSM): it lowers the error to {error[FGSM]:.2f}%",
        f"{error['plain']:.2f}% of the test digits are wrong without either, {error[BASE]:.2f}% with weight decay "
        f"alone, and {error['dropout']:.2f}% with both",
        f"it lowers it from {error[BASE]:.2f}% to {error[FGSM]:.2f}% on average, in every seed",
        f"{error[ALL]:.2f}% with all three and {error[BASE]:.2f}% with weight decay alone",
    )
    pairs = zip(trainings[FGSM], trainings[BASE], strict=True)
    assert all(a["test error"] < b["test error"] for a, b in pairs), "in every seed"


def test_what_the_pools_change_is_what_the_stored_run_says():
    trainings = adversarial_training.stored()["trainings"]
    base = [row["test error"] for row in trainings[BASE]]
    change = {}
    for name in [*POOLS, FGSM]:
        pairs = zip(trainings[name], base, strict=True)
        change[name] = adversarial_training.interval([row["test error"] - other for row, other in pairs])
    of_input, first, second, every, step = (
        f"{value:+.2f} ± {half:.2f}".replace("-", "−") for value, half in change.values()
    )
    assert_said(
        f"the error changes by {of_input} points with a pool for the input, by {first} for the first hidden layer, "
        f"by {second} for the second, and by {every} with all three",
        f"changes it by {step} points, and lowers it in every seed",
    )
    value = [change[name][0] for name in POOLS]
    assert value[0] > value[1] > value[2], "the higher the layer, the better its pool"
    assert min(value[0], value[1], value[3]) > 0


def test_the_training_errors_and_the_shares_are_those_of_the_stored_run():
    report = adversarial_training.stored()
    error = {name: mean(rows, "train error") for name, rows in report["trainings"].items()}
    assert_said(
        f"{error[POOLS[0]]:.2f}% of them are wrong with the input's pool and {error[BASE]:.2f}% with weight decay "
        "alone",
        f"with FGSM {error[FGSM]:.2f}% are wrong",
    )
    assert error[FGSM] > error[POOLS[0]]
    held_out = {
        (row["decay"], row["dropout"], row["fgsm"], tuple(row["pools"]), row["share"]): row["held out error"]
        for row in report["held out"]
    }
    for depths in ((0,), (2,), (4,), (0, 2, 4)):
        small, large = (held_out[5, 0, 0, depths, share] for share in (0.1, 0.3))
        assert held_out[5, 0, 0, (), 0.5] < small < large, "a better share is not in sight"
    assert held_out[5, 0, 0.1, (), 0.5] <= held_out[5, 0, 0.05, (), 0.5]
    assert held_out[5, 0.05, 0, (), 0.5] == min(held_out[5, part, 0, (), 0.5] for part in (0.05, 0.1, 0.25))


def test_the_lengths_are_those_of_the_stored_run():
    found = adversarial_training.stored()["robustness"]
    norm = {name: entry["untargeted"]["norm"] for name, entry in found.items()}
    assert_said(
        f"grows from {norm[BASE]:.2f} to {norm[ALL]:.2f} with the pools and to {norm[FGSM]:.2f} with FGSM",
        f"from {norm[BASE]:.2f} with weight decay alone to {norm[POOLS[0]]:.2f} with the input's pool, "
        f"{norm[ALL]:.2f} with all three and {norm[FGSM]:.2f} with FGSM",
        f"a pool for the first hidden layer gives {norm[POOLS[1]]:.2f}, and one for the second {norm[POOLS[2]]:.2f}",
        f"over the first {found['plain']['images']} test digits",
    )
    for entry in found.values():
        assert all(row["success"] == row["right"] for row in entry["targeted"]), "the attack reaches every target"
        assert entry["untargeted"]["success"] == entry["untargeted"]["right"]


def test_looking_again_found_what_the_prose_says():
    found = adversarial_training.stored()["robustness"]
    again = {name: entry["other starts"] for name, entry in found.items()}
    growth = min(again[name]["attack"] / again[BASE]["attack"] - 1 for name in (POOLS[0], ALL, FGSM))
    worst = max(start["more than 1% shorter"] for entry in again.values() for start in entry["by start"].values())
    gain = max(1 - entry["shortest"] / entry["attack"] for entry in again.values())
    misled = [
        100 * entry["by start"]["the undefended network's"]["misleads as it is"]
        for name, entry in again.items()
        if name != "plain"
    ]
    assert_said(
        f"more than 1% shorter for more than {100 * worst:.1f}% of the digits",
        f"on average at most {100 * gain:.1f}% shorter than the attack's answer",
        f"has made the attack's answers longer by {100 * growth:.0f}% and more",
        f"still mislead only {min(misled):.1f} to {max(misled):.1f}% of the digits",
    )
