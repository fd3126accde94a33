"""The functions that lesson 01 defines, taken from the notebook and tested against independent references."""

import math

import numpy as np
import pytest
from notebook_tools import NOTEBOOKS, namespace
from scipy.integrate import quad
from scipy.optimize import lsq_linear, minimize_scalar
from scipy.special import betainc


@pytest.fixture(scope="module")
def lesson():
    return namespace(NOTEBOOKS / "01_the_closest_wrong_image.ipynb")


def test_the_whole_lesson_runs_and_its_answer_is_an_8_inside_the_box(lesson):
    x, r, A, b = (lesson[name] for name in ("x", "r_star", "A", "b"))
    assert 0 <= (x + r).min() and (x + r).max() <= 1
    assert A @ x + b < -1 and abs(A @ (x + r) + b) < 1e-10
    assert A @ np.clip(x + (1 + 1e-6) * r, 0, 1) + b > 0


def test_the_floor_of_the_digit_is_a_bound_that_a_longer_change_does_not_reach(lesson):
    """The lesson's check can fail: of 1% too large a multiplier the floor stays below half the square of the norm."""
    x, A, z, changes = (lesson[name] for name in ("x", "A", "z", "changes"))
    r = np.clip(x + 1.01 * lesson["mu"] * A, 0, 1) - x
    floor = (changes**2 / 2 - 1.01 * lesson["mu"] * A * changes).min(axis=0).sum() - 1.01 * lesson["mu"] * z
    right = lesson["r_star"] @ lesson["r_star"] / 2
    assert lesson["floor"] >= right and lesson["floor"] == pytest.approx(right, rel=1e-4)
    assert r @ r / 2 > right * 1.01 and floor < right


def test_the_loss_and_its_gradient(lesson):
    x, A, b, loss = (lesson[name] for name in ("x", "A", "b", "loss"))
    assert loss(x) == pytest.approx(math.log(1 + math.exp(-(A @ x + b))))
    assert loss(x + lesson["r_star"]) == pytest.approx(math.log(2))


def test_noise_in_the_box_has_the_length_of_the_exact_change(lesson):
    clean, noisy, wanted = (lesson[name] for name in ("clean", "noisy", "wanted"))
    assert noisy.min() >= 0 and noisy.max() <= 1 and len(noisy) == 2000
    assert np.linalg.norm(noisy - clean, axis=1) == pytest.approx(wanted, rel=1e-4)
    assert np.array_equal(clean[20], lesson["x"])  # the noisy digit in the picture is the lesson's own


def test_training_finds_the_minimiser_of_its_own_objective(lesson):
    rng = np.random.default_rng(0)
    images, signs = rng.uniform(size=(200, 3)), np.where(rng.uniform(size=200) < 0.5, 1.0, -1.0)
    A, b = lesson["train"](images, signs, decay=0.1, steps=3000)
    pull = -signs / (1 + np.exp(signs * (images @ A + b))) / 200
    assert abs(images.T @ pull + 0.1 * A).max() < 1e-6 and abs(pull.sum()) < 1e-6


@pytest.mark.parametrize("seed", range(30))
def test_closest_in_box_is_the_root_of_the_dual(lesson, seed):
    """Against the maximum of the dual function, found by a scalar minimiser that knows nothing of breakpoints."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 40))
    x, A = rng.choice([0, 1, rng.uniform()], n).astype(float), rng.normal(size=n)
    reach = (np.where(A > 0, 1 - x, -x) * A).sum()
    if reach < 1e-9:
        return
    b = -A @ x - rng.uniform(0.05, 0.95) * reach
    r = lesson["closest_in_box"](x, A, b)

    def minus_dual(mu):
        s = np.clip(x + mu * A, 0, 1) - x
        return mu * (A @ (x + s) + b) - 0.5 * s @ s

    bound = -minimize_scalar(minus_dual, bounds=(0, 2 / abs(A).min()), method="bounded", options={"xatol": 1e-12}).fun
    assert 0 <= (x + r).min() and (x + r).max() <= 1 and A @ (x + r) + b > -1e-9
    assert 0.5 * r @ r == pytest.approx(bound, rel=1e-6, abs=1e-9)


def test_closest_in_box_against_bounded_least_squares(lesson):
    """With a huge weight on the constraint the problem is a bounded least-squares problem."""
    rng = np.random.default_rng(5)
    x, A = rng.uniform(size=12), rng.normal(size=12)
    b = -A @ x - 0.5 * (np.where(A > 0, 1 - x, -x) * A).sum()
    weight = 1e5
    stacked = np.vstack([np.eye(12), weight * A])
    found = lsq_linear(stacked, np.append(np.zeros(12), -weight * (A @ x + b)), (-x, 1 - x), tol=1e-14)
    assert lesson["closest_in_box"](x, A, b) == pytest.approx(found.x, abs=1e-5)


def test_brute_force_comes_down_to_the_infimum(lesson):
    def score(u):
        return u.sum(axis=-1) - 1

    distances = [lesson["brute_force"](score, np.zeros(2), points)[1] for points in (12, 102, 1002)]
    assert distances[0] > distances[1] > distances[2] > math.sqrt(0.5)
    assert distances[2] == pytest.approx(math.sqrt(0.5), abs=1e-3)


@pytest.mark.parametrize("n", [2, 3, 10, 100, 784])
@pytest.mark.parametrize("cosine", [0.1, 0.5])
def test_log10_chance_is_the_spherical_cap(lesson, n, cosine):
    """Li (2011): the share of a cap is half the regularised incomplete beta function of sin² of its angle."""
    cap = 0.5 * betainc((n - 1) / 2, 0.5, 1 - cosine**2)
    assert lesson["log10_chance"](n, cosine) == pytest.approx(math.log10(cap), abs=1e-3)


def test_log10_chance_in_space_by_quadrature(lesson):
    share = quad(math.sin, 0, math.acos(0.3))[0] / quad(math.sin, 0, math.pi)[0]
    assert 10 ** lesson["log10_chance"](3, 0.3) == pytest.approx(share, rel=1e-6)


def test_closest_in_box_says_so_when_no_image_reaches_the_goal(lesson):
    for A in (np.array([1.0, -1.0]), np.zeros(2)):
        with pytest.raises(ValueError, match="no point of the box"):
            lesson["closest_in_box"](np.array([0.5, 0.5]), A, -1.5)
