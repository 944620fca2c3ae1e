"""The registry: formats are known by content, and outputs by name."""

import json
from pathlib import Path
from typing import Any, get_args

import pytest
from span_formats import head_of, read_file, texts_of

from ner_mlflow.config.schema import OutputFormat, SourceFormat
from ner_mlflow.data.formats.registry import (
    FORMATS,
    OUTPUTS,
    VARIANTS,
    find_format,
    find_output,
    recognize,
)
from ner_mlflow.errors import DataError

REGION = {"start": 0, "end": 5, "text": "Redis", "labels": ["SW"]}
LONG = {"id": 1, "start_offset": 0, "end_offset": 5, "label": "SW"}
ROWS: list[tuple[str, Any]] = [
    ("label_studio", {"id": 1, "data": {"text": "Redis"}, "annotations": [{"result": []}]}),
    ("label_studio", {"id": 1, "data": {"text": "Redis"}, "annotations": []}),
    ("label_studio", {"data": {"text": "Redis"}, "completions": [{"result": []}]}),
    ("label_studio", {"data": {"text": "Redis"}, "predictions": []}),
    ("label_studio", {"text": "Redis", "id": 1, "label": [REGION]}),
    ("label_studio", {"post": "Redis", "id": 1, "ner": [REGION]}),
    ("label_studio", {"text": "Redis", "id": 1, "annotation_id": 4, "lead_time": 2.5}),
    ("label_studio", {"text": "Redis", "annotation_id": 4, "label": []}),
    ("prodigy", {"text": "Redis", "spans": [{"start": 0, "end": 5, "label": "SW"}]}),
    ("prodigy", {"text": "Redis", "spans": []}),
    ("prodigy", {"text": "Redis", "answer": "reject"}),
    ("prodigy", {"text": "Redis", "_input_hash": 1, "_task_hash": 2}),
    (
        "prodigy",
        {"text": "Redis", "tokens": [{"text": "Redis", "start": 0, "end": 5}], "spans": []},
    ),
    ("gliner", {"tokenized_text": ["Redis"], "ner": [[0, 0, "SW"]]}),
    ("gliner", {"tokenized_text": ["Redis"], "ner": []}),
    ("token_rows", {"tokens": ["Redis"], "ner_tags": ["B-SW"]}),
    ("token_rows", {"words": ["Redis"], "labels": [0]}),
    ("spacy", {"text": "Redis", "entities": [[0, 5, "SW"]]}),
    ("spacy", ["Redis", {"entities": [[0, 5, "SW"]]}]),
    ("spacy", ["Redis", {"entities": []}]),
    ("doccano", {"id": 1, "text": "Redis", "label": [[0, 5, "SW"]]}),
    ("doccano", {"id": 1, "text": "Redis", "label": []}),
    ("doccano", {"id": 1, "data": "Redis", "label": [[0, 5, "SW"]]}),
    ("doccano", {"text": "Redis", "labels": [[0, 5, "SW"]]}),
    ("doccano", {"text": "Redis", "annotations": [LONG]}),
    ("doccano", {"text": "Redis", "entities": [LONG], "relations": []}),
    ("doccano", {"text": "Redis", "entities": [], "relations": []}),
    ("doccano", {"text": "Redis", "label": ["positive"]}),
    ("entity_rows", {"text": "Redis", "entities": [{"start": 0, "end": 5, "label": "SW"}]}),
    ("entity_rows", {"id": "a", "body": "Redis", "entities": []}),
]


@pytest.mark.parametrize(("name", "row"), ROWS)
def test_exactly_one_format_claims_a_row(name: str, row: Any) -> None:
    head = head_of(row)
    own = {format_.name for format_ in FORMATS.values() if format_.matches(head)}
    if name == "prodigy":  # the first of the table counts; tokens stand in both
        own -= {"token_rows"}
    assert own == {name}
    found = recognize(head)
    assert found is not None
    assert found.name == name


@pytest.mark.parametrize("row", [5, "text", [], {}, {"text": 3}, {"text": "Redis"}, [1, 2]])
def test_other_rows_are_of_no_format(row: Any) -> None:
    assert recognize(head_of(row)) is None


@pytest.mark.parametrize("format_", FORMATS.values(), ids=FORMATS)
def test_the_example_of_a_format_is_known_and_read(tmp_path: Path, format_: Any) -> None:
    path = tmp_path / f"train{format_.suffixes[0]}"
    example = format_.example
    if example.startswith("["):  # an item a line
        example = "\n".join(json.dumps(row) for row in json.loads(example))
    path.write_text(example, encoding="utf-8")
    (tmp_path / "train.txt").write_text("Redis on Ubuntu", encoding="utf-8")
    if format_.name == "conll":
        path = tmp_path / "train.conll"
        path.write_text(example, encoding="utf-8")
    assert find_format(path) is format_
    assert read_file(format_, path)


def test_names_are_those_of_the_settings() -> None:
    assert set(FORMATS) <= set(get_args(SourceFormat))
    assert {variant.name for variant in VARIANTS} <= set(FORMATS)
    assert set(OUTPUTS) == set(get_args(OutputFormat))


@pytest.mark.parametrize(
    ("name", "output"),
    [
        ("label_studio", "x.json"),
        ("label_studio", "x.json.gz"),
        ("spacy", "x.spacy"),
        ("parquet", "x.parquet"),
        ("conll", "x.TXT"),
    ],
)
def test_an_output_takes_names_with_its_suffixes(name: str, output: str) -> None:
    assert find_output(Path(output), name) is OUTPUTS[name]


@pytest.mark.parametrize(
    ("name", "output"),
    [
        ("label_studio", "x.csv"),
        ("parquet", "x.jsonl"),
        ("parquet", "x.parquet.gz"),
        ("jsonl", "x"),
    ],
)
def test_an_output_refuses_other_names(name: str, output: str) -> None:
    with pytest.raises(DataError, match=rf"output {output}: files of the format {name} end in "):
        find_output(Path(output), name)


def test_the_bug_reports_of_our_own_shape_are_read(tmp_path: Path) -> None:
    path = tmp_path / "dev.jsonl"
    rows = [
        {"id": "bug-0", "text": "Redis", "entities": []},
        {"id": "bug-1", "text": "Redis", "entities": [{"start": 0, "end": 5, "label": "SW"}]},
    ]
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    format_ = find_format(path)
    assert texts_of(read_file(format_, path)) == [("Redis", []), ("Redis", [(0, 5, "SW")])]
