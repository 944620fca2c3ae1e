"""Label Studio: what of an export is gold, in JSON and JSON_MIN, and what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
from span_formats import read_rows, texts_of

from ner_mlflow.data.findings import Findings
from ner_mlflow.data.formats.base import AnnotatedText, Span
from ner_mlflow.data.formats.label_studio import LABEL_STUDIO, write_label_studio
from ner_mlflow.errors import DataError

TEXT = "Redis on Ubuntu"


def region(start: Any, end: Any, label: Any = "OS", **value: Any) -> dict[str, Any]:
    labels = label if isinstance(label, list) else [label]
    return {
        "from_name": "label",
        "to_name": "text",
        "type": "labels",
        "value": {"start": start, "end": end, "labels": labels, **value},
    }


def task(*results: dict[str, Any], **answer: Any) -> dict[str, Any]:
    return {"id": 7, "data": {"text": TEXT}, "annotations": [{"result": list(results), **answer}]}


def answered(*answers: dict[str, Any]) -> dict[str, Any]:
    return {"id": 7, "data": {"text": TEXT}, "annotations": list(answers)}


def test_a_task_gives_its_text_regions_and_id() -> None:
    (record,) = read_rows(LABEL_STUDIO, [task(region(9, 15, "OS", text="Ubuntu"))])
    assert record == (TEXT, [Span(9, 15, "OS", "Ubuntu")], 1, "7")


def test_the_old_field_of_answers_is_read() -> None:
    old = {"data": {"text": TEXT}, "completions": [{"result": [region(0, 5, "SW")]}]}
    assert texts_of(read_rows(LABEL_STUDIO, [old])) == [(TEXT, [(0, 5, "SW")])]


def test_a_region_with_two_labels_gives_two_spans() -> None:
    (record,) = read_rows(LABEL_STUDIO, [task(region(0, 5, ["SW", "DB"]))])
    assert [span.label for span in record.spans] == ["SW", "DB"]


@pytest.mark.parametrize(
    ("answers", "label", "not_chosen"),
    [
        ([{}, {}], "B", 1),
        ([{"ground_truth": True}, {}], "A", 1),
        ([{"ground_truth": True}, {"ground_truth": True}, {}], "B", 2),
        ([{}, {"was_cancelled": True}], "A", 1),
        ([{"was_cancelled": True, "ground_truth": True}, {}], "B", 1),
        ([{"skipped": True}, {}], "B", 1),
    ],
)
def test_of_several_answers_the_ground_truth_or_else_the_last_counts(
    answers: list[dict[str, Any]], label: str, not_chosen: int
) -> None:
    findings = Findings()
    rows = [
        answered(
            *(
                {"result": [region(0, 5, name)], **answer}
                for name, answer in zip("ABC", answers, strict=False)
            )
        )
    ]
    (record,) = read_rows(LABEL_STUDIO, rows, findings)
    assert [span.label for span in record.spans] == [label]
    assert findings.count("annotation_not_chosen") == not_chosen


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        (answered(), "row_without_annotation"),
        ({"data": {"text": TEXT}, "predictions": [{"result": []}]}, "row_without_annotation"),
        (answered({"result": [], "was_cancelled": True}), "row_not_accepted"),
    ],
)
def test_a_task_without_an_answer_is_left_out_and_counted(row: dict[str, Any], kind: str) -> None:
    findings = Findings()
    assert read_rows(LABEL_STUDIO, [row], findings) == []
    assert findings.count(kind, "train") == 1


def test_relations_choices_and_regions_without_a_label_are_counted() -> None:
    findings = Findings()
    others = [
        {"type": "relation", "from_id": "a", "to_id": "b"},
        {"type": "choices", "value": {"choices": ["ok"]}},
        region(0, 5, []),
    ]
    (record,) = read_rows(LABEL_STUDIO, [task(region(9, 15), *others)], findings)
    assert len(record.spans) == 1
    assert findings.count("annotation_of_other_type") == 3


@pytest.mark.parametrize(
    ("data", "column", "text"),
    [
        ({"body": TEXT, "title": "x"}, "", TEXT),
        ({"issue": TEXT, "number": 3}, "", TEXT),
        ({"text": "x", "issue": TEXT}, "issue", TEXT),
    ],
)
def test_the_text_is_the_field_named_known_or_alone(
    data: dict[str, Any], column: str, text: str
) -> None:
    row = {**task(region(0, 5)), "data": data}
    (record,) = read_rows(LABEL_STUDIO, [row], text_column=column)
    assert record.text == text


@pytest.mark.parametrize(
    ("surface", "part"),
    [("a\\nb", "a\nb"), ("ab", "a\nb"), ("a\nb", "a\nb"), ("xy", "xy")],
)
def test_a_surface_may_differ_from_the_text_by_its_line_ends(surface: str, part: str) -> None:
    row = {**task(region(1, 4, text=surface)), "data": {"text": " a\nb "}}
    (record,) = read_rows(LABEL_STUDIO, [row])
    assert record.spans[0].surface == part


def test_offsets_of_utf16_units_keep_their_surface() -> None:
    row = {**task(region(3, 6, text="a\\nb")), "data": {"text": "😀 a\nb c"}}
    (record,) = read_rows(LABEL_STUDIO, [row])
    assert record.spans[0] == Span(3, 6, "OS", "a\nb")


def hyper(**value: Any) -> dict[str, Any]:
    return {
        "type": "hypertextlabels",
        "to_name": "text",
        "value": {
            "start": "/text()[1]",
            "end": "/text()[1]",
            "startOffset": 9,
            "endOffset": 15,
            "hypertextlabels": ["OS"],
            **value,
        },
    }


def test_hypertext_is_read_by_its_global_offsets_if_the_text_is_plain() -> None:
    row = task(hyper(globalOffsets={"start": 9, "end": 15}, text="Ubuntu"))
    assert texts_of(read_rows(LABEL_STUDIO, [row])) == [(TEXT, [(9, 15, "OS")])]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (TEXT, {}),
        ("<p>Redis</p> on Ubuntu", {"globalOffsets": {"start": 9, "end": 15}, "text": "Ubuntu"}),
    ],
)
def test_hypertext_with_markup_is_refused(text: str, value: dict[str, Any]) -> None:
    row = {**task(hyper(**value)), "data": {"text": text}}
    with pytest.raises(DataError, match=r"train.jsonl:1: .*HyperText.*: label plain text"):
        read_rows(LABEL_STUDIO, [row])


MIN = {"text": TEXT, "annotator": 1, "annotation_id": 3, "lead_time": 1.5, "created_at": "2026"}


def test_rows_of_json_min_have_their_labels_under_any_name() -> None:
    rows = [
        {**MIN, "id": 1, "ner": [{"start": 9, "end": 15, "text": "Ubuntu", "labels": ["OS"]}]},
        {**MIN, "id": 2},
    ]
    records = read_rows(LABEL_STUDIO, rows)
    assert texts_of(records) == [(TEXT, [(9, 15, "OS")]), (TEXT, [])]
    assert [record.document for record in records] == ["1", "2"]


def test_of_rows_of_json_min_with_one_id_the_last_counts() -> None:
    findings = Findings()
    rows = [
        {**MIN, "id": 1, "label": [{"start": 0, "end": 5, "labels": [label]}]} for label in "ABC"
    ]
    records = read_rows(LABEL_STUDIO, [*rows, {**MIN, "id": 2}], findings)
    assert texts_of(records) == [(TEXT, [(0, 5, "C")]), (TEXT, [])]
    assert findings.count("annotation_not_chosen") == 2
    assert findings.count("task_repeated") == 0


def test_answers_to_one_task_that_are_not_neighbours_are_told() -> None:
    findings = Findings()
    rows = [{**MIN, "id": number, "label": []} for number in (1, 2, 1)]
    assert len(read_rows(LABEL_STUDIO, rows, findings)) == 3
    assert findings.count("task_repeated") == 1


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (5, "5 is not an object"),
        (task(region(0.5, 5)), "needs whole numbers"),
        (task(region(True, 5)), "needs whole numbers"),
        (task(region("0", 5)), "needs whole numbers"),
        (task(region(0, 5, [1.5])), "has no label"),
        (task(region(0, 5, text=3)), "3 as its text"),
        ({**task(), "data": {"text": None}}, "'text' is None, not text"),
        ({**task(), "data": {"a": "x", "b": "y"}}, "2 of the fields 'a', 'b' could be the text"),
        ({**task(), "data": {}}, "0 of the fields none"),
        ({**task(), "annotations": [12]}, "not a list of objects"),
        (answered({"result": None}), "not a list of regions"),
        (
            task(region(0, 5), {**region(0, 5), "to_name": "title"}),
            r"regions of 2 texts \(text, title\)",
        ),
        ({"label": [{"start": 0, "end": 5, "labels": "OS"}], "text": "x"}, "are not a list"),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_line(row: Any, message: str) -> None:
    with pytest.raises(DataError, match=f"^train.jsonl:1: .*{message}.*: ") as caught:
        read_rows(LABEL_STUDIO, [row])
    assert "\n" not in str(caught.value)


def test_predictions_have_scores_and_offsets_in_code_points(tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    write_label_studio(path, [AnnotatedText("😀 Redis", [Span(2, 7, "SW")], "a", scores=[0.5])])
    (row,) = json.loads(path.read_text(encoding="utf-8"))
    assert row["data"] == {"text": "😀 Redis", "id": "a"}
    (prediction,) = row["predictions"]
    assert (prediction["model_version"], prediction["score"]) == ("ner_mlflow", 0.5)
    (result,) = prediction["result"]
    assert (result["from_name"], result["to_name"], result["type"]) == ("label", "text", "labels")
    assert result["value"] == {"start": 2, "end": 7, "text": "Redis", "labels": ["SW"]}
    assert result["score"] == 0.5
    assert "annotations" not in row


@pytest.mark.parametrize("label", [[[0, 5, "SW"]], [{"start": 0, "end": 5, "label": "SW"}]])
def test_spans_of_another_tool_are_refused_and_not_dropped(label: list[Any]) -> None:
    with pytest.raises(
        DataError, match=r"no regions of Label Studio: choose another source_format"
    ):
        read_rows(LABEL_STUDIO, [{"text": TEXT, "label": label}])
