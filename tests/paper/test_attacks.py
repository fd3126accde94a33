"""The attacks behind tables 1 to 4: interrupted, resumed, and shared between processes, with the same bits."""

import json
import random
import re
import signal
import subprocess
import sys
import time

import pytest
import torch
from notebook_tools import ROOT

from helpers import attack
from helpers.paper import attacks, transfer

# The command line with small chunks, so that there is something to interrupt.
SCRIPT = """
import sys
from helpers.paper import attacks
from helpers.paper.__main__ import main
attacks.CHUNK = 20
main(["table4", "--images", "100", "--out", sys.argv[1]])
"""


def test_targets_are_wrong_labels_each_as_likely():
    images, labels, targets = attacks.digits("test")
    assert len(images) == len(labels) == len(targets) == 10_000 and targets.min() >= 0 and targets.max() <= 9
    assert not (targets == labels).any()
    counts = torch.bincount((targets - labels) % 10, minlength=10)
    assert counts[0] == 0 and counts[1:].min() > 1000  # 1111 expected, with a standard deviation of 31


def test_chunks_cover_the_images_once():
    assert attacks.chunks(600) == [(0, 250), (250, 500), (500, 600)] and attacks.chunks(250) == [(0, 250)]


def test_a_name_has_a_part_or_none():
    assert attacks.parted("FC10(1e-4)") == ("FC10(1e-4)", None)
    assert attacks.parted("FC100-100-10 P2") == ("FC100-100-10", "P2")


def test_what_is_kept_is_the_attacks_answer(halves_run):
    out, _ = halves_run
    run = transfer.runs("halves")[0]
    kept = attacks.found(run, (0, 20), run.archive(out, "cpu"))
    images, _, targets = (part[:20] for part in attacks.digits(run.split))
    direct = attack(attacks.network_of(run.network), images, targets, progress=False)
    assert torch.equal(kept.success, direct.success) and torch.equal(kept.targets, direct.targets)
    # The run had one thread, this test perhaps more.
    assert torch.allclose(kept.norm, direct.norm, rtol=0.02) and torch.equal(
        kept.perturbation, kept.adversarial - images
    )
    assert kept.evaluations.min() > 0 and attacks.seconds([run], 20, out, "cpu") > 0


def test_weights_that_changed_are_not_mixed_with_old_answers(halves_run, monkeypatch):
    out, _ = halves_run
    monkeypatch.setattr(attacks, "SETTINGS", {"paper": (2.0,), "sharpened": (1.0, 8.0, 64.0)})
    with pytest.raises(ValueError, match=r"sharpness was \[1\.0\] and is \[2\.0\]"):
        transfer.runs("halves")[0].archive(out, "cpu")


# --- whole runs, as processes ---


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    path = tmp_path_factory.mktemp("script") / "run.py"
    path.write_text(SCRIPT)
    return path


@pytest.fixture(scope="module")
def whole(script, tmp_path_factory):
    """The table of one run that nothing interrupts."""
    out = tmp_path_factory.mktemp("whole")
    finish([sys.executable, script, out])
    return table(out)


def start(words):
    return subprocess.Popen(list(map(str, words)), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(words):
    process = start(words)
    _, said = process.communicate(timeout=300)
    assert process.returncode == 0, said


def table(out):
    report = json.loads((out / "tables3and4.json").read_text(encoding="utf-8"))
    report.pop("run")
    return report


def torchrun(processes, *words):
    return [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", processes, *words]


@pytest.mark.slow
def test_twenty_interruptions_change_no_bit(script, whole, tmp_path, record_property):
    seed = random.randrange(10**6)
    moments, kept = random.Random(seed), []
    for number in range(20):
        process = start([sys.executable, script, tmp_path])
        process.stderr.read(1)  # the progress bar: the attacks begin
        time.sleep(moments.uniform(0, 0.5))
        process.send_signal([signal.SIGINT, signal.SIGTERM, signal.SIGKILL][number % 3])
        said, _ = process.communicate(timeout=300)
        if process.returncode == 130:
            assert re.search(
                r"^Stopped; what is done is kept in .*, and the same command goes on from there\.", said, re.M
            )
        kept.append(len(list(tmp_path.rglob("*.pt"))))
    stopped = sum(count < 30 for count in kept)
    record_property("measured", f"{stopped} of 20 signals met python -m helpers.paper at its attacks (seed {seed})")
    assert kept == sorted(kept) and stopped >= 5, (seed, kept)
    finish([sys.executable, script, tmp_path])
    assert table(tmp_path) == whole, seed


@pytest.mark.slow
def test_two_processes_give_the_table_of_one(script, whole, tmp_path):
    finish(torchrun(2, script, tmp_path))
    assert table(tmp_path) == whole


@pytest.mark.slow
def test_a_run_of_two_processes_goes_on_as_one(script, whole, tmp_path):
    process = start(torchrun(2, script, tmp_path))
    while process.poll() is None and not list(tmp_path.rglob("*.pt")):
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=300)
    assert 0 < len(list(tmp_path.rglob("*.pt"))) < 30
    finish([sys.executable, script, tmp_path])
    assert table(tmp_path) == whole
