"""A pool of adversarial examples for the output of one layer, a random part of which is always being replaced.

Section 4.2 of Szegedy et al. (2013): there is one pool for the input and one for each layer's output. The outputs of
sigmoids lie in [0, 1], so an example for a hidden layer is found as one for the input is: the attack on what is left of
the network, in the layer's own box.
"""

import torch
from torch import nn

from helpers.adversarial.attack import attack


class Pool(nn.Module):
    """Examples φ + r for the output φ of the first ``depth`` modules of a Sequential, and their true labels.

    depth: 0 for the input itself. images (n, 784), labels (n,): the pool begins with these as they are, unchanged.
    A module with buffers and no parameters, so that ``state_dict`` has all of it.
    """

    def __init__(self, depth, network, images, labels):
        super().__init__()
        self.depth = depth
        self.register_buffer("examples", _outputs(network, depth, images))
        self.register_buffer("labels", labels.clone())

    def replace(self, network, images, labels, targets, places):
        """Put new examples in ``places`` (k,): for the present ``network``, from images (k, 784), labels and targets.

        Each is the closest change of the layer's output that the attack finds for which the network gives the target;
        where it finds none, the output as it is. The label that it is learned with is the image's own. Returns the
        AttackResult.
        """
        rest = network[self.depth :].eval()
        found = attack(rest, _outputs(network, self.depth, images), targets, progress=False)
        self.examples[places], self.labels[places] = found.adversarial, labels
        return found

    def draw(self, count, generator):
        """``count`` random examples and their labels, with replacement."""
        places = torch.randint(len(self.labels), (count,), generator=generator)
        return self.examples[places], self.labels[places]


@torch.no_grad()
def _outputs(network, depth, images):
    return network[:depth](images).clone()
