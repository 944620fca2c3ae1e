"""What training minimises."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from ..encoding import IGNORED


def class_weights(labels: Iterable[NDArray[np.int64]], classes: int, power: float) -> Tensor:
    """A weight for each class, its count to the ``-power``, of mean 1 over the labelled sub-tokens; shape (classes,)."""
    counts = np.zeros(classes)
    for row in labels:
        counts += np.bincount(row[row != IGNORED], minlength=classes)
    weights = np.maximum(counts, 1) ** -power
    return torch.tensor(weights * counts.sum() / (weights * counts).sum(), dtype=torch.float32)


class TaggingLoss:
    """Cross entropy over labelled sub-tokens, weighted by class and by how wrong the model is.

    The focal factor ``(1 - p)^gamma``, ``p`` the probability of the true class, is that of Lin et al., "Focal Loss for Dense
    Object Detection", ICCV 2017; ``gamma`` of 0 and weights of 1 make it plain cross entropy.
    """

    def __init__(self, weights: Tensor, focal_gamma: float, label_smoothing: float) -> None:
        self._weights = weights
        self._focal_gamma = focal_gamma
        self._label_smoothing = label_smoothing

    def __call__(self, outputs: Any, labels: Tensor, num_items_in_batch: Tensor | None = None) -> Tensor:
        """The mean over ``num_items_in_batch`` labelled sub-tokens (of all batches of a step), by default those of ``labels``.

        Args:
            outputs: holds ``logits`` of shape (batch, length, classes).
            labels: shape (batch, length), IGNORED where there is none.
        """
        chosen = labels != IGNORED
        logits, truth = outputs.logits[chosen].float(), labels[chosen]
        losses = functional.cross_entropy(logits, truth, reduction="none", label_smoothing=self._label_smoothing)
        factors = self._weights.to(logits.device)[truth]
        if self._focal_gamma:
            right = logits.softmax(-1).gather(1, truth[:, None])[:, 0]
            factors = factors * (1 - right) ** self._focal_gamma
        return (losses * factors).sum() / (len(truth) if num_items_in_batch is None else num_items_in_batch)
