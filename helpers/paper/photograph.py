"""Everything becomes an ostrich: section 4's photographs, here four, and a network trained on ImageNet.

The paper attacks AlexNet with 64 photographs and needs a distortion of 0.0065 on average. Here each attack of ATTACKS
meets the same photographs one by one; what a file leaves of its answers is measured too (photograph_files).
"""

import json
import time
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import nn
from tqdm.auto import tqdm

from helpers import baselines
from helpers.adversarial.attack import attack
from helpers.benchmark import frontier, peers
from helpers.benchmark.measure import Interrupt, peak
from helpers.paper import photograph_kept, tables
from helpers.paper.archive import made_by, stored, write_json
from helpers.paper.photograph_files import FACTORS, FILES, lead, survival
from helpers.paper.shown import whole
from helpers.photographs.networks import OSTRICH, labels, load_imagenet
from helpers.photographs.pictures import load_photographs

FILE = "photographs.json"
PAPER, PAPER_IMAGES = 0.006508, 64  # the paper's average distortion with AlexNet, and over how many photographs
# The settings of this attack that are compared, each handed to ``attack`` as it stands here.
SETTINGS = frontier.OURS
KEPT = "this attack, β = 1, 8, 64"  # whose changes are stored, to be looked at
OTHERS = ("DDN, 100 steps", "DDN, 500 steps", "PDGD, 500 steps")  # of adversarial-library, where it is installed
SCIPY = "SciPy's loop, β = 1"
SCIPY_IMAGES = 1  # thousands of passes each: the first photograph only
LEADS = (2.0,)  # asked for, so that something is left of it in a file: the target's logit must lead by so much


class Leading(nn.Module):
    """``network`` with its target's logit lowered by ``least``: an attack on it ends with a lead of that much."""

    def __init__(self, network, target, least):
        super().__init__()
        self.network, self.target, self.least = network, target, least

    def forward(self, x):
        logits = self.network(x)
        lowered = torch.zeros_like(logits[:1])
        lowered[:, self.target] = self.least
        return logits - lowered


def attacks():
    """From a name to ``run(network, images, targets)``, an AttackResult; and a sentence for what is not installed."""
    found = {name: frontier.ours(options) for name, options in SETTINGS.items()}
    for least in LEADS:
        found[f"this attack, β = 1, lead {least:g}"] = _leading(least)
    missing = None
    if find_spec("adv_lib") is None:
        missing = "adv_lib is not installed, so DDN and PDGD take no part; to bring it:  pip install --no-deps adv-lib"
    else:
        found |= {name: run for name, (run, _) in peers.curves().items() if name in OTHERS}
    found[SCIPY] = lambda *task: baselines.scipy_lbfgsb(*task, progress=False)
    return found, missing


def _leading(least):
    return lambda network, *task: attack(Leading(network, OSTRICH, least).eval(), *task, progress=False)


def photograph(out, device="cpu", network=None):
    """Attack every photograph with every attack, saved in the folder ``out`` one by one: the report, a dict for JSON.

    What the report there holds already is not done again. network: default torchvision's AlexNet where its weights are
    to be had, otherwise EfficientNet-Lite0. Raises FileNotFoundError where neither is there, ValueError for a report on
    another network, KeyboardInterrupt after Ctrl-C or SIGTERM.
    """
    torch.set_num_threads(1)
    network = load_imagenet(device, download=True) if network is None else network
    images, names = load_photographs(device)
    path = Path(out) / FILE
    report = json.loads(path.read_text(encoding="utf-8")) if path.exists() else _beginning(network, images, names)
    if report["network"] != network.name:
        raise ValueError(f"{path} is about {report['network']}: delete it, or pass another --out.")
    runs, report["message"] = attacks()
    todo = [(who, i) for who in runs for i in range(SCIPY_IMAGES if who == SCIPY else len(names))]
    todo = [(who, i) for who, i in todo if names[i] not in report["attacks"].get(who, {})]
    done = False
    with Interrupt() as interrupt, tqdm(todo, "photographs", unit="attack", delay=2, leave=False) as bar:
        if "path" not in report:
            report["path"] = photograph_kept.save_path(out, network, images[0], OSTRICH)
            interrupt.check()
            write_json(report, path)
        for who, i in bar:
            bar.set_postfix_str(f"{who}: {names[i]}", refresh=True)
            entry, answer = _measured(runs[who], network, images[i : i + 1])
            interrupt.check()  # an attack returns early at Ctrl-C: such an answer is not whole
            if who == KEPT:
                photograph_kept.save_change(out, names[i], answer - images[i])
            report["attacks"].setdefault(who, {})[names[i]] = entry
            report["run"] = made_by("python -m helpers.paper photograph", device)
            write_json(report, path)
        done = True
    if not done:
        raise KeyboardInterrupt
    return report


