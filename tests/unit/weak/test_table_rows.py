"""Rows that arrive in parts of any size give what reading their files gives."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from ner_mlflow.config.schema import WeakConfig
from ner_mlflow.data.findings import Findings
from ner_mlflow.weak.documents import LONGEST_BYTES, Row, documents_of
from ner_mlflow.weak.reading import CutDocument, read_and_cut
from ner_mlflow.weak.sampling import rank
from ner_mlflow.weak.skipped import Notice, SkippedDocuments
from ner_mlflow.weak.table_rows import (
    BLOCK,
    CUT_COLUMNS,
    FILE,
    ROW,
    SIZE,
    VALUE,
    RowPlan,
    TableFile,
    cut_batches,
    rank_batches,
    unpack,
)

TEXTS = [f"The cache {n} of shard {n * 7} is slow since build {n * 3}." for n in range(30)]
LINES = [
    b"\xef\xbb\xbf" + json.dumps({"text": TEXTS[0]}).encode() + b"\r",
    b"",
    *(json.dumps({"text": text}).encode() for text in TEXTS[1:]),
    b'{"text": "caf\xe9"}',
    b'{"text": 3}',
]
FILES = {"file:/a": TableFile("a.jsonl", "/t/a.jsonl", 0), "file:/b": TableFile("b", "/t/b", 100)}


def line_batches(size: int, *parts: tuple[str, int, list[bytes]]) -> Iterator[pa.RecordBatch]:
    rows = [
        {FILE: file, BLOCK: block, SIZE: len(line), VALUE: line}
        for file, block, lines in parts
        for line in lines
    ]
    for start in range(0, len(rows), size):
        yield pa.RecordBatch.from_pylist(rows[start : start + size])


def cut(plan: RowPlan, batches: Iterator[pa.RecordBatch]) -> list[tuple[int, object]]:
    """Return the number of the row and each item, in the order of the source."""
    found = []
    for batch in cut_batches(plan, batches):
        assert batch.schema == CUT_COLUMNS
        for row in batch.to_pylist():
            assert row["bucket"] == row["number"] // plan.bucket_rows
            found += [(row["number"], item) for item in unpack(row["items"])]
    return sorted(found, key=lambda pair: pair[0])


def simple(item: object) -> object:
    """Return an item without its keys, which are an array."""
    assert isinstance(item, (CutDocument, Notice))
    return item._replace(keys=None) if isinstance(item, CutDocument) else item


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_lines_get_their_numbers_whatever_parts_they_come_in(size: int, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"\n".join(LINES))
    files = {"file:/a": TableFile("a.jsonl", str(path), 0), "file:/b": FILES["file:/b"]}
    before = {("file:/a", 0): 0, ("file:/a", 512): 12, ("file:/b", 64): 5}
    plan = RowPlan(".jsonl", files, before, bucket_rows=4)
    other = ("file:/b", 64, [json.dumps({"text": TEXTS[9]}).encode()])
    batches = line_batches(size, ("file:/a", 512, LINES[12:]), other, ("file:/a", 0, LINES[:12]))
    *found, (number, last) = cut(plan, batches)
    skipped = SkippedDocuments(Findings())
    expected = list(read_and_cut(WeakConfig(source=str(path), sample=0), skipped))
    documents = [simple(item) for _, item in found if isinstance(item, CutDocument)]
    assert documents == [simple(document) for document in expected]
    notices = [item for _, item in found if isinstance(item, Notice)]
    assert [notice.kind for notice in notices] == list(skipped.reasons())
    assert number == 105
    assert isinstance(last, CutDocument)
    assert (last.id, last.origin) == ("b:6", "/t/b:6")


def test_a_line_that_is_too_long_comes_as_its_beginning() -> None:
    plan = RowPlan(".jsonl", FILES, {("file:/a", 0): 0})
    row = {FILE: "file:/a", BLOCK: 0, SIZE: LONGEST_BYTES + 1, VALUE: b'{"text": "xx'}
    ((_, notice),) = cut(plan, iter([pa.RecordBatch.from_pylist([row])]))
    assert notice == Notice(
        "weak_too_long", "/t/a.jsonl:1", "(8,388,609 bytes)", "a.jsonl:1", '{"text": "xx'
    )


def test_rows_of_tables_keep_the_number_that_the_file_gives_them() -> None:
    batch = pa.table(
        {FILE: ["file:/b", "file:/b", "file:/a"], ROW: [7, 8, 0], "text": [*TEXTS[:2], None]}
    ).to_batches()
    found = cut(RowPlan(".parquet", FILES, {}), iter(batch))
    shown = [(number, getattr(item, "id", "")) for number, item in found]
    assert shown == [(0, "a.jsonl:0"), (107, "b:7"), (108, "b:8")]


def test_a_text_file_is_one_document_gzipped_or_not() -> None:
    text = "The server of mine is slow.\n\nIt has two disks and a cache."
    contents = {
        "a.txt": text.encode(),
        "b.txt.gz": gzip.compress(text.encode()),
        "c.txt": b"caf\xe9",
        "d.txt.gz": gzip.compress(text.encode())[:-4],
    }
    files = {name: TableFile(name, f"/t/{name}", n) for n, name in enumerate(contents)}
    batch = pa.table({FILE: list(contents), VALUE: list(contents.values())}).to_batches()
    first, second, *bad = [item for _, item in cut(RowPlan(".txt", files, {}), iter(batch))]
    assert isinstance(first, CutDocument)
    assert isinstance(second, CutDocument)
    assert first.sentences[1].text == second.sentences[1].text == "It has two disks and a cache."
    assert [getattr(notice, "kind", "") for notice in bad] == [
        "weak_invalid_utf8",
        "weak_broken_file",
    ]


def test_documents_outside_the_sample_are_not_cut() -> None:
    part = ("file:/a", 0, LINES)
    plan = RowPlan(".jsonl", FILES, {("file:/a", 0): 0}, seed=5)
    (batch,) = rank_batches(plan, 4, line_batches(9, part))
    ranks = memoryview(batch["ranks"][0].as_py()).cast("Q").tolist()
    rows = [Row(f"a.jsonl:{n + 1}", "", json.loads(LINES[n])) for n in range(2, 31)]
    documents = [item for row in rows for item in documents_of(row) if not isinstance(item, Notice)]
    assert len(set(ranks) & {rank(document, 5) for document in documents}) >= 3
    limited = RowPlan(".jsonl", FILES, {("file:/a", 0): 0}, seed=5, limit=ranks[-1])
    cut_ones = [item for _, item in cut(limited, line_batches(9, part))]
    assert len([item for item in cut_ones if isinstance(item, CutDocument)]) == 4
    assert len([item for item in cut_ones if isinstance(item, Notice)]) == 2
