"""Define what a format is, and the records that its reader yields and its writer takes."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from ...config.schema import DataConfig
from ...errors import DataError
from ..findings import Findings


class Span(NamedTuple):
    """An annotated span.

    Attributes:
        start: its first character or word.
        end: the character or word after its last.
        label: its type, as the source spells it.
        surface: its text as the file names it, against which offsets are checked; None if the file
            does not name it.
        parts: the parts of a discontinuous span, as (start, end); empty for other spans.
    """

    start: int
    end: int
    label: str
    surface: str | None = None
    parts: tuple[tuple[int, int], ...] = ()


class TaggedWords(NamedTuple):
    """Words with a tag each, in whatever scheme.

    ``position`` is the number of the line (from 1) or row (from 0), for messages.
    """

    tokens: Sequence[str]
    tags: Sequence[str]
    position: int
    document: str | None = None


class WordsWithSpans(NamedTuple):
    """Words with spans that count words."""

    tokens: Sequence[str]
    spans: Sequence[Span]
    position: int
    document: str | None = None


class TextWithSpans(NamedTuple):
    """A running text with spans that count characters.

    ``document`` names the text; if it is None, the position does.
    """

    text: str
    spans: Sequence[Span]
    position: int
    document: str | None = None


DOCUMENT_FIELDS = ("document", "document_id", "doc_id")
"""Fields that name the document of a row, the first one first."""

Record = TaggedWords | WordsWithSpans | TextWithSpans


class AnnotatedText(NamedTuple):
    """What a writer takes: a text with flat entities in order, offsets in code points.

    Attributes:
        text: the text.
        spans: its entities.
        document: the id of the text, or None.
        words: offsets of its words as (start, end); None: the writer cuts the text itself, as the
            served model does.
        scores: the confidence in each entity, for predictions.
        sentence_lengths: the number of words of each sentence, for given words; None: the words are
            one sentence.
    """

    text: str
    spans: Sequence[Span]
    document: str | None = None
    words: Sequence[tuple[int, int]] | None = None
    scores: Sequence[float] | None = None
    sentence_lengths: Sequence[int] | None = None

    @property
    def id_field(self) -> dict[str, str]:
        """The field ``id`` of a row for this text; empty if the text has no id."""
        return {} if self.document is None else {"id": self.document}


@dataclass(frozen=True)
class Head:
    """The beginning of a file, by which its format is known.

    Attributes:
        path: the file.
        suffix: its suffix in lower case, without ``.gz``.
        kind: ``lines`` (text), ``json`` (an object a line, or an array), ``parquet`` or ``binary``.
        lines: the first lines of a text file that are not blank, without their ends.
        row: the first item of a JSON or Parquet file that is not null; None for other files, and
            for files without an item.
        columns: the columns of a Parquet file; else empty.
    """

    path: Path
    suffix: str
    kind: str
    lines: tuple[str, ...] = ()
    row: Any = None
    columns: tuple[str, ...] = ()


def _no_file(name: str) -> None:
    """Return None: there are no files beside these rows."""


class Rows(NamedTuple):
    """Rows of a JSON file, a Parquet file or a hub dataset.

    Attributes:
        place: the first part of a row's place, before its number.
        items: the number of each row, and the row, which may be any JSON value.
        class_names: returns the names of a field's numbers where the source gives them, or None.
        open_file: returns the text of a file of the source, such as ``label.json`` beside it, by
            its name, or None if there is no such file.
    """

    place: str
    items: Iterable[tuple[int, Any]]
    class_names: Callable[[str], Sequence[str] | None]
    open_file: Callable[[str], str | None] = _no_file


FileReader = Callable[[Path, DataConfig, Findings, str], Iterator[Record]]
"""Reads a file; takes the path, the settings, the collector of findings and the name of the split.

It raises DataError, with the place, for what it cannot read.
"""
RowReader = Callable[[Rows, DataConfig, Findings, str], Iterator[Record]]
"""Reads rows; takes the same settings, collector and split, and raises the same error."""
Writer = Callable[[Path, Iterable[AnnotatedText]], None]
"""Writes texts to a file, as a stream."""


@dataclass(frozen=True)
class Format:
    """A file format.

    Attributes:
        name: its name as a setting and an option.
        title: the name that people know it by.
        summary: what such a file holds, for the documentation and ``--help``.
        example: the beginning of a file.
        matches: whether the beginning of a file is of this format.
        read: reads rows where ``is_rows``, else a file.
        is_rows: the format is one of rows, whether in JSON, Parquet or on the hub.
        suffixes: suffixes of files of this format; the first is that of written files.
        write: writes a file; None if the format is only read.
    """

    name: str
    title: str
    summary: str
    example: str
    matches: Callable[[Head], bool]
    read: FileReader | RowReader
    is_rows: bool
    suffixes: tuple[str, ...]
    write: Writer | None = None


def source_of(place: str) -> str:
    """Return the file or the split of the hub that the first part of a place is in."""
    return re.sub(r"(:|, (row|item) )$", "", place)


def find_field(row: Mapping[str, Any], names: Sequence[str], place: str, way_out: str) -> str:
    """Return the first of these fields that a row has.

    Args:
        row: the row.
        names: names of fields; earlier names are preferred.
        place: where the row is, for messages.
        way_out: the end of the message if the row has none of them.

    Raises:
        DataError: the row has none of them.
    """
    for name in names:
        if name in row:
            return name
    raise DataError(
        f"{place}: no field {' or '.join(map(repr, names))} "
        f"among {', '.join(map(repr, row)) or 'none'}: {way_out}"
    )


def string_field(row: Mapping[str, Any], names: Sequence[str]) -> str | None:
    """Return the first of these fields that a row has, as text; None if it has none."""
    return next((str(row[name]) for name in names if row.get(name) is not None), None)
