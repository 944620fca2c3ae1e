"""spaCy: rows of texts with entities, and the binary DocBin."""

from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from ...config.schema import DataConfig
from ...errors import DataError
from ...redaction import one_line
from ..findings import Findings
from .base import (
    AnnotatedText,
    Format,
    Head,
    Rows,
    Span,
    TextWithSpans,
    find_field,
    string_field,
)
from .json_files import write_json_lines
from .span_items import (
    NO_SPANS,
    TEXT_ID_FIELDS,
    TRIPLES,
    check_object,
    check_one_field,
    check_text,
    has_text,
    read_spans,
    read_text,
    shown,
    spans_shape,
)
from .tag_names import row_label_names
from .word_cuts import cut_words

NAME = "spacy"
BINARY_SUFFIX = ".spacy"
ENTITIES = "entities"
DOCUMENT_KEY = "id"
"""The name of a document in a Doc's user data."""


def read_spacy_rows(
    rows: Rows,
    config: DataConfig,
    findings: Findings,  # noqa: ARG001
    split: str,  # noqa: ARG001
) -> Iterator[TextWithSpans]:
    """Yield the texts of rows: objects with text and entities, or pairs of text and annotations.

    Raises:
        DataError: a row is neither, or an entity is not a span.
    """
    label_names = row_label_names(config, rows)
    for position, row in rows.items:
        place = f"{rows.place}{position}"
        if isinstance(row, list):
            if len(row) != 2 or not isinstance(row[1], dict):
                raise DataError(
                    f'{place}: {shown(row)} is not a pair: give ["text", '
                    '{"entities": [[start, end, "TYPE"]]}]'
                )
            text, row = check_text(row[0], "text", place), row[1]
        else:
            row = check_object(row, place, '{"text": ..., "entities": [[start, end, "TYPE"]]}')
            text = read_text(row, config.text_column, place)
        find_field(row, (ENTITIES,), place, NO_SPANS)
        check_one_field(row, ENTITIES, place)
        spans = read_spans(row[ENTITIES], ENTITIES, place, label_names)
        yield TextWithSpans(text, spans, position, string_field(row, TEXT_ID_FIELDS))


def read_docbin(
    path: Path,
    config: DataConfig,  # noqa: ARG001
    findings: Findings,
    split: str,
) -> Iterator[TextWithSpans]:
    """Yield the documents of a DocBin with their ``ents``; groups of ``spans`` are counted.

    Raises:
        DataError: spaCy is not installed, or the file is not a DocBin.
    """
    tokens = _spacy_tokens(path)
    from spacy.vocab import Vocab

    try:
        documents = tokens.DocBin().from_disk(path).get_docs(Vocab())
        for position, document in enumerate(documents, 1):
            place = f"{path}:{position}"
            if others := sum(map(len, document.spans.values())):
                findings.add("annotation_of_other_type", split, place, "groups of spans", others)
            if not document.has_annotation("ENT_IOB"):
                findings.add("row_without_annotation", split, place)
                continue
            spans = [
                Span(entity.start_char, entity.end_char, entity.label_, entity.text)
                for entity in document.ents
            ]
            name = string_field(document.user_data, (DOCUMENT_KEY,))
            yield TextWithSpans(document.text, spans, position, name)
    except (ValueError, KeyError, TypeError, IndexError, OSError) as error:
        raise DataError(
            f"{path}: not a DocBin that spaCy can read ({one_line(error, limit=200)}): write it "
            "again by DocBin.to_disk"
        ) from error


def write_spacy(path: Path, texts: Iterable[AnnotatedText]) -> None:
    """Write a DocBin if the path ends in ``.spacy``, else rows.

    A DocBin is held in memory until it is complete, as arrays.

    Raises:
        DataError: a DocBin is to be written and spaCy is not installed, or a text or its id has
            half of a surrogate pair.
    """
    if path.suffix == BINARY_SUFFIX:
        _write_docbin(path, texts)
    else:
        write_json_lines(path, map(_row, texts))


