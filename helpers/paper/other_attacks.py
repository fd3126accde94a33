"""The same images attacked otherwise: another objective, target, set of images, stop, or scale of the logits.

Each function returns a dict for JSON of what it measures on ``count`` images; ``attacked`` is the tables' own attack.
"""

import torch
from scipy.stats import binomtest
from torch.nn.functional import cross_entropy

from helpers.adversarial.attack import attack
from helpers.adversarial.objective import succeeds
from helpers.adversarial.result import result_of
from helpers.baselines.exact import exact_linear
from helpers.paper import attacks
from helpers.paper.shown import NETWORKS, counts, length, mean, misled, whole
from helpers.solver.lbfgsb import minimize

NETWORK = "FC100-100-10"
EXACT = 100  # images whose true optimum is computed
FIRST_C, LAST_C = 100.0, 1e-5
# How someone else may have stopped: c falls from FIRST_C by the factor, and (P_c) is solved from r = 0 in at most so
# many iterations each time, until an image has its target.
STOPS = {
    "c / 2": (2, 15000),
    "c / 10": (10, 15000),
    "c / 2, 10 iterations": (2, 10),
    "c / 2, 20 iterations": (2, 20),
    "c / 10, 10 iterations": (10, 10),
}


def attacked(network, task, device="cpu", **options):
    """The AttackResult of ``attack`` on ``task``, (images, targets). Raises KeyboardInterrupt where Ctrl-C cut it."""
    images, targets = (part.to(device) for part in task)
    return whole(attack(attacks.network_of(network, device), images, targets, **options))


def entry(result, labels, reference=None, device="cpu"):
    """What the tables say of an attack: lengths, who is misled; and how much longer r is than a reference's."""
    found = {"reached": int(result.success.sum()), **length(result.distortion[result.success])}
    if reference is not None:
        both = (reference.norm > 0) & result.success
        found["over the tables'"] = mean((result.norm / reference.norm)[both].tolist())
    return {**found, "wrong": counts(result.adversarial, labels, device=device)}


def objectives(count, device="cpu"):
    """c‖r‖² against the paper's c‖r‖, each with the loss as it is and sharpened."""
    images, labels, targets = _first(count, "train", device)
    found, reference = {}, None
    for norm in ("squared", "l2"):
        for setting, sharpness in attacks.SETTINGS.items():
            result = attacked(NETWORK, (images, targets), device, norm=norm, sharpness=sharpness)
            reference = reference or result
            found[f"{norm}, {setting}"] = entry(result, labels, reference, device)
    return found


def targets(count, device="cpu"):
    """A random wrong label against the next one, and the nearest and the farthest of all nine, each attacked."""
    images, labels, chosen = _first(count, "train", device)
    tables = attacked(NETWORK, (images, chosen), device)
    nine = [attacked(NETWORK, (images, (labels + step) % 10), device) for step in range(1, 10)]
    order = torch.stack([result.norm for result in nine]).argsort(0)
    row = torch.arange(count, device=device)
    stack = torch.stack([result.adversarial for result in nine])

    def which(place):
        wanted = (labels + 1 + order[place]) % 10
        return result_of(images, stack[order[place], row], wanted, torch.ones_like(labels, dtype=torch.bool))

    answers = {"random": tables, "label + 1": nine[0], "nearest": which(0), "farthest": which(-1)}
    return {name: entry(result, labels, tables, device) for name, result in answers.items()}


def which_images(count, device="cpu"):
    """Of every network the lengths over training and over test images, and over those of each that it gets right."""
    found = {}
    for network in NETWORKS:
        found[network] = {}
        for split in ("train", "test"):
            images, labels, chosen = _first(count, split, device)
            distortion = attacked(network, (images, chosen), device).distortion
            right = ~misled(attacks.network_of(network, device), images, labels)
            found[network][split] = {"images": count, **length(distortion)}
            found[network][f"{split}, right"] = {"images": int(right.sum()), **length(distortion[right])}
    return found


def stopping(count, device="cpu"):
    """The first success on a grid of c, the solver run to its end or stopped early, against the largest c."""
    images, labels, chosen = _first(count, "train", device)
    tables = attacked(NETWORK, (images, chosen), device)
    found = {"largest c": entry(tables, labels, tables, device)}
    for name, (factor, maxiter) in STOPS.items():
        result = first_success(attacks.network_of(NETWORK, device), (images, chosen), factor, maxiter)
        found[name] = entry(result, labels, tables, device)
    return found


def first_success(network, task, factor, maxiter):
    """The first answer with its target as c falls by ``factor`` from FIRST_C, each from r = 0: an AttackResult.

    task: images (batch, n) and targets (batch,). maxiter: of the solver, at each c.
    """
    images, targets = task

    def priced(x, image, target):
        return c * (x - image).square().sum(1) + cross_entropy(network(x), target, reduction="none")

    answer, used, left = images.clone(), torch.full_like(images[:, 0], torch.nan), torch.arange(len(images))
    c = FIRST_C
    while len(left) and c > LAST_C:
        x = minimize(priced, images[left], 0.0, 1.0, (images[left], targets[left]), maxiter=maxiter).x
        with torch.no_grad():
            done = succeeds(network(x), targets[left])
        answer[left[done]], used[left[done]] = x[done], c
        left = left[~done.cpu()]
        c /= factor
    return result_of(images, answer, targets, used.isfinite(), used)


def closer(count, device="cpu"):
    """β = 1 against sharpened on the same images: whom only one of the two answers misleads, and McNemar's exact test.

    Where both answers are equally likely to mislead, each image that only one of them misleads is a coin's toss.
    """
    images, labels, chosen = _first(count, "train", device)
    found = {}
    for network in NETWORKS:
        plain, sharp = (
            attacked(network, (images, chosen), device, sharpness=sharpness) for sharpness in attacks.SETTINGS.values()
        )
        pairs = []
        for other in NETWORKS:
            judge = attacks.network_of(other, device)
            one, two = (misled(judge, result.adversarial, labels) for result in (plain, sharp))
            pairs.append([int((one & ~two).sum()), int((two & ~one).sum())])
        both = (plain.norm > 0) & sharp.success
        found[network] = {
            "over β = 1": mean((sharp.norm / plain.norm)[both].tolist()),
            "only β = 1, only sharpened": pairs,
            "p": [binomtest(a, a + b).pvalue if a + b else 1.0 for a, b in pairs],
        }
    return found


def logit_scale(count, device="cpu"):
    """Softmax regressions at β = 1, with their logits rescaled to those of FC10(1e-4), and the true optimum."""
    images, _, chosen = _first(min(count, EXACT), "train", device)
    found, first = {}, None
    for name in NETWORKS[:3]:
        network = attacks.network_of(name, device)
        with torch.no_grad():
            logits = network(images)
        scale = (logits - logits.mean(1, keepdim=True)).std().item()
        first = first or scale
        rescaled = attacked(name, (images, chosen), device, sharpness=first / scale)
        found[name] = {
            "images": len(images),
            "scale": scale,
            "β = 1": length(attacked(name, (images, chosen), device).distortion),
            "rescaled": length(rescaled.distortion),
            "optimum": length(exact_linear(network, images, chosen).distortion.float()),
        }
    return found


def _first(count, split, device):
    return tuple(part[:count].to(device) for part in attacks.digits(split))
