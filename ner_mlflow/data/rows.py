"""Tables too large for memory: rows read and written some at a time, JSONL (gzipped or not) or Parquet."""

import gzip
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from ..errors import DataError
from ..paths import atomic_file
from .sources import parse_json_line

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
"""What a model answers for a text, as a column."""
FORMATS = ".jsonl, .jsonl.gz or .parquet"


class RowWriter(Protocol):
    """Writes rows in order."""

    def write(self, rows: Sequence[Row]) -> None:
        """Append rows."""


def file_format(path: Path) -> str:
    """``jsonl`` or ``parquet``, by the name.

    Raises:
        DataError: it is neither.
    """
    kind = [suffix for suffix in path.suffixes if suffix != ".gz"][-1:]
    if kind not in ([".jsonl"], [".parquet"]) or path.name.endswith(".parquet.gz"):
        raise DataError(f"{path}: not a name that ends in {FORMATS}: rename or convert it")
    return kind[0][1:]


def read_rows(path: Path, batch_rows: int, text_column: str) -> Iterator[list[Row]]:
    """Rows in order, ``batch_rows`` at a time, each with a text in ``text_column``.

    Raises:
        DataError: there is no such file, it is broken, or a row has no text.
    """
    if not path.is_file():
        raise DataError(f"input {path}: no such file: give one that ends in {FORMATS}")
    numbered = (
        _from_parquet(path, batch_rows, text_column)
        if file_format(path) == "parquet"
        else _from_jsonl(path)
    )
    while batch := list(islice(numbered, batch_rows)):
        for place, row in batch:
            if not isinstance(row, dict) or not isinstance(row.get(text_column), str):
                found = repr(row.get(text_column))[:80] if isinstance(row, dict) else repr(row)[:80]
                raise DataError(
                    f"{place}: no text in {text_column!r} ({found}): give the name of the texts as text_column, and leave out rows without one"
                )
            if ENTITIES in row:
                raise DataError(
                    f"{place}: has {ENTITIES!r} already, which the answers are to be called: rename it"
                )
        yield [row for _, row in batch]


@contextmanager
def writing_rows(path: Path, like: Path) -> Iterator[RowWriter]:
    """Write rows to a file that appears under its name when all are written.

    Args:
        path: the file, which must not exist.
        like: the file whose rows, with :data:`ENTITIES` beside, are written; a Parquet file's columns keep their types.

    Raises:
        DataError: the file exists, its folder does not, or rows do not fit a table.
    """
    if path.exists():
        raise DataError(f"output {path} exists: name another, or remove it")
    if not path.parent.is_dir():
        raise DataError(f"output {path}: no folder {path.parent}: make it")
    with (
        atomic_file(path) as part,
        _parquet_writer(part, path, like)
        if file_format(path) == "parquet"
        else _jsonl_writer(part, path) as writer,
    ):
        yield writer


def _from_jsonl(path: Path) -> Iterator[tuple[str, Any]]:
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as file:
        try:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield f"{path}:{number}", parse_json_line(line, f"{path}:{number}")
        except (UnicodeDecodeError, gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise DataError(
                f"input {path}: not UTF-8, or a broken archive ({error}): convert it"
            ) from error


def _from_parquet(path: Path, batch_rows: int, text_column: str) -> Iterator[tuple[str, Any]]:
    file = _open_parquet(path)
    if text_column not in file.schema_arrow.names:
        raise DataError(
            f"input {path}: no column {text_column!r} among {', '.join(file.schema_arrow.names)}: give the name of the texts as text_column"
        )
    number = 0
    batches = file.iter_batches(batch_rows)
    while True:
        try:
            batch = next(batches, None)
        except (OSError, pa.ArrowException) as error:
            raise DataError(
                f"input {path}: broken after row {number} ({' '.join(str(error).split())[:200]}): write it again"
            ) from error
        if batch is None:
            return
        for row in batch.to_pylist():
            number += 1
            yield f"{path}: row {number}", row


def _open_parquet(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path)
    except (OSError, ValueError) as error:
        raise DataError(f"input {path}: not Parquet ({error}): convert it") from error


@contextmanager
def _jsonl_writer(part: Path, path: Path) -> Iterator[RowWriter]:
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(part, "wt", encoding="utf-8") as file:

        class Lines:
            def write(self, rows: Sequence[Row]) -> None:
                file.writelines(f"{_line(row)}\n" for row in rows)

        yield Lines()


def _line(row: Mapping[str, Any]) -> str:
    line = json.dumps(row, ensure_ascii=False, default=str)
    try:
        line.encode()
    except UnicodeEncodeError:  # half a surrogate pair, which JSON may carry and UTF-8 cannot
        return json.dumps(row, default=str)
    return line


def _unknown_fields(value: Any, type_: pa.Schema | pa.DataType, place: str = "") -> Iterator[str]:
    """Names of fields, in objects at any depth, that a type has no place for: Arrow would leave them out without a word."""
    if isinstance(value, Mapping) and (isinstance(type_, pa.Schema) or pa.types.is_struct(type_)):
        for key, inner in value.items():
            index = type_.get_field_index(key)
            name = f"{place}.{key}" if place else str(key)
            if index < 0:
                yield name
            else:
                yield from _unknown_fields(inner, type_.field(index).type, name)
    elif isinstance(value, list) and not isinstance(type_, pa.Schema) and pa.types.is_list(type_):
        for inner in value:
            yield from _unknown_fields(inner, type_.value_type, f"{place}[]")


@contextmanager
def _parquet_writer(part: Path, path: Path, like: Path) -> Iterator[RowWriter]:
    schema = (
        _open_parquet(like).schema_arrow.append(pa.field(ENTITIES, ENTITY_TYPE))
        if file_format(like) == "parquet"
        else None
    )
    writer: pq.ParquetWriter | None = None

    class Groups:
        def write(self, rows: Sequence[Row]) -> None:
            nonlocal writer, schema
            try:
                if schema is None:  # columns of JSONL are those of its first rows
                    columns = pa.Table.from_pylist(
                        [
                            {key: value for key, value in row.items() if key != ENTITIES}
                            for row in rows
                        ]
                    ).schema
                    schema = columns.append(pa.field(ENTITIES, ENTITY_TYPE))
                if unknown := {
                    name
                    for row in rows
                    for name in _unknown_fields(
                        {key: row[key] for key in row if key != ENTITIES}, schema
                    )
                }:
                    raise ValueError(f"new columns {', '.join(sorted(unknown))}")
                table = pa.Table.from_pylist(list(rows), schema=schema)
                if writer is None:
                    writer = pq.ParquetWriter(part, schema)
                writer.write_table(table)
            except (pa.ArrowException, ValueError, UnicodeError, OverflowError) as error:
                raise DataError(
                    f"output {path}: rows that do not fit the columns of the first ones ({' '.join(str(error).split())}): write JSONL"
                ) from error

    try:
        yield Groups()
        if writer is None:
            pq.write_table(
                pa.Table.from_pylist(
                    [], schema=schema or pa.schema([pa.field(ENTITIES, ENTITY_TYPE)])
                ),
                part,
            )
    finally:
        if writer is not None:
            writer.close()
