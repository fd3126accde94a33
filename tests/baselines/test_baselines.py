"""The baselines: what each promises, and that "side by side" changes nothing in the answers."""

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from helpers import AttackResult, attack, baselines, load_mnist, load_network
from helpers.baselines.exact import exact_linear

CALLS = {
    "fgsm": {},
    "sgd_noise": {"steps": 30, "learning_rate": 0.1},
    "gaussian_noise": {"stddev": 0.3},
    "scipy_lbfgsb": {"progress": False},
}


@pytest.fixture(scope="module")
def digits(network):
    images, labels = (part[:100] for part in load_mnist("test"))
    right = network(images).argmax(1) == labels
    return images[right], (labels[right] + 1) % 10


def run(name, network, images, targets):
    return getattr(baselines, name)(network, images, targets, **CALLS[name])


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_result_keeps_its_promises(name, dtype, network, digits):
    before = {key: value.clone() for key, value in network.state_dict().items()}
    network = load_network("FC100-100-10").to(dtype)
    images, targets = digits[0][:2].to(dtype), digits[1][:2]
    given = images.clone()
    result = run(name, network, images, targets)
    assert isinstance(result, AttackResult) and result.adversarial.dtype == dtype
    assert result.adversarial.min() >= 0 and result.adversarial.max() <= 1
    assert torch.equal(result.success, (network(result.adversarial).argmax(1) == targets))
    assert torch.equal(result.perturbation, result.adversarial - images)
    torch.testing.assert_close(result.distortion, result.norm / 28)
    assert (result.perturbation[~result.success] == 0).all() and (result.evaluations >= 1).all()
    assert len(result.status) == 2
    assert torch.equal(images, given)
    assert all(torch.equal(value, before[key].to(dtype)) for key, value in network.state_dict().items())


@pytest.mark.parametrize("name", CALLS)
def test_no_images(name, network):
    result = run(name, network, torch.zeros(0, 784), torch.zeros(0, dtype=torch.long))
    assert result.adversarial.shape == (0, 784) and result.status == ()


@pytest.mark.parametrize("name", CALLS)
def test_bad_input_is_refused(name, network, digits):
    images, targets = digits[0][:2], digits[1][:2]
    for bad in [(images + 0.5, targets), (images, targets[:1]), (images, targets + 10), (images * torch.nan, targets)]:
        with pytest.raises(ValueError):
            run(name, network, *bad)
    with pytest.raises(TypeError, match="targets"):
        run(name, network, images, None)
    with pytest.raises(ValueError, match=r"eval|training"):
        run(name, load_network("FC100-100-10").train(), images, targets)


@pytest.mark.parametrize("name", ["fgsm", "sgd_noise", "scipy_lbfgsb"])
def test_an_image_that_has_its_target_already_is_left_alone(name, network, digits):
    images = digits[0][:3]
    said = network(images).argmax(1)
    result = run(name, network, images, said)
    assert result.success.all() and (result.perturbation == 0).all()
    assert set(result.status) == {baselines.ALREADY} == set(attack(network, images, said).status)


@pytest.mark.parametrize("name", CALLS)
def test_any_shape(name, network, digits):
    images, targets = digits[0][:1], digits[1][:1]
    square = run(name, nn.Sequential(nn.Flatten(), network).eval(), images.view(1, 1, 28, 28), targets)
    assert square.adversarial.shape == (1, 1, 28, 28)
    torch.testing.assert_close(square.adversarial.flatten(1), run(name, network, images, targets).adversarial)


def test_fgsm_moves_each_free_pixel_by_epsilon_towards_the_target(network, digits):
    images, targets = digits
    result = baselines.fgsm(network, images, targets, epsilon=0.2)
    assert 0 < result.success.sum() < len(images)
    x, r = images[result.success].requires_grad_(True), result.perturbation[result.success]
    (gradient,) = torch.autograd.grad(cross_entropy(network(x), targets[result.success], reduction="sum"), x)
    x = x.detach()
    free = (x >= 0.2) & (x <= 0.8) & (gradient != 0)
    assert free.any()
    torch.testing.assert_close(r[free], -0.2 * gradient.sign()[free])
    assert (r * gradient <= 0).all() and r.abs().max() <= 0.2 + 1e-6


