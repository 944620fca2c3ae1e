"""Lane dropout does what dropout does."""

import pytest
import torch
from torch import nn

from ner_mlflow.modeling.dropout import LaneDropout, use_lane_dropout


@pytest.mark.parametrize("p", [0.05, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_as_many_elements_are_dropped_as_asked_and_the_mean_stays(p: float, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    dropped = LaneDropout(p)(torch.ones(300, 401, 3, dtype=dtype))
    assert dropped.dtype == dtype
    assert (dropped == 0).float().mean().item() == pytest.approx(p, abs=0.005)
    assert dropped.float().mean().item() == pytest.approx(1, abs=0.02)
    assert len(dropped.unique()) == 2


def test_neighbours_are_dropped_independently() -> None:
    torch.manual_seed(0)
    zero = (LaneDropout(0.3)(torch.ones(400_003)) == 0).float()
    for distance in (1, 2, 3, 4, 64):
        both = (zero[distance:] * zero[:-distance]).mean().item()
        assert both == pytest.approx(0.09, abs=0.003)


def test_the_gradient_passes_where_values_do() -> None:
    torch.manual_seed(0)
    values = torch.ones(1000, requires_grad=True)
    dropped = LaneDropout(0.25)(values)
    dropped.sum().backward()
    assert values.grad is not None
    torch.testing.assert_close(values.grad, dropped.detach())


def test_the_seed_decides_and_outside_training_nothing_is_dropped() -> None:
    layer = LaneDropout(0.5)
    outcomes = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        outcomes.append(layer(torch.ones(101)))
    assert torch.equal(outcomes[0], outcomes[1])
    assert not torch.equal(outcomes[0], outcomes[2])
    assert torch.equal(layer.eval()(torch.ones(9)), torch.ones(9))


def test_a_network_gets_it_everywhere_with_its_probabilities() -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.Dropout(0.25)), nn.Dropout(0.0)).eval()
    use_lane_dropout(network)
    assert not [module for module in network.modules() if type(module) is nn.Dropout]
    assert torch.equal(network(torch.ones(1, 2)), network[0](torch.ones(1, 2)))
    torch.manual_seed(0)
    assert (network.train()[1](torch.ones(10_000)) == 0).float().mean().item() == pytest.approx(0.25, abs=0.02)
