"""A pool of adversarial examples for the output of one layer, a random part of which is always being replaced.

Section 4.2 of Szegedy et al. (2013): there is one pool for the input and one for each layer's output. The outputs of
sigmoids lie in [0, 1], so an example for a hidden layer is found as one for the input is: by the attack on what is left
of the network, in the layer's own box.
"""

import torch
from torch import nn

from helpers.adversarial.attack import attack


class Pool(nn.Module):
    """Images, changes r of the output φ of the first ``depth`` modules of a Sequential, and the images' true labels.

    depth: 0 for the input itself. images (n, 784), labels (n,): the pool begins with these, unchanged. What is kept of
    an example is its image and its change. The layers below go on learning, and the example is always φ(image) + r for
    their present φ, clipped to the box.
    A module with buffers and no parameters, so that ``state_dict`` has all of it.
    """

    def __init__(self, depth, network, images, labels):
        super().__init__()
        self.depth = depth
        self.register_buffer("images", images.clone())
        self.register_buffer("changes", torch.zeros_like(outputs(network, depth, images)))
        self.register_buffer("labels", labels.clone())

    def replace(self, network, images, labels, targets, places):
        """Put new examples in ``places`` (k,): for the present ``network``, from images (k, 784), labels and targets.

        Each change is the smallest of the layer's output that the attack finds for which the network gives the target;
        zero where it finds none. The label that an example is learned with is its image's own. Returns the
        AttackResult.
        """
        found = attack(network[self.depth :].eval(), outputs(network, self.depth, images), targets, progress=False)
        self.images[places], self.changes[places], self.labels[places] = images, found.perturbation, labels
        return found

    def draw(self, network, count, generator):
        """``count`` random examples for the present ``network``, with replacement, and their labels."""
        places = torch.randint(len(self.labels), (count,), generator=generator)
        present = outputs(network, self.depth, self.images[places])
        return (present + self.changes[places]).clamp(0, 1), self.labels[places]


@torch.no_grad()
def outputs(network, depth, images):
    """φ(images) of the first ``depth`` modules, without a graph."""
    return network[:depth](images)
