"""The baselines: what each promises, and that "side by side" changes nothing in the answers."""

import pytest
import torch
from torch import nn

from helpers import AttackResult, attack, baselines, load_network
from helpers.adversarial.result import ALREADY
from helpers.baselines.exact import exact_linear

CALLS = {
    "fgsm": {},
    "sgd_noise": {"steps": 30, "learning_rate": 0.1},
    "gaussian_noise": {"stddev": 0.3},
    "scipy_lbfgsb": {"progress": False},
}


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
    assert set(result.status) == {ALREADY} == set(attack(network, images, said).status)


@pytest.mark.parametrize("name", CALLS)
def test_any_shape(name, network, digits):
    images, targets = digits[0][:1], digits[1][:1]
    square = run(name, nn.Sequential(nn.Flatten(), network).eval(), images.view(1, 1, 28, 28), targets)
    assert square.adversarial.shape == (1, 1, 28, 28)
    torch.testing.assert_close(square.adversarial.flatten(1), run(name, network, images, targets).adversarial)


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
