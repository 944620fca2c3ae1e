"""Entities of each sentence, counted: what every score over a sample of sentences is made from."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from ..tagging.iob2 import Entity, to_entities

CORRECT, PREDICTED, GOLD = range(3)
"""What the last axis of the counts holds."""


def entity_counts(
    gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]], types: Sequence[str]
) -> NDArray[np.int64]:
    """Correct, predicted and gold entities of each sentence and type; shape (sentences, types, 3)."""
    return group_counts(gold, predicted, types, lambda _, entity: entity.type)


def group_counts(
    gold: Sequence[Sequence[str]],
    predicted: Sequence[Sequence[str]],
    groups: Sequence[str],
    group_of: Callable[[int, Entity], str],
) -> NDArray[np.int64]:
    """Correct, predicted and gold entities of each sentence and group; shape (sentences, groups, 3).

    ``group_of`` takes the sentence's place and the entity; a gold and a predicted entity that are equal are in one group.
    """
    place = {group: index for index, group in enumerate(groups)}
    counts = np.zeros((len(gold), len(groups), 3), dtype=np.int64)
    for row, (gold_tags, predicted_tags) in enumerate(zip(gold, predicted, strict=True)):
        there, said = to_entities(gold_tags), to_entities(predicted_tags)
        for column, entities in (
            (CORRECT, set(there) & set(said)),
            (PREDICTED, said),
            (GOLD, there),
        ):
            for entity in entities:
                counts[row, place[group_of(row, entity)], column] += 1
    return counts


def with_total(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """The counts with those of all types together before them; shape (sentences, 1 + types, 3)."""
    return np.concatenate([counts.sum(axis=1, keepdims=True), counts], axis=1)


def f1(
    counts: NDArray[np.int64] | NDArray[np.float32] | NDArray[np.float64],
) -> NDArray[np.float64]:
    """F1 of counts along the last axis, 0 where there is neither a gold nor a predicted entity."""
    total = counts[..., PREDICTED] + counts[..., GOLD]
    scores: NDArray[np.float64] = 2 * counts[..., CORRECT] / np.where(total, total, 1)
    return scores
