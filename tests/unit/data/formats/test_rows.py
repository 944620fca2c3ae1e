"""Rows of JSON and Parquet: streamed from any holder, and refused where it is not clear."""

import gzip
import json
import tracemalloc
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ner_mlflow.data.findings import Findings
from ner_mlflow.data.formats.rows import find_class_names, open_rows
from ner_mlflow.errors import DataError

ROW = {"text": "a", "label": [[0, 1, "X"]]}


def write(folder: Path, text: str | bytes, name: str = "a.json") -> Path:
    (folder / name).write_bytes(text.encode() if isinstance(text, str) else text)
    return folder / name


def places(path: Path) -> list[tuple[str, object]]:
    rows = open_rows(path)
    return [(f"{rows.place}{number}".removeprefix(str(path)), row) for number, row in rows.items]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"a": 1}\n\n{"a": 2}\n', [(":1", {"a": 1}), (":3", {"a": 2})]),
        ('{"a": 1}', [(":1", {"a": 1})]),
        ('{"a":\n1}\n{"a":\n2}', [(":1", {"a": 1}), (":3", {"a": 2})]),
        ('[{"a": 1}, {"a": 2}]', [(", item 0", {"a": 1}), (", item 1", {"a": 2})]),
        (' [\n {"a": 1},\n null\n]\n', [(", item 0", {"a": 1}), (", item 1", None)]),
        ('[["a", {"entities": []}]]', [(", item 0", ["a", {"entities": []}])]),
        ('["a", {"entities": []}]\n["b", {}]\n', [
            (":1", ["a", {"entities": []}]), (":2", ["b", {}]),
        ]),
        ('{"v": "1", "data": [{"a": 1}], "n": [1]}', [(", data, item 0", {"a": 1})]),
        ('{"classes": ["X"], "annotations": [["a", {}]]}', [(", annotations, item 0", ["a", {}])]),
        (json.dumps({"text": "a", "entities": [{"id": 1}]}, indent=1), [
            (":1", {"text": "a", "entities": [{"id": 1}]}),
        ]),
        ('{"id": 1, "data": {"text": "a"}, "annotations": [{"result": []}]}', [
            (":1", {"id": 1, "data": {"text": "a"}, "annotations": [{"result": []}]}),
        ]),
        ('{"id": 1, "body": "a", "label": [[0, 1, "X"]]}', [
            (":1", {"id": 1, "body": "a", "label": [[0, 1, "X"]]}),
        ]),
        ("[]", []),
        ("", []),
        ('\ufeff[{"a": 1}]', [(", item 0", {"a": 1})]),
    ],
)  # fmt: skip
def test_rows_are_found_in_every_holder(
    tmp_path: Path, text: str, expected: list[tuple[str, object]]
) -> None:
    assert places(write(tmp_path, text)) == expected
    assert places(write(tmp_path, gzip.compress(text.encode()), "a.json.gz")) == expected


def test_rows_in_a_field_are_told(tmp_path: Path) -> None:
    findings = Findings()
    path = write(tmp_path, json.dumps({"data": [ROW]}))
    assert list(open_rows(path, findings, "train").items) == [(0, ROW)]
    assert findings.count("rows_in_field", "train") == 1


def test_several_lists_of_rows_in_one_object_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path, json.dumps({"train": [ROW], "test": [ROW]}))
    with pytest.raises(DataError, match=r"several lists of rows, 'train', 'test': write each to"):
        open_rows(path)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('{"a": 1}\n{"a": \n', ":2: not JSON"),
        ('{"a": 1\n{"a": 2}\n', ":2: not JSON"),
        ('[{"a": 1},\n{"a": 2},\n]', ":3: not JSON"),
        ('[{"a": 1},\n{"a": 2}', ":2: not JSON"),
        ('[{"a": 1}\n{"a": 2}]', ":2: not JSON"),
        ('[{"a": 1}]\n[{"a": 2}]', ":2: not JSON (more follows"),
        ('{"data": [{"a": 1},\n{]}', ":2: not JSON"),
        ("[" * 100_000, ":1: not JSON"),
        ('[{"a": ' + "1" * 5000 + "}]", ":1: not JSON"),
        ('[{"a": "x}]', ":1: not JSON"),
        ("{'a': 1}\n", ":1: not JSON"),
        (b'[{"a": "\xff"}]', ":1: byte 0xff is not UTF-8"),
    ],
)
def test_json_that_is_broken_is_named_with_its_line(
    tmp_path: Path, text: str | bytes, place: str
) -> None:
    path = write(tmp_path, text)
    with pytest.raises(DataError) as caught:
        list(open_rows(path).items)
    assert str(caught.value).startswith(f"{path}{place}")
    assert "\n" not in str(caught.value)


