"""Write rows as JSON: one object per line, or an array with one item per line."""

import gzip
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

from ..files import GZIP_SUFFIX
from ..rows import json_line


@contextmanager
def open_output(path: Path) -> Iterator[BinaryIO]:
    """Yield a new file for bytes, gzipped if the path ends in ``.gz``."""
    with gzip.open(path, "wb") if path.suffix == GZIP_SUFFIX else path.open("wb") as file:
        yield cast("BinaryIO", file)


def write_json_lines(path: Path, rows: Iterable[Any]) -> None:
    """Write one object per line."""
    with open_output(path) as file:
        file.writelines(f"{json_line(row)}\n".encode() for row in rows)


def write_json_array(path: Path, rows: Iterable[Any]) -> None:
    """Write an array with one item per line, so that it can be read as a stream."""
    with open_output(path) as file:
        separator = b"[\n"
        for row in rows:
            file.write(separator + json_line(row).encode())
            separator = b",\n"
        file.write(b"[]\n" if separator == b"[\n" else b"\n]\n")
