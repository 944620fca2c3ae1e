"""Read texts without labels: lines of text, a field of JSONL rows, or a column of Parquet."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import DataError
from .files import GZIP_SUFFIX, open_parquet, read_json_lines, read_lines, read_parquet_batches

TEXT_FIELDS = ("text", "content", "body")
"""Names of the field or column that holds the text; the first one that exists counts."""


def read_texts(path: Path) -> Iterator[str]:
    """Yield the texts of a ``.txt``, ``.jsonl`` (also gzipped) or ``.parquet`` file, in order.

    The suffix may have any case. Blank lines and nulls of a Parquet column are skipped.

    Raises:
        DataError: there is no such file, its suffix is unknown, it is broken, or a row has no text.
    """
    if not path.is_file():
        raise DataError(
            f"texts {path}: no such file: give a .txt, .jsonl, .jsonl.gz or .parquet file"
        )
    suffixes = [name.lower() for name in reversed(path.suffixes)]
    suffix = next((name for name in suffixes if name != GZIP_SUFFIX), "")
    if suffix == ".parquet":
        yield from _read_column(path)
    elif suffix == ".jsonl":
        for origin, row in read_json_lines(path):
            yield _text_of(row, origin)
    elif suffix == ".txt":
        yield from (line for _, line in read_lines(path) if line.strip())
    else:
        raise DataError(f"texts {path}: neither .txt, .jsonl, .jsonl.gz nor .parquet: convert it")


def _text_of(row: Any, origin: str) -> str:
    for field in TEXT_FIELDS:
        if isinstance(row, dict) and isinstance(row.get(field), str):
            return str(row[field])
    raise DataError(
        f"{origin}: none of the fields {', '.join(TEXT_FIELDS)} holds a text: rename one"
    )


def _read_column(path: Path) -> Iterator[str]:
    file = open_parquet(path)
    columns = file.schema_arrow.names
    field = next((name for name in TEXT_FIELDS if name in columns), None)
    if field is None:
        raise DataError(
            f"texts {path}: no column {', '.join(TEXT_FIELDS)} among {', '.join(columns)}: "
            "rename one"
        )
    for batch in read_parquet_batches(path, file, columns=[field]):
        yield from (text for text in batch.column(0).to_pylist() if text is not None)
