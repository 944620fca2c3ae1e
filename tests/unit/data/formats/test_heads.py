"""Beginnings of files: known by content, and errors on one line for what cannot be read."""

import gzip
import pickle
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ner_mlflow.data.formats.heads import read_head
from ner_mlflow.data.formats.registry import find_format, recognize
from ner_mlflow.errors import DataError

CONLL = "Redis\tB-APP\nruns\tO\n"
JSONL = '{"tokens": ["a"], "ner_tags": ["O"]}\n'


def write(folder: Path, content: str | bytes, name: str) -> Path:
    (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return folder / name


@pytest.mark.parametrize(
    ("name", "content", "kind", "suffix"),
    [
        ("train.conll", CONLL, "lines", ".conll"),
        ("TRAIN.CONLL.GZ", gzip.compress(CONLL.encode(), mtime=0), "lines", ".conll"),
        ("train", gzip.compress(CONLL.encode(), mtime=0), "lines", ""),
        ("train.txt", "\ufeff" + CONLL, "lines", ".txt"),
        ("eng.train", CONLL, "lines", ".train"),
        ("train.txt", JSONL, "json", ".txt"),
        ("train.data", "\ufeff" + JSONL, "json", ".data"),
        ("train.jsonl.gz", gzip.compress(JSONL.encode(), mtime=0), "json", ".jsonl"),
        ("train.txt", f"[{JSONL}]", "json", ".txt"),
        ("train.conll", "{ O\n} O\n", "lines", ".conll"),
        ("train.conll", "", "lines", ".conll"),
        ("train.json", "", "json", ".json"),
        ("a.bin", pickle.dumps([1.5, "a", b"\xff"]), "binary", ".bin"),
        ("a.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "binary", ".png"),
        ("a.tar", b"name" + bytes(508), "binary", ".tar"),
        ("a.txt", "a\x01 O\nb O\n", "lines", ".txt"),
    ],
)
def test_the_kind_of_a_file_is_seen(
    tmp_path: Path, name: str, content: str | bytes, kind: str, suffix: str
) -> None:
    head = read_head(write(tmp_path, content, name))
    assert (head.kind, head.suffix) == (kind, suffix)
    assert (recognize(head) is None) == (kind == "binary")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", CONLL.encode("utf-16"), "is UTF-16: convert the file to UTF-8"),
        ("a.json", JSONL.encode("utf-16-le"), "is UTF-16: convert the file to UTF-8"),
        ("a.conll.gz", gzip.compress(CONLL.encode(), mtime=0)[:8], "a broken archive ("),
        ("a.conll.gz", b"\x1f\x8b\x08" + b"x" * 30, "a broken archive ("),
        ("a.conll.gz", CONLL.encode(), "a broken archive ("),
        ("a.json", "{'a': 1}", "not JSON ("),
        ("a.txt", '{"a": 1\n', "not JSON ("),
        ("a.parquet", "x", "not a Parquet file ("),
    ],
)
def test_what_cannot_be_read_is_refused_on_one_line(
    tmp_path: Path, name: str, content: str | bytes, message: str
) -> None:
    path = write(tmp_path, content, name)
    with pytest.raises(DataError) as caught:
        read_head(path)
    assert str(caught.value).startswith(str(path))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_rows_of_no_format_are_refused_with_their_fields(tmp_path: Path) -> None:
    path = write(tmp_path, '{"x": 1, "y": 2}', "a.json")
    with pytest.raises(DataError, match=r"of no known format, a row has the fields x, y \("):
        find_format(path)


@pytest.mark.parametrize("name", ["folder", "folder.gz", "folder.parquet", "missing.conll"])
def test_a_folder_or_a_missing_file_is_refused(tmp_path: Path, name: str) -> None:
    if name != "missing.conll":
        (tmp_path / name).mkdir()
    with pytest.raises(DataError, match=f"{name}: (cannot be read|not a Parquet file)"):
        read_head(tmp_path / name)


def test_a_line_that_is_not_utf8_ends_the_head_and_reading_names_it(tmp_path: Path) -> None:
    head = read_head(write(tmp_path, b"Redis\tO\nGr\xf6\xdfe\tO\n", "a.txt"))
    assert head.lines == ("Redis\tO",)


@settings(deadline=None, max_examples=150)
@given(
    content=st.one_of(
        st.binary(max_size=60),
        st.text(max_size=40).map(lambda text: text.encode("utf-8", "replace")),
        st.text('{}[]",: \n\ta1O', max_size=30).map(str.encode),
    ),
    name=st.sampled_from(["a", "a.gz", "a.json", "a.conll", "a.parquet", "a.csv", "a.jsonl.gz"]),
)
def test_any_bytes_give_a_head_or_one_line(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, name: str
) -> None:
    path = write(tmp_path_factory.getbasetemp(), content, name)
    shown = ""
    try:
        recognize(read_head(path))
    except DataError as error:
        shown = str(error)
    assert "\n" not in shown
