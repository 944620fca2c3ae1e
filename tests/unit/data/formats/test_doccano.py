"""doccano: all shapes of its exports are read."""

from typing import Any

import pytest
from span_formats import read_rows, texts_of

from ner_mlflow.data.findings import Findings
from ner_mlflow.data.formats.doccano import DOCCANO
from ner_mlflow.errors import DataError

TEXT = "Redis on Ubuntu"
ENTITY = {"id": 4, "start_offset": 9, "end_offset": 15, "label": "OS"}


@pytest.mark.parametrize("text", ["text", "data"])
@pytest.mark.parametrize("field", ["label", "labels", "annotations", "entities"])
@pytest.mark.parametrize("span", [[9, 15, "OS"], ENTITY, {"start": 9, "end": 15, "label": "OS"}])
def test_every_shape_gives_the_same_spans(text: str, field: str, span: Any) -> None:
    (record,) = read_rows(DOCCANO, [{"id": 3, text: TEXT, field: [span]}])
    assert texts_of([record]) == [(TEXT, [(9, 15, "OS")])]
    assert record.document == "3"


def test_numbers_of_labels_get_the_names_of_tag_names() -> None:
    (record,) = read_rows(DOCCANO, [{"text": TEXT, "label": [[9, 15, 1]]}], tag_names="ORG,OS")
    assert texts_of([record]) == [(TEXT, [(9, 15, "OS")])]


def test_relations_are_counted() -> None:
    findings = Findings()
    row = {"text": TEXT, "entities": [ENTITY], "relations": [{"id": 1}, {"id": 2}]}
    assert len(read_rows(DOCCANO, [row], findings)) == 1
    assert findings.count("annotation_of_other_type", "train") == 2


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ([1], "not an object"),
        ({"text": TEXT}, "no field 'label' or"),
        ({"label": []}, "no field 'text' or"),
        ({"text": None, "label": []}, "'text' is None, not text"),
        ({"text": TEXT, "label": None}, "not a list of spans"),
        ({"text": TEXT, "label": ["positive"]}, "labels of whole texts"),
        ({"text": TEXT, "label": [[0, 5]]}, "is not a span"),
        ({"text": TEXT, "label": [[0, 5, "A", "B"]]}, "is not a span"),
        ({"text": TEXT, "label": [None]}, "is not a span"),
        ({"text": TEXT, "label": [{"start_offset": 0, "label": "A"}]}, "is not a span"),
        ({"text": TEXT, "label": [[0.0, 5, "A"]]}, "needs whole numbers"),
        ({"text": TEXT, "label": [[0, True, "A"]]}, "needs whole numbers"),
        ({"text": TEXT, "label": [["0", 5, "A"]]}, "needs whole numbers"),
        ({"text": TEXT, "label": [[0, 5, None]]}, "has no label"),
        ({"text": TEXT, "label": [[0, 5, " "]]}, "has no label"),
        ({"text": TEXT, "annotations": [{**ENTITY, "label": 2}]}, "label 2 is a number"),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_line(row: Any, message: str) -> None:
    with pytest.raises(DataError, match=f"^train.jsonl:1: .*{message}.*: ") as caught:
        read_rows(DOCCANO, [row])
    assert "\n" not in str(caught.value)


def test_the_field_of_the_text_can_be_named() -> None:
    (record,) = read_rows(DOCCANO, [{"post": TEXT, "text": "x", "label": []}], text_column="post")
    assert record.text == TEXT
    with pytest.raises(DataError, match="no field 'post' among 'text', 'label'"):
        read_rows(DOCCANO, [{"text": "x", "label": []}], text_column="post")
