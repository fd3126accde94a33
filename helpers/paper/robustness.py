"""How far a trained network's digits are from another label, looked for from several sides.

A network may seem robust because one attack fails on it. So every answer of the attack is looked for again, from other
starts, and the shortest change that anybody has found counts. What is found is an upper bound of the smallest change,
and no proof of any robustness.
"""

import json
import time

import torch

from helpers.adversarial.attack import attack
from helpers.adversarial.objective import succeeds, surrogate
from helpers.baselines.noise import noisy
from helpers.digits.mnist import load_mnist
from helpers.paper.archive import write_json
from helpers.solver.lbfgsb import minimize

IMAGES = 200  # the first test images
SHARPNESS = (1, 8, 64)
SEED = 2013
CHEAPER = 0.8  # times the price of the attack's answer: other starts must be able to reach the label
NOISE = 0.3  # standard deviation of the noise of the noisy starts


def measured(network, plain, data, path):
    """Attack a trained network, and write what is found to ``path`` as JSON unless it is there; returns a dict.

    data: test images and labels. Targets are random wrong labels. Where ``plain``, an undefended network, is given, the
    images are also attacked towards any wrong label, and towards their targets from other starts; None leaves that out.
    """
    if not path.exists():
        start = time.process_time()
        images, labels = (part[:IMAGES] for part in data)
        step = torch.randint(1, 10, labels.shape, generator=torch.Generator().manual_seed(SEED))
        targets = (labels + step) % 10
        found = attack(network, images, targets, sharpness=SHARPNESS)
        report = {"images": len(images), "targeted": summary(found, network, images, labels)}
        if plain is not None:
            report["untargeted"] = untargeted(network, images, labels)
            report["other starts"] = again(network, images, found, starts(images, targets, found, plain))
        write_json({**report, "cpu seconds": round(time.process_time() - start, 1)}, path)
    return json.loads(path.read_text(encoding="utf-8"))


def summary(result, network, images, labels):
    """Success and mean ‖r‖ of a targeted attack, over the images to which the network gives their own label."""
    right = network(images).argmax(1) == labels
    there = right & result.success
    return {
        "right": int(right.sum()),
        "success": int(there.sum()),
        "norm": round(result.norm[there].mean().item(), 4),
        "evaluations": round(result.evaluations.float().mean().item(), 1),
    }


def untargeted(network, images, labels):
    """The ‖r‖ to the nearest wrong label of every image, sorted: 0 where the label is wrong from the start, and none
    where the attack finds nothing; and their mean over the images that were right."""
    right = network(images).argmax(1) == labels
    result = attack(network, images[right], sharpness=SHARPNESS)
    norms = result.norm[result.success]
    zeros = [0.0] * int((~right).sum())
    return {
        "success": int(result.success.sum()),
        "right": int(right.sum()),
        "norm": round(norms.mean().item(), 4),
        "norms": zeros + [round(value, 3) for value in norms.sort()[0].tolist()],
    }


def starts(images, targets, found, plain):
    """Other points to start from, by name, each (n, 784): noisy images, the nearest training image that has the target
    label, and what the attack finds on the undefended network ``plain`` for the same target."""
    others, their_labels = load_mnist("train")
    distances = torch.cdist(images, others)
    distances[targets[:, None] != their_labels] = torch.inf
    noise = {f"noise {seed}": noisy(images, stddev=NOISE, seed=seed) for seed in (1, 2)}
    transfer = attack(plain, images, targets, sharpness=SHARPNESS).adversarial
    return {**noise, "nearest training image": others[distances.argmin(1)], "the undefended network's": transfer}


def again(network, images, found, points):
    """Look for shorter changes than ``found`` (AttackResult, targeted) from other ``points``, by name, (n, 784) each.

    From each, minimise (P_c) with the last β at a price a little below that of the answer, and go back from the
    minimiser towards the image while the target is predicted. Returns for each kind of start the part of the images
    for which it ends with the target, the mean of its ‖r‖ over the attack's, and the part for which it is more than
    1% shorter; the mean ‖r‖ of the attack and of the shortest; and how often a point misleads without any of that.
    """
    found_at = found.success & (found.norm > 0)
    x, target, price, size = images[found_at], found.targets[found_at], found.c[found_at], found.norm[found_at]
    shortest, report = size.clone(), {}

    def priced(y, x, target, c):
        return c * (y - x).square().sum(1) + surrogate(network(y), target, c.new_full(c.shape, SHARPNESS[-1]))

    for name, start in points.items():
        args = x, target, CHEAPER * price
        end = minimize(priced, start[found_at], 0.0, 1.0, args, maxiter=200, ftol=1e-6).x
        norm = shortened(network, x, end, target)
        reached = torch.isfinite(norm)
        report[name] = {
            "misleads as it is": round(succeeds(network(start[found_at]), target).float().mean().item(), 4),
            "reached": round(reached.float().mean().item(), 4),
            "ratio": round((norm / size)[reached].mean().item(), 4),
            "more than 1% shorter": round((norm < 0.99 * size).float().mean().item(), 4),
        }
        shortest = torch.minimum(shortest, norm)
    return {"by start": report, "attack": round(size.mean().item(), 4), "shortest": round(shortest.mean().item(), 4)}


@torch.no_grad()
def shortened(network, images, ends, targets):
    """‖r‖ of the nearest point with the target on the way from each end back to its image, by 20 halvings: (n,).

    Infinite where the end itself does not have the target.
    """
    low, high = images.new_zeros(len(images), 1), images.new_ones(len(images), 1)
    for _ in range(20):
        middle = (low + high) / 2
        there = succeeds(network(torch.lerp(images, ends, middle)), targets)[:, None]
        low, high = torch.where(there, low, middle), torch.where(there, middle, high)
    norm = (torch.lerp(images, ends, high) - images).norm(dim=1)
    return torch.where(succeeds(network(ends), targets), norm, torch.inf)
