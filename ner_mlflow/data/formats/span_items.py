"""Read the parts that formats of texts with spans share: the text, the document, the spans."""

from collections.abc import Mapping, Sequence
from typing import Any

from ...errors import DataError
from ..texts import TEXT_FIELDS
from .base import DOCUMENT_FIELDS, Span, find_field

KNOWN_TEXT_FIELDS = (*TEXT_FIELDS, "data", "description", "sentence", "message")
"""Names of the field that holds the text; the first one that a row has counts."""
TEXT_ID_FIELDS = (*DOCUMENT_FIELDS, "id")
"""Fields that name a text: its document, or its own id."""
OFFSET_KEYS = (("start", "end"), ("start_offset", "end_offset"))
"""Names of the offsets of a span that is an object."""
RELATIONS = "relations"
"""The field of relations between spans, which are counted as left out."""
NO_TEXT = "give the name of the text's field as text_column"
NO_SPANS = "give an empty list where nothing is labelled"
"""What to do about a row without a field of the text, or of spans."""
SPAN_FIELDS = ("label", "labels", "annotations", "entities", "spans")
"""Names of the field of the spans in all formats of rows; one row has one such field."""
SHOWN_CHARACTERS = 80
"""Characters of a value that an error shows."""

TRIPLES, OFFSETS, LONG_OFFSETS, STRINGS, EMPTY, OTHER = (
    "[start, end, TYPE]",
    "objects with start and end",
    "objects with start_offset and end_offset",
    "texts",
    "nothing",
    "something else",
)
"""Shapes of a list of spans."""


def spans_shape(spans: Any) -> str:
    """Return the shape of a list of spans by its first item that is not null."""
    if not isinstance(spans, list):
        return OTHER
    first = next((span for span in spans if span is not None), None)
    if first is None:
        return EMPTY
    if isinstance(first, list):
        return TRIPLES
    if isinstance(first, str):
        return STRINGS
    if isinstance(first, dict):
        if "start_offset" in first:
            return LONG_OFFSETS
        if "start" in first and "labels" not in first:
            return OFFSETS
    return OTHER


def are_spans(spans: Any) -> bool:
    """Return whether a value is a list of spans with offsets, as its first item shows."""
    return spans_shape(spans) in (TRIPLES, OFFSETS, LONG_OFFSETS)


def has_text(row: Any) -> bool:
    """Return whether a row is an object with a text in a field with a known name."""
    return isinstance(row, dict) and any(
        isinstance(row.get(name), str) for name in KNOWN_TEXT_FIELDS
    )


def check_object(row: Any, place: str, what: str) -> dict[str, Any]:
    """Return a row that is an object.

    Raises:
        DataError: it is something else; the message calls for ``what``.
    """
    if not isinstance(row, dict):
        raise DataError(f"{place}: {shown(row)} is not an object: give {what}")
    return row


def read_text(row: Mapping[str, Any], column: str, place: str) -> str:
    """Return the text of a row.

    Args:
        row: the row.
        column: the field that holds it; empty: the first of :data:`KNOWN_TEXT_FIELDS`.
        place: where the row is.

    Raises:
        DataError: the row has no such field, or its value is not text.
    """
    names = (column,) if column else KNOWN_TEXT_FIELDS
    name = find_field(row, names, place, NO_TEXT)
    return check_text(row[name], name, place)


def check_text(value: Any, name: str, place: str) -> str:
    """Return the value of a text field.

    Raises:
        DataError: it is not text.
    """
    if not isinstance(value, str):
        raise DataError(
            f"{place}: {name!r} is {shown(value)}, not text: give the text, or remove the row"
        )
    return value


def read_spans(
    spans: Any, name: str, place: str, label_names: Sequence[str] | None = None
) -> list[Span]:
    """Return the spans of a list: ``[start, end, TYPE]``, or objects with offsets and label.

    Args:
        spans: the list.
        name: the field that holds it.
        place: where the row is.
        label_names: the names of labels that are numbers; None: such labels are an error.

    Raises:
        DataError: it is not a list, or an item is not a span.
    """
    if not isinstance(spans, list):
        raise DataError(
            f'{place}: {name!r} is {shown(spans)}, not a list of spans: give [[start, end, "TYPE"]]'
        )
    return [_span(span, place, label_names) for span in spans]


def check_one_field(row: Mapping[str, Any], name: str, place: str) -> None:
    """Check that no other field holds spans than the one to be read.

    Args:
        row: the row.
        name: the field whose spans are read.
        place: where the row is.

    Raises:
        DataError: another field holds spans, and not the same.
    """
    for other in SPAN_FIELDS:
        if other == name or not (spans := row.get(other)) or spans == row.get(name):
            continue
        if are_spans(spans):
            raise DataError(
                f"{place}: {other!r} holds spans, and {name!r} would be read: keep one of the two "
                "fields, or choose another source_format"
            )


def make_span(
    start: Any,
    end: Any,
    label: Any,
    place: str,
    surface: Any = None,
    label_names: Sequence[str] | None = None,
) -> Span:
    """Return a span after a check of the types of its parts.

    Raises:
        DataError: an offset is not a whole number, or the label is not text.
    """
    # bool is a kind of int in Python, but not an offset.
    if type(start) is not int or type(end) is not int:
        raise DataError(
            f"{place}: the span {shown([start, end, label])} needs whole numbers as start and end: "
            "write them without fraction or quotes"
        )
    if type(label) is int:
        label = _label_name(label, place, label_names)
    if not isinstance(label, str) or not label.strip():
        raise DataError(
            f"{place}: the span {shown([start, end, label])} has no label: give its type as text"
        )
    if surface is not None and not isinstance(surface, str):
        raise DataError(
            f"{place}: the span {shown([start, end, label])} has {shown(surface)} as its text: "
            "give the text from start to end, or none"
        )
    return Span(start, end, label, surface)


def shown(value: Any) -> str:
    """Return a value as an error shows it, cut if it is long."""
    text = repr(value)
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"


def utf16_slice(text: str, start: int, end: int) -> str:
    """Return the text between two offsets that count UTF-16 units."""
    encoded = text.encode("utf-16-le", "surrogatepass")
    return encoded[2 * max(start, 0) : 2 * max(end, 0)].decode("utf-16-le", "replace")


def _span(span: Any, place: str, label_names: Sequence[str] | None) -> Span:
    if isinstance(span, (list, tuple)) and len(span) == 3:
        start, end, label = span
        return make_span(start, end, label, place, label_names=label_names)
    if isinstance(span, dict):
        for first, last in OFFSET_KEYS:
            if first in span and last in span and "label" in span:
                return make_span(
                    span[first], span[last], span["label"], place, span.get("text"), label_names
                )
    raise DataError(
        f'{place}: {shown(span)} is not a span: write [start, end, "TYPE"], or an object with '
        "start, end and label"
    )


def _label_name(label: int, place: str, names: Sequence[str] | None) -> str:
    if names is None:
        raise DataError(
            f"{place}: label {label} is a number without a name: export labels as texts, or give "
            "tag_names"
        )
    if not 0 <= label < len(names):
        raise DataError(
            f"{place}: label {label} is outside the {len(names)} tag_names: add its name"
        )
    return names[label]
