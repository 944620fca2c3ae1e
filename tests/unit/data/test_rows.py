"""Rows: files are copied without loss, errors leave no file, and bad rows are named."""

import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ner_mlflow.data import rows
from ner_mlflow.data.rows import ENTITIES, open_row_writer, read_rows
from ner_mlflow.errors import DataError

ENTITY = {"text": "Ubuntu", "label": "OS", "start": 0, "end": 6, "score": 0.5}


def write(path: Path, rows: list[Any]) -> Path:
    if ".parquet" in path.name:
        pd.DataFrame(rows).to_parquet(path, index=False)
    else:
        opener = gzip.open if path.suffix == ".gz" else open
        with opener(path, "wt", encoding="utf-8") as file:
            file.writelines(f"{json.dumps(row)}\n" for row in rows)
    return path


def copy(source: Path, target: Path, batch_rows: int) -> None:
    with open_row_writer(target, like=source) as writer:
        for batch in read_rows(source, batch_rows, "text"):
            assert len(batch) <= batch_rows
            writer.write(
                [{**row, ENTITIES: [ENTITY] * (index % 3)} for index, row in enumerate(batch)]
            )


def read_back(path: Path) -> list[dict[str, Any]]:
    if ".parquet" in path.name:
        return [
            {**row, ENTITIES: list(row[ENTITIES])}
            for row in pd.read_parquet(path).to_dict("records")
        ]
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


@pytest.mark.parametrize("source", ["in.jsonl", "in.jsonl.gz", "in.parquet"])
@pytest.mark.parametrize("target", ["out.jsonl", "out.jsonl.gz", "out.parquet"])
@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    texts=st.lists(st.text(st.characters(codec="utf-8"), max_size=20), min_size=1, max_size=9),
    batch_rows=st.integers(1, 10),
)
def test_rows_come_back_in_order_with_their_columns(
    tmp_path: Path, source: str, target: str, texts: list[str], batch_rows: int
) -> None:
    rows = [{"id": number, "text": text} for number, text in enumerate(texts)]
    (tmp_path / target).unlink(missing_ok=True)
    copy(write(tmp_path / source, rows), tmp_path / target, batch_rows)
    expected = [
        {**row, ENTITIES: [ENTITY] * (index % batch_rows % 3)} for index, row in enumerate(rows)
    ]
    assert read_back(tmp_path / target) == expected


def test_half_a_surrogate_pair_survives(tmp_path: Path) -> None:
    copy(write(tmp_path / "in.jsonl", [{"text": "a\ud800b"}]), tmp_path / "out.jsonl", 5)
    assert read_back(tmp_path / "out.jsonl")[0]["text"] == "a\ud800b"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"text": "a"}\n{not json\n', "in.jsonl:2: "),
        ('{"text": "a"}\n\n{"text": null}\n', "in.jsonl:3: no text in 'text' (None)"),
        (
            '{"txt": "a"}\n',
            "in.jsonl:1: no text in 'text' (None): give the name of the texts as text_column",
        ),
        ("[1]\n", "in.jsonl:1: no text in 'text' ([1])"),
        ('{"text": "a", "entities": []}\n', "in.jsonl:1: already has 'entities'"),
    ],
)
def test_a_bad_row_is_named_and_nothing_is_left(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "in.jsonl").write_text(content, encoding="utf-8")
    with pytest.raises(DataError) as raised:
        copy(tmp_path / "in.jsonl", tmp_path / "out.jsonl", 1)
    assert message in str(raised.value)
    assert [path.name for path in tmp_path.iterdir()] == ["in.jsonl"]


