"""GLiNER: numbers of words, of which the last is included."""

import json
from pathlib import Path
from typing import Any

import pytest
from span_formats import read_rows

from ner_mlflow.data.findings import Findings
from ner_mlflow.data.formats.base import AnnotatedText, Span
from ner_mlflow.data.formats.gliner import GLINER, write_gliner
from ner_mlflow.errors import DataError

WORDS = ["install", "Fedora", "Server"]


def test_the_last_word_is_included() -> None:
    (record,) = read_rows(GLINER, [{"tokenized_text": WORDS, "ner": [[1, 2, "OS"]], "id": 5}])
    assert record == (WORDS, [Span(1, 3, "OS")], 1, "5")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ([], "not an object"),
        ({"tokenized_text": "a b", "ner": []}, "give a list of words"),
        ({"tokenized_text": ["a", 1], "ner": []}, "give a list of words"),
        ({"tokenized_text": ["a", " "], "ner": []}, "word 1: the token is blank"),
        ({"tokenized_text": WORDS}, "'ner' is None, not a list"),
        ({"tokenized_text": WORDS, "ner": [[1, "OS"]]}, "is not a span"),
        ({"tokenized_text": WORDS, "ner": [[1, 2.0, "OS"]]}, "needs whole numbers"),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_line(row: Any, message: str) -> None:
    with pytest.raises(DataError, match=f"^train.jsonl:1.*{message}"):
        read_rows(GLINER, [row])


def test_spans_count_the_words_that_are_left_without_blank_tokens() -> None:
    words = ["", "install", " ", "Fedora", "\u00a0", "Server", "\n"]
    row = {"tokenized_text": words, "ner": [[3, 5, "OS"], [1, 1, "VERB"], [6, 6, "OS"]]}
    findings = Findings()
    rows = [row, {"tokenized_text": [" "], "ner": []}]
    (record,) = read_rows(GLINER, rows, findings, blank_tokens="drop")
    assert record == (WORDS, [Span(1, 3, "OS"), Span(0, 1, "VERB")], 1, None)
    assert findings.count("blank_token_dropped") == 5
    assert findings.count("entity_of_blank_tokens") == 1
    assert findings.count("row_without_words") == 1


def test_a_row_is_written_for_each_sentence(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    text = "Use Redis.\nUse Fedora Server."
    write_gliner(path, [AnnotatedText(text, [Span(4, 9, "SW"), Span(15, 28, "OS")], "a")])
    assert json.loads(path.read_text(encoding="utf-8")) == [
        {"id": "a", "tokenized_text": ["Use", "Redis", "."], "ner": [[1, 1, "SW"]]},
        {"id": "a", "tokenized_text": ["Use", "Fedora", "Server", "."], "ner": [[1, 2, "OS"]]},
    ]
