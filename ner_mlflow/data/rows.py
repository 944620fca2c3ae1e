"""Read and write tables that do not fit memory, a batch of rows at a time: JSONL or Parquet."""

import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from ..atomic import atomic_file
from ..errors import DataError
from ..redaction import one_line
from .files import GZIP_SUFFIX, open_parquet, read_parquet_batches, read_sized_json

Row = dict[str, Any]
ENTITIES = "entities"
ENTITY_TYPE = pa.list_(
    pa.struct(
        {
            "text": pa.string(),
            "label": pa.string(),
            "start": pa.int64(),
            "end": pa.int64(),
            "score": pa.float64(),
        }
    )
)
"""Type of the column that holds a model's entities."""
FORMATS = ".jsonl, .jsonl.gz or .parquet"
BATCH_CHARACTERS = 8_388_608
"""A batch is complete once its rows have this many characters: rows may be of any length."""
PARQUET_ROWS = 256
"""Most rows of a Parquet file that are decoded at once."""


class RowWriter(Protocol):
    """A file that takes rows in order."""

    def write(self, rows: Sequence[Row]) -> None:
        """Append rows."""


def file_format(path: Path) -> str:
    """Return the format that a file's name, in any case, gives: ``jsonl`` or ``parquet``.

    Raises:
        DataError: the name has another suffix.
    """
    suffixes = [name.lower() for name in reversed(path.suffixes)]
    suffix = next((name for name in suffixes if name != GZIP_SUFFIX), "")
    if suffix not in (".jsonl", ".parquet") or suffixes[:2] == [GZIP_SUFFIX, ".parquet"]:
        raise DataError(f"{path}: not a name that ends in {FORMATS}: rename or convert it")
    return suffix.removeprefix(".")


def read_rows(path: Path, batch_rows: int, text_column: str) -> Iterator[list[Row]]:
    """Yield batches of ``batch_rows`` rows, or fewer where they are long, in order.

    Raises:
        DataError: there is no such file, it is broken, a row has no text in ``text_column``, or a
            line is longer than :data:`~ner_mlflow.data.files.LINE_BYTES`.
    """
    if not path.is_file():
        raise DataError(f"input {path}: no such file: give one that ends in {FORMATS}")
    rows = (
        _read_parquet(path, batch_rows, text_column)
        if file_format(path) == "parquet"
        else ((f"{path}:{number}", row, size) for number, row, size in read_sized_json(path))
    )
    batch: list[Row] = []
    characters = 0
    for origin, row, size in rows:
        _check_row(row, origin, text_column)
        batch.append(row)
        characters += size
        if len(batch) == batch_rows or characters >= BATCH_CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


@contextmanager
def open_row_writer(path: Path, like: Path) -> Iterator[RowWriter]:
    """Yield a writer of rows with a column :data:`ENTITIES`.

    The file appears under its name once the block ends without an error.

    Args:
        path: the file, which must not exist.
        like: the file that the rows come from; its Parquet columns keep their types.

    Raises:
        DataError: the file exists, its folder does not, or rows do not fit the table.
    """
    check_new_file(path)
    with (
        atomic_file(path) as part,
        _parquet_writer(part, path, like)
        if file_format(path) == "parquet"
        else _jsonl_writer(part, path) as writer,
    ):
        yield writer


def check_new_file(path: Path) -> None:
    """Check that a file can be written.

    Raises:
        DataError: the file exists, or its folder does not.
    """
    if path.exists():
        raise DataError(f"output {path} exists: name another, or remove it")
    if not path.parent.is_dir():
        raise DataError(f"output {path}: no folder {path.parent}: make it")


def json_line(row: Any) -> str:
    """Return a value as a line of JSON, without its end.

    Half a surrogate pair is written as an escape: JSON can carry it so, UTF-8 cannot.
    """
    line = json.dumps(row, ensure_ascii=False, default=str)
    try:
        line.encode()
    except UnicodeEncodeError:
        return json.dumps(row, default=str)
    return line


