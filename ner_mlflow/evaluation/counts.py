"""Count the entities of each sentence or text.

Scores over any sample of these are computed from the sums of the counts.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from ..tagging.iob2 import Entity, to_entities

CORRECT, PREDICTED, GOLD = range(3)
"""Indices along the last axis of the counts."""


def entity_counts(
    gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]], types: Sequence[str]
) -> NDArray[np.int64]:
    """Count correct, predicted and gold entities by sentence and type.

    Args:
        gold: valid IOB2 tags of each sentence.
        predicted: valid IOB2 tags of each sentence.
        types: entity types, in the order of the second axis.

    Returns:
        Shape (sentences, types, 3).
    """
    return type_counts([*map(to_entities, gold)], [*map(to_entities, predicted)], types)


def type_counts(
    gold: Sequence[Sequence[Entity]], predicted: Sequence[Sequence[Entity]], types: Sequence[str]
) -> NDArray[np.int64]:
    """Count correct, predicted and gold entities by sentence or text and type.

    Args:
        gold: entities of each sentence or text.
        predicted: entities of each sentence or text.
        types: entity types, in the order of the second axis.

    Returns:
        Shape (sentences or texts, types, 3).
    """
    return group_counts(gold, predicted, types, lambda _, entity: entity.type)


def group_counts(
    gold: Sequence[Sequence[Entity]],
    predicted: Sequence[Sequence[Entity]],
    groups: Sequence[str],
    group_of: Callable[[int, Entity], str],
) -> NDArray[np.int64]:
    """Count correct, predicted and gold entities by sentence or text and group.

    Args:
        gold: entities of each sentence or text.
        predicted: entities of each sentence or text.
        groups: names, in the order of the second axis.
        group_of: (index of the sentence or text, entity) -> its group. Equal entities of one
            sentence or text are in the same group.

    Returns:
        Shape (sentences or texts, groups, 3).
    """
    group_index = {group: index for index, group in enumerate(groups)}
    counts = np.zeros((len(gold), len(groups), 3), dtype=np.int64)
    for row, (gold_entities, predicted_entities) in enumerate(zip(gold, predicted, strict=True)):
        for column, entities in (
            (CORRECT, set(gold_entities) & set(predicted_entities)),
            (PREDICTED, predicted_entities),
            (GOLD, gold_entities),
        ):
            for entity in entities:
                counts[row, group_index[group_of(row, entity)], column] += 1
    return counts


def prepend_total(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the counts with their sum over all types first; shape (sentences, 1 + types, 3)."""
    return np.concatenate([counts.sum(axis=1, keepdims=True), counts], axis=1)


def precision(counts: NDArray[np.int64] | NDArray[np.float64]) -> NDArray[np.float64]:
    """Return precision from counts along the last axis.

    It is NaN without a predicted entity.

    Args:
        counts: shape (..., 3).

    Returns:
        Shape (...).
    """
    return _share(counts, PREDICTED)


def recall(counts: NDArray[np.int64] | NDArray[np.float64]) -> NDArray[np.float64]:
    """Return recall from counts along the last axis.

    It is NaN without a gold entity.

    Args:
        counts: shape (..., 3).

    Returns:
        Shape (...).
    """
    return _share(counts, GOLD)


def f1(
    counts: NDArray[np.int64] | NDArray[np.float32] | NDArray[np.float64],
    without: float = np.nan,
) -> NDArray[np.float64]:
    """Return F1 from counts along the last axis.

    Args:
        counts: shape (..., 3).
        without: the F1 of no gold and no predicted entity. A part of the data has none then; where
            models are ranked by the F1 of all data, 0 is a number to rank by.

    Returns:
        Shape (...).
    """
    total = counts[..., PREDICTED] + counts[..., GOLD]
    scores: NDArray[np.float64] = 2 * counts[..., CORRECT] / np.where(total, total, 1)
    return np.where(total, scores, without)


def _share(counts: NDArray[np.int64] | NDArray[np.float64], column: int) -> NDArray[np.float64]:
    total = counts[..., column]
    shares: NDArray[np.float64] = counts[..., CORRECT] / np.where(total, total, 1)
    return np.where(total, shares, np.nan)
