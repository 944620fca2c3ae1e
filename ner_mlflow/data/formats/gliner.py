"""GLiNER: words, and entities as the numbers of their first and last words."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ...config.schema import DataConfig
from ...errors import DataError
from ..findings import Findings
from .base import AnnotatedText, Format, Head, Rows, WordsWithSpans, string_field
from .blank_tokens import BlankTokens, is_blank
from .json_files import write_json_array
from .span_items import TEXT_ID_FIELDS, check_object, read_spans, shown
from .word_cuts import cut_sentences

WORDS, ENTITIES = "tokenized_text", "ner"


def read_gliner(
    rows: Rows,
    config: DataConfig,
    findings: Findings,
    split: str,
) -> Iterator[WordsWithSpans]:
    """Yield the words of each row, with spans that end after their last word.

    Raises:
        DataError: a row has no list of words, a word is blank, or an entity is not a span.
    """
    blank_tokens = BlankTokens(config, findings, split)
    for position, row in rows.items:
        place = f"{rows.place}{position}"
        row = check_object(row, place, f'{{"{WORDS}": [...], "{ENTITIES}": [...]}}')
        words = row.get(WORDS)
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise DataError(f"{place}: {WORDS!r} is {shown(words)}: give a list of words")
        spans = [
            span._replace(end=span.end + 1)
            for span in read_spans(row.get(ENTITIES), ENTITIES, place)
        ]
        if any(map(is_blank, words)):
            words, spans = blank_tokens.drop_from_spans(words, spans, place)
        if words or spans:
            yield WordsWithSpans(words, spans, position, string_field(row, TEXT_ID_FIELDS))
        else:
            findings.add("row_without_words", split, place)


def write_gliner(path: Path, texts: Iterable[AnnotatedText]) -> None:
    """Write a row for each sentence.

    Raises:
        DataError: an entity holds no word.
    """
    write_json_array(path, _rows(texts))


def _matches(head: Head) -> bool:
    return isinstance(head.row, dict) and isinstance(head.row.get(WORDS), list)


GLINER = Format(
    name="gliner",
    title="GLiNER",
    summary="words, and entities as [first, last, TYPE], with words numbered from 0",
    example='[{"tokenized_text": ["Redis", "on", "Ubuntu"], '
    '"ner": [[0, 0, "SOFTWARE"], [2, 2, "OS"]]}]',
    matches=_matches,
    read=read_gliner,
    is_rows=True,
    suffixes=(".json", ".jsonl"),
    write=write_gliner,
)


def _rows(texts: Iterable[AnnotatedText]) -> Iterator[dict[str, Any]]:
    for text in texts:
        for sentence in cut_sentences(text):
            entities = [[entity.start, entity.end - 1, entity.type] for entity in sentence.entities]
            yield {**text.id_field, WORDS: sentence.words, ENTITIES: entities}
