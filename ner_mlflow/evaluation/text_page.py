"""Render the page of raw texts: what a model finds in them, what it misses and what it gets wrong.

A text is shown as one line of segments, with a border wherever a gold entity or an answer begins or
ends. So a gold span and an answer that overlap can both be read.
"""

import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pandas as pd

from ..data.highlights import printable, type_styles
from ..data.running_text import KIND_NAMES, RAW, STANDIN
from ..pages import render_page
from ..tagging.iob2 import Entity
from .text_answers import TextAnswer
from .text_errors import KINDS, TextError, text_error_table

FOLD_ABOVE = 400
"""Characters. A longer stretch without gold and answers is folded."""
CONTEXT = 120
"""Least characters that stay visible on either side of a folded stretch."""
BREAK_WITHIN = 60
"""Characters beyond :data:`CONTEXT` in which a fold looks for the end of a line or a word."""
GOLD_OUTCOMES = {
    "found": (("correct",), "found"),
    "wrong": (("boundary", "type", "both"), "answered with a wrong span or type"),
    "missed": (("missed",), "missed"),
}
"""What becomes of a gold entity -> categories of outcomes, and how the page words it."""
_KEPT = "\n\r\t\u200d"
"""Characters that are shown as they are though they are not printable: U+200D joins emoji."""


@dataclass(frozen=True, slots=True)
class Label:
    """A note behind a span.

    Attributes:
        text: the note.
        side: ``right``, ``gold`` for a missed entity or ``answer`` for a wrong answer.
        kind: the slug of the kind of error, or an empty text.
        anchor: the label's id if it is the first example of its kind, or an empty text.
    """

    text: str
    side: str
    kind: str = ""
    anchor: str = ""


@dataclass(slots=True)
class Segment:
    """A stretch of a text in which the same entities stand.

    Attributes:
        text: the characters, those that cannot be shown as escapes.
        classes: CSS classes: how it is marked, and the slugs of its kinds of errors.
        title: shown when the pointer rests on it.
        type: the type of a correct entity, which gives the background, or an empty text.
        labels: notes behind it.
        folded: the number of characters if the stretch is folded, else 0.
    """

    text: str
    classes: list[str] = field(default_factory=list)
    title: str = ""
    type: str = ""
    labels: list[Label] = field(default_factory=list)
    folded: int = 0


def render_text_page(
    answers: Sequence[TextAnswer],
    errors: Sequence[Sequence[TextError]],
    types: Sequence[str],
    scores: Mapping[str, float],
    is_standin: bool,
    limit: int,
) -> str:
    """Return a page: the scores, the errors by kind, and the texts with gold and answers.

    The texts with most errors come first, among equals the shorter ones.

    Args:
        answers: the texts with their gold entities and the model's answers.
        errors: the errors of each text, of
            :func:`~ner_mlflow.evaluation.text_errors.find_text_errors`.
        types: entity types, in the order of the legend and of the table's columns.
        scores: ``f1``, ``precision`` and ``recall`` of spans with their types, from 0 to 1.
        is_standin: whether the texts were made by joining a dataset's words.
        limit: most texts to show; the page states how many it leaves out.

    Raises:
        KeyError: a score is missing.
        ValueError: there are more or fewer lists of errors than texts.
    """
    if len(answers) != len(errors):
        raise ValueError(f"{len(answers)} texts, but errors of {len(errors)}")
    order = sorted(
        range(len(answers)),
        key=lambda index: (-len(errors[index]), len(answers[index].text), index),
    )
    shown, hidden = order[:limit], order[limit:]
    anchors: dict[str, str] = {}
    texts = [_text(answers[index], errors[index], anchors) for index in shown]
    *kinds, total = _kind_rows(text_error_table(errors, types), anchors)
    return render_page(
        "texts.html",
        title=f"What users get: entities in {KIND_NAMES[STANDIN if is_standin else RAW]}",
        is_standin=is_standin,
        summary=_summary(answers, scores),
        outcomes=_gold_outcomes(answers, errors),
        spurious=_spurious_note(errors),
        kinds=kinds,
        total=total,
        types=types,
        styles=type_styles(types),
        texts=texts,
        shown=f"{len(shown):,} of {_plural(len(answers), 'text')}",
        hidden=_hidden_note(hidden, errors),
    )


