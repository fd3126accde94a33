"""CPU and GPU agree."""

import pytest
import torch
from strange_networks import convolutional

from helpers import attack, c_path, load_network

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA GPU here")]
NETWORKS = {"FC100-100-10": lambda: load_network("FC100-100-10"), "convolutions": convolutional}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("targeted", [True, False])
def test_cpu_and_gpu_agree(name, targeted, digits):
    network = NETWORKS[name]()
    images, targets = digits[0][: 50 if targeted else 10], digits[1][:50] if targeted else None
    here = attack(network, images, targets, progress=False)
    there = attack(network.cuda(), images.cuda(), targets.cuda() if targeted else None, progress=False)
    x = there.adversarial
    assert x.is_cuda and ((x >= 0) & (x <= 1)).all() and torch.equal(there.perturbation, x - images.cuda())
    assert torch.equal(there.success.cpu(), here.success)
    assert there.norm.mean().item() == pytest.approx(here.norm.mean().item(), rel=1e-3)


def test_tf32_loses_no_image(digits, monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    monkeypatch.setattr(torch.backends.cuda.matmul, "allow_tf32", True)
    network = load_network("FC100-100-10").cuda()
    images, targets = digits[0].cuda(), digits[1].cuda()
    result = attack(network, images, targets, progress=False)
    assert result.success.all() and torch.equal(network(result.adversarial).argmax(1), targets)


def test_a_path_on_the_gpu(digits):
    path = c_path(load_network("FC100-100-10").cuda(), digits[0][0].cuda(), int(digits[1][0]), [0.01, 0.1, 10.0])
    assert path.norm.is_cuda and (path.norm.diff() <= 0).all() and path.success.tolist()[-1] is False
