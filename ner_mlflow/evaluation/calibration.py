"""Measure how well confidence in predicted entities matches their precision."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..tagging.iob2 import to_entities
from ..tagging.tagger import Tagged


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
        One row for each bin: its edges ``from`` and ``to``, ``entities``, ``mean_confidence`` and
        ``precision``.
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
                )
            )
    return pd.DataFrame(rows, columns=["from", "to", "entities", "mean_confidence", "precision"])


def expected_calibration_error(table: pd.DataFrame) -> float:
    """Return the mean distance of confidence from precision over all entities; 0 without any.

    Naeini, Cooper and Hauskrecht, "Obtaining well calibrated probabilities using Bayesian binning",
    AAAI 2015.

    Args:
        table: returned by :func:`reliability`.
    """
    if table.empty:
        return 0.0
    distance = (table["mean_confidence"] - table["precision"]).abs()
    return float((distance * table["entities"]).sum() / table["entities"].sum())
