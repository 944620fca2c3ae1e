"""Texts without labels: every format gives them in order, and errors name the position."""

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ner_mlflow.data.texts import read_texts
from ner_mlflow.errors import DataError

TEXTS = ["Java 17 crashes.", "Zeile\nzwei", "naïve 日本 \U0001f600"]


def test_every_format_gives_the_same_texts(tmp_path: Path) -> None:
    lines = (
        "\n".join(json.dumps({"id": index, "content": text}) for index, text in enumerate(TEXTS))
        + "\n\n"
    )
    (tmp_path / "a.jsonl").write_text(lines, encoding="utf-8")
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    pq.write_table(pa.table({"text": [*TEXTS, None]}), tmp_path / "a.parquet")
    for name in ("a.jsonl", "a.jsonl.gz", "a.parquet"):
        assert list(read_texts(tmp_path / name)) == TEXTS


def test_a_text_file_has_a_text_a_line(tmp_path: Path) -> None:
    (tmp_path / "a.v1.txt").write_text("one\n\ntwo words\n", encoding="utf-8")
    assert list(read_texts(tmp_path / "a.v1.txt")) == ["one", "two words"]


def test_a_suffix_may_have_any_case_and_a_file_a_byte_order_mark(tmp_path: Path) -> None:
    lines = b"\xef\xbb\xbf" + b"".join(
        json.dumps({"text": text}).encode() + b"\r\n" for text in TEXTS
    )
    (tmp_path / "a.JSONL").write_bytes(lines)
    (tmp_path / "a.Jsonl.GZ").write_bytes(gzip.compress(lines))
    (tmp_path / "a.TXT").write_bytes(b"\xef\xbb\xbfone\r\n\r\ntwo words\r\n")
    pq.write_table(pa.table({"text": TEXTS}), tmp_path / "a.PARQUET")
    for name in ("a.JSONL", "a.Jsonl.GZ", "a.PARQUET"):
        assert list(read_texts(tmp_path / name)) == TEXTS
    assert list(read_texts(tmp_path / "a.TXT")) == ["one", "two words"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", b'{"text": "a"}\n{"text"\n', r"a.jsonl:2: not JSON"),
        ("a.jsonl", b'{"text": 3}\n', r"a.jsonl:1: none of the fields text, content, body"),
        ("a.jsonl", b'["text"]\n', r"a.jsonl:1: none of the fields"),
        ("a.jsonl.gz", b"plain", r"a.jsonl.gz:1: a broken archive"),
        ("a.txt", b"good\n\xff\xfe\xfa", r"a.txt:2: byte 0xff is not UTF-8"),
        ("a.parquet", b"PAR1", r"a.parquet: not a Parquet file"),
        ("a.docx", b"", r"neither .txt, .jsonl, .jsonl.gz nor .parquet"),
    ],
)
def test_a_file_or_line_without_text_is_named(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        list(read_texts(tmp_path / name))


def test_a_missing_file_is_named() -> None:
    with pytest.raises(DataError, match=r"gone.txt: no such file"):
        list(read_texts(Path("gone.txt")))
