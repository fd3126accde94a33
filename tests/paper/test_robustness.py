"""What a network stands: the numbers are the attack's, and a poor attack is found out."""

import json
from dataclasses import replace

import pytest
import torch

from helpers import attack, load_mnist, load_network
from helpers.paper import robustness


@pytest.fixture(scope="module")
def task():
    images, labels = (part[:24] for part in load_mnist("test"))
    return load_network("FC100-100-10"), images, labels, (labels + 1) % 10


@pytest.fixture(scope="module")
def found(task):
    network, images, _, targets = task
    return attack(network, images, targets, sharpness=robustness.SHARPNESS, progress=False)


def test_the_way_back_ends_on_the_border(task, found):
    network, images, _, targets = task
    far = (images + 1.1 * found.perturbation).clamp(0, 1)
    norm = robustness.shortened(network, images, far, targets)
    reached = norm < torch.inf  # a few leave the target's region again
    assert reached.float().mean() > 0.7
    far, norm, images, targets = far[reached], norm[reached], images[reached], targets[reached]
    assert (norm <= (far - images).norm(dim=1)).all() and (norm > 0.9 * found.norm[reached]).all()
    assert (robustness.shortened(network, images, images, targets) == torch.inf).all()
    with torch.no_grad():
        nearer = images + 0.99 * (norm / (far - images).norm(dim=1))[:, None] * (far - images)
        assert (network(nearer).argmax(1) != targets).all()


def test_an_attack_that_went_too_far_is_found_out(task, found):
    network, images, _, targets = task
    points = robustness.starts(images, targets, found, network)
    assert {name: point.shape for name, point in points.items()} == dict.fromkeys(points, images.shape)
    honest = robustness.again(network, images, found, points)
    assert honest["shortest"] <= honest["attack"] and honest["shortest"] > 0.97 * honest["attack"]
    r = 1.5 * found.perturbation
    poor = robustness.again(network, images, replace(found, perturbation=r), points)
    assert poor["attack"] == pytest.approx(1.5 * honest["attack"], rel=1e-3)
    assert poor["shortest"] == pytest.approx(honest["shortest"], rel=0.02)
    for name, start in poor["by start"].items():
        assert start["more than 1% shorter"] > 0.8, name
        assert honest["by start"][name]["more than 1% shorter"] < 0.3, name


def test_the_nearest_training_image_has_the_target_label(task, found):
    network, images, _, targets = task
    nearest = robustness.starts(images, targets, found, network)["nearest training image"]
    train_images, train_labels = load_mnist("train")
    for x, image, target in zip(nearest[:3], images[:3], targets[:3], strict=True):
        distances = (train_images[train_labels == target] - image).norm(dim=1)
        assert (x - image).norm() == distances.min()


def test_untargeted_norms_count_wrong_images_as_zero_and_are_sorted(task):
    network, images, labels, _ = task
    labels = labels.clone()
    labels[:5] = (labels[:5] + 1) % 10  # so that five are wrong from the start
    report = robustness.untargeted(network, images, labels)
    assert report["norms"][:5] == [0] * 5 and report["norms"] == sorted(report["norms"]) and report["norms"][5] > 0
    assert report["right"] == 19 == report["success"] and len(report["norms"]) == 24
    assert report["norm"] == pytest.approx(sum(report["norms"]) / 19, abs=1e-3)


def test_a_network_is_attacked_once_and_what_is_found_is_kept(task, found, tmp_path, monkeypatch):
    network, images, labels, _ = task
    monkeypatch.setattr(robustness, "IMAGES", 12)
    path = tmp_path / "kept.json"
    report = robustness.measured(network, network, (images, labels), path)
    assert report["images"] == 12 and report == json.loads(path.read_text()) and report["cpu seconds"] > 0
    assert report["targeted"]["success"] == report["targeted"]["right"] == report["untargeted"]["right"]
    targeted = robustness.measured(network, None, (images, labels), tmp_path / "targeted.json")
    assert targeted["targeted"] == report["targeted"]
    assert targeted.keys() == report.keys() - {"untargeted", "other starts"}
    monkeypatch.setattr(robustness, "attack", None)
    assert robustness.measured(None, None, None, path) == report
