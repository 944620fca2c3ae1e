"""Read the beginning of a file, to recognise its format."""

import codecs
import re
from contextlib import suppress
from itertools import islice
from pathlib import Path

from ...errors import DataError
from ..files import open_parquet, read_blocks, read_lines, suffix_of
from .base import Head
from .columns import holds_columns
from .rows import is_parquet, open_rows

HEAD_BYTES = 4096
HEAD_LINES = 200
JSON_SUFFIXES = (".json", ".jsonl", ".ndjson")
_JSON = re.compile(r'\s*(\{\s*["}]|\[\s*[\[{\]n"])')
"""How JSON objects and lists begin; a CoNLL file may begin with the word ``{``, too."""
_CONTROLS = re.compile(rb"[\x00-\x08\x0e-\x1a]")
"""Control characters that texts hardly hold."""
_NUL_SHARE = 0.05
"""A file with a larger share of NUL bytes is binary."""


def read_head(path: Path) -> Head:
    """Return the beginning of a file.

    Raises:
        DataError: it cannot be read, is UTF-16 or a broken archive, or begins like JSON or Parquet
            but is not.
    """
    suffix = suffix_of(path)
    if is_parquet(path):
        row = next((row for _, row in open_rows(path).items if row is not None), None)
        return Head(path, suffix, "parquet", (), row, tuple(open_parquet(path).schema_arrow.names))
    begin = next(read_blocks(path), b"")[:HEAD_BYTES]
    if _is_binary(begin):
        return Head(path, suffix, "binary")
    is_json = suffix in JSON_SUFFIXES
    if is_json or _JSON.match(begin.decode("utf-8", errors="replace")):
        try:
            row = next((row for _, row in open_rows(path).items if row is not None), None)
            return Head(path, suffix, "json", (), row)
        except DataError:
            if is_json or not holds_columns(_lines(path)):
                raise
    return Head(path, suffix, "lines", _lines(path))


def _is_binary(begin: bytes) -> bool:
    if begin.count(0) > _NUL_SHARE * len(begin):
        return True
    if not _CONTROLS.search(begin):
        return False
    try:
        codecs.getincrementaldecoder("utf-8")().decode(begin)
    except UnicodeDecodeError:
        return True
    return False


def _lines(path: Path) -> tuple[str, ...]:
    """Return the first lines, up to one that is not UTF-8: reading will report it."""
    lines: list[str] = []
    with suppress(DataError):
        lines.extend(islice((line for _, line in read_lines(path) if line.strip()), HEAD_LINES))
    return tuple(lines)
