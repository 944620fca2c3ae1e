"""Rows of words and tags: written rows read back equal, and each bad row is named."""

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Dataset, Features, List, Value
from hypothesis import given, settings
from hypothesis import strategies as st

from ner_mlflow.config.schema import DataConfig
from ner_mlflow.data.findings import Findings
from ner_mlflow.data.formats.base import TaggedWords
from ner_mlflow.data.formats.registry import find_format
from ner_mlflow.data.formats.rows import open_rows
from ner_mlflow.data.formats.token_rows import read_token_rows
from ner_mlflow.errors import DataError

NAMES = ["O", "B-OS", "I-OS"]
TAGS = st.sampled_from([*NAMES, "B-Data_Type", "I-a-b"])
WORDS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=6).filter(str.strip)
SENTENCES = st.lists(
    st.lists(st.tuples(WORDS, TAGS), min_size=1, max_size=4), min_size=1, max_size=4
)
ROW = {"tokens": ["Windows", "10"], "ner_tags": ["B-OS", "I-OS"]}


def jsonl(folder: Path, *rows: object, name: str = "train.jsonl") -> Path:
    path = folder / name
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def parquet(folder: Path, rows: list[dict[str, Any]], name: str = "train.parquet") -> Path:
    pq.write_table(pa.Table.from_pylist(rows), folder / name)
    return folder / name


def read(path: Path, findings: Findings | None = None, **settings_: str) -> list[TaggedWords]:
    findings = findings or Findings()
    assert find_format(path).name == "token_rows"
    config = DataConfig(dataset=str(path), **settings_)
    return list(read_token_rows(open_rows(path, findings, "train"), config, findings, "train"))


def pairs(sentences: list[TaggedWords]) -> list[list[tuple[str, str]]]:
    return [list(zip(sentence.tokens, sentence.tags, strict=True)) for sentence in sentences]


def refusal(path: Path, **settings_: str) -> str:
    config = DataConfig(dataset=str(path), **settings_)
    with pytest.raises(DataError) as caught:
        list(read_token_rows(open_rows(path), config, Findings(), "train"))
    assert "\n" not in str(caught.value)
    return str(caught.value)


