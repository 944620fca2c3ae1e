"""What training minimises."""

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
    """What the trainer calls with a network's outputs and a batch's labels, to have one number."""

    def __call__(
        self,
        outputs: Any,
        labels: Tensor,
        num_items_in_batch: Tensor | None = None,
        teacher: Tensor | None = None,
    ) -> Tensor:
        """Shapes as in :class:`TaggingLoss`."""


@dataclass(frozen=True)
class Distillation:
    """What teachers say: for each training sentence log-probabilities of shape (words, classes); their share in the loss; and the
    temperature that flattens both distributions."""

    log_probabilities: Sequence[NDArray[np.float32]]
    weight: float
    temperature: float


def class_weights(labels: Iterable[NDArray[np.int64]], classes: int, power: float) -> Tensor:
    """A weight for each class, its count to the ``-power``, of mean 1 over the labelled subwords; shape (classes,)."""
    counts = np.zeros(classes)
    for row in labels:
        counts += np.bincount(row[row != IGNORED], minlength=classes)
    weights = np.maximum(counts, 1) ** -power
    return torch.tensor(weights * counts.sum() / (weights * counts).sum(), dtype=torch.float32)


class TaggingLoss:
    """Cross entropy over labelled subwords, weighted by class and by how wrong the model is.

    The focal factor ``(1 - p)^gamma``, ``p`` the probability of the true class, is that of Lin et al., "Focal Loss for Dense
    Object Detection", ICCV 2017; ``gamma`` of 0 and weights of 1 make it plain cross entropy. Where teachers speak, their share of
    the loss is ``temperature^2`` times the Kullback-Leibler divergence from them (Hinton, Vinyals and Dean, "Distilling the
    Knowledge in a Neural Network", 2015).
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
        """The mean over ``num_items_in_batch`` labelled subwords (of all batches of a step), by default those of ``labels``.

        Args:
            outputs: holds ``logits`` of shape (batch, length, classes).
            labels: shape (batch, length), IGNORED where there is none.
            teacher: the teachers' log-probabilities, shape (batch, length, classes).
        """
        chosen = labels != IGNORED
        logits, truth = outputs.logits[chosen].float(), labels[chosen]
        losses = functional.cross_entropy(
            logits, truth, reduction="none", label_smoothing=self._label_smoothing
        )
        factors = self._weights.to(logits.device)[truth]
        if self._focal_gamma:
            right = logits.softmax(-1).gather(1, truth[:, None])[:, 0]
            factors = factors * (1 - right) ** self._focal_gamma
        losses = losses * factors
        if self._distillation and teacher is not None:
            weight, temperature = self._distillation.weight, self._distillation.temperature
            theirs, ours = (
                torch.log_softmax(values / temperature, -1) for values in (teacher[chosen], logits)
            )
            divergence = functional.kl_div(ours, theirs, reduction="none", log_target=True).sum(-1)
            losses = (1 - weight) * losses + weight * temperature**2 * divergence
        return losses.sum() / (len(truth) if num_items_in_batch is None else num_items_in_batch)
