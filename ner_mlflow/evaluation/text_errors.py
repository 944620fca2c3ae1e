"""Sort the errors of a model on running text into kinds: how a span is wrong, and where it stands.

The kinds are the table :data:`KINDS`, the marks of markup the table :data:`MARKUP`.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from ..tagging.iob2 import Entity
from ..tagging.regions import find_regions
from .error_analysis import Outcome, match
from .text_answers import TextAnswer


@dataclass(frozen=True, slots=True)
class ErrorKind:
    """A row of :data:`KINDS`.

    Attributes:
        name: the kind.
        category: the category of the outcome, one of
            :data:`~ner_mlflow.evaluation.error_analysis.CATEGORIES`.
        detail: for a pair, how the answer lies to the gold span (``around``, ``within``,
            ``across``); for an entity alone, where it stands (``code``, ``markup``, ``prose``).
            An empty text stands for any.
        meaning: an explanation for readers.
    """

    name: str
    category: str
    detail: str
    meaning: str


KINDS = (
    ErrorKind("cut too long", "boundary", "around", "the answer covers the gold span and more"),
    ErrorKind("cut too short", "boundary", "within", "the answer covers a part of the gold span"),
    ErrorKind(
        "cut elsewhere",
        "boundary",
        "across",
        "they overlap, and each has characters that the other lacks",
    ),
    ErrorKind("wrong type", "type", "", "the span is right, its type is not"),
    ErrorKind(
        "wrong type and cut",
        "both",
        "",
        "the answer overlaps the gold span, span and type are wrong",
    ),
    ErrorKind(
        "missed in markup",
        "missed",
        "markup",
        "no answer, in or next to **, _, `, <b>, &lt;, [](), |",
    ),
    ErrorKind("missed in code", "missed", "code", "no answer, in code, a stack trace, URL or path"),
    ErrorKind("missed", "missed", "", "no answer, in prose"),
    ErrorKind(
        "spurious in code",
        "spurious",
        "code",
        "an answer without gold, in code, a stack trace, URL or path",
    ),
    ErrorKind("spurious", "spurious", "", "an answer without gold, in prose"),
)
"""Kinds of errors, in the order of tables and pages. The first row that fits an outcome counts.

A span in code that also touches markup counts as code.
"""

MARKUP = {
    "bold or struck text": r"(?<![\w*~])(\*{1,3}|_{1,3}|~~)(?=\S)[^\n]{1,200}?(?<=\S)\1(?!\w)",
    "marks without a partner": r"\*{2,}|_{2,}(?=\w)|(?<=\w)_{2,}|~~",
    "text between backticks": r"`{1,3}[^`\n]{1,200}`{1,3}",
    "backtick without a partner": r"`+",
    "text between double braces": r"\{\{[^{}\n]{1,200}\}\}",
    "HTML element of one line": r"<([A-Za-z]\w*)\b[^<>\n]{0,200}>[^<>\n]{0,200}</\1>",
    "HTML tag": r"</?[A-Za-z][^<>\n]{0,200}>",
    "HTML entity": r"&(?:#\d{1,7}|#[xX][\da-fA-F]{1,6}|[A-Za-z]\w{1,30});",
    "Markdown link": r"!?\[[^\[\]\n]{0,300}\]\([^()\n]{0,500}\)",
    "Jira link": r"\[[^\[\]|\n]{1,300}\|[^\[\]|\n]{1,500}\]",
    "row of a table": r"(?m:^[ \t]*\|[^\n]*\|[ \t]*\r?$)",
}
"""Mark -> regular expression. A span that overlaps or touches a match stands in markup."""
_MARKUP = tuple(map(re.compile, MARKUP.values()))


@dataclass(frozen=True, slots=True)
class TextError(Outcome):
    """A gold entity, an answer or a pair of them that is an error, and its kind."""

    kind: str


def find_text_errors(answers: Sequence[TextAnswer]) -> list[list[TextError]]:
    """Return the errors of each text, in the order of their places in it.

    Gold entities and answers are paired by :func:`~ner_mlflow.evaluation.error_analysis.match`;
    each of them is in one error or is right.
    """
    return [_errors(answer) for answer in answers]


def text_error_table(errors: Sequence[Sequence[TextError]], types: Sequence[str]) -> pd.DataFrame:
    """Return the number of errors by kind and type, with a row ``all``.

    An error has the type of its gold entity, or of the answer where there is no gold.

    Args:
        errors: the errors of each text.
        types: entity types, in the order of the columns.

    Returns:
        Columns ``kind``, ``count``, ``share`` of all errors (0 if there are none), and
        ``OS_count``, ... for each type.
    """
    found = [error for of_text in errors for error in of_text]
    kinds, pairs = Counter(e.kind for e in found), Counter((e.kind, e.type) for e in found)
    total = max(len(found), 1)
    rows = [
        [kind, kinds[kind], kinds[kind] / total, *(pairs[kind, type_] for type_ in types)]
        for kind in (kind.name for kind in KINDS)
    ]
    columns = ["kind", "count", "share", *(f"{type_}_count" for type_ in types)]
    by_type = Counter(error.type for error in found)
    rows.append(["all", len(found), len(found) / total, *(by_type[type_] for type_ in types)])
    return pd.DataFrame(rows, columns=columns)


def _errors(answer: TextAnswer) -> list[TextError]:
    places = {
        "code": [(region.start, region.end) for region in find_regions(answer.text)],
        "markup": list(_markup(answer.text)),
    }
    errors = [
        TextError(outcome.gold, outcome.predicted, _kind(outcome, places))
        for outcome in match(answer.gold, answer.predicted)
        if not outcome.correct
    ]
    return sorted(errors, key=_position)


def _position(error: TextError) -> tuple[int, int]:
    entities = [entity for entity in (error.gold, error.predicted) if entity]
    return min(entity.start for entity in entities), max(entity.end for entity in entities)


def _kind(outcome: Outcome, places: dict[str, list[tuple[int, int]]]) -> str:
    if outcome.gold and outcome.predicted:
        detail = _cut(outcome.gold, outcome.predicted)
    else:
        entity = outcome.gold or outcome.predicted
        assert entity is not None
        detail = _place(entity, places)
    return next(
        kind.name
        for kind in KINDS
        if kind.category == outcome.category and kind.detail in ("", detail)
    )


def _cut(gold: Entity, predicted: Entity) -> str:
    if predicted.start <= gold.start and gold.end <= predicted.end:
        return "around"
    return "within" if gold.start <= predicted.start and predicted.end <= gold.end else "across"


def _place(entity: Entity, places: dict[str, list[tuple[int, int]]]) -> str:
    if any(start < entity.end and entity.start < end for start, end in places["code"]):
        return "code"
    if any(start <= entity.end and entity.start <= end for start, end in places["markup"]):
        return "markup"
    return "prose"


def _markup(text: str) -> Iterator[tuple[int, int]]:
    for pattern in _MARKUP:
        for found in pattern.finditer(text):
            yield found.span()
