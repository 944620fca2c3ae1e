"""Compute the training loss."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from ..tagging.encoding import IGNORED


class Loss(Protocol):
    """A function that the trainer calls with a network's outputs and a batch's labels."""

    def __call__(
        self,
        outputs: Any,
        labels: Tensor,
        num_items_in_batch: Tensor | None = None,
        teacher: Tensor | None = None,
    ) -> Tensor:
        """Return the loss, with arguments as in :class:`TaggingLoss`."""


@dataclass(frozen=True)
class Distillation:
    """The teachers' predictions and how they enter the loss.

    Attributes:
        log_probabilities: for each training sentence, shape (words, labels).
        weight: the share of the teachers in the loss, 0 to 1.
        temperature: divides the logits of teachers and student.
    """

    log_probabilities: Sequence[NDArray[np.float32]]
    weight: float
    temperature: float


def class_weights(labels: Iterable[NDArray[np.int64]], classes: int, power: float) -> Tensor:
    """Return the weight of each class, shape (classes,).

    A weight is proportional to the class's count to the power ``-power``. The mean weight of the
    labelled subwords is 1.

    Args:
        labels: label ids of each window, IGNORED where a subword has none.
        classes: the number of labels.
        power: 0 gives equal weights.
    """
    counts = np.zeros(classes)
    for row in labels:
        counts += np.bincount(row[row != IGNORED], minlength=classes)
    weights = np.maximum(counts, 1) ** -power
    return torch.tensor(weights * counts.sum() / (weights * counts).sum(), dtype=torch.float32)


class TaggingLoss:
    """Cross entropy over labelled subwords, with class weights, focal factor and distillation.

    The focal factor is ``(1 - p)^gamma``, where ``p`` is the probability of the true class (Lin et
    al., "Focal Loss for Dense Object Detection", ICCV 2017). With ``gamma`` 0 and all weights 1 the
    loss is plain cross entropy. With teachers, the loss is the weighted mean of this and of
    ``temperature^2`` times the Kullback-Leibler divergence of the student from the teachers
    (Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network", 2015).
    """

    def __init__(
        self,
        weights: Tensor,
        focal_gamma: float,
        label_smoothing: float,
        distillation: Distillation | None = None,
    ) -> None:
        self._distillation = distillation
        self._weights = weights
        self._focal_gamma = focal_gamma
        self._label_smoothing = label_smoothing

    def __call__(
        self,
        outputs: Any,
        labels: Tensor,
        num_items_in_batch: Tensor | None = None,
        teacher: Tensor | None = None,
    ) -> Tensor:
        """Return the loss, a scalar: the sum over labelled subwords divided by their number.

        Args:
            outputs: holds ``logits`` of shape (batch, length, labels).
            labels: label ids, IGNORED where a subword has none, shape (batch, length).
            num_items_in_batch: the number of subwords to divide by, of all batches of a step; None:
                those of ``labels``.
            teacher: the teachers' log-probabilities, shape (batch, length, labels).
        """
        labelled = labels != IGNORED
        logits, gold = outputs.logits[labelled].float(), labels[labelled]
        losses = functional.cross_entropy(
            logits, gold, reduction="none", label_smoothing=self._label_smoothing
        )
        factors = self._weights.to(logits.device)[gold]
        if self._focal_gamma:
            probabilities = logits.softmax(-1).gather(1, gold[:, None])[:, 0]
            factors = factors * (1 - probabilities) ** self._focal_gamma
        losses = losses * factors
        if self._distillation and teacher is not None:
            weight, temperature = self._distillation.weight, self._distillation.temperature
            targets, predicted = (
                torch.log_softmax(values / temperature, -1)
                for values in (teacher[labelled], logits)
            )
            divergence = functional.kl_div(predicted, targets, reduction="none", log_target=True)
            losses = (1 - weight) * losses + weight * temperature**2 * divergence.sum(-1)
        return losses.sum() / (len(gold) if num_items_in_batch is None else num_items_in_batch)
