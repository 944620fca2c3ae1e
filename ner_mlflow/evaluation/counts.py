"""Entities of each sentence, counted: what every score over a sample of sentences is made from."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..bio import to_entities

CORRECT, PREDICTED, GOLD = range(3)
"""What the last axis of the counts holds."""


def entity_counts(gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]], types: Sequence[str]) -> NDArray[np.int64]:
    """Correct, predicted and gold entities of each sentence and type; shape (sentences, types, 3)."""
    place = {type_: index for index, type_ in enumerate(types)}
    counts = np.zeros((len(gold), len(types), 3), dtype=np.int64)
    for row, (gold_tags, predicted_tags) in enumerate(zip(gold, predicted, strict=True)):
        there, said = to_entities(gold_tags), to_entities(predicted_tags)
        for column, entities in ((CORRECT, set(there) & set(said)), (PREDICTED, said), (GOLD, there)):
            for entity in entities:
                counts[row, place[entity.type], column] += 1
    return counts


def f1(counts: NDArray[np.number]) -> NDArray[np.float64]:
    """F1 of counts along the last axis, 0 where there is neither a gold nor a predicted entity."""
    total = counts[..., PREDICTED] + counts[..., GOLD]
    scores: NDArray[np.float64] = 2 * counts[..., CORRECT] / np.maximum(total, 1)
    return scores
