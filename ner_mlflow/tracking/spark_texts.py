"""Read texts with Spark and cut them into sentences on its executors, and write labelled ones.

Spark's own readers read the files, so they may be on any file system that Spark knows. A first pass
counts the rows of each file, which gives each row its number in the source. A second one cuts the
documents of the rows, and a shuffle puts what they give into buckets of neighbouring rows. The
driver fetches a few buckets at a time, in order. So it sees the documents in the order of the
source, however the files were split, and its memory does not grow with the source.
"""

import re
import warnings
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from operator import itemgetter
from pathlib import PurePosixPath
from posixpath import commonpath
from typing import Any, NamedTuple
from urllib.parse import unquote

import numpy as np
import pyarrow as pa

from ..config.schema import WeakConfig
from ..data.files import GZIP_SUFFIX, suffix_of
from ..errors import DataError
from ..private_names import hadoop_files, hadoop_path
from ..redaction import one_line
from ..weak.documents import (
    HIDDEN,
    LONGEST_BYTES,
    SAMPLE_CHARS,
    SETTING,
    SUFFIXES,
    are_hidden,
    find_files,
    has_scheme,
    no_columns,
    no_document,
    unreadable_file,
    wanted_columns,
)
from ..weak.reading import CutDocument
from ..weak.sampling import SmallestRanks
from ..weak.skipped import Notice, SkippedDocuments, beginning
from ..weak.table_rows import (
    BLOCK,
    CUT_COLUMNS,
    FILE,
    RANK_COLUMNS,
    ROW,
    SIZE,
    VALUE,
    RowPlan,
    TableFile,
    cut_batches,
    rank_batches,
    unpack,
)
from .spark import atomic_folder, cause_of, in_order

SESSION_SETTINGS = {
    "spark.sql.adaptive.enabled": "false",  # it may join buckets
    "spark.sql.shuffle.partitions": "16",  # of counts, which are few
    "spark.sql.files.openCostInBytes": "262144",  # small sources are spread over the cores too
    "spark.sql.execution.arrow.maxRecordsPerBatch": "256",  # as many texts in memory
}
"""Settings of the session that reads texts."""
BUCKET_ROWS, MOST_BUCKETS = 500, 5_000
"""Rows of the source in a bucket; more if there would be too many buckets."""
BUCKETS_AHEAD = 4
"""Buckets that the driver fetches at once."""
PROBES = 8
"""Files that are opened at once to see their columns, or whether they are broken."""

_CUT_TYPES = "bucket int, number long, items binary"
_RANK_TYPES = "ranks binary"
_GLOB = re.compile(r"([\[\]{}*?\\,])")
_BROKEN = re.compile(r"FAILED_READ_FILE|not a Parquet file|UNABLE_TO_INFER_SCHEMA")
"""What Spark says of a file that it cannot read, and not of a cluster that fails."""


class SparkFile(NamedTuple):
    """A file of a source.

    Attributes:
        address: as Spark names it.
        name: its name in ids, relative to the folder of all files.
        origin: its name in messages.
        suffix: ``.jsonl``, ``.parquet`` or ``.txt``.
        size: its bytes.
        changed_ms: when it was changed, in Unix time.
    """

    address: str
    name: str
    origin: str
    suffix: str
    size: int
    changed_ms: int


def list_files(spark: Any, source: str) -> Iterator[SparkFile | Notice]:
    """Yield the files of a source in the order of their names, and those that are left out.

    Args:
        spark: the session.
        source: addresses for Spark, or paths of this machine, separated by commas.

    Raises:
        DataError: there is no such file or folder, or it is a file that cannot be read.
    """
    found: Iterable[tuple[str, str, str] | Notice]  # address, name, origin
    if has_scheme(source):
        found = _find_addresses(spark, source)
    else:
        found = (
            file
            if isinstance(file, Notice)
            else (f"file:{file.path.absolute()}", file.name, str(file.path))
            for file in find_files(source)
        )
    for each in found:
        if isinstance(each, Notice):
            yield each
            continue
        address, name, origin = each
        last = PurePosixPath(name).name
        if last.startswith(("_", ".")):
            detail = "(Spark reads no file whose name begins with _ or .)"
            yield Notice("weak_file_left_out", origin, detail, name)
            continue
        for of_spark, size, changed_ms in hadoop_files(spark, address):
            suffix = suffix_of(PurePosixPath(name))
            yield SparkFile(of_spark, name, origin, suffix, size, changed_ms)


