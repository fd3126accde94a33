"""What the attack is compared with. Each is called as ``(network, images, targets, *, ...)``, as ``attack`` is:

    images   (batch, ...) floats, pixels in [0, 1]        targets  (batch,) labels, one an image
    network  a module in eval mode, from images to (batch, k) logits; it is not changed

and returns an AttackResult. Whatever ``attack`` refuses is refused here with the same sentence, a call without targets
too. An image that is given its target already is left as it is (by all but the noise), and counts as a success.
"""

from helpers.baselines.exact import ExactResult, exact_linear
from helpers.baselines.gradient import fgsm, sgd_noise
from helpers.baselines.noise import gaussian_noise, noisy
from helpers.baselines.scipy_loop import scipy_lbfgsb

__all__ = ["ExactResult", "exact_linear", "fgsm", "gaussian_noise", "noisy", "scipy_lbfgsb", "sgd_noise"]
