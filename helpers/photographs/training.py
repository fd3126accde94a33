"""Train the small network on pieces of the four photographs: seconds, and the same weights each time."""

import torch
from torch.nn.functional import cross_entropy, interpolate
from tqdm.auto import tqdm

from helpers.photographs.networks import untrained
from helpers.photographs.pictures import SIDE, load_photographs

SEED, STEPS, BATCH, RATE = 0, 600, 16, 3e-3
SMALLEST = 0.4  # of the photograph's side: the smallest piece
CHANGES = 0.3  # brightness and contrast change by up to so much


def train(steps=STEPS, progress=True):
    """The small network after ``steps`` of Adam on random pieces, in eval mode."""
    images, _ = load_photographs()
    generator = torch.Generator().manual_seed(SEED)
    with torch.random.fork_rng([]):
        torch.manual_seed(SEED)
        network = untrained().train()
    optimiser = torch.optim.Adam(network.parameters(), RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps)
    for _ in tqdm(range(steps), "the small network", unit="step", delay=2, disable=not progress, leave=False):
        x, label = pieces(images, BATCH, generator)
        loss = cross_entropy(network(x), label)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return network.eval().requires_grad_(False)


def pieces(images, count, generator):
    """``count`` random pieces (count, 3, 224, 224) of the images, enlarged, mirrored, made brighter or darker, and the
    place of the image that each is from, (count,)."""
    label = torch.randint(len(images), (count,), generator=generator)
    share = torch.rand(count, 6, generator=generator)
    out = []
    for k, (size, top, left, mirror, contrast, light) in zip(label.tolist(), share.tolist(), strict=True):
        side = round(SIDE * (SMALLEST + (1 - SMALLEST) * size))
        top, left = round(top * (SIDE - side)), round(left * (SIDE - side))
        piece = images[k, :, top : top + side, left : left + side]
        piece = piece.flip(2) if mirror < 0.5 else piece
        piece = interpolate(piece[None], (SIDE, SIDE), mode="bilinear", align_corners=False)[0]
        out.append((piece - 0.5) * (1 + CHANGES * (2 * contrast - 1)) + 0.5 + CHANGES * (light - 0.5))
    return torch.stack(out).clamp(0, 1), label


@torch.no_grad()
def accuracy(network, count=400, seed=1):
    """The share of ``count`` fresh pieces that the network gives to their photograph."""
    images, _ = load_photographs()
    x, label = pieces(images, count, torch.Generator().manual_seed(seed))
    return (network(x).argmax(1) == label).double().mean().item()
