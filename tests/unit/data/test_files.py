"""Files as streams: lines, JSON values and Parquet batches, and errors that name the position."""

import gzip
import tracemalloc
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ner_mlflow.data import files
from ner_mlflow.data.files import (
    open_parquet,
    read_json_lines,
    read_lines,
    read_parquet_batches,
    read_text_blocks,
    suffix_of,
)
from ner_mlflow.errors import DataError

LINES = st.lists(
    st.text(st.characters(codec="utf-8", exclude_characters="\n\r"), max_size=8), max_size=6
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("files")


@settings(deadline=None, max_examples=60)
@given(
    lines=LINES,
    end=st.sampled_from(["\n", "\r\n"]),
    bom=st.booleans(),
    gzipped=st.booleans(),
    ended=st.booleans(),
)
def test_lines_read_back_equal_whatever_ends_them(
    folder: Path, lines: list[str], end: str, bom: bool, gzipped: bool, ended: bool
) -> None:
    lines = [*lines, "last"]
    content = (end.join(lines) + end * ended).encode("utf-8-sig" if bom else "utf-8")
    path = folder / "a.txt"  # gzipped files are known by their content, too
    path.write_bytes(gzip.compress(content) if gzipped else content)
    if bom or not lines[0].startswith("\ufeff"):
        assert list(read_lines(path)) == list(enumerate(lines, start=1))
        assert "".join(read_text_blocks(path)) == content.decode("utf-8-sig")


@settings(deadline=None, max_examples=60)
@given(lines=LINES, end=st.sampled_from(["\n", "\r\n"]), size=st.integers(1, 9))
def test_lines_and_characters_may_run_across_blocks(
    folder: Path, lines: list[str], end: str, size: int
) -> None:
    path = folder / "blocks.txt"
    text = end.join([*lines, "", "last"])
    path.write_bytes(text.encode("utf-8-sig"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "BLOCK_BYTES", size + 3)
        assert list(read_lines(path)) == list(enumerate(text.split(end), start=1))
        assert "".join(read_text_blocks(path)) == text


def test_a_lone_carriage_return_and_other_separators_end_no_line(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("a\rb\u2028c\x85d\x0ce\n".encode())
    assert list(read_lines(tmp_path / "a.txt")) == [(1, "a\rb\u2028c\x85d\x0ce")]


def test_only_the_first_line_loses_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("\ufeffa\n\ufeffb\n".encode())
    assert list(read_lines(tmp_path / "a.txt")) == [(1, "a"), (2, "\ufeffb")]


def test_lines_before_bad_bytes_are_read_and_the_bad_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"good\nGr\xf6\xdfe\n")
    lines = read_lines(path)
    assert next(lines) == (1, "good")
    with pytest.raises(DataError) as caught:
        next(lines)
    message = f"{path}:2: byte 0xf6 is not UTF-8: convert the file to UTF-8"
    assert str(caught.value) == message


def test_an_archive_that_breaks_off_is_named_with_the_line(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    content = "".join(f'{{"text": "{number} {hash(str(number))}"}}\n' for number in range(5000))
    compressed = gzip.compress(content.encode())
    path.write_bytes(compressed[: len(compressed) // 2])
    numbers: list[int] = []
    with pytest.raises(DataError, match=r"a\.jsonl\.gz:\d+: a broken archive \(") as caught:
        numbers.extend(number for number, _ in read_lines(path))
    assert numbers
    assert f":{numbers[-1] + 1}: " in str(caught.value)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf16_is_refused_by_its_name(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("Redis\tO\n".encode(encoding))
    with pytest.raises(DataError) as caught:
        list(read_lines(path))
    assert str(caught.value) == f"{path}: is UTF-16: convert the file to UTF-8"


@pytest.mark.parametrize("name", ["missing.txt", "missing.gz", "folder", "folder.gz"])
def test_what_is_no_file_is_refused_on_one_line(tmp_path: Path, name: str) -> None:
    if name.startswith("folder"):
        (tmp_path / name).mkdir()
    with pytest.raises(DataError, match=f"{name}: cannot be read \\("):
        list(read_lines(tmp_path / name))


def test_a_line_without_end_does_not_fill_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "LINE_BYTES", 1_000_000)
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(b"a\n" + b"x" * 20_000_000))
    with pytest.raises(DataError, match=r"bomb\.gz:2: a line of more than 1,000,000 bytes"):
        list(read_lines(path))


@pytest.mark.parametrize(
    ("name", "suffix"),
    [("a.CONLL", ".conll"), ("a.conll.GZ", ".conll"), ("a.gz", ""), ("a", ""), ("a.b.c", ".c")],
)
def test_the_suffix_of_a_name_is_that_of_its_content(name: str, suffix: str) -> None:
    assert suffix_of(Path(name)) == suffix


@pytest.mark.parametrize("content", [b"a\nb\xc3", b"a\nb\xc3\n", b"a\n\xff"])
def test_bad_bytes_of_text_blocks_are_named_with_their_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"a\.txt:2: byte 0x(c3|ff) is not UTF-8"):
        list(read_text_blocks(path))


def test_json_values_come_with_their_origin_and_blank_lines_are_skipped(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"a": 1}\n\n \n[2]\nnull\n', encoding="utf-8")
    assert list(read_json_lines(path)) == [
        (f"{path}:1", {"a": 1}),
        (f"{path}:4", [2]),
        (f"{path}:5", None),
    ]


@pytest.mark.parametrize("line", ["{'a': 1}", "[" * 100_000, "1" * 5000, "{"])
def test_a_line_that_is_not_json_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(f"1\n{line}\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"a\.jsonl:2: not JSON \(.*\): write one object a line"):
        list(read_json_lines(path))


def test_parquet_comes_in_batches_of_the_chosen_columns(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"id": range(10), "text": [str(id_) for id_ in range(10)]}), path)
    batches = list(read_parquet_batches(path, open_parquet(path), columns=["text"], batch_rows=4))
    assert [batch.num_rows for batch in batches] == [4, 4, 2]
    assert [text for batch in batches for text in batch.column("text").to_pylist()] == [
        str(id_) for id_ in range(10)
    ]
    assert batches[0].schema.names == ["text"]


def test_a_parquet_file_broken_in_the_middle_gives_the_last_good_row(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    table = pa.table({"text": [f"text {number} " + "x" * number for number in range(4000)]})
    pq.write_table(table, path, row_group_size=1000)
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 4000] = b"\0" * 4000
    path.write_bytes(content)
    sizes: list[int] = []
    batches = read_parquet_batches(path, open_parquet(path), batch_rows=100)
    with pytest.raises(DataError) as caught:
        sizes.extend(batch.num_rows for batch in batches)
    assert 0 < sum(sizes) < 4000
    assert str(caught.value).startswith(f"{path}: broken after row {sum(sizes)} (")


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt.gz"
    with gzip.open(path, "wb") as file:
        for _ in range(60):
            file.write((b"x" * 99 + b"\n") * 1000)
    tracemalloc.start()
    try:
        assert sum(1 for _ in read_lines(path)) == 60_000
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("end", ["", "\r", "\n"])
def test_lines_that_end_in_cr_alone_are_refused(tmp_path: Path, end: str) -> None:
    path = tmp_path / "a.conll"
    path.write_bytes(f"Redis B-SW\ron O\rUbuntu B-OS\r\rUse O{end}".encode())
    with pytest.raises(DataError, match=r"its lines end in CR alone, .* convert the line ends"):
        list(read_lines(path))


def test_a_line_may_hold_what_a_terminal_wrote(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"10 %\r20 %\r30 %\n")
    assert list(read_lines(path)) == [(1, "10 %\r20 %\r30 %")]