def test_unknown_suffixes_missing_inputs_and_existing_outputs_are_refused(tmp_path: Path) -> None:
    source = write(tmp_path / "in.jsonl", [{"text": "a"}])
    with pytest.raises(DataError, match=r"out\.csv: not a name that ends in"):
        copy(source, tmp_path / "out.csv", 1)
    with pytest.raises(DataError, match="no such file"):
        next(read_rows(tmp_path / "none.jsonl", 1, "text"))
    with pytest.raises(DataError, match=r"in\.jsonl exists: name another"):
        copy(source, source, 1)
    with pytest.raises(DataError, match="no folder"):
        copy(source, tmp_path / "nowhere" / "out.jsonl", 1)
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(b"not parquet")
    with pytest.raises(DataError, match="not a Parquet file"):
        next(read_rows(broken, 1, "text"))


def test_rows_that_do_not_fit_a_parquet_table_are_refused(tmp_path: Path) -> None:
    source = write(tmp_path / "in.jsonl", [{"text": "a", "n": 1}, {"text": "b", "n": "one"}])
    with pytest.raises(DataError, match="do not fit the columns of the first rows"):
        copy(source, tmp_path / "out.parquet", 1)
    assert not (tmp_path / "out.parquet").exists()


def test_a_broken_parquet_file_is_reported_with_its_last_good_row(tmp_path: Path) -> None:
    path = tmp_path / "texts.parquet"
    pd.DataFrame({"text": [f"text {number} " + "x" * number for number in range(4000)]}).to_parquet(
        path, row_group_size=1000
    )
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 4000] = b"\0" * 4000
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"broken after row \d+ \("):
        for _ in read_rows(path, 100, "text"):
            pass


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"text": "a", "m": {"k": 1}}, {"text": "b", "m": {"z": 2}}], "new columns m.z"),
        (
            [{"text": "a", "m": [{"k": 1}]}, {"text": "b", "m": [{"k": 1}, {"z": 2}]}],
            r"new columns m\[\].z",
        ),
        ([{"text": "a", "n": 2**70}], "write JSONL"),
        ([{"text": "a", "m": {}}], "write JSONL"),
    ],
)
def test_no_field_of_a_row_is_dropped(tmp_path: Path, rows: list[Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        copy(write(tmp_path / "in.jsonl", rows), tmp_path / "out.parquet", 1)
    assert list(tmp_path.iterdir()) == [tmp_path / "in.jsonl"]
    copy(tmp_path / "in.jsonl", tmp_path / "out.jsonl", 1)
    assert [
        {key: value for key, value in row.items() if key != ENTITIES}
        for row in read_back(tmp_path / "out.jsonl")
    ] == rows


def test_a_damaged_archive_is_reported(tmp_path: Path) -> None:
    path = write(tmp_path / "in.jsonl.gz", [{"text": f"text {number}"} for number in range(500)])
    damaged = bytearray(path.read_bytes())
    damaged[40:60] = bytes(20)
    path.write_bytes(damaged)
    with pytest.raises(DataError, match=r"in\.jsonl\.gz:\d+: .*(a broken archive|not UTF-8)"):
        list(read_rows(path, 10, "text"))


@pytest.mark.parametrize("name", ["in.jsonl", "in.parquet"])
def test_a_batch_has_fewer_rows_where_they_are_long(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "BATCH_CHARACTERS", 1000)
    source = write(tmp_path / name, [{"text": "x" * 400}] * 7)
    assert [len(batch) for batch in read_rows(source, 5, "text")] == [3, 3, 1]


def test_an_archive_of_one_long_line_is_refused_in_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "bomb.jsonl.gz"
    begin, more = gzip.compress(b'{"text": "'), gzip.compress(b"x" * 8_000_000)
    path.write_bytes(begin + more * 100)  # 800 MB
    code = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from ner_mlflow.data.rows import read_rows\n"
        "from ner_mlflow.errors import DataError\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "before = peak()\n"
        "try:\n"
        "    list(read_rows(Path(sys.argv[1]), 2000, 'text'))\n"
        "except DataError as error:\n"
        "    print(error, (peak() - before) // 1024, sep='|')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True
    )
    message, _, megabytes = done.stdout.rpartition("|")
    assert message.endswith(
        "bomb.jsonl.gz:1: a line of more than 33,554,432 bytes: write one sentence or row a line"
    )
    assert int(megabytes) < 200
