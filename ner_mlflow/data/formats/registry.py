"""List the formats, and find out the format of a file by its content."""

from pathlib import Path
from types import MappingProxyType

from ...errors import DataError
from .base import Format, Head
from .conll import CONLL
from .conllu import CONLLU
from .csv_table import CSV
from .heads import read_head
from .token_rows import TOKEN_ROWS

FORMATS = MappingProxyType({format_.name: format_ for format_ in (TOKEN_ROWS, CONLLU, CSV, CONLL)})
"""Name -> format; the first that matches a file's beginning is its format."""


def recognize(head: Head) -> Format | None:
    """Return the format of a file by its beginning, or None if it is none of them."""
    return next((format_ for format_ in FORMATS.values() if format_.matches(head)), None)


def find_format(path: Path, name: str = "auto") -> Format:
    """Return the format of a file: the one of this name, or the one that its content shows.

    Raises:
        DataError: the content fits no format.
    """
    if name != "auto":
        return FORMATS[name]
    head = read_head(path)
    if format_ := recognize(head):
        return format_
    row = f", a row has the fields {', '.join(head.row)}" if isinstance(head.row, dict) else ""
    raise DataError(
        f"{path}: of no known format{row[:200]} ({', '.join(FORMATS)}): convert it, or name its "
        "format with source_format"
    )
