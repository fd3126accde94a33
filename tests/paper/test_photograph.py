"""The ostrich's run: resumable, saved as it goes, printed; the network here is a small one that needs no download."""

import json

import pytest
import torch
from torch import nn

from helpers import attack, c_path
from helpers.paper import photograph, photograph_files, photograph_kept
from helpers.photographs.networks import OSTRICH, load_small
from helpers.photographs.pictures import load_photographs

FEW = {"this attack, β = 1": {}, "this attack, β = 1, 8, 64": {"sharpness": (1, 8)}}


class Many(nn.Module):
    """The small network with ImageNet's labels; it takes a rocket for an ostrich."""

    def __init__(self):
        super().__init__()
        self.network, self.name = load_small(), "small, many labels"

    def forward(self, x):
        logits = self.network(x)
        return torch.cat([logits.new_full((len(x), OSTRICH), -50), logits.roll(2, 1), logits - 60], 1).clamp(min=-60)


@pytest.fixture(scope="module")
def network():
    return Many().eval()


def pieces(device="cpu"):
    """A piece of each photograph, a sixteenth of its size."""
    images, names = load_photographs(device)
    return images[:, :, 84:140, 84:140], names


@pytest.fixture
def quick(monkeypatch):
    """Small images, two settings, one lead, no SciPy, few factors; a path of three c; threads as they were."""
    files = {who: ("256 levels",) for who in FEW}
    for module in (photograph, photograph_kept):
        monkeypatch.setattr(module, "load_photographs", pieces)
    monkeypatch.setattr(photograph_files, "FACTORS", (1.0, 2.0))
    monkeypatch.setattr(photograph, "SETTINGS", FEW)
    monkeypatch.setattr(photograph, "LEADING", {"this attack, β = 1, lead 1": {}})
    monkeypatch.setattr(photograph, "LEAST", 1.0)
    monkeypatch.setattr(photograph, "STRETCHED", files)
    monkeypatch.setattr(photograph, "SCIPY_IMAGES", 0)
    monkeypatch.setattr(photograph, "find_spec", lambda name: None)
    monkeypatch.setattr(photograph, "labels", lambda: [f"label {k}" for k in range(9)] + ["ostrich"] + ["x"] * 99)
    monkeypatch.setattr(photograph_kept, "POWERS", (0, 3, 6))
    monkeypatch.setattr(photograph_kept, "FROM_ANSWER", (0, 3))
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def test_a_run_is_saved_resumed_and_printed(network, quick, tmp_path, monkeypatch):
    whole = photograph.photograph(tmp_path, network=network)
    path = tmp_path / photograph.FILE
    assert json.loads(path.read_text(encoding="utf-8")) == whole
    assert "pip install --no-deps adv-lib" in whole["message"] and whole["target"] == "ostrich"
    names = load_photographs()[1]
    for who in FEW:
        for name in names:
            entry = whole["attacks"][who][name]
            assert entry["lead"] > 0 and entry["in the box"] and entry["passes"] > 0
    lead = whole["attacks"]["this attack, β = 1, lead 1"]["cat"]
    assert lead["lead"] >= 1 and lead["distortion"] > whole["attacks"]["this attack, β = 1, 8, 64"]["cat"]["distortion"]
    assert set(whole["stored"]) == set(names) and whole["path"]["best"]["c"] == [1, 8, 64]
    for name in names:
        said = whole["stored"][name]
        assert said["as stored"]["lead"] > 0 and (said["noise"]["lead"] > 0) == (name == "rocket")  # one from the start
        if name in whole["files"]:
            assert whole["stored"][name]["file"]["lead"] > 0
            best = [whole["attacks"][who][name]["in files"]["distortion"]["256 levels"] for who in FEW]
            assert whole["files"][name]["distortion"] == min(value for value in best if value is not None)
    assert set(photograph_kept.load_files(tmp_path)) == set(whole["files"]) != set()
    table = photograph.table(whole)
    assert all(name in table for name in (*names, *FEW)) and "AlexNet: 6.5 on average" in table

    del whole["attacks"]["this attack, β = 1"]["coffee"]
    whole["attacks"]["this attack, β = 1"]["cat"]["passes"] = -1  # a value that only the file can know
    path.write_text(json.dumps(whole), encoding="utf-8")
    again = photograph.photograph(tmp_path, network=network)["attacks"]["this attack, β = 1"]
    assert again["cat"]["passes"] == -1 and again["coffee"]["lead"] > 0
    network_2 = Many().eval()
    network_2.name = "another"
    with pytest.raises(ValueError, match="is about small, many labels: delete it"):
        photograph.photograph(tmp_path, network=network_2)


