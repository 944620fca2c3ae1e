"""Prodigy: JSON lines with a text, its tokens and spans, and the annotator's answer."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ...config.schema import DataConfig
from ...errors import DataError
from ..findings import Findings
from .base import AnnotatedText, Format, Head, Rows, Span, TextWithSpans, string_field
from .json_files import write_json_lines
from .span_items import (
    RELATIONS,
    TEXT_ID_FIELDS,
    check_object,
    check_one_field,
    has_text,
    make_span,
    read_text,
    shown,
    utf16_slice,
)
from .word_cuts import cut_words

ACCEPT = "accept"
ANSWERS = (ACCEPT, "reject", "ignore")
TASK_HASH = "_task_hash"
"""Answers of several annotators to one question have the same."""
INPUT_HASH = "_input_hash"
"""Questions about one text have the same."""
HASHES = frozenset((INPUT_HASH, TASK_HASH))
"""Fields that Prodigy adds to each row."""
CATEGORIES = (("label", str), ("accept", list))
"""Fields of answers about whole texts, with the type of their values."""


def read_prodigy(
    rows: Rows, config: DataConfig, findings: Findings, split: str
) -> Iterator[TextWithSpans]:
    """Yield the texts that the annotator accepted, or that have no answer.

    Of several accepted answers to one question the first counts. Answers to several questions about
    one text are read one by one, and noted. Where a row has tokens, they give each span the text
    that its offsets are checked against.

    Raises:
        DataError: a row has no text, an unknown answer, or a span without offsets and label.
    """
    answered: set[int] = set()
    texts: set[int] = set()
    for position, row in rows.items:
        place = f"{rows.place}{position}"
        row = check_object(row, place, '{"text": ..., "spans": [...]}')
        answer = row.get("answer", ACCEPT)
        if answer not in ANSWERS:
            raise DataError(
                f"{place}: the answer {shown(answer)} is not one of {', '.join(ANSWERS)}: correct "
                "it"
            )
        if answer != ACCEPT:
            findings.add("row_not_accepted", split, place, answer)
            continue
        task = row.get(TASK_HASH)
        if type(task) is int:
            if task in answered:
                findings.add("annotation_not_chosen", split, place)
                continue
            answered.add(task)
        shared = row.get(INPUT_HASH)
        if type(shared) is int:
            findings.add("text_repeated", split, place, count=shared in texts)
            texts.add(shared)
        text = read_text(row, config.text_column, place)
        spans = row.get("spans")
        check_one_field(row, "spans", place)
        if spans is None:
            _check_no_category(row, place)
            spans = []
        if not isinstance(spans, list):
            raise DataError(
                f"{place}: 'spans' is {shown(spans)}, not a list: give objects with start, end and "
                "label"
            )
        relations = row.get(RELATIONS)
        if isinstance(relations, list):
            findings.add("annotation_of_other_type", split, place, RELATIONS, len(relations))
        unit = _Tokens(row.get("tokens"), text)
        yield TextWithSpans(
            text,
            [_span(span, unit, place) for span in spans],
            position,
            string_field(row, TEXT_ID_FIELDS),
        )


def write_prodigy(path: Path, texts: Iterable[AnnotatedText]) -> None:
    """Write accepted rows, with tokens that are cut where an entity begins or ends.

    Raises:
        DataError: an entity holds no word.
    """
    write_json_lines(path, map(_row, texts))


def _matches(head: Head) -> bool:
    row = head.row
    if not has_text(row):
        return False
    return (
        isinstance(row.get("spans"), list)
        or row.get("answer") in ANSWERS
        or bool(HASHES & row.keys())
    )


PRODIGY = Format(
    name="prodigy",
    title="Prodigy",
    summary="JSON lines with a text, tokens, spans and an answer; only accepted rows are read",
    example='{"text": "Redis on Ubuntu", "spans": [{"start": 0, "end": 5, "token_start": 0, '
    '"token_end": 0, "label": "SOFTWARE"}], "answer": "accept"}',
    matches=_matches,
    read=read_prodigy,
    is_rows=True,
    suffixes=(".jsonl", ".json"),
    write=write_prodigy,
)


class _Tokens:
    """The tokens of a row, which tell what its offsets count."""

    def __init__(self, tokens: Any, text: str) -> None:
        self._text = text
        self._tokens: list[Mapping[str, Any]] = (
            tokens if isinstance(tokens, list) and tokens and all(map(_is_token, tokens)) else []
        )
        self._cut = next((cut for cut in (_slice, utf16_slice) if self._fit(cut)), None)

    def surface(self, span: Mapping[str, Any]) -> str | None:
        """Return the text of a span by its tokens, or None if they do not tell it."""
        if self._cut is None:
            return None
        start, end = span.get("start"), span.get("end")
        first, last = span.get("token_start"), span.get("token_end")
        if type(first) is int and type(last) is int and 0 <= first <= last < len(self._tokens):
            start, end = self._tokens[first]["start"], self._tokens[last]["end"]
        if type(start) is not int or type(end) is not int:
            return None
        return self._cut(self._text, start, end)

    def _fit(self, cut: Any) -> bool:
        return bool(self._tokens) and all(
            cut(self._text, token["start"], token["end"]) == token["text"] for token in self._tokens
        )


def _is_token(token: Any) -> bool:
    return (
        isinstance(token, dict)
        and isinstance(token.get("text"), str)
        and type(token.get("start")) is int
        and type(token.get("end")) is int
    )


def _slice(text: str, start: int, end: int) -> str:
    return text[max(start, 0) : max(end, 0)]


def _span(span: Any, tokens: _Tokens, place: str) -> Span:
    span = check_object(span, place, "a span with start, end and label")
    missing = [name for name in ("start", "end", "label") if name not in span]
    if missing:
        raise DataError(f"{place}: the span {shown(span)} has no {missing[0]!r}: give it")
    return make_span(span["start"], span["end"], span["label"], place, tokens.surface(span))


def _check_no_category(row: Mapping[str, Any], place: str) -> None:
    """Raise DataError if a row without spans answers what the whole text is about."""
    for name, type_ in CATEGORIES:
        if isinstance(row.get(name), type_):
            raise DataError(
                f"{place}: no spans, and {name!r} is {shown(row[name])}, a category of the whole "
                "text: export a dataset of spans, such as one of ner.manual"
            )


def _row(text: AnnotatedText) -> dict[str, Any]:
    cuts = cut_words(text)
    following = [*cuts.starts, len(text.text)][1:]
    tokens = [
        {
            "text": text.text[start:end],
            "start": start,
            "end": end,
            "id": number,
            "ws": end < next_start,
        }
        for number, (start, end, next_start) in enumerate(
            zip(cuts.starts, cuts.ends, following, strict=True)
        )
    ]
    spans = []
    for span, (first, last) in zip(text.spans, cuts.entities, strict=True):
        row: dict[str, Any] = {"start": span.start, "end": span.end, "label": span.label}
        if (cuts.starts[first], cuts.ends[last - 1]) == span[:2]:  # no white space at its ends
            row |= {"token_start": first, "token_end": last - 1}
        spans.append(row)
    return {
        **text.id_field,
        "text": text.text,
        "tokens": tokens,
        "spans": spans,
        "answer": ACCEPT,
    }