def _summary(answers: Sequence[TextAnswer], scores: Mapping[str, float]) -> dict[str, str]:
    return {
        "f1": f"{scores['f1']:.3f}",
        "precision": f"{100 * scores['precision']:.1f} %",
        "recall": f"{100 * scores['recall']:.1f} %",
        "texts": _plural(len(answers), "text"),
        "entities": _plural(sum(len(answer.gold) for answer in answers), "gold entity"),
        "answers": _plural(sum(len(answer.predicted) for answer in answers), "answer"),
    }


def _gold_outcomes(
    answers: Sequence[TextAnswer], errors: Sequence[Sequence[TextError]]
) -> list[dict[str, str]]:
    """Return the parts of the bar that shows what becomes of the gold entities."""
    gold = sum(len(answer.gold) for answer in answers)
    counts = Counter(error.category for of_text in errors for error in of_text if error.gold)
    counts["correct"] = gold - counts.total()
    parts = []
    for name, (categories, meaning) in GOLD_OUTCOMES.items():
        share = 100 * sum(counts[category] for category in categories) / max(gold, 1)
        parts.append(
            {
                "name": name,
                "meaning": meaning,
                "count": f"{sum(counts[category] for category in categories):,}",
                "width": f"{share:.2f}",
                "share": f"{share:.0f} %",
            }
        )
    return parts if gold else []


def _spurious_note(errors: Sequence[Sequence[TextError]]) -> str:
    count = sum(error.gold is None for of_text in errors for error in of_text)
    if not count:
        return "No answer is spurious."
    verb = "is" if count == 1 else "are"
    return f"{_plural(count, 'more answer')} {verb} spurious: gold has no entity there."