def _find_addresses(spark: Any, source: str) -> list[tuple[str, str, str] | Notice]:
    parts = [part.strip() for part in source.split(",") if part.strip()]
    files: dict[str, bool] = {}  # address -> whether it was asked for by its own name
    hidden = set()
    folders = []
    for part in parts:
        inside = sorted((file for file, _, _ in hadoop_files(spark, part)), key=PurePosixPath)
        path, system = hadoop_path(spark, part)
        if not inside and not system.exists(path):
            raise DataError(f"{SETTING} {part!r}: no such file or folder: check the address")
        is_file = system.exists(path) and system.getFileStatus(path).isFile()
        whole = system.getFileStatus(path).getPath().toString()
        folders.append(str(PurePosixPath(whole).parent) if is_file else whole)
        for file in inside:
            files.setdefault(file, is_file)
            if not is_file and are_hidden(PurePosixPath(file).relative_to(whole).parts):
                hidden.add(file)
    root = commonpath([PurePosixPath(folder).as_posix() for folder in folders])
    found: list[tuple[str, str, str] | Notice] = []
    for file, is_asked in files.items():
        name = PurePosixPath(file).relative_to(root).as_posix()
        if file in hidden:
            found.append(Notice("weak_file_left_out", file, HIDDEN, name))
        elif suffix_of(PurePosixPath(file)) in SUFFIXES:
            found.append((file, name, file))
        elif is_asked:
            raise unreadable_file(file)
        else:
            found.append(Notice("weak_file_left_out", file, id=name))
    return found


@dataclass(frozen=True)
class _Table:
    """Files that one of Spark's readers reads with the same columns.

    Attributes:
        suffix: that of the files.
        files: the files.
        columns: for Parquet, the schema of the files and the columns to take.
        is_broken: what stands before the break of each file is read.
    """

    suffix: str
    files: Sequence[SparkFile]
    columns: tuple[Any, Sequence[str]] | None = None
    is_broken: bool = False

    def frame(self, spark: Any) -> Any:
        """Return the rows, with the columns that :mod:`~ner_mlflow.weak.table_rows` names."""
        from pyspark.sql import functions as f

        paths = [_GLOB.sub(r"\\\1", file.address) for file in self.files]
        reader = spark.read.option("ignoreCorruptFiles", str(self.is_broken).lower())
        address = f.col("_metadata.file_path").alias(FILE)
        if self.suffix == ".jsonl":
            value = f.col("value").cast("binary")
            size = f.octet_length("value")
            return (
                reader.option("lineSep", "\n")
                .text(paths)
                .select(
                    address,
                    f.col("_metadata.file_block_start").alias(BLOCK),
                    size.alias(SIZE),
                    f.when(size <= LONGEST_BYTES, value)
                    .otherwise(f.substring(value, 1, SAMPLE_CHARS))
                    .alias(VALUE),
                )
            )
        if self.suffix == ".parquet":
            assert self.columns is not None
            schema, names = self.columns
            frame = reader.schema(schema).parquet(*paths)
            row = f.col("_metadata.row_index").alias(ROW)
            return frame.select(address, row, *(f.col(f"`{name}`") for name in names))
        frame = reader.format("binaryFile").load(paths)
        return frame.select(address, f.col("content").alias(VALUE))


class _FileNotice(NamedTuple):
    """A notice about a whole file, which follows what its rows give."""

    address: str
    notice: Notice


