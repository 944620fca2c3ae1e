"""Stream lines, JSON values and Parquet batches from files; errors name the file and the line."""

import codecs
import gzip
import json
import zlib
from collections.abc import Iterator, Sequence
from io import BufferedReader, BytesIO
from pathlib import Path, PurePath
from typing import Any, cast

import pyarrow as pa
import pyarrow.parquet as pq

from ..errors import DataError
from ..redaction import one_line

GZIP_SUFFIX = ".gz"
GZIP_MAGIC = b"\x1f\x8b"
BLOCK_BYTES = 131_072
LINE_BYTES = 33_554_432
"""The longest line that is read: a broken or hostile file must not fill the memory.

A line of JSON may take twenty times its length as lists and dicts.
"""
FEWEST_CR = 3
"""So many CR and no LF among them end lines; a few may be what a terminal wrote into one line."""
PARQUET_BATCH_ROWS = 65_536
WIDE_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
"""Byte order marks of UTF-16; that of UTF-32 begins with one of them or with NUL bytes."""


def suffix_of(path: PurePath) -> str:
    """Return the suffix of a file's name in lower case, without ``.gz``."""
    name = PurePath(path.name.lower())
    return name.with_suffix("").suffix if name.suffix == GZIP_SUFFIX else name.suffix


def read_blocks(path: Path, content: bytes | None = None) -> Iterator[bytes]:
    """Yield the bytes of a text file in blocks, without a byte order mark.

    The file is gzipped if its name ends in ``.gz`` or its content begins so.

    Args:
        path: the file.
        content: its bytes, if they were read already.

    Raises:
        DataError: the file cannot be read, is UTF-16, or is a broken archive.
    """
    line = 1
    try:
        with _open(path, content) as file:
            block = file.read1(BLOCK_BYTES)
            if block.startswith(WIDE_MARKS) or _is_wide(block):
                raise DataError(f"{path}: is UTF-16: convert the file to UTF-8")
            block = block.removeprefix(codecs.BOM_UTF8)
            while block:
                yield block
                line += block.count(b"\n")
                block = file.read1(BLOCK_BYTES)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(
            f"{path}:{line}: a broken archive ({one_line(error)}): compress it again"
        ) from error
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read ({error.strerror or one_line(error)}): give a file"
        ) from error


def read_text_blocks(path: Path) -> Iterator[str]:
    """Yield the text of a UTF-8 file in blocks that may end anywhere.

    Raises:
        DataError: as :func:`read_blocks`, or a byte is not UTF-8.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    line = 1
    for block in read_blocks(path):
        line += block.count(b"\n")
        try:
            text = decoder.decode(block)
        except UnicodeDecodeError as error:
            later = error.object[error.start :].count(b"\n")
            raise _not_utf8(path, line - later, error) from error
        yield text
    try:
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise _not_utf8(path, line, error) from error


def read_line_blocks(path: Path) -> Iterator[tuple[int, list[str]]]:
    r"""Yield the number of the first line, from 1, and lines, for blocks of a UTF-8 file.

    Only ``\n`` or ``\r\n`` ends a line: ``str.splitlines`` would also split at ``\x85`` or
    ``\u2028``, which tokens of logs contain. A byte order mark is skipped.

    Raises:
        DataError: as :func:`read_blocks`; lines end in CR alone, or a line is not UTF-8 or too
            long. The lines before it are yielded first, and the message names it.
    """
    number = 1
    begun: list[bytes] = []  # pieces of a line that goes on in the next block
    size = 0
    for index, block in enumerate(read_blocks(path)):
        if index == 0 and _ends_lines_by_cr(block):
            raise DataError(
                f"{path}: its lines end in CR alone, as on old Macs: convert the line ends to LF"
            )
        end = block.rfind(b"\n") + 1
        if not end:
            begun.append(block)
            size += len(block)
            if size > LINE_BYTES:
                raise DataError(
                    f"{path}:{number}: a line of more than {LINE_BYTES:,} bytes: "
                    "write one sentence or row a line"
                )
            continue
        for first, lines in _decode(path, number, b"".join((*begun, block[: end - 1]))):
            yield first, lines
            number = first + len(lines)
        begun = [block[end:]] if end < len(block) else []
        size = len(block) - end
    if begun:
        yield from _decode(path, number, b"".join(begun))


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the number, from 1, and the text of each line of a UTF-8 file.

    Raises:
        DataError: as :func:`read_line_blocks`.
    """
    for first, lines in read_line_blocks(path):
        yield from enumerate(lines, first)


def read_json_lines(path: Path) -> Iterator[tuple[str, Any]]:
    """Yield the origin (``path:number``) and the JSON value of each line that is not blank.

    Raises:
        DataError: as :func:`read_lines`, or a line is not JSON.
    """
    for number, value in read_numbered_json(path):
        yield f"{path}:{number}", value


def read_numbered_json(path: Path) -> Iterator[tuple[int, Any]]:
    """Yield the number, from 1, and the JSON value of each line that is not blank.

    Raises:
        DataError: as :func:`read_json_lines`.
    """
    for number, value, _ in read_sized_json(path):
        yield number, value


def read_sized_json(path: Path) -> Iterator[tuple[int, Any, int]]:
    """Yield number, JSON value and length in characters of each line that is not blank.

    Raises:
        DataError: as :func:`read_json_lines`.
    """
    for number, line in read_lines(path):
        if line.strip():
            yield number, _parse_json(line, f"{path}:{number}"), len(line)


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


def _open(path: Path, content: bytes | None) -> BufferedReader:
    if content is not None:
        held = BytesIO(content)
        is_archive = path.suffix.lower() == GZIP_SUFFIX or content.startswith(GZIP_MAGIC)
        return cast("BufferedReader", gzip.open(held) if is_archive else held)
    if path.suffix.lower() != GZIP_SUFFIX:
        file = path.open("rb")
        if file.peek(2)[:2] != GZIP_MAGIC:
            return file
        file.close()
    return cast("BufferedReader", gzip.open(path))


def _is_wide(block: bytes) -> bool:
    """Return whether every second byte of a block is mostly NUL, as in UTF-16 without a mark."""
    half = len(block[:4096]) // 2
    return half > 1 and any(
        block[start:4096:2].count(0) > 0.7 * half and not block[1 - start : 4096 : 2].count(0)
        for start in (0, 1)
    )


def _decode(path: Path, number: int, block: bytes) -> Iterator[tuple[int, list[str]]]:
    """Yield the lines of a block, of which the last has no end, and their first number."""
    try:
        text = block.decode("utf-8")
    except UnicodeDecodeError as error:
        good = block.rfind(b"\n", 0, error.start)
        if good >= 0:
            lines = _split(block[:good].decode("utf-8"))
            yield number, lines
            number += len(lines)
        raise _not_utf8(path, number, error) from error
    yield number, _split(text)


def _ends_lines_by_cr(block: bytes) -> bool:
    """Return whether a block seems to hold lines, but none that ends in LF."""
    inner = block.rstrip(b"\r\n")
    return inner.count(b"\r") >= FEWEST_CR and b"\n" not in inner


def _split(text: str) -> list[str]:
    lines = text.split("\n")
    return [line.removesuffix("\r") for line in lines] if "\r" in text else lines


def _not_utf8(path: Path, number: int, error: UnicodeDecodeError) -> DataError:
    return DataError(
        f"{path}:{number}: byte {error.object[error.start]:#04x} is not UTF-8: "
        "convert the file to UTF-8"
    )
