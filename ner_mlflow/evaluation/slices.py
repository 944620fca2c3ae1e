"""Score slices of the data: by sentence length, and by frequency of the entity in train."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..data.sentences import Sentence
from ..tagging.iob2 import Entity, to_entities
from .counts import GOLD, PREDICTED, f1, group_counts, precision, recall
from .significance import Interval

WEAKLY_SEEN = "seen in weak labels only"
Surfaces = Counter[tuple[str, str]]
"""(Lower-cased words, type) -> number of such entities in sentences of train."""


def surface(sentence: Sentence, entity: Entity) -> str:
    """Return an entity's words, lower-cased."""
    return " ".join(sentence.tokens[entity.start : entity.end]).lower()


def train_surfaces(train: Iterable[Sentence]) -> Surfaces:
    """Count the entities of sentences by words and type."""
    return Counter(
        (surface(sentence, entity), entity.type)
        for sentence in train
        for entity in to_entities(sentence.tags)
    )


@dataclass(frozen=True)
class SliceCounts:
    """Entity counts by slice.

    Attributes:
        by: the criterion of each slice.
        names: the name of each slice.
        counts: shape (sentences, slices, 3).
    """

    by: list[str]
    names: list[str]
    counts: NDArray[np.int64]

    def table(self, intervals: Sequence[Interval]) -> pd.DataFrame:
        """Return strict precision, recall and F1 by slice, with the given intervals of F1.

        A slice without gold entities has no recall, one without predicted entities no precision,
        and one without both no F1: they are NaN.
        """
        sums = self.counts.sum(axis=0)
        return pd.DataFrame(
            {
                "by": self.by,
                "slice": self.names,
                "gold": sums[:, GOLD],
                "predicted": sums[:, PREDICTED],
                "precision": precision(sums),
                "recall": recall(sums),
                "f1": f1(sums),
                "f1_low": [interval.low for interval in intervals],
                "f1_high": [interval.high for interval in intervals],
            }
        )


SliceOf = Callable[[int, Entity], str]
"""(Index of a sentence, an entity of it) -> the name of the entity's slice."""


@dataclass(frozen=True)
class Criterion:
    """A criterion that divides entities into slices: their names in order, and whose is which."""

    names: list[str]
    slice_of: SliceOf


def criteria(
    sentences: Sequence[Sentence],
    surfaces: Surfaces,
    weak_surfaces: Surfaces,
    length_edges: Sequence[int],
    frequency_edges: Sequence[int],
) -> dict[str, Criterion]:
    """Return the criteria by name.

    They are ``words`` (length of the sentence), ``surface`` (``seen`` in gold train under its type,
    ``seen as another type``, or ``unseen``) and ``train count`` (frequency in gold train under its
    type). A surface that only weak labels name is neither seen nor unseen: it has a slice of its
    own, which exists only where there are weak labels.

    Args:
        sentences: the sentences that hold the entities.
        surfaces: those of gold train, from :func:`train_surfaces`.
        weak_surfaces: those of the weakly labelled sentences of train; empty: there are none.
        length_edges: lengths at which a new slice begins, in words, ascending.
        frequency_edges: counts in train at which a new slice begins, ascending.
    """
    train_texts, weak_texts = ({text for text, _ in each} for each in (surfaces, weak_surfaces))
    lengths, frequencies = _ranges(1, length_edges), _ranges(0, frequency_edges)

    def length(index: int, _: Entity) -> str:
        return lengths[bisect_right(length_edges, len(sentences[index].tokens))]

    def seen(index: int, entity: Entity) -> str:
        text = surface(sentences[index], entity)
        return (
            "seen"
            if (text, entity.type) in surfaces
            else "seen as another type"
            if text in train_texts
            else WEAKLY_SEEN
            if text in weak_texts
            else "unseen"
        )

    def frequency(index: int, entity: Entity) -> str:
        return frequencies[
            bisect_right(
                frequency_edges, surfaces[(surface(sentences[index], entity), entity.type)]
            )
        ]

    weak_names = [WEAKLY_SEEN] if weak_surfaces else []
    return {
        "words": Criterion(lengths, length),
        "surface": Criterion(["seen", "seen as another type", *weak_names, "unseen"], seen),
        "train count": Criterion(frequencies, frequency),
    }


def count_slices(
    sentences: Sequence[Sentence],
    predicted: Sequence[Sequence[str]],
    surfaces: Surfaces,
    weak_surfaces: Surfaces,
    length_edges: Sequence[int],
    frequency_edges: Sequence[int],
) -> SliceCounts:
    """Count entities by slice; gold and predicted entities each count in their own slice.

    Args:
        sentences: with gold tags.
        predicted: tags of each sentence.
        surfaces: as of :func:`criteria`.
        weak_surfaces: as of :func:`criteria`.
        length_edges: as of :func:`criteria`.
        frequency_edges: as of :func:`criteria`.
    """
    gold = [to_entities(sentence.tags) for sentence in sentences]
    found = [to_entities(tags) for tags in predicted]
    divided = criteria(sentences, surfaces, weak_surfaces, length_edges, frequency_edges)
    return SliceCounts(
        [by for by, criterion in divided.items() for _ in criterion.names],
        [name for criterion in divided.values() for name in criterion.names],
        np.concatenate(
            [
                group_counts(gold, found, criterion.names, criterion.slice_of)
                for criterion in divided.values()
            ],
            axis=1,
        ),
    )


def _ranges(first: int, edges: Sequence[int]) -> list[str]:
    """Return names of consecutive ranges: the first begins at ``first``, others at each edge."""
    bounded = [
        str(start) if start == end - 1 else f"{start} to {end - 1}"
        for start, end in pairwise([first, *edges])
    ]
    return [*bounded, f"{edges[-1] if edges else first} or more"]
