"""FC100-100-10 trained with weight decay, dropout or pools of adversarial examples, in epochs that survive any kill."""

import time
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.functional import cross_entropy
from tqdm import tqdm

from helpers.digits import networks, training
from helpers.paper.pools import Pool

NAME = "FC100-100-10"


@dataclass(frozen=True)
class Method:
    """One way to train. What is 0 or empty is left out."""

    decay: float = 0.0  # times the paper's λ of each layer: the loss gains decay Σ_layers λ Σ_j w_j² / k
    dropout: float = 0.0  # the part of the hidden units that is switched off, at random, for each image of a batch
    pools: tuple[int, ...] = ()  # modules before the output that has a pool: 0 the input, 2 and 4 the hidden layers
    fgsm: float = 0.0  # the step ε of Goodfellow, Shlens & Szegedy (2015): each batch comes with its images moved by it
    share: float = 0.5  # of the loss that is the pools' or the moved images'; the rest is the training images'


@dataclass(frozen=True)
class Plan:
    """What all methods have in common."""

    epochs: int = 30
    batch: int = 100  # training images an update
    step: float = 0.003  # of Adam at the start; it falls to zero along a cosine
    pool: int = 1000  # examples in a pool
    drawn: int = 50  # of each pool in an update
    every: int = 240  # updates from one replacement to the next
    replaced: int = 200  # of the examples of a pool


PLAN = Plan()


def train(method, seed, data, checkpoint, plan=PLAN, title="training"):
    """Train FC100-100-10 from the seed's start; returns the network, in eval mode, and the processor's seconds.

    data: images (n, 784) in [0, 1] and labels (n,). checkpoint: a path, written after each epoch; an interrupted
    training goes on from it to the same weights, bit for bit, on one thread.
    """
    network = _untrained(seed)
    stage = _stage(network, method, seed, data, plan)
    done = torch.load(checkpoint, weights_only=True) if checkpoint.exists() else {"epoch": 0, "seconds": 0.0}
    if done["epoch"]:
        stage.load(done)
    start = time.process_time() - done["seconds"]
    with tqdm(initial=done["epoch"], total=plan.epochs, desc=title, unit="epoch", delay=2) as bar:
        for epoch in range(done["epoch"], plan.epochs):
            loss = stage.run(epoch)
            progress = {"epoch": epoch + 1, "seconds": time.process_time() - start}
            training.save({**progress, **stage.state()}, checkpoint)
            bar.set_postfix(loss=f"{loss:.4f}", refresh=False)
            bar.update()
    return network.requires_grad_(False), time.process_time() - start


def _untrained(seed):
    """FC100-100-10 with Glorot's normal weights, in eval mode: it has no module that minds."""
    network, generator = networks.untrained(NAME).eval(), torch.Generator().manual_seed(seed)
    for layer in network[::2]:
        nn.init.xavier_normal_(layer.weight, generator=generator)
        nn.init.zeros_(layer.bias)
    return network


def _stage(network, method, seed, data, plan):
    """The training as a ``training.Stage``, whose rounds are epochs. Its module holds the network and the pools."""
    images, labels = data
    pools = nn.ModuleList(Pool(depth, network, images[: plan.pool], labels[: plan.pool]) for depth in method.pools)
    optimizer = torch.optim.Adam(network.parameters(), lr=plan.step, fused=True)
    batches = -(-len(images) // plan.batch)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, plan.epochs * batches)

    def epoch(i):
        order = torch.randperm(len(images), generator=_generator(seed, i, 0))
        generator, total = _generator(seed, i, 1), 0.0
        for j, rows in enumerate(order.split(plan.batch)):
            if (i * batches + j) % plan.every == 0:
                _refresh(pools, network, data, plan, generator)
            optimizer.zero_grad()
            loss = _loss(network, method, (images[rows], labels[rows]), pools, plan.drawn, generator)
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item() / batches
        with torch.no_grad():
            for p in network.parameters():
                p[p.abs() < 1e-30] = 0  # denormal numbers are many times slower on a CPU
        return total

    return training.Stage(nn.ModuleList([network, pools]), optimizer, plan.epochs, epoch, schedule)


def _loss(network, method, batch, pools, drawn, generator):
    """(1 − share) CE(batch) + share · mean over the pools of CE(their examples) + the decay, in one pass: the examples
    of a pool join the batch where the layer's output goes on. With FGSM the moved images are in the pools' place."""
    x, labels = batch
    counts, waiting = [len(x)], {pool.depth: pool for pool in pools}
    if method.fgsm:
        x, labels = torch.cat([x, moved(network, x, labels, method.fgsm)]), labels.repeat(2)
        counts *= 2
    for depth, module in enumerate(network):
        if depth in waiting:
            examples, theirs = waiting[depth].draw(network, drawn, generator)
            x, labels = torch.cat([x, examples]), torch.cat([labels, theirs])
            counts.append(drawn)
        x = module(x)
        if method.dropout and isinstance(module, nn.Sigmoid):
            x = _dropped(x, method.dropout, generator)
    of_batch, *others = (part.mean() for part in cross_entropy(x, labels, reduction="none").split(counts))
    value = of_batch
    if others:
        value = (1 - method.share) * of_batch + method.share * sum(others) / len(others)
    if method.decay:
        decay = [method.decay * l for l in networks.recipe(NAME).decay]
        value = value + training.weight_decay(network[::2], decay)
    return value


def moved(network, images, labels, epsilon):
    """clip(x + ε sign ∇_x CE(network(x), label), 0, 1): one step of FGSM away from the images' own labels."""
    x = images.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(cross_entropy(network(x), labels), x)
    return (images + epsilon * gradient.sign()).clamp(0, 1)


def _dropped(x, part, generator):
    """Each entry of ``x`` 0 with probability ``part``, otherwise divided by 1 − part (Srivastava et al. 2014)."""
    return x * (torch.rand(x.shape, generator=generator) >= part) / (1 - part)


def _refresh(pools, network, data, plan, generator):
    """Replace a random part of each pool by examples for the network as it is now, from random training images, each
    towards a random wrong label."""
    images, labels = data
    network.requires_grad_(False)
    for pool in pools:
        places = torch.randperm(len(pool.labels), generator=generator)[: plan.replaced]
        rows = torch.randint(len(images), places.shape, generator=generator)
        targets = (labels[rows] + torch.randint(1, 10, places.shape, generator=generator)) % 10
        pool.replace(network, images[rows], labels[rows], targets, places)
    network.requires_grad_(True)


def _generator(*numbers):
    """A random generator of its own for each seed, epoch and purpose: nothing has to be kept between epochs."""
    number = 0
    for n in numbers:
        number = number * 1000 + n
    return torch.Generator().manual_seed(number)
