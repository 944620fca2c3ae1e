"""Texts that people give are read or refused in one line, and corrections are read by `data`."""

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from ner_mlflow.config.schema import DataConfig
from ner_mlflow.data.prepare import prepare
from ner_mlflow.data.sentences import TRAIN
from ner_mlflow.data.sources import read_corpus
from ner_mlflow.demo.annotations import (
    MOST_CHARACTERS,
    corrected,
    difference,
    read_texts,
    to_annotation,
    to_csv,
    to_jsonl,
)
from ner_mlflow.errors import DataError
from ner_mlflow.tagging.iob2 import Entity, to_entities
from ner_mlflow.tagging.recognizer import TextEntity

TEXT = "Größe 🚀 of Redis on Ubuntu, and Redis again"
REDIS = TextEntity("Redis", "Gerät", 11, 16, 0.9)
UBUNTU = TextEntity("Ubuntu", "OS", 20, 26, 0.75)


def test_a_text_file_is_one_text_and_json_lines_are_one_each() -> None:
    assert read_texts("a.TXT", "one\ntwo\n".encode("utf-8-sig")) == ["one\ntwo\n"]
    lines = b'{"text": "one", "id": 1}\n\n{"text": "tw\\u2028o"}\n'
    assert read_texts("a.jsonl", lines) == ["one", "tw\u2028o"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", b"\xff", "a.txt, byte 0: is not UTF-8"),
        ("a.txt", b" \n", "a.txt: holds no text"),
        ("a.jsonl", b"", "a.jsonl: holds no text"),
        ("a.jsonl", b'{"text": "x"}\n{"text"', "a.jsonl:2: is not JSON"),
        ("a.jsonl", b'{"words": "x"}', 'a.jsonl:1: has no field "text" with a text'),
        ("a.jsonl", b"[1]", "a.jsonl:1: has no field"),
        ("a.txt", b"x" * (MOST_CHARACTERS + 1), "ner-mlflow predict"),
    ],
)
def test_a_file_without_texts_is_refused_in_one_line(
    name: str, content: bytes, message: str
) -> None:
    with pytest.raises(DataError) as raised:
        read_texts(name, content)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_downloads_hold_every_entity_with_its_offsets() -> None:
    answers = [[REDIS, UBUNTU], []]
    rows = list(csv.DictReader(to_csv(answers).splitlines()))
    assert [(row["text_number"], row["entity"], row["start"]) for row in rows] == [
        ("1", "Redis", "11"),
        ("1", "Ubuntu", "20"),
    ]
    lines = [json.loads(line) for line in to_jsonl([TEXT, "nothing"], answers).splitlines()]
    assert [line["text"] for line in lines] == [TEXT, "nothing"]
    for entity in lines[0]["entities"]:
        assert TEXT[entity["start"] : entity["end"]] == entity["text"]


def test_two_models_differ_in_spans_and_types_but_not_in_confidence() -> None:
    found = difference([REDIS, UBUNTU], [REDIS._replace(score=0.1), UBUNTU._replace(label="HW")])
    assert found.both == (REDIS,)
    assert found.only_first == (UBUNTU,)
    assert found.only_second == (UBUNTU._replace(label="HW"),)


def row(
    text: str = "", label: str = "OS", start: object = None, end: object = None
) -> Mapping[str, Any]:
    return {"text": text, "label": label, "start": start, "end": end}


def test_corrections_may_give_offsets_or_words() -> None:
    rows = [
        row("Redis", "Gerät", 11, 16),
        row("Redis", "Gerät", float("nan"), None),  # the first Redis is taken
        row("Ubuntu"),
        row("", ""),  # an empty row of the editor
    ]
    assert corrected(TEXT, rows) == [
        Entity(11, 16, "Gerät"),
        Entity(20, 26, "OS"),
        Entity(32, 37, "Gerät"),
    ]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([row("Redis", "")], "row 1: has no type"),
        ([row("", "OS", 5, 500)], "row 1: 5 to 500 is not within the text of 43 characters"),
        ([row("", "OS", 7, 7)], "row 1: 7 to 7 is not within"),
        ([row("", "OS", 0, 5), row("", "OS", 4, 8)], "row 2: 4 to 8 overlaps 0 to 5"),
        ([row("Windows")], "row 1: 'Windows' does not stand in the text"),
        ([row("", "OS", 3)], "row 1: '' does not stand in the text"),
    ],
)
def test_a_correction_that_does_not_fit_is_refused_in_one_line(
    rows: list[Mapping[str, Any]], message: str
) -> None:
    with pytest.raises(DataError) as raised:
        corrected(TEXT, rows)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_the_step_data_reads_kept_corrections_as_they_were_kept(tmp_path: Path) -> None:
    entities = [Entity(11, 16, "Gerät"), Entity(20, 26, "OS")]
    lines = [to_annotation(TEXT, entities), to_annotation("Nothing in here.", [])]
    for split in ("train", "validation", "test"):
        (tmp_path / f"{split}.jsonl").write_text("".join(lines), encoding="utf-8")
    config = DataConfig(dataset=str(tmp_path), label_map="keep", cross_split_duplicates="keep")
    reading = read_corpus(config)
    prepared = prepare(reading.corpus, config, reading.findings)
    first, second = prepared.corpus[TRAIN]
    found = to_entities(first.tags)
    assert [(" ".join(first.tokens[e.start : e.end]), e.type) for e in found] == [
        ("Redis", "Gerät"),
        ("Ubuntu", "OS"),
    ]
    assert to_entities(second.tags) == []