def _check_row(row: Any, origin: str, text_column: str) -> None:
    if not isinstance(row, dict) or not isinstance(row.get(text_column), str):
        value = row.get(text_column) if isinstance(row, dict) else row
        raise DataError(
            f"{origin}: no text in {text_column!r} ({repr(value)[:80]}): "
            "give the name of the texts as text_column, and leave out rows without one"
        )
    if ENTITIES in row:
        raise DataError(
            f"{origin}: already has {ENTITIES!r}, the name of the column to write: rename it"
        )


def _read_parquet(path: Path, batch_rows: int, text_column: str) -> Iterator[tuple[str, Any, int]]:
    """Yield the place of each row, the row, and about how many characters it has."""
    file = open_parquet(path)
    columns = file.schema_arrow.names
    if text_column not in columns:
        raise DataError(
            f"input {path}: no column {text_column!r} among {', '.join(columns)}: "
            "give the name of the texts as text_column"
        )
    number = 0
    for batch in read_parquet_batches(path, file, batch_rows=min(batch_rows, PARQUET_ROWS)):
        size = batch.nbytes // (batch.num_rows or 1)
        for row in batch.to_pylist():
            number += 1
            yield f"{path}: row {number}", row, size


@contextmanager
def _jsonl_writer(part: Path, path: Path) -> Iterator[RowWriter]:
    opener = gzip.open if path.suffix.lower() == GZIP_SUFFIX else open
    with opener(part, "wt", encoding="utf-8") as file:

        class Lines:
            def write(self, rows: Sequence[Row]) -> None:
                file.writelines(f"{json_line(row)}\n" for row in rows)

        yield Lines()


def _unknown_fields(value: Any, type_: pa.Schema | pa.DataType, parent: str = "") -> Iterator[str]:
    """Yield the names of fields, at any depth, that a type lacks: Arrow drops them silently."""
    if isinstance(value, Mapping) and (isinstance(type_, pa.Schema) or pa.types.is_struct(type_)):
        for key, inner in value.items():
            index = type_.get_field_index(key)
            name = f"{parent}.{key}" if parent else str(key)
            if index < 0:
                yield name
            else:
                yield from _unknown_fields(inner, type_.field(index).type, name)
    elif isinstance(value, list) and not isinstance(type_, pa.Schema) and pa.types.is_list(type_):
        for inner in value:
            yield from _unknown_fields(inner, type_.value_type, f"{parent}[]")


@contextmanager
def _parquet_writer(part: Path, path: Path, like: Path) -> Iterator[RowWriter]:
    schema = (
        open_parquet(like).schema_arrow.append(pa.field(ENTITIES, ENTITY_TYPE))
        if file_format(like) == "parquet"
        else None
    )
    writer: pq.ParquetWriter | None = None

    class Groups:
        def write(self, rows: Sequence[Row]) -> None:
            nonlocal writer, schema
            try:
                if schema is None:  # the first rows of JSONL give the columns
                    schema = pa.Table.from_pylist(
                        [_without_entities(row) for row in rows]
                    ).schema.append(pa.field(ENTITIES, ENTITY_TYPE))
                if unknown := {
                    name for row in rows for name in _unknown_fields(_without_entities(row), schema)
                }:
                    raise ValueError(f"new columns {', '.join(sorted(unknown))}")
                table = pa.Table.from_pylist(list(rows), schema=schema)
                if writer is None:
                    writer = pq.ParquetWriter(part, schema)
                writer.write_table(table)
            except (pa.ArrowException, ValueError, UnicodeError, OverflowError) as error:
                raise DataError(
                    f"output {path}: rows do not fit the columns of the first rows "
                    f"({one_line(error)}): write JSONL"
                ) from error

    try:
        yield Groups()
        if writer is None:
            empty = schema or pa.schema([pa.field(ENTITIES, ENTITY_TYPE)])
            pq.write_table(pa.Table.from_pylist([], schema=empty), part)
    finally:
        if writer is not None:
            writer.close()


def _without_entities(row: Row) -> Row:
    return {key: value for key, value in row.items() if key != ENTITIES}