def optimise_noise(network, image, target, size, steps):
    """One image at a time with torch.optim.SGD, as one would write it. Returns x + r (or None) and the steps made."""
    r = torch.zeros_like(image, requires_grad=True)
    optimizer = torch.optim.SGD([r], lr=0.008)
    for step in range(steps + 1):
        x = (image + r).clamp(0, 1)
        logits = network(x)
        if logits.argmax(1) == target:
            return x.detach(), step
        optimizer.zero_grad()
        (cross_entropy(logits, target) + size(r)).backward()
        optimizer.step()
    return None, steps


@pytest.mark.parametrize(
    "penalty, size",
    [("l2", lambda r: (r**2).mean()), ("l1", lambda r: r.abs().mean()), (None, lambda r: torch.zeros(()))],
)
def test_sgd_noise_is_what_a_loop_over_images_gives(penalty, size, network, digits):
    network, steps = load_network("FC100-100-10").double(), 60
    images, targets = digits[0][:8].double(), digits[1][:8]
    result = baselines.sgd_noise(network, images, targets, steps=steps, penalty=penalty)
    assert 0 < result.success.sum() < len(images)  # both endings are compared
    for i in range(len(images)):
        x, made = optimise_noise(network, images[i : i + 1], targets[i : i + 1], size, steps)
        assert result.success[i].item() == (x is not None) and result.evaluations[i] == made + 1
        if x is not None:
            torch.testing.assert_close(result.adversarial[i], x[0], rtol=0, atol=1e-9)


def test_noise_has_the_stated_size(network, digits):
    grey = torch.full((20, 784), 0.5)
    assert abs((baselines.noisy(grey, stddev=0.05) - grey).square().mean().sqrt() - 0.05) < 0.001
    images, targets = digits
    like = baselines.fgsm(network, images, targets, epsilon=0.2)
    noise = baselines.noisy(images, like=like) - images
    torch.testing.assert_close(torch.linalg.vector_norm(noise, dim=1), like.norm, rtol=1e-5, atol=0)
    assert (baselines.noisy(images, stddev=0) == images).all()


def test_noise_depends_on_its_seed_alone(network, digits):
    images = digits[0][:5]
    state = torch.get_rng_state()
    one, again, other = (baselines.noisy(images, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(one, again) and not torch.equal(one, other)
    assert torch.equal(state, torch.get_rng_state())


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
    solve, second = baselines.minimize, images[1].double().numpy()

    def interrupted(objective, start, **options):
        if (start == second).all() and options["args"] != (1.0,):  # after the first solve of the second image
            raise KeyboardInterrupt
        return solve(objective, start, **options)

    monkeypatch.setattr(baselines, "minimize", interrupted)
    with pytest.warns(UserWarning, match="interrupted"):
        result = baselines.scipy_lbfgsb(network, images, targets, progress=False)
    assert result.success.tolist() == [True, False, False] and result.evaluations.tolist()[1:] == [0, 0]
    assert result.status == ("found", "interrupted: nothing found yet", "interrupted: nothing found yet")


@pytest.mark.parametrize("attack", [baselines.scipy_lbfgsb, exact_linear])
def test_a_function_has_no_weights_to_copy(attack, network, digits):
    with pytest.raises(TypeError, match=r"torch\.nn\.Module"):
        attack(lambda x: network(x), digits[0][:1], digits[1][:1])


@pytest.mark.parametrize(
    "name, option",
    [
        ("fgsm", {"epsilon": 0}),
        ("sgd_noise", {"steps": 0}),
        ("sgd_noise", {"learning_rate": -1}),
        ("sgd_noise", {"penalty": "max"}),
        ("gaussian_noise", {"stddev": -0.1}),
        ("scipy_lbfgsb", {"norm": "l1"}),
    ],
)
def test_options_out_of_range(name, option, network, digits):
    with pytest.raises(ValueError, match=next(iter(option))):
        getattr(baselines, name)(network, digits[0][:2], digits[1][:2], **option)


def test_noise_like_a_result_on_other_images(network, digits):
    like = baselines.fgsm(network, digits[0][:3], digits[1][:3])
    with pytest.raises(ValueError, match="like"):
        baselines.noisy(digits[0][:2], like=like)
