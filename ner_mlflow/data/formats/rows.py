"""Open the rows of JSON and Parquet files."""

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from ...errors import DataError
from ...paths import find_path
from ...redaction import one_line
from ..files import (
    GZIP_SUFFIX,
    open_parquet,
    read_blocks,
    read_numbered_json,
    read_parquet_batches,
    read_text_blocks,
    suffix_of,
)
from ..findings import Findings
from ..json_text import JsonText
from .base import Rows
from .span_items import are_spans

PARQUET_MAGIC = b"PAR1"
PARQUET_SUFFIXES = (".parquet", ".pq")
ROW_FIELDS: Mapping[str, type | tuple[type, ...]] = {
    "tokens": (list, str),
    "words": (list, str),
    "tokenized_text": list,
    "text": str,
    "sentence": str,
    "content": str,
    "data": (dict, str),
}
"""Field -> type, for fields that show an object to be a row, not a holder of rows."""
HUGGINGFACE = b"huggingface"
"""Key of the metadata in which the library ``datasets`` keeps a Parquet file's features."""


def open_rows(path: Path, findings: Findings | None = None, split: str = "") -> Rows:
    """Return the rows of a file: of Parquet, of a JSON array, or of JSON lines.

    Rows may also be in a field of one JSON object that holds no other list of rows.

    Args:
        path: the file.
        findings: receives whether rows are in a field; None: it is not recorded.
        split: the split that findings are about.

    Raises:
        DataError: the file cannot be read, is not a Parquet file, or is one JSON object with
            several lists of rows. Reading raises it for a broken file.
    """
    if is_parquet(path):
        return _open_parquet(path)
    opened = partial(open_beside, path)
    text = JsonText(path)
    start = text.peek()
    if start == "[" and _begins_list_of_rows(text):
        return Rows(f"{path}, item ", _list_items(text), _no_names, opened)
    if start != "{":
        return Rows(f"{path}:", read_numbered_json(path), _no_names, opened)
    line = text.line
    try:
        fields, is_row = _scan_object(text)
    except DataError:
        # The first line may be broken. Reading will report it, with the same place.
        return Rows(f"{path}:", _json_values(path), _no_names, opened)
    ends_on_line = text.line == line
    if text.peek():  # more follows
        items = read_numbered_json(path) if ends_on_line else _json_values(path)
        return Rows(f"{path}:", items, _no_names, opened)
    holders = [name for name, holds_rows in fields.items() if holds_rows]
    if is_row or not holders:
        return Rows(f"{path}:", _json_values(path), _no_names, opened)
    if len(holders) > 1:
        raise DataError(
            f"{path}: one object with several lists of rows, {', '.join(map(repr, holders))}: "
            "write each to a file of its own"
        )
    if findings:
        findings.add("rows_in_field", split, str(path), repr(holders[0]))
    return Rows(
        f"{path}, {holders[0]}, item ", _items_of_field(path, holders[0]), _no_names, opened
    )


def is_parquet(path: Path) -> bool:
    """Return whether a file is Parquet by its name or its content.

    Raises:
        DataError: it cannot be read, or is a gzipped Parquet file.
    """
    if path.suffix.lower() in PARQUET_SUFFIXES:
        return True
    begin = _begin(path)
    if path.suffix.lower() == GZIP_SUFFIX and (
        begin.startswith(PARQUET_MAGIC) or suffix_of(path) in PARQUET_SUFFIXES
    ):
        raise DataError(f"{path}: a gzipped Parquet file: decompress it")
    return begin.startswith(PARQUET_MAGIC)


def open_beside(path: Path, name: str) -> str | None:
    """Return the text of the file of this name, as a path or beside another; None: no such file.

    Raises:
        DataError: it cannot be read.
    """
    for candidate in (name, str(path.parent / name)):
        found = find_path(candidate)
        if found is not None and found.is_file():
            return "".join(read_text_blocks(found))
    return None


def _begin(path: Path) -> bytes:
    try:
        return next(read_blocks(path), b"")
    except DataError:
        if path.suffix.lower() == GZIP_SUFFIX or not path.is_file():
            raise
        return b""  # such as UTF-16: reading the text will report it


def _no_names(field: str) -> None:
    """Return None: JSON has no names for numbers."""


