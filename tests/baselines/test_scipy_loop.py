"""SciPy's loop against the exact optimum and the attack, and what Ctrl-C leaves of it."""

import pytest

from helpers import attack, baselines, load_network
from helpers.baselines import scipy_loop
from helpers.baselines.exact import exact_linear


def test_scipy_s_loop_against_the_exact_optimum(digits, record_property):
    network, (images, targets) = load_network("FC10(1e-4)"), (part[:5] for part in digits)
    bound = exact_linear(network, images, targets).bound
    assert (bound > 0).all()
    for norm in ("squared", "l2"):
        result = baselines.scipy_lbfgsb(network, images, targets, norm=norm, progress=False)
        ratio = result.norm.double() / bound
        assert result.success.all() and (result.c > 0).all()
        assert (ratio > 1 - 1e-6).all() and ratio.mean() < 1.06
        record_property(
            "measured", f"SciPy's loop on FC10(1e-4), {norm}: mean ‖r‖ is {ratio.mean():.4f} times the least"
        )


def test_the_attack_is_as_good_as_scipy_s_loop(network, digits):
    images, targets = digits[0][:4], digits[1][:4]
    theirs = baselines.scipy_lbfgsb(network, images, targets, progress=False)
    ours = attack(network, images, targets, progress=False)
    ratio = ours.norm / theirs.norm
    assert (ratio < 1.02).all() and (ratio > 0.98).all()


def test_ctrl_c_returns_what_is_finished(network, digits, monkeypatch):
    images, targets = digits[0][:3], digits[1][:3]
    solve, second = scipy_loop.minimize, images[1].double().numpy()

    def interrupted(objective, start, **options):
        if (start == second).all() and options["args"] != (1.0,):  # after the first solve of the second image
            raise KeyboardInterrupt
        return solve(objective, start, **options)

    monkeypatch.setattr(scipy_loop, "minimize", interrupted)
    with pytest.warns(UserWarning, match="interrupted"):
        result = baselines.scipy_lbfgsb(network, images, targets, progress=False)
    assert result.success.tolist() == [True, False, False] and result.evaluations.tolist()[1:] == [0, 0]
    assert result.status == ("found", "interrupted: nothing found yet", "interrupted: nothing found yet")


def test_iterations_can_be_limited(network, digits):
    images, targets = digits[0][:2], digits[1][:2]
    free, few = (baselines.scipy_lbfgsb(network, images, targets, maxiter=n, progress=False) for n in (15000, 5))
    assert (few.evaluations < free.evaluations / 2).all() and few.success.all()
    assert (few.norm >= free.norm * 0.999).all() and (few.norm > free.norm * 1.001).any()
