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


@pytest.mark.parametrize("effort", ["quick", "thorough"])
@pytest.mark.parametrize("name", NETWORKS)
def test_cpu_and_gpu_agree_on_efforts(name, effort, digits):
    network = NETWORKS[name]()
    images, targets = digits[0][:50], digits[1][:50]
    here = attack(network, images, targets, effort=effort, progress=False)
    there = attack(network.cuda(), images.cuda(), targets.cuda(), effort=effort, progress=False)
    x = there.adversarial
    assert x.is_cuda and ((x >= 0) & (x <= 1)).all() and torch.equal(there.success.cpu(), here.success)
    assert there.norm.mean().item() == pytest.approx(here.norm.mean().item(), rel=2e-3)


def test_nothing_is_computed_on_the_cpu(digits):
    """Of a tick's operations none is on the CPU: what is in flight stays on the device."""
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_leaves

    from helpers.adversarial.answers import Answers
    from helpers.adversarial.classifier import Classifier
    from helpers.adversarial.flight import Flight
    from helpers.adversarial.tasks import tasks

    class Elsewhere(TorchDispatchMode):
        def __init__(self):
            super().__init__()
            self.found = []

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            result = func(*args, **(kwargs or {}))
            tensors = [leaf for leaf in tree_leaves(result) if torch.is_tensor(leaf)]
            self.found += [str(func) for tensor in tensors if not tensor.is_cuda and tensor.ndim]
            return result

    network, images, targets = load_network("FC100-100-10").cuda(), digits[0].cuda(), digits[1].cuda()
    answers = Answers(Classifier(network, images), images, targets)
    (task,) = tasks(answers.classifier, answers, "squared")
    flight = Flight(answers, "squared", (1.0, 8.0), task)
    with Elsewhere() as elsewhere:
        for _ in range(10):
            flight.tick()
            flight.aim()
    assert elsewhere.found == []


def test_where_the_gpus_memory_runs_out_the_batch_is_halved(digits):
    network, images, targets = convolutional().cuda(), digits[0].cuda(), digits[1].cuda()
    free, _ = torch.cuda.mem_get_info()
    torch.cuda.empty_cache()
    taken = torch.empty(int(free - 60e6), dtype=torch.uint8, device="cuda")  # 60 MB are left
    try:
        images, targets = images.repeat(200, 1), targets.repeat(200)
        with pytest.warns(UserWarning, match="out of memory"):
            result = attack(network, images, targets, max_batch=len(images), progress=False)
        assert result.success.all()
    finally:
        del taken
        torch.cuda.empty_cache()


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
