"""Scores of parts of the data: by sentence length, by whether train holds the entity's words, and how often."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise

import pandas as pd

from ..bio import Entity, to_entities
from ..data.sentences import Sentence

Surfaces = Counter[tuple[str, str]]
"""How often train has a type under these words, lower-cased: (words, type) -> count."""
SliceOf = Callable[[Sentence, Entity], str]


def surface(sentence: Sentence, entity: Entity) -> str:
    """An entity's words, lower-cased."""
    return " ".join(sentence.tokens[entity.start : entity.end]).lower()


def train_surfaces(train: Iterable[Sentence]) -> Surfaces:
    """The entities of train by words and type."""
    return Counter((surface(sentence, entity), entity.type) for sentence in train for entity in to_entities(sentence.tags))


def slice_scores(
    sentences: Sequence[Sentence], predicted: Sequence[Sequence[str]], known: Surfaces, length_edges: Sequence[int], frequency_edges: Sequence[int]
) -> pd.DataFrame:
    """Strict precision, recall and F1 by slice; each gold and each predicted entity counts in the slice that it is in itself.

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

    def seen(sentence: Sentence, entity: Entity) -> str:
        text = surface(sentence, entity)
        return "seen" if (text, entity.type) in known else "seen as another type" if text in words else "unseen"

    lengths, counts = _ranges(1, length_edges), _ranges(0, frequency_edges)
    kinds: dict[str, tuple[SliceOf, list[str]]] = {
        "words": (lambda sentence, _: lengths[bisect_right(length_edges, len(sentence.tokens))], lengths),
        "surface": (seen, ["seen", "seen as another type", "unseen"]),
        "train count": (lambda sentence, entity: counts[bisect_right(frequency_edges, known[(surface(sentence, entity), entity.type)])], counts),
    }
    rows = [row for kind, (slice_of, names) in kinds.items() for row in _rows(kind, slice_of, names, sentences, predicted)]
    return pd.DataFrame(rows, columns=["by", "slice", "gold", "predicted", "precision", "recall", "f1"])


def _rows(
    kind: str, slice_of: SliceOf, names: Sequence[str], sentences: Sequence[Sentence], predicted: Sequence[Sequence[str]]
) -> Iterator[tuple[str, str, int, int, float, float, float]]:
    correct, gold, said = Counter[str](), Counter[str](), Counter[str]()
    for sentence, tags in zip(sentences, predicted, strict=True):
        there = to_entities(sentence.tags)
        for entity in there:
            gold[slice_of(sentence, entity)] += 1
        for entity in to_entities(tags):
            name = slice_of(sentence, entity)
            said[name] += 1
            correct[name] += entity in there
    for name in names:
        precision, recall = correct[name] / max(said[name], 1), correct[name] / max(gold[name], 1)
        yield kind, name, gold[name], said[name], precision, recall, 2 * correct[name] / max(said[name] + gold[name], 1)


def _ranges(first: int, edges: Sequence[int]) -> list[str]:
    """Names of the ranges from ``first`` that begin anew at each edge."""
    bounded = [str(start) if start == end - 1 else f"{start} to {end - 1}" for start, end in pairwise([first, *edges])]
    return [*bounded, f"{edges[-1] if edges else first} or more"]
