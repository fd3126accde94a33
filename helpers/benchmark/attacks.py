"""The attacks side by side: measured in turns, on the same images, judged alike."""

import time
from statistics import median

import torch

from helpers.benchmark.peers import SCIPY


def turns(peers, network, images, targets, rounds, threads):
    """Let the peers attack in turns. Yields (name, round, rows, result, seconds) after each turn.

    In every round the quick ones attack all images (batch, ...), the others a share of them; by the last round every
    image has been attacked by all. ``rows``: the images of the turn, (k,). A first turn on two images is not yielded:
    it loads what is loaded at first use.
    """
    everything = torch.arange(len(images), device=images.device)
    before = torch.get_num_threads()
    try:
        for turn, share in enumerate([everything[:2], *everything.tensor_split(rounds)]):
            for peer in peers:
                rows = everything if peer.quick and turn else share
                torch.set_num_threads(min(threads, peer.threads or threads))
                start = _clock(images.device)
                result = peer.run(network, images[rows], targets[rows])
                seconds = _clock(images.device) - start
                if turn:
                    yield peer.name, turn, rows.cpu(), result, seconds
    finally:
        torch.set_num_threads(before)


def _clock(device):
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


class Scores:
    """What the turns have brought so far, one row a peer, one column an image; NaN where there is no success (yet)."""

    def __init__(self, names, batch):
        self.names = list(names)
        self.norm, self.distortion, self.success, self.evaluations = torch.full(
            (4, len(self.names), batch), torch.nan, dtype=torch.float64
        )
        self.ms = {name: {} for name in self.names}  # name → round → milliseconds an image

    def add(self, name, turn, rows, result, seconds):
        """Take in one turn."""
        i, ok = self.names.index(name), result.success.cpu()
        self.norm[i, rows] = torch.where(ok, result.norm.cpu().double(), torch.nan)
        self.distortion[i, rows] = torch.where(ok, result.distortion.cpu().double(), torch.nan)
        self.success[i, rows], self.evaluations[i, rows] = ok.double(), result.evaluations.cpu().double()
        self.ms[name][turn] = 1000 * seconds / len(rows)

    def summary(self):
        """A dict for each peer that has had a turn.

        ratio: mean of ‖r‖ over the least ‖r‖ that any peer found for that image, over the successes. ms: median over
        the rounds. times_as_fast: median over the rounds of SciPy's milliseconds in that round over one's own.
        """
        least = self.norm.nan_to_num(nan=torch.inf).amin(0)
        entries = []
        for i, name in enumerate(self.names):
            ms, scipy = self.ms[name], self.ms.get(SCIPY, {})
            if ms:
                entry = {
                    "attack": name,
                    "images": int(self.success[i].isfinite().sum()),
                    "success": self.success[i].nanmean().item(),
                    "mean_distortion": self.distortion[i].nanmean().item(),
                    "ratio": (self.norm[i] / least).nanmean().item(),
                    "ms": median(ms.values()),
                    "times_as_fast": median([scipy[turn] / ms[turn] for turn in ms if turn in scipy] or [torch.nan]),
                    "evaluations": self.evaluations[i].nanmean().item(),
                    "ms_of_each_round": list(ms.values()),
                }
                entries.append(entry)
        return entries


def table(entries):
    """The entries of ``Scores.summary``, Markdown."""
    lines = ["| attack | images | success | mean distortion | ratio | ms an image | times as fast | evaluations |"]
    lines.append("|---" * 8 + "|")
    for e in entries:
        quality = f"{e['success']:.1%} | {e['mean_distortion']:.5f} | {e['ratio']:.4f}"
        speed = f"{e['ms']:.3g} | {e['times_as_fast']:.3g} | {e['evaluations']:.0f}"
        lines.append(f"| {e['attack']} | {e['images']} | {quality} | {speed} |")
    return "\n".join(lines)
