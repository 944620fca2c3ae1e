"""Rows of a text and its entities as objects, as `predict` writes them: JSONL or Parquet."""

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ...config.schema import DataConfig
from ...errors import DataError
from ...redaction import one_line
from ..findings import Findings
from ..rows import ENTITIES, ENTITY_TYPE
from .base import AnnotatedText, Format, Head, Rows, TextWithSpans, find_field, string_field
from .json_files import write_json_lines
from .label_studio import ANSWER_MARKS
from .span_items import (
    EMPTY,
    NO_SPANS,
    OFFSETS,
    RELATIONS,
    SPAN_FIELDS,
    TEXT_ID_FIELDS,
    check_object,
    check_one_field,
    has_text,
    read_spans,
    read_text,
    spans_shape,
)
from .tag_names import row_label_names

PARQUET_SUFFIX = ".parquet"
GROUP_ROWS = 10_000
"""Rows of a row group in Parquet."""
_SCHEMA = pa.schema(
    [("id", pa.string()), pa.field("text", pa.string(), nullable=False), (ENTITIES, ENTITY_TYPE)]
)


def read_entity_rows(
    rows: Rows, config: DataConfig, findings: Findings, split: str
) -> Iterator[TextWithSpans]:
    """Yield the texts of rows; rows whose entities are null are left out as not annotated.

    Raises:
        DataError: a row has no text or no entities, or an entity has no offsets and label.
    """
    label_names = row_label_names(config, rows)
    for position, row in rows.items:
        place = f"{rows.place}{position}"
        row = check_object(row, place, '{"text": ..., "entities": [...]}')
        text = read_text(row, config.text_column, place)
        find_field(row, (ENTITIES,), place, NO_SPANS)
        if row[ENTITIES] is None:
            findings.add("row_without_annotation", split, place)
            continue
        check_one_field(row, ENTITIES, place)
        spans = read_spans(row[ENTITIES], ENTITIES, place, label_names)
        yield TextWithSpans(text, spans, position, string_field(row, TEXT_ID_FIELDS))


def write_entity_rows(path: Path, texts: Iterable[AnnotatedText]) -> None:
    """Write Parquet if the path ends in ``.parquet``, else JSON lines.

    Raises:
        DataError: a text for Parquet has half of a surrogate pair.
    """
    rows = map(_row, texts)
    if path.suffix != PARQUET_SUFFIX:
        write_json_lines(path, rows)
        return
    with pq.ParquetWriter(path, _SCHEMA) as writer:
        while group := list(islice(rows, GROUP_ROWS)):
            try:
                table = pa.Table.from_pylist(group, schema=_SCHEMA)
            except (pa.ArrowException, UnicodeError) as error:
                raise DataError(
                    f"{path}: a text does not fit Parquet ({one_line(error)}): write JSONL"
                ) from error
            writer.write_table(table)


def _matches(head: Head) -> bool:
    row = head.row
    if not has_text(row) or ANSWER_MARKS & row.keys():
        return False
    if ENTITIES in row and row[ENTITIES] is None:  # not annotated
        return not any(map(row.get, SPAN_FIELDS))
    shape = spans_shape(row.get(ENTITIES))
    return shape == OFFSETS or (shape == EMPTY and RELATIONS not in row)


ENTITY_ROWS = Format(
    name="entity_rows",
    title="rows of text and entities",
    summary="JSON lines, a JSON array or Parquet with a text and its entities, as objects with "
    "start, end and label; predict writes it",
    example='{"text": "Redis on Ubuntu", "entities": [{"start": 0, "end": 5, "label": "SOFTWARE", '
    '"text": "Redis"}]}',
    matches=_matches,
    read=read_entity_rows,
    is_rows=True,
    suffixes=(".jsonl", PARQUET_SUFFIX, ".json"),
    write=write_entity_rows,
)


def _row(text: AnnotatedText) -> dict[str, Any]:
    entities: list[dict[str, Any]] = [
        {
            "text": text.text[span.start : span.end],
            "label": span.label,
            "start": span.start,
            "end": span.end,
        }
        for span in text.spans
    ]
    if text.scores is not None:
        for entity, score in zip(entities, text.scores, strict=True):
            entity["score"] = score
    return {**text.id_field, "text": text.text, ENTITIES: entities}
