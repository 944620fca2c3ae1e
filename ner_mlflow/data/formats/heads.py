"""Read the beginning of a file, by which its format is known."""

import gzip
from itertools import islice
from pathlib import Path

from ...errors import DataError
from ..files import GZIP_SUFFIX, open_parquet, read_lines
from .base import Head
from .rows import open_rows

HEAD_BYTES = 4096
HEAD_LINES = 200
PARQUET_MAGIC = b"PAR1"


def read_head(path: Path) -> Head:
    """Return the beginning of a file.

    Raises:
        DataError: it cannot be read, or it begins like JSON or Parquet and is not.
    """
    suffix = path.with_suffix("").suffix if path.suffix.lower() == GZIP_SUFFIX else path.suffix
    suffix = suffix.lower()
    with gzip.open(path) if path.suffix.lower() == GZIP_SUFFIX else path.open("rb") as file:
        begin = file.read(HEAD_BYTES)
    if begin.startswith(PARQUET_MAGIC) or suffix == ".parquet":
        row = next((row for _, row in open_rows(path).items if row is not None), None)
        return Head(path, suffix, "parquet", (), row, tuple(open_parquet(path).schema_arrow.names))
    if b"\0" in begin:
        return Head(path, suffix, "binary")
    text = begin.decode("utf-8-sig", errors="replace").lstrip()
    if suffix in (".json", ".jsonl") or text.startswith(("{", "[{", "[\n", "[[")):
        row = next((row for _, row in open_rows(path).items if row is not None), None)
        return Head(path, suffix, "json", (), row)
    lines = (line for _, line in read_lines(path) if line.strip())
    try:
        return Head(path, suffix, "lines", tuple(islice(lines, HEAD_LINES)))
    except DataError:
        return Head(path, suffix, "binary")
