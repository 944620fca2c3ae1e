"""Rows of texts and entities, as `predict` writes them."""

import json
from pathlib import Path
from typing import Any

import pytest
from span_formats import read_rows, texts_of

from ner_mlflow.data.findings import Findings
from ner_mlflow.data.formats.base import Span
from ner_mlflow.data.formats.entity_rows import ENTITY_ROWS
from ner_mlflow.data.formats.registry import find_format
from ner_mlflow.errors import DataError

ENTITY = {"text": "Redis", "label": "SW", "start": 0, "end": 5, "score": 0.9}


@pytest.mark.parametrize("field", ["text", "content", "body"])
def test_rows_as_predict_writes_them_are_read(field: str) -> None:
    (record,) = read_rows(ENTITY_ROWS, [{"id": "a", field: "Redis 7", "entities": [ENTITY]}])
    assert record == ("Redis 7", [Span(0, 5, "SW", "Redis")], 1, "a")


def test_a_surface_is_not_needed() -> None:
    entity = {"start": 0, "end": 5, "label": "SW", "text": None}
    assert texts_of(read_rows(ENTITY_ROWS, [{"text": "Redis", "entities": [entity]}])) == [
        ("Redis", [(0, 5, "SW")])
    ]


def test_rows_whose_entities_are_null_were_never_annotated() -> None:
    findings = Findings()
    assert read_rows(ENTITY_ROWS, [{"text": "Redis", "entities": None}], findings) == []
    assert findings.count("row_without_annotation", "train") == 1


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("Redis", "not an object"),
        ({"text": "Redis"}, "no field 'entities' among 'text'"),
        ({"entities": []}, "no field 'text' or"),
        ({"text": None, "entities": []}, "'text' is None, not text"),
        ({"text": "Redis", "entities": {}}, "not a list of spans"),
        ({"text": "Redis", "entities": [{"start": 0, "end": 5}]}, "is not a span"),
        ({"text": "Redis", "entities": [ENTITY | {"start": None}]}, "needs whole numbers"),
        ({"text": "Redis", "entities": [ENTITY | {"text": ["Redis"]}]}, "as its text"),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_line(row: Any, message: str) -> None:
    with pytest.raises(DataError, match=f"^train.jsonl:1: .*{message}.*: "):
        read_rows(ENTITY_ROWS, [row])


def test_a_first_row_may_have_no_annotation(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    span = {"start": 0, "end": 5, "label": "SW"}
    rows = [{"text": "a", "entities": None}, {"text": "Redis", "entities": [span]}]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    assert find_format(path) is ENTITY_ROWS
