"""Scores of parts of the data: by sentence length, by whether train holds the entity's words, and how often."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..data.sentences import Sentence
from ..tagging.iob2 import Entity, to_entities
from .counts import CORRECT, GOLD, PREDICTED, f1, group_counts
from .significance import Interval

Surfaces = Counter[tuple[str, str]]
"""How often train has a type under these words, lower-cased: (words, type) -> count."""


def surface(sentence: Sentence, entity: Entity) -> str:
    """An entity's words, lower-cased."""
    return " ".join(sentence.tokens[entity.start : entity.end]).lower()


def train_surfaces(train: Iterable[Sentence]) -> Surfaces:
    """The entities of train by words and type."""
    return Counter(
        (surface(sentence, entity), entity.type)
        for sentence in train
        for entity in to_entities(sentence.tags)
    )


@dataclass(frozen=True)
class Slices:
    """Slices by name, ``by`` what they are cut, and their counts, shape (sentences, slices, 3)."""

    by: list[str]
    names: list[str]
    counts: NDArray[np.int64]

    def table(self, intervals: Sequence[Interval]) -> pd.DataFrame:
        """Strict precision, recall, F1 and its interval by slice."""
        sums = self.counts.sum(axis=0)
        correct, predicted, gold = sums[:, CORRECT], sums[:, PREDICTED], sums[:, GOLD]
        return pd.DataFrame(
            {
                "by": self.by,
                "slice": self.names,
                "gold": gold,
                "predicted": predicted,
                "precision": correct / np.maximum(predicted, 1),
                "recall": correct / np.maximum(gold, 1),
                "f1": f1(sums),
                "f1_low": [interval.low for interval in intervals],
                "f1_high": [interval.high for interval in intervals],
            }
        )


def slices(
    sentences: Sequence[Sentence],
    predicted: Sequence[Sequence[str]],
    known: Surfaces,
    length_edges: Sequence[int],
    frequency_edges: Sequence[int],
) -> Slices:
    """Entities by slice; each gold and each predicted entity counts in the slice that it is in itself.

    Slices are ``words`` (length of the sentence), ``surface`` (``seen`` in train under its type, ``seen as another type``, ``unseen``)
    and ``train count`` (how often train has it under its type).

    Args:
        sentences: with gold tags.
        predicted: tags of each.
        known: of :func:`train_surfaces`.
        length_edges: where a new slice of lengths begins, in words, ascending.
        frequency_edges: where a new slice of train counts begins, ascending.
    """
    words = {text for text, _ in known}
    lengths, frequencies = _ranges(1, length_edges), _ranges(0, frequency_edges)

    def length(place: int, _: Entity) -> str:
        return lengths[bisect_right(length_edges, len(sentences[place].tokens))]

    def seen(place: int, entity: Entity) -> str:
        text = surface(sentences[place], entity)
        return (
            "seen"
            if (text, entity.type) in known
            else "seen as another type"
            if text in words
            else "unseen"
        )

    def frequency(place: int, entity: Entity) -> str:
        return frequencies[
            bisect_right(frequency_edges, known[(surface(sentences[place], entity), entity.type)])
        ]

    gold = [sentence.tags for sentence in sentences]
    kinds = {
        "words": (lengths, length),
        "surface": (["seen", "seen as another type", "unseen"], seen),
        "train count": (frequencies, frequency),
    }
    return Slices(
        [by for by, (names, _) in kinds.items() for _ in names],
        [name for names, _ in kinds.values() for name in names],
        np.concatenate(
            [group_counts(gold, predicted, names, slice_of) for names, slice_of in kinds.values()],
            axis=1,
        ),
    )


def _ranges(first: int, edges: Sequence[int]) -> list[str]:
    """Names of the ranges from ``first`` that begin anew at each edge."""
    bounded = [
        str(start) if start == end - 1 else f"{start} to {end - 1}"
        for start, end in pairwise([first, *edges])
    ]
    return [*bounded, f"{edges[-1] if edges else first} or more"]
