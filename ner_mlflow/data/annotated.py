"""Turn the sentences of a split, or the rows of a prediction, into annotated texts to write."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from .formats.base import AnnotatedText, Span, string_field
from .formats.span_items import TEXT_ID_FIELDS
from .rows import ENTITIES
from .running_text import joined_texts
from .sentences import Sentence


def annotated_texts(sentences: Iterable[Sentence]) -> Iterator[AnnotatedText]:
    """Yield the texts of :func:`~ner_mlflow.data.running_text.joined_texts` as writers take them.

    Args:
        sentences: sentences in valid IOB2.
    """
    for text in joined_texts(sentences):
        spans = [Span(entity.start, entity.end, entity.type) for entity in text.entities]
        lengths = list(text.sentence_lengths)
        yield AnnotatedText(
            text.text, spans, text.document, list(text.words), sentence_lengths=lengths
        )


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
