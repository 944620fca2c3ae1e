"""Cut annotated texts into words and sentences, for the formats that hold words."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from itertools import accumulate, pairwise
from typing import NamedTuple

from ...errors import DataError
from ...tagging.iob2 import Entity, to_tags
from ...tagging.words import split_sentences
from .base import AnnotatedText
from .span_items import shown


class WordCuts(NamedTuple):
    """The words of a text.

    Attributes:
        starts: offset of each word's first character.
        ends: offset after its last.
        sentences: the number of the first word of each sentence.
        entities: the first word of each entity, and the one after its last.
    """

    starts: list[int]
    ends: list[int]
    sentences: list[int]
    entities: list[tuple[int, int]]


class SentenceWords(NamedTuple):
    """The words of a sentence with its entities, which count these words."""

    words: list[str]
    entities: list[Entity]

    @property
    def tags(self) -> list[str]:
        """The IOB2 tags of the words."""
        return to_tags(self.entities, len(self.words))


def cut_words(text: AnnotatedText) -> WordCuts:
    """Return the words of a text, cut where an entity begins or ends within one.

    The words are those of the text if it has any, else as the served model cuts it. Sentences are
    joined where an entity runs across their ends.

    Raises:
        DataError: an entity holds no word.
    """
    words, sentences = _given_words(text) if text.words is not None else _split_words(text.text)
    bounds = sorted({bound for span in text.spans for bound in span[:2]})
    starts: list[int] = []
    ends: list[int] = []
    firsts: list[int] = []
    wanted = set(sentences)
    for number, (start, end) in enumerate(words):
        if number in wanted:
            firsts.append(len(starts))
        inner = bounds[bisect_right(bounds, start) : bisect_left(bounds, end)]
        for piece in pairwise([start, *inner, end]):
            starts.append(piece[0])
            ends.append(piece[1])
    entities = []
    for span in text.spans:
        first, last = bisect_left(starts, span.start), bisect_left(starts, span.end)
        if first == last:
            raise DataError(
                f"text {shown(text.document or text.text)}: the entity "
                f"{shown(text.text[span.start : span.end])} of type {span.label} holds no word: "
                "write a format of texts with spans"
            )
        entities.append((first, last))
    inside = {word for first, last in entities for word in range(first + 1, last)}
    return WordCuts(starts, ends, [first for first in firsts if first not in inside], entities)


def cut_sentences(text: AnnotatedText) -> Iterator[SentenceWords]:
    """Yield the sentences of a text, as :func:`cut_words` finds them.

    Raises:
        DataError: as :func:`cut_words`.
    """
    cuts = cut_words(text)
    labels = [span.label for span in text.spans]
    entity = 0
    for first, end in pairwise([*cuts.sentences, len(cuts.starts)]):
        words = [text.text[cuts.starts[word] : cuts.ends[word]] for word in range(first, end)]
        entities = []
        while entity < len(labels) and cuts.entities[entity][0] < end:
            start, stop = cuts.entities[entity]
            entities.append(Entity(start - first, stop - first, labels[entity]))
            entity += 1
        yield SentenceWords(words, entities)


def _given_words(text: AnnotatedText) -> tuple[list[tuple[int, int]], list[int]]:
    words = list(text.words or ())
    lengths = (len(words),) if text.sentence_lengths is None else text.sentence_lengths
    return words, list(accumulate(lengths, initial=0))[:-1]


def _split_words(text: str) -> tuple[list[tuple[int, int]], list[int]]:
    words: list[tuple[int, int]] = []
    sentences = []
    for sentence in split_sentences(text):
        sentences.append(len(words))
        words += zip(sentence.starts, sentence.ends, strict=True)
    return words, sentences
