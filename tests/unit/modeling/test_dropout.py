"""Byte dropout does what PyTorch's dropout does."""

import pytest
import torch
from torch import nn
from transformers import BertConfig, BertModel

from ner_mlflow.modeling.dropout import ByteDropout, byte_dropout


@pytest.mark.parametrize("p", [0.05, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_share_of_dropped_elements_is_p_and_the_mean_stays(
    p: float, dtype: torch.dtype
) -> None:
    torch.manual_seed(0)
    dropped = ByteDropout(p)(torch.ones(300, 401, 3, dtype=dtype))
    assert dropped.dtype == dtype
    assert (dropped == 0).float().mean().item() == pytest.approx(p, abs=0.005)
    assert dropped.float().mean().item() == pytest.approx(1, abs=0.02)
    assert len(dropped.unique()) == 2


def test_neighbours_are_dropped_independently() -> None:
    torch.manual_seed(0)
    zero = (ByteDropout(0.3)(torch.ones(400_003)) == 0).float()
    for distance in (1, 2, 3, 4, 64):
        both = (zero[distance:] * zero[:-distance]).mean().item()
        assert both == pytest.approx(0.09, abs=0.003)


def test_the_gradient_is_zero_where_the_value_is_dropped() -> None:
    torch.manual_seed(0)
    values = torch.ones(1000, requires_grad=True)
    dropped = ByteDropout(0.25)(values)
    dropped.sum().backward()
    assert values.grad is not None
    torch.testing.assert_close(values.grad, dropped.detach())


def test_the_seed_determines_the_mask_and_outside_training_nothing_is_dropped() -> None:
    layer = ByteDropout(0.5)
    outcomes = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        outcomes.append(layer(torch.ones(101)))
    assert torch.equal(outcomes[0], outcomes[1])
    assert not torch.equal(outcomes[0], outcomes[2])
    assert torch.equal(layer.eval()(torch.ones(9)), torch.ones(9))


def small_bert(**settings: float) -> BertModel:
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=50,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        attn_implementation="eager",
        **settings,
    )
    return BertModel(config).eval()


IDS = torch.arange(24).view(2, 12)
MASK = torch.tensor([[1] * 12, [1] * 7 + [0] * 5])


def output(network: BertModel) -> torch.Tensor:
    hidden: torch.Tensor = network(input_ids=IDS, attention_mask=MASK).last_hidden_state
    return hidden[MASK == 1]


def test_outside_training_a_network_computes_the_same_and_gets_its_modules_back() -> None:
    network = small_bert()
    before, modules = output(network), dict(network.named_modules())
    with byte_dropout(network):
        assert not [module for module in network.modules() if type(module) is nn.Dropout]
        torch.testing.assert_close(output(network), before)
        network.train()
        first, second = output(network), output(network)
        assert not torch.allclose(first, second)
        network.eval()
    assert dict(network.named_modules()) == modules
    assert network.config._attn_implementation == "eager"


def test_attention_is_dropped_too() -> None:
    network = small_bert(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.5)
    with byte_dropout(network):
        network.train()
        torch.manual_seed(0)
        assert not torch.allclose(output(network), output(network))
    still = small_bert(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    with byte_dropout(still):
        still.train()
        torch.testing.assert_close(output(still), output(still.eval()))
