"""Label Studio: the exports JSON (tasks with annotations) and JSON_MIN (one answer per row).

Label Studio counts offsets in code points since the end of 2021
(HumanSignal/label-studio-frontend#308) and counted UTF-16 units before. The text that each region
quotes shows which of the two an export has.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...config.schema import DataConfig
from ...errors import DataError
from ..findings import Findings
from .base import (
    AnnotatedText,
    Format,
    Head,
    Rows,
    Span,
    TextWithSpans,
    find_field,
    string_field,
)
from .json_files import write_json_array
from .span_items import (
    KNOWN_TEXT_FIELDS,
    NO_TEXT,
    TEXT_ID_FIELDS,
    check_object,
    check_text,
    make_span,
    shown,
    utf16_slice,
)

ANSWER_FIELDS = ("annotations", "completions")
"""Fields of a task that hold what people answered; the second in exports before version 1.0."""
PREDICTIONS = "predictions"
LABEL_TYPES = ("labels", "hypertextlabels")
"""Types of results that label a span of text; the type is also the field of the labels."""
ANSWER_MARKS = frozenset(("annotation_id", "lead_time"))
"""Fields that Label Studio alone adds to each row of JSON_MIN."""
OWN_FIELDS = ANSWER_MARKS | {"annotator", "created_at", "updated_at", "agreement", "id"}
"""Fields of a JSON_MIN row that are not the task's."""
MODEL_VERSION = "ner_mlflow"
CONTROL, OBJECT = "label", "text"
"""Names in a labeling configuration, as Label Studio's template of named entities gives them."""
_LINE_ENDS = re.compile(r"\\n|[\r\n]")
_MARKUP = re.compile(r"</?[A-Za-z][^<>]*>")


def read_label_studio(
    rows: Rows, config: DataConfig, findings: Findings, split: str
) -> Iterator[TextWithSpans]:
    """Yield the texts of tasks that were annotated.

    If a task has several answers, the last one that is marked as ground truth counts, or else the
    last one that was not cancelled. In JSON_MIN, answers to one task are consecutive rows with the
    same id, and the last one counts.

    Raises:
        DataError: a row is not from Label Studio, its text is ambiguous, or a region has no offsets
            in its text.
    """
    held: tuple[Any, str, TextWithSpans] | None = None
    answered: set[str] = set()
    for position, row in rows.items:
        place = f"{rows.place}{position}"
        row = check_object(row, place, "a task, as Label Studio exports it as JSON or JSON_MIN")
        if isinstance(row.get("data"), dict):
            if record := _read_task(row, config, findings, split, position, place):
                yield record
            continue
        record = _read_answer(row, config, findings, split, position, place)
        if held and row.get("id") is not None and held[0] == row["id"]:
            findings.add("annotation_not_chosen", split, held[1])
        else:
            if held:
                yield held[2]
            if row.get("id") is not None:
                task = str(row["id"])
                findings.add("task_repeated", split, place, f"task {task}", count=task in answered)
                answered.add(task)
        held = row.get("id"), place, record
    if held:
        yield held[2]


def write_label_studio(path: Path, texts: Iterable[AnnotatedText]) -> None:
    """Write tasks to import: with predictions if the texts have scores, else with annotations."""
    write_json_array(path, map(_task, texts))


def _matches(head: Head) -> bool:
    row = head.row
    if not isinstance(row, dict):
        return False
    if isinstance(row.get("data"), dict):
        return any(isinstance(row.get(name), list) for name in (*ANSWER_FIELDS, PREDICTIONS))
    return bool(ANSWER_MARKS & row.keys()) or any(map(_holds_labels, row.values()))


LABEL_STUDIO = Format(
    name="label_studio",
    title="Label Studio",
    summary="texts with labelled regions, in the export formats JSON and JSON_MIN",
    example='[{"id": 1, "data": {"text": "Redis on Ubuntu"}, "annotations": [{"result": ['
    '{"from_name": "label", "to_name": "text", "type": "labels", "value": {"start": 0, "end": 5, '
    '"text": "Redis", "labels": ["SOFTWARE"]}}]}]}]',
    matches=_matches,
    read=read_label_studio,
    is_rows=True,
    suffixes=(".json", ".jsonl"),
    write=write_label_studio,
)