def _json_values(path: Path) -> Iterator[tuple[int, Any]]:
    """Yield consecutive values, each of which may take several lines, and their lines."""
    text = JsonText(path)
    while text.peek():
        line = text.line
        yield line, text.value()


def _begins_list_of_rows(text: JsonText) -> bool:
    """Move into a list; return whether it is one of rows, not itself a row such as [text, tags]."""
    text.skip("[")
    return text.peek() in ("{", "[", "]", "n", "")


def _list_items(text: JsonText, is_last: bool = True) -> Iterator[tuple[int, Any]]:
    """Yield the items of a list whose opening bracket was read.

    Args:
        text: the cursor.
        is_last: the list must end the file.
    """
    number = 0
    if text.peek() == "]":
        text.skip("]")
    else:
        yield number, text.value()
        while text.skip(",]") == ",":
            number += 1
            yield number, text.value()
    if is_last and text.peek():
        raise text.error("more follows the end of the list")


def _scan_object(text: JsonText) -> tuple[dict[str, bool], bool]:
    """Move past an object; return whether each field is a list of rows, and whether the object is
    a row itself."""
    fields: dict[str, bool] = {}
    is_row = False
    for name in _field_names(text):
        if text.peek() != "[":
            value = text.value()
            fields[name] = False
        else:
            text.skip("[")
            items = _list_items(text, is_last=False)
            _, first = next(items, (0, None))
            for _ in items:
                pass
            fields[name] = _is_like_row(first)
            value = []
        is_row |= not fields[name] and isinstance(value, ROW_FIELDS.get(name, ()))
    return fields, is_row


def _is_like_row(item: Any) -> bool:
    """Return whether an item is an object that is no span, or a text with its annotations as spaCy
    has them."""
    if isinstance(item, list):
        return len(item) > 1 and isinstance(item[0], str) and isinstance(item[1], dict)
    return isinstance(item, dict) and not are_spans([item])


def _items_of_field(path: Path, field: str) -> Iterator[tuple[int, Any]]:
    text = JsonText(path)
    for name in _field_names(text):
        if name == field:
            text.skip("[")
            yield from _list_items(text, is_last=False)
        else:
            text.value()


def _field_names(text: JsonText) -> Iterator[str]:
    """Yield the names of an object's fields; the caller moves past each value."""
    text.skip("{")
    if text.peek() == "}":
        text.skip("}")
        return
    while True:
        if text.peek() != '"':
            raise text.error("the name of a field in double quotes expected")
        name = text.value()
        text.skip(":")
        yield str(name)
        if text.skip(",}") == "}":
            return


def _open_parquet(path: Path) -> Rows:
    file = open_parquet(path)
    schema = file.schema_arrow

    def rows() -> Iterator[dict[str, Any]]:
        number = 0
        for batch in read_parquet_batches(path, file):
            try:
                values = batch.to_pylist()
            # Text that is not UTF-8, a time that Python cannot hold, ...
            except (ValueError, OverflowError, pa.ArrowException) as error:
                raise DataError(
                    f"{path}: broken after row {number} ({one_line(error, limit=200)}): "
                    "write it again"
                ) from error
            yield from values
            number += len(values)

    @cache
    def class_names(field: str) -> Sequence[str] | None:
        return _class_names(path, schema, field)

    return Rows(f"{path}, row ", enumerate(rows()), class_names, partial(open_beside, path))


def _class_names(path: Path, schema: pa.Schema, field: str) -> Sequence[str] | None:
    """Return the names of a field's numbers by the features that ``datasets`` left in a file.

    They are read here, since ``datasets`` refuses features that it does not know.
    """
    described = (schema.metadata or {}).get(HUGGINGFACE)
    if described is None:
        return None
    try:
        value = json.loads(described)
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"{path}: its metadata, which may name the numbers of {field!r}, is not JSON "
            f"({one_line(error, limit=100)}): give the names as tag_names"
        ) from error
    for key in ("info", "features", field):
        value = value.get(key) if isinstance(value, dict) else None
    return find_class_names(value)


def find_class_names(feature: Any) -> list[str] | None:
    """Return the names of a ClassLabel within a feature as JSON, whatever holds it; None: none."""
    while isinstance(feature, (dict, list)):
        if isinstance(feature, list):
            feature = feature[0] if feature else None
            continue
        names = feature.get("names")
        if isinstance(names, list) and all(isinstance(name, str) for name in names):
            return names
        feature = feature.get("feature")
    return None