def test_a_long_array_is_a_stream(tmp_path: Path) -> None:
    path = tmp_path / "a.json.gz"
    with gzip.open(path, "wt") as file:
        row = json.dumps({"tokens": ["word"] * 50})
        file.write('{"data": [' + ",".join([row] * 20_000) + "]}")
    tracemalloc.start()
    try:
        assert sum(1 for _ in open_rows(path).items) == 20_000
        assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()


# --- Parquet


def test_parquet_is_known_by_its_content(tmp_path: Path) -> None:
    pq.write_table(pa.Table.from_pylist([ROW | {"label": None}]), tmp_path / "train.bin")
    assert places(tmp_path / "train.bin") == [(", row 0", {"text": "a", "label": None})]


@pytest.mark.parametrize(
    "content", [b"", b"PAR1", b"tokens,tags\n", b"PAR1" + bytes(100) + b"PAR1"]
)
def test_a_file_that_is_not_parquet_is_refused_on_one_line(tmp_path: Path, content: bytes) -> None:
    path = write(tmp_path, content, "train.parquet")
    with pytest.raises(DataError, match="not a Parquet file") as caught:
        open_rows(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_gzipped_parquet_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, gzip.compress(b"PAR1..."), "train.parquet.gz")
    with pytest.raises(DataError, match="a gzipped Parquet file: decompress it"):
        open_rows(path)


def test_text_of_parquet_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    text = pa.Array.from_buffers(
        pa.string(), 1, [None, pa.py_buffer(bytes([0, 0, 0, 0, 1, 0, 0, 0])), pa.py_buffer(b"\xff")]
    )
    pq.write_table(pa.table({"text": text}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match=r"a\.parquet: broken after row 0 \("):
        list(open_rows(tmp_path / "a.parquet").items)


@pytest.mark.parametrize(
    ("feature", "names"),
    [
        ({"feature": {"names": ["O"], "_type": "ClassLabel"}, "_type": "Sequence"}, ["O"]),
        ([{"names": ["O"], "_type": "ClassLabel"}], ["O"]),
        ({"feature": {"feature": {"names": ["O"]}}}, ["O"]),
        ({"names": [1]}, None),
        ({"feature": None}, None),
        ([], None),
        (7, None),
    ],
)
def test_class_names_are_found_in_any_list(feature: object, names: list[str] | None) -> None:
    assert find_class_names(feature) == names


@pytest.mark.parametrize("name", ["body", "message", "utterance"])
def test_an_object_with_spans_is_a_row(tmp_path: Path, name: str) -> None:
    row = {name: "Redis on Ubuntu", "entities": [{"start": 0, "end": 5, "label": "SW"}]}
    path = tmp_path / "a.json"
    path.write_text(json.dumps(row), encoding="utf-8")
    assert [item for _, item in open_rows(path).items] == [row]


@pytest.mark.parametrize("name", ["description", "message"])
def test_an_object_that_describes_its_rows_holds_them(tmp_path: Path, name: str) -> None:
    row = {"text": "Redis on Ubuntu", "entities": [{"start": 0, "end": 5, "label": "SW"}]}
    path = tmp_path / "a.json"
    path.write_text(json.dumps({name: "our tickets", "rows": [row]}), encoding="utf-8")
    assert [item for _, item in open_rows(path).items] == [row]