def _beginning(network, images, names):
    with torch.no_grad():
        p, words = network(images).softmax(1), labels()
    best = [[[words[k], p[i, k].item()] for k in p[i].topk(5).indices.tolist()] for i in range(len(names))]
    says = dict(zip(names, best, strict=True))
    return {"network": network.name, "target": words[OSTRICH], "says": says, "attacks": {}, "run": None}


def _measured(run, network, image):
    """One attack on one image (1, 3, H, W): an entry of the report, and the answer (3, H, W)."""
    target = torch.tensor([OSTRICH], device=image.device)
    reset = _reset_peak()
    start = time.process_time()
    result = whole(run(network, image, target))
    seconds = time.process_time() - start
    entry = {
        "lead": lead(network, result.adversarial, OSTRICH)[0],
        "distortion": result.distortion.item(),
        "norm": result.norm.item(),
        "c": None if torch.isnan(result.c).any() else result.c.item(),
        "passes": int(result.evaluations + result.forwards),
        "CPU seconds": round(seconds, 1),
        "peak MB": round(peak() / 1e6) if reset else None,
        "in the box": bool(0 <= result.adversarial.min() and result.adversarial.max() <= 1),
    }
    entry["in files"] = survival(network, image, result.adversarial, OSTRICH)
    return entry, result.adversarial[0]


def _reset_peak():
    """Let Linux forget this process's peak memory; False where it cannot."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def table(report):
    """The report as text: how far, in how many passes and seconds, and what is left of the target in a file."""
    names, found = list(report["says"]), report["attacks"]
    far = [["distortion × 1000", *names, "mean", "passes", "CPU s", "MB"]]
    kept = [["in a file", "lost", *FILES, "factor"]]
    for who in found:
        entries = [found[who].get(name) for name in names]
        there = [entry for entry in entries if entry]
        each = [f"{1000 * entry['distortion']:.2f}" if entry else "–" for entry in entries]
        mean = f"{1000 * _mean(there, 'distortion'):.2f}" if len(there) == len(names) else "–"
        peak = [entry["peak MB"] or 0 for entry in there]
        cost = [f"{_mean(there, 'passes'):.0f}", f"{_mean(there, 'CPU seconds'):.0f}", f"{max(peak)}"]
        far.append([who, *each, mean, *cost])
        files = [entry["in files"] for entry in there]
        lost = f"{sum(file['below half a level'] for file in files) / len(files):.0%}"
        left = [f"{sum(file['lead'][name] > 0 for file in files)} of {len(files)}" for name in FILES]
        kept.append([who, lost, *left, " ".join(f"{_factor(file):>4}" for file in files)])
    lines = [
        f"{report['network']}, target {report['target']}. The paper, with AlexNet: {1000 * PAPER:.1f} on average over "
        f"{PAPER_IMAGES} images.",
        "passes, CPU s: a photograph, on average; MB: the most memory.",
        tables.text(far),
        "\nlost: share of the values of r below half a grey level, which rounding takes away.",
        "256 levels, ...: how many keep the target. factor: what r must be multiplied by for 256 levels,",
        f"each photograph; –: up to {FACTORS[-1]:.0f} nothing helped.",
        tables.text(kept),
        *([report["message"]] if report["message"] else []),
    ]
    return "\n".join(lines)


def seconds(report):
    """CPU seconds that the attacks took, of one core."""
    return sum(entry["CPU seconds"] for found in report["attacks"].values() for entry in found.values())


def _factor(file):
    factor = file["factor"]["256 levels"]
    return "–" if factor is None else f"{factor:.3g}"


def _mean(entries, key):
    return sum(entry[key] for entry in entries) / len(entries)


def report():
    """The report that is stored with the course."""
    return stored(FILE)
