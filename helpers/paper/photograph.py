"""Everything becomes an ostrich: section 4's photographs, here four, and a network trained on ImageNet.

The paper attacks AlexNet with 64 photographs and needs a distortion of 0.0065 on average. Here each of ``attacks``
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
from helpers.adversarial.objective import surrogate
from helpers.baselines.noise import noisy
from helpers.benchmark import frontier, peers
from helpers.benchmark.measure import Interrupt, peak
from helpers.paper import photograph_kept, photograph_tables
from helpers.paper.archive import made_by, stored, write_json
from helpers.paper.photograph_files import lead, stretched, survival
from helpers.paper.shown import whole
from helpers.photographs.networks import OSTRICH, labels, load_imagenet
from helpers.photographs.pictures import load_photographs, rounded

FILE = "photographs.json"
PAPER, PAPER_IMAGES = 0.006508, 64  # the paper's average distortion with AlexNet, and over how many photographs
# The settings of this attack that are compared, each handed to ``attack`` as it stands here.
SETTINGS = frontier.OURS
PLAIN, KEPT = "this attack, β = 1", "this attack, β = 1, 8, 64"  # KEPT: whose changes are stored, to be looked at
# Asked for a lead, so that something is left of it in a file: the target's logit must lead by LEAST.
LEAST = 2.0
LEADING = {f"{PLAIN}, lead 2": {}, f"{KEPT}, lead 2": {"sharpness": (1, 8, 64)}}
# Of adversarial-library, where it is installed.
OTHERS = ("DDN, 100 steps", "DDN, 500 steps", "PDGD, 500 steps", "PDGD, 1000 steps")
ROUNDING = "DDN, 100 steps, own rounding"
# Whose answers are stretched, until they survive which files.
STRETCHED = {who: ("256 levels",) for who in (*LEADING, "DDN, 100 steps", ROUNDING)}
STRETCHED |= {who: ("256 levels", "JPEG 95") for who in (PLAIN, KEPT)}
SURE = 0.01  # the lead of a stored answer: more than rounding moves from one machine to another
# A hundred iterations for a price, and the first photograph only: left to its own tolerance, SciPy had made 5,505
# iterations at the third price after an hour and a half of one core.
SCIPY, SCIPY_IMAGES, SCIPY_ITERATIONS = "SciPy's loop, 100 a price", 1, 100


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
    found |= {name: _leading(options) for name, options in LEADING.items()}
    missing = None
    if find_spec("adv_lib") is None:
        missing = "adv_lib is not installed, so DDN and PDGD take no part; to bring it:  pip install --no-deps adv-lib"
    else:
        found |= {name: run for name, (run, _) in peers.curves().items() if name in OTHERS}
        found[ROUNDING] = peers.rounding_ddn(100)
    found[SCIPY] = lambda *task: baselines.scipy_lbfgsb(*task, maxiter=SCIPY_ITERATIONS, progress=False)
    return found, missing


def _leading(options):
    return lambda network, *task: attack(Leading(network, OSTRICH, LEAST).eval(), *task, progress=False, **options)


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
        for who, i in bar:
            bar.set_postfix_str(f"{who}: {names[i]}", refresh=True)
            entry, result = _measured(runs[who], network, images[i : i + 1])
            interrupt.check()  # an attack returns early at Ctrl-C: such an answer is not whole
            if who in STRETCHED:
                numbers, pictures = stretched(network, images[i : i + 1], result.adversarial, OSTRICH, STRETCHED[who])
                entry["in files"] |= numbers
                _keep_file(out, report, who, names[i], numbers, pictures["256 levels"])
            if who == KEPT:
                _keep_change(out, network, images[i], names[i], result.perturbation[0])
            report["attacks"].setdefault(who, {})[names[i]] = entry
            _save(report, path, device)
        if "stored" not in report:
            report["stored"] = _as_stored(network, out, images, names)
            _save(report, path, device)
        if "path" not in report:
            answer = photograph_kept.load_answers(out).adversarial[0].to(device)
            report["path"] = photograph_kept.save_path(out, network, images[0], OSTRICH, answer)
            interrupt.check()
            _save(report, path, device)
        done = True
    if not done:
        raise KeyboardInterrupt
    return report


def _save(report, path, device):
    report["run"] = made_by("python -m helpers.paper photograph", device)
    write_json(report, path)


def _beginning(network, images, names):
    says = {name: _best(network, image[None]) for name, image in zip(names, images, strict=True)}
    return {"network": network.name, "target": labels()[OSTRICH], "says": says, "attacks": {}, "files": {}, "run": None}


@torch.no_grad()
def _best(network, picture, count=5):
    """The likeliest labels of one picture (1, 3, H, W): pairs, the label in words and its probability."""
    p, words = network(picture).softmax(1)[0], labels()
    return [[words[k], p[k].item()] for k in p.topk(count).indices.tolist()]


def _measured(run, network, image):
    """One attack on one image (1, 3, H, W): an entry of the report, and the AttackResult."""
    target = torch.tensor([OSTRICH], device=image.device)
    reset = _reset_peak()
    start = time.process_time()
    result = whole(run(network, image, target))
    seconds, memory = time.process_time() - start, round(peak() / 1e6) if reset else None
    with torch.no_grad():
        loss = surrogate(network(result.adversarial), target, torch.ones_like(image[:, 0, 0, 0])).item()
    files = survival(network, image, result.adversarial, OSTRICH)
    entry = {
        "lead": files["lead"]["as found"],
        "distortion": result.distortion.item(),
        "norm": result.norm.item(),
        "loss": loss,
        "c": None if torch.isnan(result.c).any() else result.c.item(),
        "passes": int(result.evaluations + result.forwards),
        "without a gradient": int(result.forwards),
        "CPU seconds": round(seconds, 1),
        "peak MB": memory,
        "in the box": bool(0 <= result.adversarial.min() and result.adversarial.max() <= 1),
        "in files": files,
    }
    return entry, result


def _keep_change(out, network, image, name, r):
    """Keep r, made so little longer that what comes back from the disk, in whole steps, is surely given the target."""
    for longer in range(20):  # tenths of a per cent
        picture = photograph_kept.save_change(out, name, r * (1 + longer / 1000), image)
        if lead(network, picture[None], OSTRICH)[0] > SURE:
            return


def _keep_file(out, report, who, name, found, picture):
    """Keep ``picture``, None or stretched as ``found`` says, where it is nearer to its photograph than those before."""
    before = report["files"].get(name, {"distortion": float("inf")})
    if picture is not None and found["distortion"]["256 levels"] < before["distortion"] and who.startswith(PLAIN):
        photograph_kept.save_file(out, name, picture[0])
        numbers = {key: found[key]["256 levels"] for key in ("factor", "distortion")}
        report["files"][name] = {"by": who, **numbers}


def _as_stored(network, out, images, names):
    """What the network says of what is kept in ``out``: the answers, also rounded, the files, noise as long as r."""
    answers, files, found = photograph_kept.load_answers(out), photograph_kept.load_files(out), {}
    for i, name in enumerate(names):
        pictures = {
            "as stored": answers.adversarial[i : i + 1],
            "256 levels": rounded(answers.adversarial[i : i + 1]),
            "noise": noisy(images[i : i + 1].cpu(), like=answers[i]),
        }
        if name in files:
            pictures["file"] = files[name][None]
        seen = {which: picture.to(images.device) for which, picture in pictures.items()}
        found[name] = {
            which: {"says": _best(network, picture, 1)[0], "lead": lead(network, picture, OSTRICH)[0]}
            for which, picture in seen.items()
        }
    return found


def _reset_peak():
    """Let Linux forget this process's peak memory; False where it cannot."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def table(report):
    """The whole report as text: how far, at what cost, and what is left of the target in a file."""
    head = (
        f"{report['network']}, target {report['target']}. The paper, with AlexNet: {1000 * PAPER:.1f} on average over "
        f"{PAPER_IMAGES} images."
    )
    return "\n".join([head, photograph_tables.whole(report), *([report["message"]] if report["message"] else [])])


def seconds(report):
    """CPU seconds that the attacks took, of one core."""
    return sum(entry["CPU seconds"] for found in report["attacks"].values() for entry in found.values())


def report():
    """The report that is stored with the course."""
    return stored(FILE)
