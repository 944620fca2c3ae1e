"""Whether a model's confidence in an entity is how often it is right."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..tagging.iob2 import to_entities
from ..tagging.tagger import Tagged


def span_confidences(
    gold: Sequence[Sequence[str]], predicted: Sequence[Tagged]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Confidence in each predicted entity, the mean probability of its words' tags, and whether span and type are right; shape (entities,)."""
    confidences, right = [], []
    for gold_tags, tagged in zip(gold, predicted, strict=True):
        there = set(to_entities(gold_tags))
        for entity in to_entities(tagged.tags):
            confidences.append(float(tagged.probabilities[entity.start : entity.end].mean()))
            right.append(entity in there)
    return np.array(confidences, dtype=np.float64), np.array(right, dtype=bool)


def reliability(
    confidences: NDArray[np.float64], right: NDArray[np.bool_], bins: int
) -> pd.DataFrame:
    """Entities by confidence, in bins of equal width: how many, their mean confidence, and the share that is right."""
    places = np.minimum((confidences * bins).astype(int), bins - 1)
    rows = []
    for place in range(bins):
        inside = places == place
        if inside.any():
            rows.append(
                (
                    place / bins,
                    (place + 1) / bins,
                    int(inside.sum()),
                    float(confidences[inside].mean()),
                    float(right[inside].mean()),
                )
            )
    return pd.DataFrame(rows, columns=["from", "to", "entities", "mean_confidence", "precision"])


def expected_calibration_error(table: pd.DataFrame) -> float:
    """Mean distance of confidence from precision over the entities of a :func:`reliability` table; 0 without any.

    Naeini, Cooper and Hauskrecht, "Obtaining well calibrated probabilities using Bayesian binning", AAAI 2015.
    """
    if table.empty:
        return 0.0
    distance = (table["mean_confidence"] - table["precision"]).abs()
    return float((distance * table["entities"]).sum() / table["entities"].sum())
