"""Cut the rows of texts that arrive in Arrow batches, as the tasks of a cluster read them.

A task sees some rows of some files. What it returns for a row names the row's place in the source,
so that the rows can be put in order again. The functions need no cluster: they map batches.
"""

import codecs
import pickle
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from ..data.files import read_blocks
from ..errors import DataError
from .documents import (
    LONGEST_BYTES,
    Item,
    LongLine,
    Row,
    batch_rows,
    documents_of,
    json_row,
    text_row,
    wanted_columns,
)
from .reading import CutDocument, cut_document
from .sampling import LARGEST, SmallestRanks, rank
from .skipped import Notice

FILE, BLOCK, ROW, SIZE, VALUE = "_file", "_block", "_row", "_size", "_value"
"""Columns of a batch: the file's address; where its part begins; the number of the row in the file;
the number of bytes of the line; its bytes, or those of the file."""
CUT_COLUMNS = pa.schema(
    [
        pa.field("bucket", pa.int32()),
        pa.field("number", pa.int64()),
        pa.field("items", pa.binary()),
    ]
)
"""Columns of :func:`cut_batches`."""
RANK_COLUMNS = pa.schema([pa.field("ranks", pa.binary())])
"""Column of :func:`rank_batches`."""
BATCH_BYTES = 4_194_304


class TableFile(NamedTuple):
    """A file of the source.

    Attributes:
        name: its name in ids.
        origin: its name in messages.
        first: the number of rows of the files before it.
    """

    name: str
    origin: str
    first: int


@dataclass(frozen=True)
class RowPlan:
    """How the rows of one kind of files are numbered and read.

    Attributes:
        suffix: ``.jsonl``, ``.parquet`` or ``.txt``.
        files: the files by address, as column :data:`FILE` gives it.
        lines_before: for files of lines, how many lines stand before each part, by the address and
            the beginning of the part.
        bucket_rows: so many neighbouring rows of the source share a bucket.
        limit: documents of a larger rank are not in the sample.
        seed: that of the ranks.
    """

    suffix: str
    files: Mapping[str, TableFile]
    lines_before: Mapping[tuple[str, int], int]
    bucket_rows: int = 1
    limit: int = LARGEST
    seed: int = 0


def cut_batches(plan: RowPlan, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield what the documents of some rows are cut into, in :data:`CUT_COLUMNS`.

    ``number`` is that of the row in the source, ``bucket`` follows from it, and ``items`` holds
    what :func:`unpack` returns. Rows without any item are left out.
    """
    rows: list[tuple[int, bytes]] = []
    size = 0
    for number, row in _rows(plan, batches):
        items: list[CutDocument | Notice] = []
        for item in _items(row):
            if isinstance(item, Notice):
                items.append(item)
            elif plan.limit == LARGEST or rank(item, plan.seed) <= plan.limit:
                items.append(cut_document(item))
        if items:
            rows.append((number, pickle.dumps(items, pickle.HIGHEST_PROTOCOL)))
            size += len(rows[-1][1])
        if size > BATCH_BYTES:
            yield _cut_batch(rows, plan.bucket_rows)
            rows, size = [], 0
    yield _cut_batch(rows, plan.bucket_rows)


def unpack(items: bytes) -> list[CutDocument | Notice]:
    """Return what :func:`cut_batches` packed: each document of a row, or what stands for it."""
    unpacked: list[CutDocument | Notice] = pickle.loads(items)
    return unpacked


def rank_batches(
    plan: RowPlan, size: int, batches: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    """Yield the smallest ranks of some documents, so many at most, in :data:`RANK_COLUMNS`."""
    smallest = SmallestRanks(size)
    for _, row in _rows(plan, batches):
        for item in _items(row):
            if not isinstance(item, Notice):
                smallest.add(rank(item, plan.seed))
    ranks = pa.array([smallest.ranks().tobytes()], pa.binary())
    yield pa.RecordBatch.from_arrays([ranks], schema=RANK_COLUMNS)


def _items(row: Row | Notice) -> Iterator[Item]:
    return iter([row]) if isinstance(row, Notice) else documents_of(row)


def _cut_batch(rows: list[tuple[int, bytes]], bucket_rows: int) -> pa.RecordBatch:
    numbers = [number for number, _ in rows]
    columns = ([number // bucket_rows for number in numbers], numbers, [items for _, items in rows])
    arrays = [
        pa.array(column, field.type) for column, field in zip(columns, CUT_COLUMNS, strict=True)
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=CUT_COLUMNS)


def _rows(plan: RowPlan, batches: Iterator[pa.RecordBatch]) -> Iterator[tuple[int, Row | Notice]]:
    """Yield the number in the source of each row, and the row."""
    if plan.suffix == ".jsonl":
        return _json_rows(plan, batches)
    return _table_rows(plan, batches) if plan.suffix == ".parquet" else _text_rows(plan, batches)


def _json_rows(
    plan: RowPlan, batches: Iterator[pa.RecordBatch]
) -> Iterator[tuple[int, Row | Notice]]:
    part: tuple[str, int] | None = None
    number = 0
    for batch in batches:
        for *place, size, value in _tuples(batch, FILE, BLOCK, SIZE, VALUE):
            if part != tuple(place):
                part = (place[0], place[1])
                number = plan.lines_before[part]
            file = plan.files[part[0]]
            line = value if number else value.removeprefix(codecs.BOM_UTF8)
            read = line if size <= LONGEST_BYTES else LongLine(size, line)
            row = json_row(file.name, file.origin, number + 1, read)
            if row is not None:
                yield file.first + number, row
            number += 1


def _table_rows(
    plan: RowPlan, batches: Iterator[pa.RecordBatch]
) -> Iterator[tuple[int, Row | Notice]]:
    for batch in batches:
        columns = wanted_columns(batch.schema.names)
        places = list(enumerate(_tuples(batch, FILE, ROW)))
        for address, group in groupby(places, key=lambda place: place[1][0]):
            of_file = list(group)
            start, numbers = of_file[0][0], [number for _, (_, number) in of_file]
            file, part = plan.files[address], batch.select(columns).slice(start, len(numbers))
            rows = batch_rows(part, file.name, file.origin, numbers)
            for number, row in zip(numbers, rows, strict=True):
                yield file.first + number, row


def _text_rows(
    plan: RowPlan, batches: Iterator[pa.RecordBatch]
) -> Iterator[tuple[int, Row | Notice]]:
    for batch in batches:
        for address, content in _tuples(batch, FILE, VALUE):
            file = plan.files[address]
            try:
                row = text_row(file.name, file.origin, read_blocks(Path(file.origin), content))
            except DataError as error:
                row = Notice("weak_broken_file", str(error), id=file.name)
            yield file.first, row


def _tuples(batch: pa.RecordBatch, *columns: str) -> Iterator[tuple[Any, ...]]:
    return zip(*(batch.column(column).to_pylist() for column in columns), strict=True)
