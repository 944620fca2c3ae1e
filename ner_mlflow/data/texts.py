"""Texts without labels: one a line, or a field of JSONL, gzipped or not, or a column of Parquet."""

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq

from ..errors import DataError
from .sources import parse_json_line

TEXT_FIELDS = ("text", "content", "body")
"""The first of these that a row has is its text."""


def read_texts(path: Path) -> Iterator[str]:
    """The texts of a ``.txt``, ``.jsonl`` (also ``.gz`` of these) or ``.parquet`` file, in order.

    Raises:
        DataError: there is no such file, it is of another kind, or a row holds no text.
    """
    if not path.is_file():
        raise DataError(
            f"texts {path}: no such file: give a .txt, .jsonl, .jsonl.gz or .parquet file"
        )
    kind = [suffix for suffix in path.suffixes if suffix != ".gz"][-1:]
    if kind == [".parquet"]:
        yield from _from_parquet(path)
    elif kind in ([".txt"], [".jsonl"]):
        yield from _from_lines(path, is_json=kind == [".jsonl"])
    else:
        raise DataError(f"texts {path}: neither .txt, .jsonl, .jsonl.gz nor .parquet: convert it")


def _from_lines(path: Path, is_json: bool) -> Iterator[str]:
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as file:
        try:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield _text_of(line, f"{path}:{number}") if is_json else line.rstrip("\n")
        except (UnicodeDecodeError, gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise DataError(
                f"texts {path}: not UTF-8, or a broken archive ({error}): convert it"
            ) from error


def _text_of(line: str, place: str) -> str:
    row = parse_json_line(line, place)
    for field in TEXT_FIELDS:
        if isinstance(row, dict) and isinstance(row.get(field), str):
            return str(row[field])
    raise DataError(
        f"{place}: none of the fields {', '.join(TEXT_FIELDS)} holds a text: rename one"
    )


def _from_parquet(path: Path) -> Iterator[str]:
    try:
        file = pq.ParquetFile(path)
    except (OSError, ValueError) as error:
        raise DataError(f"texts {path}: not Parquet ({error}): convert it") from error
    field = next((name for name in TEXT_FIELDS if name in file.schema_arrow.names), None)
    if field is None:
        raise DataError(
            f"texts {path}: none of the columns {', '.join(TEXT_FIELDS)} is there, only {', '.join(file.schema_arrow.names)}: rename one"
        )
    for batch in file.iter_batches(columns=[field]):
        yield from (text for text in batch.column(0).to_pylist() if text is not None)
