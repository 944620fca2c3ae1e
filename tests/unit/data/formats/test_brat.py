"""brat: spans of a file of annotations and the text beside it."""

import gzip
from pathlib import Path

import pytest
from span_formats import read_file, texts_of

from ner_mlflow.data.findings import Findings
from ner_mlflow.data.formats.base import Span
from ner_mlflow.data.formats.brat import BRAT
from ner_mlflow.data.formats.registry import find_format
from ner_mlflow.errors import DataError

TEXT = "😀 Redis on\nUbuntu Server or Debian"


def brat(folder: Path, annotations: str, text: str | bytes = TEXT) -> Path:
    (folder / "a.txt").write_bytes(text if isinstance(text, bytes) else text.encode())
    path = folder / "a.ann"
    path.write_bytes(annotations.encode())
    return path


def test_spans_are_read_and_other_annotations_counted(tmp_path: Path) -> None:
    path = brat(
        tmp_path,
        "T1\tSW 2 7\tRedis\nT2\tOS 11 24\tUbuntu Server\nR1\tRuns Arg1:T1 Arg2:T2\n"
        "E1\tUse:T1\nA1\tNegation E1\nM1\tNegation E1\nN1\tReference T1 Wiki:5\tRedis\n"
        "#1\tAnnotatorNotes T1\tsure?\n*\tEquiv T1 T2\n\n",
    )
    findings = Findings()
    (record,) = read_file(BRAT, path, findings)
    assert record == (
        TEXT,
        [Span(2, 7, "SW", "Redis"), Span(11, 24, "OS", "Ubuntu Server")],
        1,
        "a",
    )
    assert findings.count("annotation_of_other_type", "train") == 7


def test_a_file_without_annotations_has_a_text_without_spans(tmp_path: Path) -> None:
    path = brat(tmp_path, "")
    assert find_format(path) is BRAT
    assert texts_of(read_file(BRAT, path)) == [(TEXT, [])]


@pytest.mark.parametrize(
    ("line", "span"),
    [
        ("T1\tX 8 10;11 17\ton Ubuntu", Span(8, 17, "X", "on\nUbuntu")),
        ("T1\tX 8 17\ton Ubuntu", Span(8, 17, "X", "on\nUbuntu")),
        ("T1\tOS 11 17;28 34\tUbuntu Debian", Span(11, 34, "OS", None, ((11, 17), (28, 34)))),
        (
            "T1\tX 8 10;11 17;28 34\ton Ubuntu Debian",
            Span(8, 34, "X", None, ((8, 17), (28, 34))),
        ),
        ("T1\tOS 2 7\tRedix", Span(2, 7, "OS", "Redix")),
        ("T1\tOS 2 7", Span(2, 7, "OS")),
        ("T1\tOS 30 99\tDebian", Span(30, 99, "OS", "Debian")),
    ],
)
def test_parts_with_white_space_between_are_one_span(tmp_path: Path, line: str, span: Span) -> None:
    (record,) = read_file(BRAT, brat(tmp_path, line + "\r\n"))
    assert list(record.spans) == [span]


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("\ufeffRedis\r\non Ubuntu", "Redis\non Ubuntu"),
        ("\ufeffRedis\non Ubuntu", "Redis\non Ubuntu"),
        ("Redis\r\non Ubuntu", "Redis\non Ubuntu"),
        ("Redis\non Ubuntu", "Redis\non Ubuntu"),
    ],
)
def test_offsets_may_skip_a_byte_order_mark_and_count_a_line_end_as_one(
    tmp_path: Path, text: str, read: str
) -> None:
    path = brat(tmp_path, "T1\tOS 9 15\tUbuntu\nT2\tSW 0 5\tRedis\n", text)
    assert texts_of(read_file(BRAT, path)) == [(read, [(9, 15, "OS"), (0, 5, "SW")])]


def test_the_text_may_be_gzipped(tmp_path: Path) -> None:
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(TEXT.encode()))
    (tmp_path / "a.ann.gz").write_bytes(gzip.compress(b"T1\tSW 2 7\tRedis\n"))
    assert texts_of(read_file(BRAT, tmp_path / "a.ann.gz")) == [(TEXT, [(2, 7, "SW")])]


@pytest.mark.parametrize(
    "line", ["T1 SW 2 7 Redis", "T1\tSW 2\tRedis", "T1\tSW -2 7\tRedis", "x", "T1\tSW 2.0 7\tRedis"]
)
def test_a_broken_line_is_refused_with_its_number(tmp_path: Path, line: str) -> None:
    path = brat(tmp_path, f"T0\tSW 2 7\tRedis\n{line}\n")
    with pytest.raises(DataError, match=f"^{path}:2: .* is not a brat annotation: "):
        read_file(BRAT, path)


def test_a_missing_or_unreadable_text_is_refused(tmp_path: Path) -> None:
    path = brat(tmp_path, "", b"caf\xe9")
    with pytest.raises(DataError, match=r"a.txt: byte 0xe9 at 3 is not UTF-8: convert"):
        read_file(BRAT, path)
    (tmp_path / "a.txt").unlink()
    with pytest.raises(DataError, match=r"a.ann: no a.txt beside it: put the text there"):
        read_file(BRAT, path)
