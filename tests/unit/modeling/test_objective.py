"""The loss: cross entropy, class weights, the focal factor and distillation."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from ner_mlflow.modeling.objective import Distillation, TaggingLoss, class_weights
from ner_mlflow.tagging.encoding import IGNORED

torch.manual_seed(0)
LOGITS = torch.randn(3, 5, 4)
LABELS = torch.tensor([[IGNORED, 0, 1, IGNORED, 2], [IGNORED, 3, 0, 0, IGNORED], [IGNORED] * 5])


def loss(
    weights: Tensor | None = None,
    gamma: float = 0.0,
    smoothing: float = 0.0,
    items: int | None = None,
) -> float:
    weights = torch.ones(4) if weights is None else weights
    count = None if items is None else torch.tensor(items)
    return float(
        TaggingLoss(weights, gamma, smoothing)(SimpleNamespace(logits=LOGITS), LABELS, count)
    )


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_default_loss_is_the_mean_cross_entropy(smoothing: float) -> None:
    expected = functional.cross_entropy(
        LOGITS.view(-1, 4), LABELS.view(-1), ignore_index=IGNORED, label_smoothing=smoothing
    )
    assert loss(smoothing=smoothing) == pytest.approx(float(expected), rel=1e-6)


def test_all_batches_of_a_step_divide_by_the_labels_of_the_step() -> None:
    assert loss(items=12) == pytest.approx(loss() / 2, rel=1e-6)


def test_a_heavier_class_counts_more() -> None:
    picked = LABELS != IGNORED
    each = functional.cross_entropy(LOGITS[picked], LABELS[picked], reduction="none")
    weights = torch.tensor([1.0, 2.0, 3.0, 4.0])
    assert loss(weights) == pytest.approx(float((each * weights[LABELS[picked]]).mean()), rel=1e-6)


def test_the_focal_factor_follows_the_formula() -> None:
    picked = LABELS != IGNORED
    p = LOGITS[picked].softmax(-1).gather(1, LABELS[picked][:, None])[:, 0]
    assert loss(gamma=2.0) == pytest.approx(float((-((1 - p) ** 2) * p.log()).mean()), rel=1e-5)


def test_teachers_have_their_share_of_the_loss() -> None:
    labelled = LABELS != IGNORED
    teacher = torch.randn(3, 5, 4).log_softmax(-1)
    weight, temperature = 0.3, 2.0
    objective = TaggingLoss(torch.ones(4), 0.0, 0.0, Distillation([], weight, temperature))
    combined = objective(SimpleNamespace(logits=LOGITS), LABELS, None, teacher)
    p = (teacher[labelled] / temperature).softmax(-1)
    q = (LOGITS[labelled] / temperature).softmax(-1)
    divergence = float((p * (p / q).log()).sum(-1).mean())
    expected = (1 - weight) * loss() + weight * temperature**2 * divergence
    assert float(combined) == pytest.approx(expected, rel=1e-5)


def test_class_weights_have_mean_one_over_the_words() -> None:
    rows = [np.array([IGNORED, 0, 0, 0, 0, 1]), np.array([0, 0, 0, 0, 1, 1, 1, IGNORED])]
    weights = class_weights(rows, 3, power=0.5)
    assert float(8 * weights[0] + 4 * weights[1]) == pytest.approx(12)
    assert float(weights[1] / weights[0]) == pytest.approx(2**0.5)
    assert bool(torch.isfinite(weights).all())
    assert class_weights(rows, 3, power=0.0).tolist() == [1.0, 1.0, 1.0]