def _kind_rows(table: pd.DataFrame, anchors: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the rows of the table of errors by kind, the last row of all errors included."""
    meanings = {kind.name: kind.meaning for kind in KINDS}
    largest = max(table["count"][:-1].max(), 1)
    return [
        {
            "name": kind,
            "slug": _slug(kind),
            "meaning": meanings.get(kind, ""),
            "anchor": anchors.get(kind, ""),
            "count": f"{count:,}",
            "is_empty": not count,
            "share": f"{100 * share:.0f} %",
            "width": f"{100 * count / largest:.1f}",
            "by_type": [f"{number:,}" if number else "" for number in by_type],
        }
        for kind, count, share, *by_type in table.itertuples(index=False, name=None)
    ]


def _hidden_note(hidden: Sequence[int], errors: Sequence[Sequence[TextError]]) -> str:
    if not hidden:
        return ""
    count = sum(len(errors[index]) for index in hidden)
    verb = "is" if len(hidden) == 1 else "are"
    having = f"with {_plural(count, 'error')}" if count else "without errors"
    return f"{_plural(len(hidden), 'text')} {having} {verb} not shown"


def _plural(count: int, noun: str) -> str:
    if count != 1:
        noun = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{count:,} {noun}"


def _slug(name: str) -> str:
    return name.replace(" ", "-")


# A text


def _text(
    answer: TextAnswer, errors: Sequence[TextError], anchors: dict[str, str]
) -> dict[str, Any]:
    correct = len(answer.gold) - sum(error.gold is not None for error in errors)
    return {
        "name": printable(answer.name),
        "counts": f"{_plural(len(errors), 'error')}, {correct:,} found",
        "kinds": sorted({_slug(error.kind) for error in errors}),
        "segments": list(_folded(_segments(answer, errors, anchors))),
    }


@dataclass(frozen=True, slots=True)
class _Span:
    """A gold entity, an answer or a pair of them, from where the first begins."""

    start: int
    end: int
    gold: Entity | None
    predicted: Entity | None
    kind: str
    title: str


def _spans(answer: TextAnswer, errors: Sequence[TextError]) -> list[_Span]:
    scores = dict(zip(answer.predicted, answer.scores, strict=True))
    wrong = {error.gold for error in errors}
    pairs = [(error.gold, error.predicted, error.kind) for error in errors]
    pairs += [(gold, gold, "") for gold in answer.gold if gold not in wrong]
    spans = []
    for gold, predicted, kind in pairs:
        entities = [entity for entity in (gold, predicted) if entity]
        parts = [
            f"gold {gold.type}" if gold else "no gold",
            f"answer {predicted.type} ({scores[predicted]:.2f})" if predicted else "no answer",
        ]
        title = f"{kind or 'correct'}: {', '.join(parts)}"
        start, end = min(e.start for e in entities), max(e.end for e in entities)
        spans.append(_Span(start, end, gold, predicted, kind, title))
    return sorted(spans, key=lambda span: (span.start, span.end))


def _segments(
    answer: TextAnswer, errors: Sequence[TextError], anchors: dict[str, str]
) -> Iterator[Segment]:
    """Yield a text cut wherever a gold entity or an answer begins or ends, labels included."""
    spans = _spans(answer, errors)
    borders = {0, len(answer.text)}
    for entity in (*answer.gold, *answer.predicted):
        borders |= {entity.start, entity.end}
    cuts = sorted(borders)
    later = iter([*spans, None])
    upcoming = next(later)
    current: list[_Span] = []
    for start, end in pairwise(cuts):
        current = [span for span in current if span.end > start]
        while upcoming and upcoming.start <= start:
            current.append(upcoming)
            upcoming = next(later)
        segment = Segment(_shown(answer.text[start:end]))
        for span in current:
            _mark(segment, span, start, end)
            if span.end == end:
                segment.labels.append(_label(span, anchors))
        yield segment


def _mark(segment: Segment, span: _Span, start: int, end: int) -> None:
    in_gold, in_predicted = (
        entity if entity and entity.start <= start and end <= entity.end else None
        for entity in (span.gold, span.predicted)
    )
    if not span.kind and in_gold:
        segment.classes.append("right")
        segment.type = in_gold.type
    elif in_gold:
        segment.classes.append("gold")
        segment.classes += ["first"] * (in_gold.start == start) + ["last"] * (in_gold.end == end)
    if span.kind and in_predicted:
        segment.classes.append("answer")
    if span.kind and (in_gold or in_predicted):
        segment.classes += ["error", _slug(span.kind)]
    if in_gold or in_predicted:
        segment.title = f"{segment.title}; {span.title}" if segment.title else span.title


def _label(span: _Span, anchors: dict[str, str]) -> Label:
    if not span.kind:
        assert span.gold is not None
        return Label(span.gold.type, "right")
    types = [entity.type for entity in (span.gold, span.predicted) if entity]
    text = f"{' → '.join(dict.fromkeys(types))} {span.kind}"
    anchor = ""
    if span.kind not in anchors:
        anchor = anchors[span.kind] = f"first-{_slug(span.kind)}"
    return Label(text, "answer" if span.predicted else "gold", _slug(span.kind), anchor)


def _folded(segments: Iterator[Segment]) -> Iterator[Segment]:
    """Yield the segments, the middle of each long stretch without entities folded."""
    pieces = list(segments)
    for index, segment in enumerate(pieces):
        text = segment.text
        if segment.classes or len(text) <= FOLD_ABOVE:
            yield segment
            continue
        start = _break_after(text, CONTEXT)
        end = len(text)
        if index + 1 < len(pieces):
            end = len(text) - _break_before(text[::-1], CONTEXT)
        yield Segment(text[:start])
        yield Segment(text[start:end], folded=end - start)
        if end < len(text):
            yield Segment(text[end:])


def _break_after(text: str, position: int) -> int:
    """Return where to fold behind a position: after a line, else after a word, else there."""
    for character in "\n ":
        if (found := text.find(character, position, position + BREAK_WITHIN)) >= 0:
            return found + 1
    return position


def _break_before(text: str, position: int) -> int:
    """Return the same for a text written backwards, where the line's end comes behind the fold."""
    for character in "\n ":
        if (found := text.find(character, position, position + BREAK_WITHIN)) >= 0:
            return found
    return position


def _shown(text: str) -> str:
    return "".join(
        character
        if character in _KEPT or unicodedata.category(character) == "Zs"
        else printable(character)
        for character in text
    )
