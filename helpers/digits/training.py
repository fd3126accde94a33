"""Trains networks of Linear and Conv2d layers in rounds that survive an interruption.

The loss is mean cross-entropy + Σ_layers λ Σ_j w_j² / k, k the number of units in the layer; biases do not decay.
A softmax layer on fixed features is a convex problem: L-BFGS on all images in float64, to convergence. Deeper networks:
Adam on small batches, the step size falling to zero along a cosine. The test set takes no part.
"""

import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.functional import cross_entropy
from tqdm import tqdm

SEED = 0
RHO, BETA, MU = 0.1, 0.3, 6e-3  # of the sparse autoencoder; chosen on 10,000 training images held out


@dataclass
class Stage:
    """A piece of a training, done in equal rounds. All that a round changes is in module, optimizer and schedule."""

    module: nn.Module
    optimizer: torch.optim.Optimizer
    rounds: int
    run: Callable[[int], float]  # does round i and returns its loss
    schedule: torch.optim.lr_scheduler.LRScheduler | None = None  # of the optimizer's step size

    def state(self):
        """All that a round changes, as what torch.save takes."""
        parts = {"module": self.module, "optimizer": self.optimizer, "schedule": self.schedule}
        return {name: part.state_dict() for name, part in parts.items() if part is not None}

    def load(self, state):
        """Be as the stage was whose ``state`` this is."""
        self.module.load_state_dict(state["module"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.schedule is not None:
            self.schedule.load_state_dict(state["schedule"])


def train(network, decay, data, checkpoint, *, autoencoder=False, epochs=30, title="training"):
    """Trains a Sequential in place, whatever weights it has, always from the same seed.

    decay: λ of each Linear or Conv2d layer. data: images (n, 784) in [0, 1] and labels (n,). epochs: of Adam.
    checkpoint: a path. What is done is written there after each round, and an interrupted training goes on from it, to
    the same weights as if nothing had happened.
    autoencoder: train the first layer as a sparse autoencoder on the images alone, freeze it, and train the last one on
    top; decay is then the λ of the last.
    Returns the seconds of processor time spent, those before an interruption included.
    """
    done = torch.load(checkpoint, weights_only=True) if checkpoint.exists() else None
    if done:
        network.load_state_dict(done["network"])
    start = time.process_time() - (done["seconds"] if done else 0)
    for number, build in enumerate(_plan(network, decay, data, autoencoder, epochs)):
        if done and number < done["stage"]:
            continue
        stage, first = build(), 0
        if done and number == done["stage"]:
            stage.load(done)
            first = done["round"]
        with tqdm(initial=first, total=stage.rounds, desc=f"{title}, stage {number + 1}", unit="round") as bar:
            for i in range(first, stage.rounds):
                loss = stage.run(i)
                _flush(network)
                progress = {"stage": number, "round": i + 1, "seconds": time.process_time() - start}
                save({**progress, **stage.state(), "network": network.state_dict()}, checkpoint)
                bar.set_postfix(loss=f"{loss:.5f}", refresh=False)
                bar.update()
    network.float().eval()
    _flush(network)
    return time.process_time() - start


def save(content, path):
    """torch.save, all or nothing: the file is renamed into place once it is whole."""
    draft = path.with_name(path.name + ".draft")
    torch.save(content, draft)
    os.replace(draft, path)


def weight_decay(layers, decay):
    """Σ_layers λ Σ_j w_j² / k, with k the number of units (or channels) in the layer. A scalar tensor."""
    return sum(l * layer.weight.square().sum() / len(layer.weight) for layer, l in zip(layers, decay, strict=True))


def _plan(network, decay, data, autoencoder, epochs):
    """The stages in order, each as a function that builds it: a later stage starts from what an earlier one made."""
    images, labels = data
    if autoencoder:
        return [
            lambda: _autoencoder(network[0], images),
            lambda: _softmax(network[-1], network[:-1], images, labels, decay[-1]),
        ]
    if len(network) == 1:
        return [lambda: _softmax(network[0], nn.Identity(), images, labels, decay[0])]
    return [lambda: _classifier(network, images, labels, decay, epochs)]


def _autoencoder(encoder, images):
    """½ mean ‖x̂ − x‖² + ½ μ Σ w² + β Σ_j KL(ρ ‖ ρ̂_j), with ρ̂_j the mean activation of unit j over the batch, and
    KL(ρ ‖ ρ̂) = ρ log(ρ/ρ̂) + (1−ρ) log((1−ρ)/(1−ρ̂)): A. Ng, "Sparse autoencoder", CS294A lecture notes, 2011."""
    decoder = nn.utils.skip_init(nn.Linear, encoder.out_features, encoder.in_features)
    first_weights(encoder, decoder)
    nn.init.constant_(encoder.bias, math.log(RHO / (1 - RHO)))  # activations start at ρ

    def loss(rows):
        x = images[rows]
        code = encoder(x).sigmoid()
        active = code.mean(0).clamp(1e-6, 1 - 1e-6)
        sparsity = RHO * (RHO / active).log() + (1 - RHO) * ((1 - RHO) / (1 - active)).log()
        size = encoder.weight.square().sum() + decoder.weight.square().sum()
        return (decoder(code) - x).square().sum(1).mean() / 2 + MU * size / 2 + BETA * sparsity.sum()

    return _adam(nn.ModuleList([encoder, decoder]), loss, len(images), rounds=16, batch=100, step=0.003)


def _softmax(layer, features, images, labels, decay):
    with torch.no_grad():
        inputs = features(images).double()
    layer.double()
    for p in layer.parameters():
        nn.init.zeros_(p)
    options = {"history_size": 20, "max_iter": 20, "tolerance_grad": 1e-6, "tolerance_change": 0}
    optimizer = torch.optim.LBFGS(layer.parameters(), line_search_fn="strong_wolfe", **options)

    def loss():
        optimizer.zero_grad()
        value = cross_entropy(layer(inputs), labels) + weight_decay([layer], [decay])
        value.backward()
        return value

    return Stage(layer, optimizer, 30, lambda _: float(optimizer.step(loss).detach()))


def _classifier(network, images, labels, decay, epochs):
    layers = [layer for layer in network if isinstance(layer, nn.Linear | nn.Conv2d)]
    first_weights(*layers)

    def loss(rows):
        return cross_entropy(network(images[rows]), labels[rows]) + weight_decay(layers, decay)

    return _adam(network, loss, len(images), rounds=epochs, batch=100, step=0.003)


def _adam(module, loss, n, rounds, batch, step):
    optimizer = torch.optim.Adam(module.parameters(), lr=step)
    batches = math.ceil(n / batch)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, rounds * batches)

    def epoch(i):
        order = torch.randperm(n, generator=torch.Generator().manual_seed(SEED + i))  # needs nothing of epoch i - 1
        total = 0.0
        for rows in order.split(batch):
            optimizer.zero_grad()
            value = loss(rows)
            value.backward()
            optimizer.step()
            schedule.step()
            total += value.item() / batches
        return total

    return Stage(module, optimizer, rounds, epoch, schedule)


def first_weights(*layers):
    """Give the ``layers``, Linear or Conv2d, the weights from which a training begins, always the same."""
    generator = torch.Generator().manual_seed(SEED)
    for layer in layers:
        nn.init.xavier_normal_(layer.weight, generator=generator)
        nn.init.zeros_(layer.bias)


def _flush(network):
    """Weight decay drives the weights of pixels that are always 0 towards denormal numbers, on which a CPU is many
    times slower; they are made exactly 0."""
    with torch.no_grad():
        for p in network.parameters():
            p[p.abs() < 1e-30] = 0
