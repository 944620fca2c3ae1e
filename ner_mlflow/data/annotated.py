"""Turn the sentences of a split, or the rows of a prediction, into annotated texts to write."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..tagging.iob2 import to_entities
from .formats.base import AnnotatedText, Span, string_field
from .formats.span_items import TEXT_ID_FIELDS
from .rows import ENTITIES
from .sentences import Sentence


def annotated_texts(sentences: Iterable[Sentence]) -> Iterator[AnnotatedText]:
    """Yield the texts that sentences were cut from, with their words and entities.

    Consecutive sentences from one text are joined again, even if some between them are missing. A
    sentence without a text becomes a text of its own, in which blanks separate the words.

    Args:
        sentences: sentences in valid IOB2.
    """
    held: list[Sentence] = []
    for sentence in sentences:
        if held and not _continues(held[-1], sentence):
            yield _joined(held)
            held = []
        held.append(sentence)
    if held:
        yield _joined(held)


def predicted_texts(rows: Iterable[Mapping[str, Any]], text_column: str) -> Iterator[AnnotatedText]:
    """Yield the texts of rows to which a model has added its entities, with their scores.

    Args:
        rows: rows with a text and a list of entities as objects.
        text_column: the column of the texts.
    """
    for row in rows:
        entities = row[ENTITIES]
        yield AnnotatedText(
            row[text_column],
            [Span(entity["start"], entity["end"], entity["label"]) for entity in entities],
            string_field(row, TEXT_ID_FIELDS),
            scores=[entity["score"] for entity in entities],
        )


def _continues(previous: Sentence, sentence: Sentence) -> bool:
    """Return whether a sentence comes from the same text as the one before it.

    Every sentence of a text ends in white space, except the last.
    """
    return (
        previous.text is not None
        and sentence.text is not None
        and (previous.document, previous.origin) == (sentence.document, sentence.origin)
        and previous.text[-1:].isspace()
    )


def _joined(sentences: list[Sentence]) -> AnnotatedText:
    text = ""
    words: list[tuple[int, int]] = []
    spans: list[Span] = []
    for sentence in sentences:
        piece, starts = _text_and_starts(sentence)
        bounds = [
            (len(text) + start, len(text) + start + len(token))
            for start, token in zip(starts, sentence.tokens, strict=True)
        ]
        spans += [
            Span(bounds[entity.start][0], bounds[entity.end - 1][1], entity.type)
            for entity in to_entities(sentence.tags)
        ]
        words += bounds
        text += piece
    lengths = [len(sentence.tokens) for sentence in sentences]
    return AnnotatedText(text, spans, sentences[0].document, words, sentence_lengths=lengths)


def _text_and_starts(sentence: Sentence) -> tuple[str, list[int]]:
    if sentence.text is not None and sentence.starts is not None:
        return sentence.text, list(sentence.starts)
    starts = [0]
    for token in sentence.tokens:
        starts.append(starts[-1] + len(token) + 1)
    return " ".join(sentence.tokens), starts[:-1]
