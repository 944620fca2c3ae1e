"""Measure how well confidence in predicted entities matches their precision."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..tagging.iob2 import to_entities
from ..tagging.tagger import Tagged

FEW_ENTITIES = 10
"""A bin with fewer entities says little; plots mark it."""
_NORMAL_95 = 1.959964
"""Standard deviations of a normal distribution that hold 95 % of it, to either side."""


def span_confidences(
    gold: Sequence[Sequence[str]], predicted: Sequence[Tagged]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the confidence in each predicted entity, and whether span and type are right.

    An entity's confidence is the mean probability of its words' tags.

    Returns:
        Confidences from 0 to 1 and their correctness, both of shape (entities,).
    """
    confidences, correct = [], []
    for gold_tags, tagged in zip(gold, predicted, strict=True):
        gold_entities = set(to_entities(gold_tags))
        for entity in to_entities(tagged.tags):
            confidences.append(float(tagged.probabilities[entity.start : entity.end].mean()))
            correct.append(entity in gold_entities)
    return np.array(confidences, dtype=np.float64), np.array(correct, dtype=bool)


def reliability(
    confidences: NDArray[np.float64], correct: NDArray[np.bool_], bins: int
) -> pd.DataFrame:
    """Group predicted entities by confidence, in bins of equal width; empty bins are left out.

    Args:
        confidences: from 0 to 1, shape (entities,).
        correct: shape (entities,).
        bins: the number of bins.

    Returns:
        One row for each bin: its edges ``from`` and ``to``, ``entities``, ``mean_confidence``,
        ``precision``, and the ends ``precision_low`` and ``precision_high`` of its 95 % Wilson
        interval.
    """
    bin_of = np.minimum((confidences * bins).astype(int), bins - 1)
    rows = []
    for index in range(bins):
        inside = bin_of == index
        if inside.any():
            rows.append(
                (
                    index / bins,
                    (index + 1) / bins,
                    int(inside.sum()),
                    float(confidences[inside].mean()),
                    float(correct[inside].mean()),
                    *_wilson_interval(float(correct[inside].mean()), int(inside.sum())),
                )
            )
    columns = ["from", "to", "entities", "mean_confidence", "precision"]
    return pd.DataFrame(rows, columns=[*columns, "precision_low", "precision_high"])


def expected_calibration_error(table: pd.DataFrame) -> float:
    """Return the mean distance of confidence from precision over all entities; NaN without any.

    Naeini, Cooper and Hauskrecht, "Obtaining well calibrated probabilities using Bayesian binning",
    AAAI 2015.

    Args:
        table: returned by :func:`reliability`.
    """
    if table.empty:
        return float("nan")
    distance = (table["mean_confidence"] - table["precision"]).abs()
    return float((distance * table["entities"]).sum() / table["entities"].sum())


def _wilson_interval(share: float, count: int) -> tuple[float, float]:
    """Return the 95 % interval of a share (Wilson, JASA 1927), which holds for small counts too."""
    square = _NORMAL_95**2 / count
    centre = share + square / 2
    reach = _NORMAL_95 * (share * (1 - share) / count + square / (4 * count)) ** 0.5
    return (centre - reach) / (1 + square), (centre + reach) / (1 + square)
