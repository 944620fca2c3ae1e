"""Prodigy: accepted answers are gold, and tokens tell what offsets count."""

import json
from pathlib import Path
from typing import Any

import pytest
from span_formats import read_rows, texts_of

from ner_mlflow.data.findings import Findings
from ner_mlflow.data.formats.base import AnnotatedText, Span
from ner_mlflow.data.formats.prodigy import PRODIGY, write_prodigy
from ner_mlflow.errors import DataError

SPAN = {"start": 0, "end": 5, "label": "SW"}
ROW = {"text": "Redis on Ubuntu", "spans": [SPAN]}


def test_accepted_rows_and_rows_without_an_answer_are_read() -> None:
    findings = Findings()
    rows = [ROW | {"answer": answer} for answer in ("accept", "reject", "ignore", "ignore")]
    records = read_rows(PRODIGY, [*rows, ROW, {"text": "none", "answer": "accept"}], findings)
    assert texts_of(records) == [(ROW["text"], [(0, 5, "SW")])] * 2 + [("none", [])]
    assert findings.count("row_not_accepted", "train") == 3


@pytest.mark.parametrize("category", [{"label": "DATABASES"}, {"accept": ["DATABASES"]}])
def test_categories_of_whole_texts_are_refused(category: dict[str, Any]) -> None:
    row = {"text": "Redis on Ubuntu", "answer": "accept"} | category
    with pytest.raises(DataError, match=r"a category of the whole text: export a dataset of spans"):
        read_rows(PRODIGY, [row])
    assert len(read_rows(PRODIGY, [row | {"spans": [SPAN]}])) == 1


def test_of_several_accepted_answers_to_a_task_the_first_counts() -> None:
    findings = Findings()
    task = {"text": "Redis on Ubuntu", "_input_hash": 1, "_task_hash": 2, "answer": "accept"}
    answers = [task | {"answer": "reject"}, task | {"spans": [SPAN]}, task | {"spans": []}]
    other = {"text": "Redis on Ubuntu", "_input_hash": 1, "_task_hash": 3, "spans": []}
    records = read_rows(PRODIGY, [*answers, other], findings)
    assert texts_of(records) == [(ROW["text"], [(0, 5, "SW")]), (ROW["text"], [])]
    assert findings.count("annotation_not_chosen", "train") == 1
    assert findings.count("text_repeated", "train") == 1


def token(text: str, start: int, end: int) -> dict[str, Any]:
    return {"text": text, "start": start, "end": end}


@pytest.mark.parametrize(
    ("tokens", "start", "surface"),
    [
        ([token("😀", 0, 1), token("Redis", 2, 7)], 2, "Redis"),  # code points
        ([token("😀", 0, 2), token("Redis", 3, 8)], 3, "Redis"),  # UTF-16 units
        ([token("##x", 0, 1), token("Redis", 2, 7)], 2, None),  # word pieces
        ([], 2, None),
        ("none", 2, None),
    ],
)
def test_tokens_give_the_surface_of_a_span(tokens: Any, start: int, surface: str | None) -> None:
    for numbers in ({"token_start": 1, "token_end": 1}, {}):
        span = {"start": start, "end": start + 5, "label": "SW", **numbers}
        row = {"text": "😀 Redis", "tokens": tokens, "spans": [span]}
        (record,) = read_rows(PRODIGY, [row])
        assert record.spans == [Span(start, start + 5, "SW", surface)]


def test_a_span_beside_its_tokens_has_their_surface() -> None:
    tokens = [token("Redis", 0, 5), token("on", 6, 8)]
    span = {"start": 0, "end": 5, "token_start": 1, "token_end": 1, "label": "SW"}
    (record,) = read_rows(PRODIGY, [{"text": "Redis on", "tokens": tokens, "spans": [span]}])
    assert record.spans[0].surface == "on"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("Redis", "not an object"),
        ({"spans": []}, "no field 'text'"),
        ({"text": 5}, "'text' is 5, not text"),
        (ROW | {"answer": "maybe"}, "the answer 'maybe' is not one of"),
        (ROW | {"spans": "none"}, "'spans' is 'none', not a list"),
        (ROW | {"spans": [[0, 5, "SW"]]}, "not an object"),
        (ROW | {"spans": [{"start": 0, "end": 5}]}, "has no 'label'"),
        (ROW | {"spans": [SPAN | {"end": 5.0}]}, "needs whole numbers"),
        (ROW | {"spans": [SPAN | {"label": 3}]}, "label 3 is a number"),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_line(row: Any, message: str) -> None:
    with pytest.raises(DataError, match=f"^train.jsonl:1: .*{message}.*: ") as caught:
        read_rows(PRODIGY, [row])
    assert "\n" not in str(caught.value)


def test_tokens_are_cut_where_an_entity_begins_or_ends(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    write_prodigy(path, [AnnotatedText("preRedis7 on", [Span(3, 8, "SW")], "a")])
    row = json.loads(path.read_text(encoding="utf-8"))
    assert row["tokens"] == [
        {"text": "pre", "start": 0, "end": 3, "id": 0, "ws": False},
        {"text": "Redis", "start": 3, "end": 8, "id": 1, "ws": False},
        {"text": "7", "start": 8, "end": 9, "id": 2, "ws": True},
        {"text": "on", "start": 10, "end": 12, "id": 3, "ws": False},
    ]
    assert row["spans"] == [{"start": 3, "end": 8, "label": "SW", "token_start": 1, "token_end": 1}]
    assert row["answer"] == "accept"