def _read_task(
    task: Mapping[str, Any],
    config: DataConfig,
    findings: Findings,
    split: str,
    position: int,
    place: str,
) -> TextWithSpans | None:
    answers: Any = next((task[name] for name in ANSWER_FIELDS if task.get(name) is not None), [])
    if not isinstance(answers, list) or not all(isinstance(answer, dict) for answer in answers):
        raise DataError(
            f"{place}: annotations {shown(answers)} are not a list of objects: export the task "
            "with its annotations, as JSON"
        )
    if not answers:
        detail = "predictions only" if task.get(PREDICTIONS) else ""
        findings.add("row_without_annotation", split, place, detail)
        return None
    accepted = [answer for answer in answers if not _is_cancelled(answer)]
    if not accepted:
        findings.add("row_not_accepted", split, place, "cancelled")
        return None
    answer = next((answer for answer in reversed(accepted) if answer.get("ground_truth")), None)
    findings.add("annotation_not_chosen", split, place, count=len(answers) - 1)
    data = task["data"]
    text = _text(data, config, place)
    results = (answer or accepted[-1]).get("result")
    if not isinstance(results, list) or not all(isinstance(result, dict) for result in results):
        raise DataError(
            f"{place}: the result {shown(results)} is not a list of regions: export the task as "
            "JSON"
        )
    regions = [result for result in results if result.get("type") in LABEL_TYPES]
    if len(texts := {str(region.get("to_name")) for region in regions}) > 1:
        raise DataError(
            f"{place}: regions of {len(texts)} texts ({', '.join(sorted(texts))}): "
            "leave those of one text, or make a task of each"
        )
    others = Counter(
        str(result.get("type")) for result in results if result.get("type") not in LABEL_TYPES
    )
    spans: list[Span] = []
    for region in regions:
        value = check_object(region.get("value"), place, "a region with a value")
        labels = value.get(region["type"]) or []
        others["region without a label"] += not labels
        spans += _spans(value, labels, text, place)
    for type_, count in others.items():
        findings.add("annotation_of_other_type", split, place, type_, count)
    document = string_field({**task, **data}, TEXT_ID_FIELDS)
    return TextWithSpans(text, spans, position, document)


def _read_answer(
    row: Mapping[str, Any],
    config: DataConfig,
    findings: Findings,
    split: str,
    position: int,
    place: str,
) -> TextWithSpans:
    fields = {name: value for name, value in row.items() if name not in OWN_FIELDS}
    text = _text(fields, config, place)
    spans: list[Span] = []
    for name, value in fields.items():
        if _holds_other_spans(value) and not ANSWER_MARKS & row.keys():
            raise DataError(
                f"{place}: {name!r} is {shown(value)}, no regions of Label Studio: choose another "
                "source_format, or export the tasks as JSON or JSON_MIN"
            )
        for region in value if _holds_regions(value) else ():
            region = check_object(region, place, "a region with start, end and labels")
            labels: Any = next((region[name] for name in LABEL_TYPES if region.get(name)), [])
            if not labels:
                findings.add("annotation_of_other_type", split, place, "region without a label")
            spans += _spans(region, labels, text, place)
    return TextWithSpans(text, spans, position, string_field(row, TEXT_ID_FIELDS))


def _text(data: Mapping[str, Any], config: DataConfig, place: str) -> str:
    """Return the text of a task's data."""
    if config.text_column:
        find_field(data, (config.text_column,), place, NO_TEXT)
        return check_text(data[config.text_column], config.text_column, place)
    if name := next((name for name in KNOWN_TEXT_FIELDS if name in data), None):
        return check_text(data[name], name, place)
    names = [name for name, value in data.items() if isinstance(value, str)]
    if len(names) != 1:
        raise DataError(
            f"{place}: {len(names)} of the fields {', '.join(map(repr, data)) or 'none'} could be "
            "the text: name it by text_column"
        )
    return str(data[names[0]])