def _matches_rows(head: Head) -> bool:
    row = head.row
    if isinstance(row, list):
        return (
            len(row) == 2
            and isinstance(row[0], str)
            and isinstance(row[1], dict)
            and ENTITIES in row[1]
        )
    return has_text(row) and spans_shape(row.get(ENTITIES)) == TRIPLES


def _matches_docbin(head: Head) -> bool:
    return head.kind in ("binary", "lines") and head.suffix == BINARY_SUFFIX


SPACY = Format(
    name=NAME,
    title="spaCy",
    summary="JSON lines or an array of texts with entities as [start, end, TYPE], or a DocBin, "
    "which needs the extra spacy",
    example='{"text": "Redis on Ubuntu", "entities": [[0, 5, "SOFTWARE"], [9, 15, "OS"]]}',
    matches=_matches_rows,
    read=read_spacy_rows,
    is_rows=True,
    suffixes=(".jsonl", ".json", BINARY_SUFFIX),
    write=write_spacy,
)
SPACY_DOCBIN = Format(
    name=NAME,
    title="spaCy DocBin",
    summary="spaCy's binary file of documents, which needs the extra spacy",
    example="",
    matches=_matches_docbin,
    read=read_docbin,
    is_rows=False,
    suffixes=(BINARY_SUFFIX,),
    write=write_spacy,
)


def _spacy_tokens(path: Path) -> Any:
    try:
        import spacy.tokens
    except ImportError as error:
        raise DataError(f"{path}: needs spaCy: pip install 'ner-mlflow[spacy]'") from error
    return spacy.tokens


def _row(text: AnnotatedText) -> dict[str, Any]:
    entities = [[span.start, span.end, span.label] for span in text.spans]
    return {**text.id_field, "text": text.text, ENTITIES: entities}


def _write_docbin(path: Path, texts: Iterable[AnnotatedText]) -> None:
    tokens = _spacy_tokens(path)
    from spacy.vocab import Vocab

    vocab = Vocab()
    docbin = tokens.DocBin(store_user_data=True)
    for text in texts:
        words, spaces, starts, ends = _spacy_words(text)
        try:
            (text.document or "").encode()
            document = tokens.Doc(vocab, words=words, spaces=spaces)
        except UnicodeEncodeError as error:
            raise DataError(
                f"text {shown(text.document or text.text)}: {error.object[error.start]!r} is half "
                "of a surrogate pair, which a DocBin cannot hold: write another format"
            ) from error
        document.set_ents(
            [
                tokens.Span(document, starts[span.start], ends[span.end] + 1, span.label)
                for span in text.spans
            ],
            default="outside",
        )
        if text.document is not None:
            document.user_data[DOCUMENT_KEY] = text.document
        docbin.add(document)
    docbin.to_disk(path)


def _spacy_words(
    text: AnnotatedText,
) -> tuple[list[str], list[bool], dict[int, int], dict[int, int]]:
    """Return spaCy's words, whether a blank follows each, and the word at each start and end.

    spaCy's words make up the whole text. A single blank after a word belongs to it; other white
    space is a word of its own.
    """
    cuts = cut_words(text)
    starts_of_spans = {span.start for span in text.spans}
    ends_of_spans = {span.end for span in text.spans}
    bounds = {0, len(text.text), *cuts.starts, *cuts.ends, *starts_of_spans, *ends_of_spans}
    words: list[str] = []
    spaces: list[bool] = []
    starts: dict[int, int] = {}
    ends: dict[int, int] = {}
    for start, end in pairwise(sorted(bounds)):
        piece = text.text[start:end]
        is_blank = piece == " " and start not in starts_of_spans and end not in ends_of_spans
        if is_blank and words and not spaces[-1]:
            spaces[-1] = True
            continue
        starts[start], ends[end] = len(words), len(words)
        words.append(piece)
        spaces.append(False)
    return words, spaces, starts, ends
