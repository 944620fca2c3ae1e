"""Stream lines, JSON values and Parquet batches from files; errors name the file and the line."""

import gzip
import json
import zlib
from codecs import BOM_UTF8
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ..errors import DataError
from ..redaction import one_line

GZIP_SUFFIX = ".gz"
PARQUET_BATCH_ROWS = 65_536


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    r"""Yield the number, from 1, and the text of each line of a UTF-8 file.

    The file is gzipped if its name ends in ``.gz``.

    Only ``\n`` or ``\r\n`` ends a line: ``str.splitlines`` would also split at ``\x85`` or
    ``\u2028``, which tokens of logs contain. A byte order mark is skipped.

    Raises:
        DataError: a line is not UTF-8, or the archive is broken; the message names the line.
    """
    number = 0
    with gzip.open(path) if path.suffix == GZIP_SUFFIX else path.open("rb") as file:
        lines = iter(file)
        while True:
            try:
                line = next(lines, None)
            except (gzip.BadGzipFile, EOFError, zlib.error) as error:
                raise DataError(
                    f"{path}:{number + 1}: a broken archive ({one_line(error)}): compress it again"
                ) from error
            if line is None:
                return
            number += 1
            if number == 1:
                line = line.removeprefix(BOM_UTF8)
            try:
                text = line.decode("utf-8")
            except UnicodeDecodeError as error:
                raise DataError(
                    f"{path}:{number}: byte {error.object[error.start]:#04x} is not UTF-8: "
                    "convert the file to UTF-8"
                ) from error
            yield number, text.removesuffix("\n").removesuffix("\r")


def read_json_lines(path: Path) -> Iterator[tuple[str, Any]]:
    """Yield the origin (``path:number``) and the JSON value of each line that is not blank.

    Raises:
        DataError: as :func:`read_lines`, or a line is not JSON.
    """
    for number, line in read_lines(path):
        if line.strip():
            origin = f"{path}:{number}"
            yield origin, _parse_json(line, origin)


def open_parquet(path: Path) -> pq.ParquetFile:
    """Open a Parquet file.

    Raises:
        DataError: it is not a Parquet file.
    """
    try:
        return pq.ParquetFile(path)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise DataError(
            f"{path}: not a Parquet file ({one_line(error, limit=200)}): convert it"
        ) from error


def read_parquet_batches(
    path: Path,
    file: pq.ParquetFile,
    columns: Sequence[str] | None = None,
    batch_rows: int = PARQUET_BATCH_ROWS,
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of an open Parquet file in batches.

    Args:
        path: the file's path, for messages.
        file: the file from :func:`open_parquet`.
        columns: names of the columns to read; None reads all.
        batch_rows: largest number of rows in a batch.

    Raises:
        DataError: the file is broken; the message gives the last row that could be read.
    """
    batches = file.iter_batches(batch_rows, columns=columns)
    rows = 0
    while True:
        try:
            batch = next(batches, None)
        except (OSError, ValueError, pa.ArrowException) as error:
            raise DataError(
                f"{path}: broken after row {rows} ({one_line(error, limit=200)}): write it again"
            ) from error
        if batch is None:
            return
        rows += batch.num_rows
        yield batch


def _parse_json(line: str, origin: str) -> Any:
    try:
        return json.loads(line)
    # ValueError: not JSON, or a number with too many digits.
    except (ValueError, RecursionError) as error:
        raise DataError(f"{origin}: not JSON ({error}): write one object a line") from error
