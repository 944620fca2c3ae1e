"""The average of weights: it follows the formula, leaves frozen weights alone, and resumes."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ner_mlflow.modeling.averaging import WeightAverage

STEPS = 30


def partly_frozen() -> nn.Sequential:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(7, 5), nn.BatchNorm1d(5), nn.Linear(5, 3))
    network[0].weight.requires_grad = False
    return network


def steps(network: nn.Sequential, count: int, seed: int = 1) -> Iterator[None]:
    """Change the trainable weights as an optimiser would."""
    torch.manual_seed(seed)
    for _ in range(count):
        with torch.no_grad():
            for weight in network.parameters():
                if weight.requires_grad:
                    weight.add_(torch.randn_like(weight))
        yield


def copy_of(network: nn.Sequential) -> dict[str, torch.Tensor]:
    return {name: weight.detach().clone() for name, weight in network.named_parameters()}


@pytest.mark.parametrize("decay", [0.5, 0.9, 0.999])
def test_the_average_follows_the_formula(decay: float) -> None:
    network = partly_frozen()
    average = WeightAverage(network, decay)
    expected = copy_of(network)
    for number, _ in enumerate(steps(network, STEPS), start=1):
        average.update()
        step_decay = min(decay, number / (10 + number))
        for name, weight in network.named_parameters():
            expected[name] = step_decay * expected[name] + (1 - step_decay) * weight.detach()
    with average.applied():
        for name, weight in network.named_parameters():
            torch.testing.assert_close(weight.detach(), expected[name], rtol=1e-5, atol=1e-6)


def test_after_the_warm_up_the_average_equals_pytorchs(tmp_path: Path) -> None:
    network = partly_frozen()
    average = WeightAverage(network, 0.5)
    average.save(tmp_path / "initial.safetensors")
    average.load(tmp_path / "initial.safetensors", updates=1000)
    reference = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(0.5))
    reference.update_parameters(network)  # the first call copies the weights
    for _ in steps(network, STEPS):
        average.update()
        reference.update_parameters(network)
    with average.applied():
        for weight, expected in zip(
            network.parameters(), reference.module.parameters(), strict=True
        ):
            assert torch.equal(weight, expected)


def test_the_network_gets_its_own_weights_back() -> None:
    network = partly_frozen()
    average = WeightAverage(network, 0.9)
    for _ in steps(network, 3):
        average.update()
    before, parameters = copy_of(network), list(network.parameters())
    with suppress(KeyError), average.applied():
        assert not torch.equal(network[2].weight, before["2.weight"])
        raise KeyError
    assert all(torch.equal(weight, before[name]) for name, weight in network.named_parameters())
    assert all(a is b for a, b in zip(parameters, network.parameters(), strict=True))


def test_frozen_weights_are_neither_copied_nor_saved(tmp_path: Path) -> None:
    network = partly_frozen()
    average = WeightAverage(network, 0.9)
    storage = network[0].weight.data_ptr()
    with average.applied():
        assert network[0].weight.data_ptr() == storage
    average.save(tmp_path / "average.safetensors")
    trainable = {name for name, weight in network.named_parameters() if weight.requires_grad}
    assert set(load_file(tmp_path / "average.safetensors")) == trainable


def test_a_resumed_average_equals_an_uninterrupted_one(tmp_path: Path) -> None:
    network = partly_frozen()
    average = WeightAverage(network, 0.99)
    for _ in steps(network, 4):
        average.update()
    average.save(tmp_path / "average.safetensors")
    resumed_network = partly_frozen()
    resumed_network.load_state_dict(network.state_dict())
    resumed = WeightAverage(resumed_network, 0.99)
    resumed.load(tmp_path / "average.safetensors", updates=4)
    for continued, weights in ((average, network), (resumed, resumed_network)):
        for _ in steps(weights, 5, seed=2):
            continued.update()
    with average.applied(), resumed.applied():
        for first, second in zip(network.parameters(), resumed_network.parameters(), strict=True):
            assert torch.equal(first, second)
