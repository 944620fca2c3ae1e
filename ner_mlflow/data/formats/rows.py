"""Open the rows of JSON and Parquet files."""

from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa

from ..files import (
    GZIP_SUFFIX,
    open_parquet,
    read_json_lines,
    read_parquet_batches,
)
from .base import Rows


def open_rows(path: Path) -> Rows:
    """Return the rows of a file: of Parquet, of a JSON array, or of JSON lines.

    Raises:
        DataError: it is not a Parquet file. Reading raises it for a broken file.
    """
    suffix = path.with_suffix("").suffix if path.suffix.lower() == GZIP_SUFFIX else path.suffix
    if suffix.lower() == ".parquet":
        file = open_parquet(path)
        rows = (row for batch in read_parquet_batches(path, file) for row in batch.to_pylist())
        schema = file.schema_arrow

        @cache
        def class_names(field: str) -> Sequence[str] | None:
            return _class_names(schema, field)

        return Rows(f"{path}, row ", enumerate(rows), class_names)
    return Rows(f"{path}:", _json_items(path), lambda _: None)


def _json_items(path: Path) -> Iterator[tuple[int, Any]]:
    for origin, row in read_json_lines(path):
        yield int(origin.rpartition(":")[2]), row


def _class_names(schema: pa.Schema, field: str) -> Sequence[str] | None:
    if b"huggingface" not in (schema.metadata or {}):
        return None
    from datasets import ClassLabel, Features  # here: importing it takes two seconds

    inner = getattr(Features.from_arrow_schema(schema).get(field), "feature", None)
    return list(inner.names) if isinstance(inner, ClassLabel) else None