class SparkSource:
    """A source that Spark reads; calling it cuts the documents, see :data:`~.reading.CutSource`."""

    def __init__(self, spark: Any, master: str) -> None:
        """
        Args:
            spark: an open session with :data:`SESSION_SETTINGS`.
            master: its master, for messages.
        """
        self._spark = spark
        self._master = master

    def __call__(self, config: WeakConfig, skipped: SkippedDocuments) -> Iterator[CutDocument]:
        """Yield what is computed of each document, or of the sample of them, in order.

        Args:
            config: the source, the number of documents to take, and the seed.
            skipped: receives what is left out.

        Raises:
            DataError: the source cannot be read, or yields no document; or the cluster failed.
        """
        with cause_of(f"Spark at {self._master} failed on {config.source}"):
            yield from self._cut(config, skipped)

    def _cut(self, config: WeakConfig, skipped: SkippedDocuments) -> Iterator[CutDocument]:
        files: list[SparkFile] = []
        notices: list[_FileNotice] = []
        for file in list_files(self._spark, config.source):
            if isinstance(file, Notice):
                skipped.add(file)
            else:
                files.append(file)
        plans, rows, ends = self._number(files, self._tables(files, notices), notices)
        order = {file.address: index for index, file in enumerate(files)}
        notices.sort(key=lambda notice: order[notice.address])
        of_files = deque((ends[address], notice) for address, notice in notices)
        if not rows:
            for _, notice in of_files:
                skipped.add(notice)
            raise no_document(config.source, skipped)
        bucket_rows = max(BUCKET_ROWS, -(-rows // MOST_BUCKETS))
        plans = [
            (replace(plan, bucket_rows=bucket_rows, seed=config.seed), table)
            for plan, table in plans
        ]
        if config.sample:
            limit = self._sample_limit(plans, config.sample)
            plans = [(replace(plan, limit=limit), table) for plan, table in plans]
        count = 0
        for number, items in self._cut_rows(plans, -(-rows // bucket_rows)):
            while of_files and of_files[0][0] <= number:
                skipped.add(of_files.popleft()[1])
            for item in items:
                if isinstance(item, Notice):
                    skipped.add(item)
                else:
                    count += 1
                    yield item
        for _, notice in of_files:
            skipped.add(notice)
        if not count:
            raise no_document(config.source, skipped)

    def _tables(self, files: Sequence[SparkFile], notices: list[_FileNotice]) -> list[_Table]:
        """Return the files by what is read alike; those that cannot be read become notices."""
        of_suffix: dict[str, list[SparkFile]] = defaultdict(list)
        for file in files:
            is_plain = not file.address.lower().endswith(GZIP_SUFFIX)
            if file.suffix == ".txt" and file.size > LONGEST_BYTES and is_plain:
                begin = beginning(self._begin(file).decode("utf-8", "replace"))
                notice = Notice("weak_too_long", file.origin, "", file.name, begin)
                notices.append(_FileNotice(file.address, notice))
            else:
                of_suffix[file.suffix].append(file)
        tables = [_Table(suffix, of_suffix[suffix]) for suffix in (".jsonl", ".txt")]
        of_schema: dict[str, tuple[Any, list[SparkFile]]] = {}
        probes = self._probe(of_suffix[".parquet"], self._schema)
        for file, schema in zip(of_suffix[".parquet"], probes, strict=True):
            if isinstance(schema, Exception):
                notices.append(_broken(file, schema))
            elif not wanted_columns(schema.names):
                rows = self._spark.read.schema(schema).parquet(_path(file)).count()
                notice = no_columns(file.name, file.origin, schema.names, rows)
                notices.append(_FileNotice(file.address, notice))
            else:
                of_schema.setdefault(schema.json(), (schema, []))[1].append(file)
        for schema, alike in of_schema.values():
            tables.append(_Table(".parquet", alike, (schema, wanted_columns(schema.names))))
        return [table for table in tables if table.files]

    def _begin(self, file: SparkFile) -> bytes:
        path, system = hadoop_path(self._spark, file.address)
        stream = system.open(path)
        try:
            return bytes(stream.readNBytes(SAMPLE_CHARS))
        finally:
            stream.close()

    def _schema(self, file: SparkFile) -> Any:
        return self._spark.read.parquet(_path(file)).schema

    def _probe(self, files: Sequence[SparkFile], probe: Callable[[SparkFile], Any]) -> list[Any]:
        """Return what a function returns for each file, or the error of a broken one."""

        def guarded(file: SparkFile) -> Any:
            try:
                return probe(file)
            except Exception as error:
                if not _BROKEN.search(str(error)):
                    raise
                return error

        with ThreadPoolExecutor(PROBES) as pool:
            return list(pool.map(guarded, files))

    def _number(
        self, files: Sequence[SparkFile], tables: Sequence[_Table], notices: list[_FileNotice]
    ) -> tuple[list[tuple[RowPlan, _Table]], int, dict[str, int]]:
        """Count the rows of all files.

        Returns:
            How each table is read, the number of all rows, and for each file the number of rows up
            to its end, by address.
        """
        counted: list[tuple[_Table, dict[tuple[str, int], int]]] = []
        for table in tables:
            try:
                counted.append((table, self._count(table)))
            except Exception as error:
                if not _BROKEN.search(str(error)):
                    raise
                counted += [(part, self._count(part)) for part in self._apart(table, notices)]
        of_file: dict[str, int] = defaultdict(int)
        for _, parts in counted:
            for (address, _), rows in parts.items():
                of_file[unquote(address)] += rows
        firsts, ends, total = {}, {}, 0
        for file in files:
            firsts[file.address] = TableFile(file.name, file.origin, total)
            total += of_file[file.address]
            ends[file.address] = total
        plans = []
        for table, parts in counted:
            addresses = {address: firsts[unquote(address)] for address, _ in parts}
            before: dict[tuple[str, int], int] = {}
            lines: dict[str, int] = defaultdict(int)
            for address, block in sorted(parts):
                before[address, block] = lines[address]
                lines[address] += parts[address, block]
            plans.append((RowPlan(table.suffix, addresses, before), table))
        return plans, total, ends

    def _count(self, table: _Table) -> dict[tuple[str, int], int]:
        """Return the number of rows of each part of each file, which is read to its end."""
        from pyspark.sql import functions as f

        frame = table.frame(self._spark)
        if table.suffix != ".jsonl":
            frame = frame.withColumn(BLOCK, f.lit(0))
        # A column must be read for its broken pages to be noticed; a text is not opened.
        names = table.columns[1] if table.columns else ()
        read = [f.count(f.col(f"`{name}`")) for name in names]
        counts = frame.groupBy(FILE, BLOCK).agg(f.count(f.lit(1)), *read).collect()
        return {(address, block): rows for address, block, rows, *_ in counts}

    def _apart(self, table: _Table, notices: list[_FileNotice]) -> list[_Table]:
        """Return the files of a table in two: those that can be read, and those that break."""

        def read(file: SparkFile) -> None:
            self._count(replace(table, files=[file]))

        errors = self._probe(table.files, read)
        notices += [
            _broken(file, error)
            for file, error in zip(table.files, errors, strict=True)
            if error is not None
        ]
        halves = [
            replace(
                table,
                files=[
                    file
                    for file, error in zip(table.files, errors, strict=True)
                    if (error is not None) is is_broken
                ],
                is_broken=is_broken,
            )
            for is_broken in (False, True)
        ]
        return [half for half in halves if half.files]

    def _sample_limit(self, plans: Sequence[tuple[RowPlan, _Table]], size: int) -> int:
        """Return the largest rank of a document in the sample."""
        frames = [
            _map_batches(table.frame(self._spark), partial(rank_batches, plan, size), _RANK_TYPES)
            for plan, table in plans
        ]
        ranks = _union(frames).rdd.map(partial(_ranks_of, RANK_COLUMNS.names[0]))
        smallest = np.frombuffer(ranks.treeReduce(partial(_merge, size)), dtype=np.uint64)
        return SmallestRanks(size, smallest).limit

    def _cut_rows(
        self, plans: Sequence[tuple[RowPlan, _Table]], buckets: int
    ) -> Iterator[tuple[int, list[CutDocument | Notice]]]:
        """Yield the number and the items of each row that has some, in the order of the source."""
        from pyspark.sql.functions import col

        frames = [
            _map_batches(table.frame(self._spark), partial(cut_batches, plan), _CUT_TYPES)
            for plan, table in plans
        ]
        names = CUT_COLUMNS.names
        rows = _union(frames).repartitionById(buckets, col(names[0])).select(*names[1:]).rdd
        context = self._spark.sparkContext
        fetches = (partial(context.runJob, rows, iter, [bucket]) for bucket in range(buckets))
        for fetched in in_order(fetches, BUCKETS_AHEAD, context):
            for number, items in sorted(fetched, key=itemgetter(0)):
                yield number, unpack(bytes(items))


def write_on_spark(spark: Any, table: pa.Table, output: str) -> None:
    """Write a table as a folder of Parquet files, which appears once all are written.

    Args:
        spark: the session.
        table: the table; the order of its rows is that of the files' names.
        output: the address of the folder, on any of Spark's file systems.

    Raises:
        DataError: it exists.
    """
    with atomic_folder(spark, output) as part, warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of pandas, which is not used here
        spark.createDataFrame(table).write.parquet(part)


def _path(file: SparkFile) -> str:
    """Return an address in which no character stands for others."""
    return _GLOB.sub(r"\\\1", file.address)


def _broken(file: SparkFile, error: Exception) -> _FileNotice:
    reasons = re.findall(r"(?:Caused by: )?\S*(?:Error|Exception): ([^\n]+)", str(error))
    detail = one_line(reasons[-1] if reasons else error, limit=120)
    notice = Notice("weak_broken_file", file.origin, f"({detail})", file.name)
    return _FileNotice(file.address, notice)


def _map_batches(frame: Any, function: Callable[[Any], Any], types: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of pandas, which is not used here
        return frame.mapInArrow(function, types)


def _union(frames: Sequence[Any]) -> Any:
    whole = frames[0]
    for frame in frames[1:]:
        whole = whole.unionAll(frame)
    return whole


def _ranks_of(column: str, row: Any) -> bytes:
    return bytes(row[column])


def _merge(size: int, first: bytes, second: bytes) -> bytes:
    both = np.frombuffer(first + second, dtype=np.uint64)
    return SmallestRanks(size, both).ranks().tobytes()
