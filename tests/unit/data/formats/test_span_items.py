"""A row has its spans in one field."""

from typing import Any

import pytest
from span_formats import read_rows, texts_of

from ner_mlflow.data.formats.base import Format
from ner_mlflow.data.formats.doccano import DOCCANO
from ner_mlflow.data.formats.entity_rows import ENTITY_ROWS
from ner_mlflow.data.formats.prodigy import PRODIGY
from ner_mlflow.data.formats.spacy import SPACY
from ner_mlflow.errors import DataError

TEXT = "Redis on Ubuntu"
TRIPLE = [0, 5, "SW"]
OBJECT = {"start": 9, "end": 15, "label": "OS"}
LONG_OBJECT = {"start_offset": 9, "end_offset": 15, "label": "OS"}


@pytest.mark.parametrize(
    ("format_", "row", "other"),
    [
        (DOCCANO, {"label": [], "entities": [LONG_OBJECT]}, "entities"),
        (DOCCANO, {"label": [TRIPLE], "spans": [OBJECT]}, "spans"),
        (PRODIGY, {"spans": [], "label": [TRIPLE]}, "label"),
        (PRODIGY, {"entities": [OBJECT]}, "entities"),
        (SPACY, {"entities": [TRIPLE], "label": [[9, 15, "OS"]]}, "label"),
        (ENTITY_ROWS, {"entities": [], "labels": [TRIPLE]}, "labels"),
    ],
)
def test_spans_in_a_second_field_are_not_dropped(
    format_: Format, row: dict[str, Any], other: str
) -> None:
    with pytest.raises(DataError, match=f"^train.jsonl:1: '{other}' holds spans, and .* keep one"):
        read_rows(format_, [{"text": TEXT} | row])


@pytest.mark.parametrize("second", [{"label": "DATABASES"}, {"labels": []}, {"spans": [TRIPLE]}])
def test_fields_that_hold_no_other_spans_do_no_harm(second: dict[str, Any]) -> None:
    records = read_rows(SPACY, [{"text": TEXT, "entities": [TRIPLE]} | second])
    assert texts_of(records) == [(TEXT, [(0, 5, "SW")])]
