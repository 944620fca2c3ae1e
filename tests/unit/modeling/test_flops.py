"""The operations of a training: counted for linear layers, and measured against the device."""

import pytest
import torch
from torch import nn

from ner_mlflow.modeling import flops
from ner_mlflow.modeling.flops import (
    peak_flops_per_s,
    training_flops_per_subword,
    utilisation,
)

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def small_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(flops.MATRIX_ROWS, "cpu", 128)


def test_a_trained_weight_costs_six_operations_and_a_frozen_one_four() -> None:
    network = nn.Sequential(nn.Embedding(10, 4), nn.Linear(4, 8), nn.LayerNorm(8), nn.Linear(8, 2))
    assert training_flops_per_subword(network) == 6 * (4 * 8 + 8 * 2)
    for weight in network[1].parameters():
        weight.requires_grad = False
    assert training_flops_per_subword(network) == 4 * 4 * 8 + 6 * 8 * 2


def test_the_peak_is_measured_in_operations_per_second() -> None:
    assert peak_flops_per_s(CPU, torch.float32) > 1e6


def test_utilisation_is_the_share_of_the_peak(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flops, "peak_flops_per_s", lambda *_: 1e6)
    metrics = utilisation(nn.Linear(10, 10), CPU, torch.float32, subwords_per_s=500)
    assert metrics == {
        "train/model_flops_per_s": pytest.approx(300_000),
        "train/model_flops_utilisation": pytest.approx(0.3),
    }


def test_a_training_without_a_step_has_no_utilisation() -> None:
    assert utilisation(nn.Linear(10, 10), CPU, torch.float32, subwords_per_s=0) == {}
