"""Tables 1 to 4: how large the changes are, and which other networks they mislead.

Every change made for one network is shown to all of them, as it was found, amplified, and beside noise of its length.
"""

from dataclasses import replace

import torch
from tqdm import tqdm

from helpers.adversarial.result import by_image
from helpers.baselines.noise import noisy
from helpers.digits.mnist import load_mnist
from helpers.digits.networks import error, halves
from helpers.paper import attacks
from helpers.paper.published import NOISE_2, NOISE_4, TABLE_1, TABLE_3
from helpers.paper.shown import counts, mean

AMPLIFIED = 0.1  # the root mean square to which table 4 enlarges the changes
# The images that each group of networks is attacked on: the paper's table 1 counts distortions on the training set, and
# its table 4 is about the test set.
GROUPS = {"all digits": (tuple(TABLE_1), "train", NOISE_2), "halves": (tuple(TABLE_3), "test", NOISE_4)}


def runs(group):
    """The attacks that the tables of a group rest on: every network in every setting."""
    networks, split, _ = GROUPS[group]
    return [attacks.Run(network, setting, split) for setting in attacks.SETTINGS for network in networks]


def rescaled(images, result, scale):
    """x + r made larger or smaller: ``scale`` (batch,) times r, not clipped. (batch, n); zero changes stay zero."""
    scale = torch.where(result.norm > 0, scale, 0)
    return images + by_image(scale, images) * result.perturbation


def variants(images, result, seed):
    """What is shown to every network: from a name to images (batch, n).

    Table 4 amplifies the changes. Its text and its column of standard deviations speak of an increase from 0.06 to 0.1,
    so that is what "amplified" does. The formula printed for it, x + 0.1 (x' − x)/‖x' − x‖₂, makes every change that is
    longer than 0.1 shorter: "as printed". Where the changes of the paper were 0.06, 0.1 is 5/3 of them: "5/3 as long".
    """
    unclipped = rescaled(images, result, AMPLIFIED / result.distortion)
    larger = unclipped.clamp(0, 1)
    enlarged = replace(result, perturbation=larger - images)
    return {
        "found": result.adversarial,
        "noise of its length": noisy(images, like=result, seed=seed),
        "amplified": larger,
        "noise of the amplified length": noisy(images, like=enlarged, seed=seed),
        "amplified, not clipped": unclipped,
        "5/3 as long": rescaled(images, result, result.distortion.new_tensor(5 / 3)).clamp(0, 1),
        "as printed": rescaled(images, result, 0.1 / result.norm),
    }


def measured(group, count, out, device="cpu"):
    """All that tables 1 and 2, or 3 and 4, count on the first ``count`` images of the group's split: a dict for JSON.

    What must be there: the answers to ``runs(group)`` in the folder ``out``.
    """
    networks, split, noises = GROUPS[group]
    images, labels, _ = (part[:count] for part in attacks.digits(split))
    jobs = runs(group)
    report = {
        "networks": list(networks),
        "split": split,
        "images": count,
        "errors": errors(networks, group),
        "clean": counts(images, labels, networks, device),
        "noise": {str(stddev): _noise(networks, images, labels, stddev, device) for stddev in noises},
        "made for": {setting: {} for setting in attacks.SETTINGS},
    }
    with tqdm(total=len(jobs) * count, unit="image", desc="shown to every network", delay=2) as bar:
        for run in jobs:
            report["made for"][run.setting][run.network] = _row(run, networks, count, out, device, bar)
    return report


def errors(networks, group):
    """The error of each network in percent, from a name to a dict of splits: of "train" and "test", or of the halves
    P1 and P2 and "test"."""
    train, test = (load_mnist(split) for split in ("train", "test"))
    splits = {"train": train, "test": test} if group == "all digits" else {**halves(*train), "test": test}
    return {
        network: {split: error(attacks.network_of(network), *data) for split, data in splits.items()}
        for network in networks
    }


def _row(run, networks, count, out, device, bar):
    """What the changes made for one network are, and how many of them mislead each network. An image for which none
    was found is shown as it is, and its distortion left out."""
    wrong, distortions, sizes = {}, [], []
    successes, evaluations = 0, 0
    archive = run.archive(out, device)
    for chunk in attacks.chunks(count):
        images, labels, _ = (part[slice(*chunk)] for part in attacks.digits(run.split))
        result = attacks.found(run, chunk, archive)
        shown = variants(images, result, seed=chunk[0])
        for name, changed in shown.items():
            more = counts(changed, labels, networks, device)
            wrong[name] = [a + b for a, b in zip(wrong.get(name, [0] * len(networks)), more, strict=True)]
        distortions += result.distortion[result.success].tolist()
        sizes += _distortion(shown["amplified"] - images).tolist()
        successes += int(result.success.sum())
        evaluations += int(result.evaluations.sum())
        bar.update(len(images))
    return {
        "reached": successes,
        "evaluations": evaluations / count,
        "distortion": mean(distortions or [float("nan")]),
        "amplified distortion": mean(sizes),
        "wrong": wrong,
    }


def _noise(networks, images, labels, stddev, device):
    """Gaussian noise of one standard deviation, clipped to [0, 1] and as it is."""
    noise = stddev * torch.randn(images.shape, generator=torch.Generator().manual_seed(attacks.SEED))
    clipped = noisy(images, stddev=stddev, seed=attacks.SEED)
    return {
        "distortion": mean(_distortion(clipped - images).tolist()),
        "clipped": counts(clipped, labels, networks, device),
        "not clipped": counts(images + noise, labels, networks, device),
    }


def _distortion(r):
    return r.flatten(1).square().mean(1).sqrt()