def test_what_is_kept_comes_back(network, quick, tmp_path):
    images, names = pieces()
    result = attack(network, images, torch.full((4,), OSTRICH), progress=False)
    for name, r in zip(names, result.perturbation, strict=True):
        photograph_kept.save_change(tmp_path, name, r, images[0])
    back = photograph_kept.load_answers(tmp_path)
    assert (back.adversarial - result.adversarial).abs().max() <= 1 / 32767  # a step of changes as long as the box
    assert torch.equal(back.targets, result.targets) and 0 <= back.adversarial.min() and back.adversarial.max() <= 1
    assert (back.adversarial - result.adversarial)[result.perturbation == 0].abs().max() == 0
    returned = photograph_kept.save_change(tmp_path, names[2], result.perturbation[2], images[2])
    assert torch.equal(returned, back.adversarial[2])
    levels = (result.adversarial[1] * 255).round() / 255
    photograph_kept.save_file(tmp_path, "coffee", levels)
    assert torch.equal(photograph_kept.load_files(tmp_path)["coffee"], levels)


def test_a_stored_path_is_the_path(network, quick, tmp_path):
    image = pieces()[0][0]
    answer = attack(network, image[None], torch.tensor([OSTRICH]), progress=False).adversarial[0]
    said = photograph_kept.save_path(tmp_path, network, image, OSTRICH, answer)
    path = photograph_kept.load_path(image, tmp_path)
    zero = c_path(network, image, OSTRICH, [1.0, 8.0, 64.0], maxiter=photograph_kept.ITERATIONS)
    other = c_path(network, image, OSTRICH, [1.0, 8.0], maxiter=photograph_kept.MORE, start=answer)
    assert said["from r = 0"]["norm"] == zero.norm.tolist() and said["from the answer"]["norm"] == other.norm.tolist()
    for one in (zero, other):  # of all answers each price has the best
        for norm, loss in zip(one.norm.double(), one.loss.double(), strict=True):
            assert (path.c * path.norm.double() ** 2 + path.loss <= path.c * norm**2 + loss + 1e-5).all()
    assert {*path.norm.tolist()} <= {*zero.norm.tolist(), *other.norm.tolist()}
    assert path.evaluations.tolist() == [*(zero.evaluations[:2] + other.evaluations).tolist(), zero.evaluations[2]]
    size = torch.linalg.vector_norm(path.perturbation.flatten(1), dim=1)
    assert torch.allclose(size, path.norm, atol=len(image.flatten()) ** 0.5 * photograph_kept.PATH_STEP)
    assert said["best"]["success"] == path.success.tolist() and said["answer"]["norm"] > 0


def test_a_lead_is_asked_for_by_lowering_the_targets_logit(network):
    images, _ = load_photographs()
    lowered = photograph.Leading(network, OSTRICH, 3.0)
    difference = network(images) - lowered(images)
    assert torch.allclose(difference[:, OSTRICH], torch.tensor(3.0)) and difference.abs().sum() == pytest.approx(12)


def test_ctrl_c_keeps_what_was_done(network, quick, tmp_path, monkeypatch):
    found, _ = photograph.attacks()

    def interrupted(*_):
        raise KeyboardInterrupt

    two = {"this attack, β = 1": found["this attack, β = 1"], "DDN": interrupted}
    monkeypatch.setattr(photograph, "attacks", lambda: (two, None))
    with pytest.raises(KeyboardInterrupt):
        photograph.photograph(tmp_path, network=network)
    saved = json.loads((tmp_path / photograph.FILE).read_text(encoding="utf-8"))
    assert list(saved["attacks"]) == ["this attack, β = 1"] and len(saved["attacks"]["this attack, β = 1"]) == 4


def test_other_peoples_attacks_take_part_where_they_are_installed(monkeypatch):
    there = {name: (print, True) for name in ("DDN, 50 steps", *photograph.OTHERS)}
    monkeypatch.setattr(photograph.peers, "rounding_ddn", lambda steps: print)
    monkeypatch.setattr(photograph, "find_spec", lambda name: object())
    monkeypatch.setattr(photograph.peers, "curves", lambda: there)
    found, missing = photograph.attacks()
    assert missing is None and {*photograph.OTHERS, photograph.ROUNDING} < set(found) and photograph.SCIPY in found
    assert "DDN, 50 steps" not in found
