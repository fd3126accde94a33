"""The attacks side by side: measured in turns, on the same images, judged alike."""

from statistics import median

import numpy as np
import torch

from helpers.benchmark.measure import Turn, markdown, timed
from helpers.benchmark.peers import SCIPY

TASK = "attack"


def turns(peers, network, images, targets, rounds, threads):
    """Let the peers attack in turns. Yields a Turn after each.

    In every round the quick ones attack all images (batch, ...), the others a share of them; by the last round every
    image has been attacked by all. A first turn on two images is not yielded: it loads what is loaded at first use.
    """
    everything = torch.arange(len(images), device=images.device)
    before = torch.get_num_threads()
    try:
        for turn, share in enumerate([everything[:2], *everything.tensor_split(rounds)]):
            for peer in peers:
                rows = everything if peer.quick and turn else share
                torch.set_num_threads(min(threads, peer.threads or threads))
                result, seconds = timed(
                    lambda peer=peer, rows=rows: peer.run(network, images[rows], targets[rows]), images.device
                )
                if turn:
                    yield Turn(TASK, peer.name, turn, rows.cpu(), _found(result), seconds)
    finally:
        torch.set_num_threads(before)


def _found(result):
    ok = result.success.cpu()
    norm, distortion = (torch.where(ok, size.cpu().double(), torch.nan) for size in (result.norm, result.distortion))
    return {"norm": norm, "distortion": distortion, "success": ok, "evaluations": result.evaluations.cpu()}


def summary(scores):
    """A dict for each peer that has had a turn.

    ratio: mean of ‖r‖ over the least ‖r‖ that any peer found for that image, over the successes. ms: median over the
    rounds. times_as_fast: than SciPy's loop.
    """
    names = scores.contestants(TASK)
    norms = {name: scores.values(TASK, name, "norm") for name in names}
    least = np.nan_to_num(np.array(list(norms.values())), nan=np.inf).min(0) if names else None
    entries = []
    for name in names:
        found = {key: scores.values(TASK, name, key) for key in ("distortion", "success", "evaluations")}
        entry = {
            "attack": name,
            "images": int(np.isfinite(found["success"]).sum()),
            "success": np.nanmean(found["success"]),
            "mean_distortion": _mean(found["distortion"]),
            "ratio": _mean(norms[name] / least),
            "ms": median(scores.ms(TASK, name)),
            "times_as_fast": scores.times_as_fast(TASK, name, SCIPY),
            "evaluations": np.nanmean(found["evaluations"]),
        }
        entry = {key: float(value) if isinstance(value, np.floating) else value for key, value in entry.items()}
        entries.append({**entry, "ms_of_each_round": scores.ms(TASK, name)})
    return entries


def _mean(values):
    """The mean of those that are numbers, NaN where there is none."""
    return np.nanmean(values) if np.isfinite(values).any() else np.nan


def table(entries):
    """The entries of ``summary``, Markdown."""
    columns = {
        "attack": lambda e: e["attack"],
        "images": lambda e: f"{e['images']}",
        "success": lambda e: f"{e['success']:.1%}",
        "mean distortion": lambda e: f"{e['mean_distortion']:.5f}",
        "ratio": lambda e: f"{e['ratio']:.4f}",
        "ms an image": lambda e: f"{e['ms']:.3g}",
        "times as fast": lambda e: f"{e['times_as_fast']:.3g}",
        "evaluations": lambda e: f"{e['evaluations']:.0f}",
    }
    return markdown(columns, entries)