@settings(deadline=None, max_examples=80)
@given(
    sentences=SENTENCES,
    shape=st.sampled_from(["lines", "array", "pretty", "field", "parquet"]),
    ascii_only=st.booleans(),
    gzipped=st.booleans(),
    bom=st.booleans(),
)
def test_written_rows_read_back_equal(
    tmp_path_factory: pytest.TempPathFactory,
    sentences: list[list[tuple[str, str]]],
    shape: str,
    ascii_only: bool,
    gzipped: bool,
    bom: bool,
) -> None:
    rows = [
        {"tokens": [word for word, _ in sentence], "ner_tags": [tag for _, tag in sentence]}
        for sentence in sentences
    ]
    folder = tmp_path_factory.mktemp("rows")
    if shape == "parquet":
        assert pairs(read(parquet(folder, rows, "x"))) == sentences
        return
    if shape == "lines":
        text = "".join(json.dumps(row, ensure_ascii=ascii_only) + "\n" for row in rows)
    else:
        holder: Any = {"version": "1", "data": rows} if shape == "field" else rows
        indent = 1 if shape == "pretty" else None
        text = json.dumps(holder, ensure_ascii=ascii_only, indent=indent)
    content = text.encode("utf-8-sig" if bom else "utf-8")
    path = folder / ("x.json.gz" if gzipped else "x.json")
    path.write_bytes(gzip.compress(content) if gzipped else content)
    assert pairs(read(path)) == sentences


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"tokens": ["a", "b", "c"], "ner_tags": ["O", "O"]}, "3 tokens but 2 tags"),
        ("{'tokens': []}", "not JSON"),
        ('{"tokens": ["a"]', "not JSON"),
        (["a", "O"], "a list, not an object"),
        ("3", "a int, not an object"),
        ("null", "null, not an object"),
        (
            {"tokens": ["a"], "tag": ["O"]},
            "among 'tokens', 'tag': give its name as tag_column",
        ),
        ({}, "no field 'tokens' or 'words' among none: give its name as token_column"),
        ({"tokens": "a b c", "ner_tags": ["O", "O"]}, "3 tokens but 2 tags"),
        ({"tokens": ["a"], "ner_tags": None}, "must be lists"),
        ({"tokens": None, "ner_tags": None}, "are null: remove the row, or choose blank_tokens="),
        ({"tokens": {"0": "a"}, "ner_tags": ["O"]}, "must be lists"),
        ({"tokens": [], "ner_tags": []}, "a sentence without tokens: remove the row, or choose"),
        ({"tokens": [" "], "ner_tags": ["O"]}, "the token is blank (' ')"),
        ({"tokens": ["a", ""], "ner_tags": ["O", "O"]}, " word 1: the token is blank ('')"),
        ({"tokens": [7], "ner_tags": ["O"]}, "token 7 is not text"),
        ({"tokens": [None], "ner_tags": ["O"]}, "token None is not text"),
        ({"tokens": [[]], "ner_tags": ["O"]}, "token [] is not text"),
        ({"tokens": ["a"], "ner_tags": [1]}, "tag 1 is a number without a name in"),
        ({"tokens": ["a"], "ner_tags": [True]}, "tag True is neither text nor a class number"),
        ({"tokens": ["a"], "ner_tags": [1.0]}, "tag 1.0 is neither"),
        ({"tokens": ["a"], "ner_tags": [None]}, "tag None is neither"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_a_row_without_a_sentence_is_named(tmp_path: Path, row: object, message: str) -> None:
    path = jsonl(tmp_path, ROW, "", row)
    shown = refusal(path)
    assert shown.startswith(f"{path}:3")
    assert message in shown


def test_fields_have_several_names_and_the_first_row_tells_them(tmp_path: Path) -> None:
    path = jsonl(
        tmp_path,
        {**ROW, "document": "post 7"},
        {"words": ["a"], "tags": ["O"], "doc_id": 7},
        {"tokens": ["a"], "labels": ["O"], "document_id": None},
    )
    findings = Findings()
    sentences = read(path, findings)
    assert [sentence.tokens for sentence in sentences] == [["Windows", "10"], ["a"], ["a"]]
    assert [sentence.document for sentence in sentences] == ["post 7", "7", None]
    assert findings.facts["train", "columns"] == "words 'tokens', tags 'ner_tags'"


def test_fields_with_other_names_are_chosen_by_the_settings(tmp_path: Path) -> None:
    path = jsonl(tmp_path, {"worte": ["a", "b"], "marken": ["O", "B-X"], "id": 1})
    assert "among 'worte', 'marken', 'id': give its name as token_column" in refusal(path)
    chosen = read(path, token_column="worte", tag_column="marken")
    assert pairs(chosen) == [[("a", "O"), ("b", "B-X")]]


def test_two_fields_of_entity_tags_are_refused_until_one_is_chosen(tmp_path: Path) -> None:
    row = {"tokens": ["a", "b"], "ner_tags": ["O", "B-X"], "tags": ["B-Y", "O"]}
    path = jsonl(tmp_path, row)
    assert "the fields 'ner_tags' and 'tags' hold entity tags: give one of them as tag_column=" in (
        refusal(path)
    )
    assert pairs(read(path, tag_column="tags")) == [[("a", "B-Y"), ("b", "O")]]
    same = jsonl(tmp_path, {**row, "tags": row["ner_tags"]})
    assert pairs(read(same)) == [[("a", "O"), ("b", "B-X")]]
    of_speech = jsonl(tmp_path, {**row, "tags": ["DT", "NN"], "labels": ["news"]})
    assert pairs(read(of_speech)) == [[("a", "O"), ("b", "B-X")]]
    other = jsonl(tmp_path, {"tokens": ["a", "b"], "tags": ["DT", "NN"], "labels": ["O", "B-X"]})
    assert "the field 'tags' holds no entity tags, 'labels' does" in refusal(other)


@pytest.mark.parametrize(
    ("tokens", "tags"),
    [
        ("Windows 10", "B-OS I-OS"),
        ("['Windows', '10']", "['B-OS', 'I-OS']"),
        ("['Windows' '10']", "['B-OS' 'I-OS']"),
        ('["Windows", "10"]', ["B-OS", "I-OS"]),
        (["Windows", "10"], "B-OS  I-OS"),
    ],
)
def test_lists_may_be_texts(tmp_path: Path, tokens: object, tags: object) -> None:
    path = jsonl(tmp_path, {"tokens": tokens, "ner_tags": tags})
    assert pairs(read(path)) == [[("Windows", "B-OS"), ("10", "I-OS")]]


def test_blank_tokens_and_rows_without_tokens_are_dropped_by_choice(tmp_path: Path) -> None:
    path = jsonl(
        tmp_path,
        {"tokens": ["\u00a0", "a", "\n", "b"], "ner_tags": ["B-X", "I-X", "O", "I-X"]},
        {"tokens": [], "ner_tags": []},
        {"tokens": None, "ner_tags": None},
        {"tokens": [""], "ner_tags": ["B-X"]},
        ROW,
    )
    findings = Findings()
    sentences = read(path, findings, blank_tokens="drop")
    assert pairs(sentences)[0] == [("a", "B-X"), ("b", "B-X")]
    assert [sentence.position for sentence in sentences] == [1, 5]
    assert findings.count("blank_token_dropped") == 3
    assert findings.count("row_without_words") == 3
    assert findings.count("entity_of_blank_tokens") == 1


def test_a_row_of_an_array_is_named_by_its_number_from_0(tmp_path: Path) -> None:
    path = tmp_path / "train.json"
    path.write_text(json.dumps([ROW, {"tokens": ["a"], "ner_tags": []}], indent=2))
    assert refusal(path).startswith(f"{path}, item 1: 1 tokens but 0 tags")


# --- names of numbers


def features(**fields: object) -> Features:
    return Features({"tokens": List(Value("string")), **fields})


def test_parquet_with_class_labels(tmp_path: Path) -> None:
    path = tmp_path / "train.parquet"
    rows = {"tokens": [["Windows", "10", "x"], ["y"]], "ner_tags": [[1, 2, 0], [0]]}
    Dataset.from_dict(rows, features=features(ner_tags=List(ClassLabel(names=NAMES)))).to_parquet(
        path
    )
    assert pairs(read(path)) == [[("Windows", "B-OS"), ("10", "I-OS"), ("x", "O")], [("y", "O")]]


def test_the_names_of_another_field_name_nothing(tmp_path: Path) -> None:
    path = tmp_path / "train.parquet"
    Dataset.from_dict(
        {"tokens": [["the", "pc"]], "ner_tags": [[0, 1]], "labels": [[1, 0]]},
        features=features(
            ner_tags=List(Value("int64")), labels=List(ClassLabel(names=["B-VERB", "O"]))
        ),
    ).to_parquet(path)
    assert "tag 0 is a number without a name in 'ner_tags'" in refusal(path)
    assert pairs(read(path, tag_column="labels")) == [[("the", "O"), ("pc", "B-VERB")]]
    assert pairs(read(path, tag_names="O,B-OS")) == [[("the", "O"), ("pc", "B-OS")]]


@pytest.mark.parametrize(
    "described",
    [
        b"{not json",
        b"[]",
        b"null",
        b'{"info": null}',
        b'{"info": {"features": {"ner_tags": {"_type": "ListOfTomorrow", "feature": 7}}}}',
        b"[" * 100_000,
    ],
)
def test_metadata_that_cannot_be_read_matters_for_numbers_only(
    tmp_path: Path, described: bytes
) -> None:
    path = tmp_path / "train.parquet"
    for tags in (["O", "B-OS"], [0, 1]):
        table = pa.Table.from_pylist([{"tokens": ["the", "pc"], "ner_tags": tags}])
        pq.write_table(table.replace_schema_metadata({b"huggingface": described}), path)
        if tags == [0, 1]:
            assert "tag_names" in refusal(path)
            assert pairs(read(path, tag_names="O,B-OS")) == [[("the", "O"), ("pc", "B-OS")]]
        else:
            assert pairs(read(path)) == [[("the", "O"), ("pc", "B-OS")]]


def test_a_class_number_without_a_name_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "train.parquet"
    Dataset.from_dict(
        {"tokens": [["a"]], "ner_tags": [[-1]]},
        features=features(ner_tags=List(ClassLabel(names=NAMES))),
    ).to_parquet(path)
    assert "row 0: tag -1 is outside the 3 class names" in refusal(path)


@pytest.mark.parametrize("name", ["label.json", "labels.txt"])
def test_a_file_of_names_beside_the_rows_is_offered_and_read(tmp_path: Path, name: str) -> None:
    path = jsonl(tmp_path, {"tokens": ["the", "pc"], "tags": [0, 1]})
    content = '{"O": 0, "B-OS": 1}' if name.endswith(".json") else "O\nB-OS\n"
    (tmp_path / name).write_text(content)
    assert f"give tag_names={name}, the file beside it" in refusal(path)
    assert pairs(read(path, tag_names=name)) == [[("the", "O"), ("pc", "B-OS")]]


def test_numbers_that_are_texts_are_named_too(tmp_path: Path) -> None:
    path = jsonl(tmp_path, {"tokens": ["the", "pc"], "tags": ["0", "1"]})
    assert pairs(read(path, tag_names="O,B-OS")) == [[("the", "O"), ("pc", "B-OS")]]


# --- recognition


@pytest.mark.parametrize(
    "row",
    [
        {"text": "a b", "tokens": [{"text": "a", "id": 0}], "spans": []},
        {"text": "a b", "label": [[0, 1, "X"]]},
        {"tokens": ["a"], "spans": [{"start": 0, "end": 1}]},
        {"O": 0, "B-OS": 1},
    ],
)
def test_rows_with_spans_or_without_words_are_of_another_format(
    tmp_path: Path, row: object
) -> None:
    from ner_mlflow.data.formats.heads import read_head
    from ner_mlflow.data.formats.token_rows import TOKEN_ROWS

    assert not TOKEN_ROWS.matches(read_head(jsonl(tmp_path, row)))


@pytest.mark.parametrize("content", ["", "\n", "[]", " [ ] \n"])
def test_a_file_without_rows_is_read_as_empty(tmp_path: Path, content: str) -> None:
    path = tmp_path / "train.json"
    path.write_text(content)
    assert read(path) == []
