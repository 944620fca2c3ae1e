"""doccano: JSON lines with a text and labels as spans of characters, from any version."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from ...config.schema import DataConfig
from ...errors import DataError
from ..findings import Findings
from .base import AnnotatedText, Format, Head, Rows, TextWithSpans, find_field, string_field
from .json_files import write_json_lines
from .label_studio import ANSWER_MARKS
from .span_items import (
    EMPTY,
    LONG_OFFSETS,
    NO_SPANS,
    OFFSETS,
    RELATIONS,
    STRINGS,
    TEXT_ID_FIELDS,
    TRIPLES,
    check_object,
    check_one_field,
    has_text,
    read_spans,
    read_text,
    shown,
    spans_shape,
)
from .tag_names import row_label_names

LABEL_FIELDS = ("label", "labels", "annotations", "entities")
"""Names of the field of the spans in doccano's versions."""


def read_doccano(
    rows: Rows, config: DataConfig, findings: Findings, split: str
) -> Iterator[TextWithSpans]:
    """Yield the texts of an export; relations are counted as left out.

    Raises:
        DataError: a row has no text or no labels, or a label is not a span.
    """
    label_names = row_label_names(config, rows)
    for position, row in rows.items:
        place = f"{rows.place}{position}"
        row = check_object(row, place, '{"text": ..., "label": [[start, end, "TYPE"]]}')
        text = read_text(row, config.text_column, place)
        name = find_field(row, LABEL_FIELDS, place, NO_SPANS)
        if spans_shape(row[name]) == STRINGS:
            raise DataError(
                f"{place}: {name!r} is {shown(row[name])}, labels of whole texts: export a project "
                "of sequence labelling"
            )
        check_one_field(row, name, place)
        spans = read_spans(row[name], name, place, label_names)
        if isinstance(row.get(RELATIONS), list):
            findings.add("annotation_of_other_type", split, place, RELATIONS, len(row[RELATIONS]))
        yield TextWithSpans(text, spans, position, string_field(row, TEXT_ID_FIELDS))


def write_doccano(path: Path, texts: Iterable[AnnotatedText]) -> None:
    """Write rows to import, with offsets in code points, as doccano counts them."""
    write_json_lines(
        path,
        (
            {
                **text.id_field,
                "text": text.text,
                "label": [[span.start, span.end, span.label] for span in text.spans],
            }
            for text in texts
        ),
    )


def _matches(head: Head) -> bool:
    row = head.row
    if not has_text(row) or ANSWER_MARKS & row.keys():
        return False
    name = next((name for name in LABEL_FIELDS if isinstance(row.get(name), list)), None)
    if name is None:
        return False
    shape = spans_shape(row[name])
    if name == "entities":  # the field of other formats too
        return shape == LONG_OFFSETS or (shape == EMPTY and RELATIONS in row)
    return shape in (TRIPLES, OFFSETS, LONG_OFFSETS, STRINGS, EMPTY)


DOCCANO = Format(
    name="doccano",
    title="doccano",
    summary="JSON lines with a text and its spans, as [start, end, TYPE] or as objects",
    example='{"id": 1, "text": "Redis on Ubuntu", "label": [[0, 5, "SOFTWARE"], [9, 15, "OS"]]}',
    matches=_matches,
    read=read_doccano,
    is_rows=True,
    suffixes=(".jsonl", ".json"),
    write=write_doccano,
)
