"""The paper's attack as it is usually written: SciPy's L-BFGS-B, one image after another, one c after another."""

import warnings

import numpy as np
import torch
from scipy.optimize import Bounds, minimize
from threadpoolctl import threadpool_limits
from torch.nn.functional import cross_entropy
from tqdm.auto import tqdm

from helpers.adversarial.inputs import check_norm, check_targeted, double_copy
from helpers.adversarial.objective import NO_SLACK, succeeds
from helpers.adversarial.result import ALREADY, assemble


def scipy_lbfgsb(network, images, targets, *, norm="squared", maxiter=15000, progress=True):
    """Minimise c‖r‖² + CE(network(x + r), target) (``norm="squared"``) or c‖r‖ + CE (``norm="l2"``) over the box, in
    float64, from r = 0 for every c. c starts at 1 and moves by factors of 10 until a success and a failure enclose it,
    then to their geometric mean until they are within 1% of each other. Success is judged on x + r in the images'
    dtype; the smallest success is kept. SciPy works on the CPU, on a copy of the network.

    maxiter: iterations of one c; the default is SciPy's. progress: show a bar. Ctrl-C returns what is finished, with a
    status that says so.
    Raises ValueError for any other norm.
    """
    slack = check_targeted(network, images, targets)
    check_norm(norm)
    double = double_copy(network).cpu()
    adversarial, c = images.clone(), images.new_full((len(images),), torch.nan)
    evaluations, status = torch.zeros_like(targets), ["interrupted: nothing found yet"] * len(images)
    try:
        # On vectors this short a second BLAS thread only waits, beside torch's own: the loop ran seven times slower.
        with threadpool_limits(1, user_api="blas"):
            for i in tqdm(range(len(images)), "SciPy's L-BFGS-B", unit="image", delay=2, disable=not progress):
                found = _one_image(network, double, images[i : i + 1], targets[i : i + 1], (norm, slack, maxiter))
                adversarial[i], c[i], evaluations[i], status[i] = found
    except KeyboardInterrupt:
        warnings.warn("interrupted: the images that were not finished are returned as they were", stacklevel=2)
    return assemble(network, images, adversarial, targets, c, evaluations).with_status(status)


class CBracket:
    """The largest c that succeeds: c by factors of 10 until it is enclosed, then bisection of log c to 1%."""

    def __init__(self):
        self.c, self.low, self.high = 1.0, None, None  # low succeeds, high fails

    def update(self, success):
        """Take in what came of ``c`` and choose the next one."""
        if success:
            self.low = self.c
        else:
            self.high = self.c
        enclosed = self.low is not None and self.high is not None
        self.c = np.sqrt(self.low * self.high) if enclosed else self.c * (10 if success else 0.1)

    @property
    def closed(self):
        enclosed = self.low is not None and self.high is not None
        return self.high < 1.01 * self.low if enclosed else not 1e-9 < self.c < 1e9


def _one_image(network, double, image, target, options):
    """The best adversarial image, its c, the evaluations spent and what happened, for one image (1, ...)."""
    origin, label = image.detach().cpu().double(), target.cpu()
    norm, slack, maxiter = options
    evaluations = 0

    def leads(x, by):
        with torch.no_grad():
            return bool(succeeds(network(x), target, by))

    def objective(v, c):
        nonlocal evaluations
        evaluations += 1
        x = torch.from_numpy(v).view_as(origin).requires_grad_()
        r = x - origin
        size = r.square().sum() if norm == "squared" else torch.linalg.vector_norm(r)
        value = c * size + cross_entropy(double(x), label)
        (gradient,) = torch.autograd.grad(value, x)
        return value.item(), gradient.flatten().numpy()

    if leads(image, NO_SLACK):
        return image[0], torch.nan, 0, ALREADY
    best, best_c, least, bracket = image, torch.nan, torch.inf, CBracket()
    start = origin.flatten().numpy()
    box, limit = Bounds(np.zeros_like(start), np.ones_like(start)), {"maxiter": maxiter}
    while not bracket.closed:
        c = bracket.c
        found = minimize(objective, start, args=(c,), jac=True, method="L-BFGS-B", bounds=box, options=limit)
        x = torch.from_numpy(found.x).to(image).clamp(0, 1).view_as(image)
        success = leads(x, slack)
        size = torch.linalg.vector_norm(x - image).item()
        if success and size < least:
            best, best_c, least = x, c, size
        bracket.update(success)
    return best[0], best_c, evaluations, "found" if least < torch.inf else "not found: no c gave the target label"
