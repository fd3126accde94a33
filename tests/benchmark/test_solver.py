"""The solvers get the same problems, and their scores are what their names say."""

import numpy as np
import pytest
import torch

from helpers.benchmark import solver
from helpers.benchmark.measure import Scores, Turn


@pytest.mark.parametrize("problem", solver.problems(), ids=lambda problem: problem.name)
def test_both_solvers_get_the_same_problem(problem):
    x = torch.from_numpy(problem.x0).requires_grad_()
    values = problem.together(x, *map(torch.from_numpy, problem.args))
    (gradients,) = torch.autograd.grad(values.sum(), x)
    for i in range(0, len(x), 17):
        value, gradient = problem.alone(problem.x0[i], *(a[i] for a in problem.args))
        np.testing.assert_allclose(value, values[i].item(), rtol=1e-12)
        np.testing.assert_allclose(gradient, gradients[i].numpy(), rtol=1e-9, atol=1e-12)
    assert (problem.lower <= problem.x0).all() and (problem.x0 <= problem.upper).all()


def test_bounds_matter_in_every_problem():
    for problem in solver.problems():
        x0, lower, upper, *args = map(torch.from_numpy, (problem.x0, problem.lower, problem.upper, *problem.args))
        x = solver.minimize(problem.together, x0, lower, upper, args).x
        active = ((x == lower) | (x == upper)) & (lower < upper)
        assert active.any(1).double().mean() > 0.5, problem.name


def test_the_scores_of_the_solvers_are_what_their_names_say():
    def turn(who, iterations, value, seconds):
        return Turn("p", who, 1, torch.arange(2), {"iterations": iterations, "value": value}, seconds)

    scores = Scores()
    scores.add(turn(solver.OURS, [3, 5], [10.0, 0.5], 0.002))
    assert solver.summary(scores) == []  # SciPy has not had its turn
    scores.add(turn(solver.SCIPY, [4, 6], [5.0, 0.25], 0.008))
    (entry,) = solver.summary(scores)
    assert entry["ratio"] == 0.8 and entry["worst_difference"] == 1 and entry["median_difference"] == 0.625
    assert (entry["ms"], entry["scipy_ms"], entry["times_as_fast"]) == (1, 4, 4)