def _is_cancelled(answer: Mapping[str, Any]) -> bool:
    return bool(answer.get("was_cancelled") or answer.get("skipped"))


def _holds_labels(value: Any) -> bool:
    """Return whether a field of JSON_MIN is a list of labelled regions."""
    first = value[0] if isinstance(value, list) and value else None
    return (
        isinstance(first, dict)
        and any(name in first for name in LABEL_TYPES)
        and ("start" in first or "globalOffsets" in first)
    )


def _holds_other_spans(value: Any) -> bool:
    """Return whether a field is a list of lists, or of objects that have offsets but no region."""
    first = value[0] if isinstance(value, list) and value else None
    return isinstance(first, list) or (
        isinstance(first, dict)
        and bool(first.keys() & {"start", "start_offset"})
        and not _holds_regions(value)
    )


def _holds_regions(value: Any) -> bool:
    """Return whether a field is a list of regions, of which the first may lack a label."""
    first = value[0] if isinstance(value, list) and value else None
    return _holds_labels(value) or (
        isinstance(first, dict) and first.keys() == {"start", "end", "text"}
    )


def _spans(value: Mapping[str, Any], labels: Any, text: str, place: str) -> Iterator[Span]:
    """Yield a span for each label of a region."""
    if not isinstance(labels, list):
        raise DataError(
            f"{place}: labels {shown(labels)} of a region are not a list: export the task as JSON"
        )
    if not labels:
        return
    start, end = _offsets(value, text, place)
    surface = value.get("text")
    if type(start) is int and type(end) is int and isinstance(surface, str):
        surface = _surface(text, start, end, surface)
    for label in labels:
        yield make_span(start, end, label, place, surface)


def _offsets(value: Mapping[str, Any], text: str, place: str) -> tuple[Any, Any]:
    offsets = value.get("globalOffsets")
    if not isinstance(offsets, dict) and "startOffset" not in value:
        return value.get("start"), value.get("end")
    offsets = offsets or {}
    start, end = offsets.get("start"), offsets.get("end")
    named = value.get("text")
    if type(start) is int and type(end) is int:
        fits = isinstance(named, str) and _same(text[start:end], named)
        if fits or not _MARKUP.search(text):
            return start, end
    raise DataError(
        f"{place}: the region {shown(named)} counts the characters of rendered HyperText, not of "
        "the field: label plain text (the tag Text), or export the text without markup"
    )


def _surface(text: str, start: int, end: int, named: str) -> str:
    """Return the part of the text that equals the quoted one, apart from line ends.

    Label Studio writes line ends as a backslash and an n, or drops them
    (HumanSignal/label-studio#1863). Returns the quoted text if no part does.
    """
    for part in (text[start:end], utf16_slice(text, start, end)):
        if _same(part, named):
            return part
    return named


def _same(part: str, named: str) -> bool:
    return part == named or _LINE_ENDS.sub("", part) == _LINE_ENDS.sub("", named)


def _task(text: AnnotatedText) -> dict[str, Any]:
    data = {"text": text.text, **text.id_field}
    results = [
        {
            "id": str(number),
            "from_name": CONTROL,
            "to_name": OBJECT,
            "type": "labels",
            "value": {
                "start": span.start,
                "end": span.end,
                "text": text.text[span.start : span.end],
                "labels": [span.label],
            },
        }
        for number, span in enumerate(text.spans)
    ]
    if text.scores is None:
        return {"data": data, "annotations": [{"result": results}]}
    return {"data": data, PREDICTIONS: [_prediction(results, text.scores)]}


def _prediction(results: list[dict[str, Any]], scores: Sequence[float]) -> dict[str, Any]:
    prediction: dict[str, Any] = {"model_version": MODEL_VERSION}
    if scores:
        prediction["score"] = sum(scores) / len(scores)
    scored = zip(results, scores, strict=True)
    return prediction | {"result": [{**result, "score": score} for result, score in scored]}
