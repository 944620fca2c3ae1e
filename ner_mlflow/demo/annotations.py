"""Texts that people give, what models answer, and corrections that annotators can go on with."""

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import DataError
from ..redaction import shorten
from ..tagging.iob2 import Entity
from ..tagging.recognizer import TextEntity

MOST_TEXTS = 500
"""Texts of a file that are read."""
MOST_CHARACTERS = 200_000
"""Characters of all texts together."""
TEXT_FIELD = "text"
CSV_COLUMNS = ("text_number", "start", "end", "label", "score", "entity")
Answer = Sequence[TextEntity]


@dataclass(frozen=True)
class Difference:
    """Entities that two models agree on, and those that only one of them found."""

    both: tuple[TextEntity, ...]
    only_first: tuple[TextEntity, ...]
    only_second: tuple[TextEntity, ...]


def read_texts(name: str, content: bytes) -> list[str]:
    """Return the texts of a file that was dropped: a text file is one, a row of JSON lines each.

    Raises:
        DataError: the file is not UTF-8, is too long, or a row has no text.
    """
    try:
        whole = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{name}, byte {error.start}: is not UTF-8: save the file as UTF-8"
        ) from error
    if not name.lower().endswith(".jsonl"):
        return check_length([whole], name)
    texts = []
    for number, line in enumerate(whole.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise DataError(f"{name}:{number}: is not JSON: write one object a line") from error
        if not isinstance(row, dict) or not isinstance(row.get(TEXT_FIELD), str):
            raise DataError(
                f'{name}:{number}: has no field "{TEXT_FIELD}" with a text: '
                f'write {{"{TEXT_FIELD}": "..."}}'
            )
        texts.append(row[TEXT_FIELD])
    return check_length(texts, name)


def check_length(texts: Sequence[str], name: str) -> list[str]:
    """Return texts if there is one and they are short enough for a page.

    Raises:
        DataError: they are not.
    """
    characters = sum(map(len, texts))
    if not any(text.strip() for text in texts):
        raise DataError(f"{name}: holds no text: give a text")
    if len(texts) > MOST_TEXTS or characters > MOST_CHARACTERS:
        raise DataError(
            f"{name}: {len(texts):,} texts of {characters:,} characters, more than {MOST_TEXTS:,} "
            f"or {MOST_CHARACTERS:,}: tag them with ner-mlflow predict"
        )
    return list(texts)


def spans(answer: Answer) -> list[Entity]:
    """Return the entities of an answer as spans of characters."""
    return [Entity(entity.start, entity.end, entity.label) for entity in answer]


def difference(first: Answer, second: Answer) -> Difference:
    """Compare two answers to one text; entities are equal if span and type are."""

    def key(entity: TextEntity) -> tuple[int, int, str]:
        return entity.start, entity.end, entity.label

    ours, theirs = {key(entity) for entity in first}, {key(entity) for entity in second}
    return Difference(
        tuple(entity for entity in first if key(entity) in theirs),
        tuple(entity for entity in first if key(entity) not in theirs),
        tuple(entity for entity in second if key(entity) not in ours),
    )


def to_csv(answers: Sequence[Answer]) -> str:
    """Return a row for each entity; texts are numbered from 1."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for number, answer in enumerate(answers, start=1):
        for entity in answer:
            score = f"{entity.score:.6f}"
            writer.writerow((number, entity.start, entity.end, entity.label, score, entity.text))
    return file.getvalue()


def to_jsonl(texts: Sequence[str], answers: Sequence[Answer]) -> str:
    """Return a row for each text, with its entities as a served model returns them."""
    return "".join(
        _line({TEXT_FIELD: text, "entities": [entity._asdict() for entity in answer]})
        for text, answer in zip(texts, answers, strict=True)
    )


def corrected(text: str, rows: Iterable[Mapping[Any, Any]]) -> list[Entity]:
    """Return the entities that a person left in the table of a text.

    Args:
        text: the text.
        rows: with ``start``, ``end``, ``label`` and ``text``. A row without offsets is found by
            its text, the first time that it stands outside the rows before.

    Raises:
        DataError: a row has no type, or does not fit the text or another row.
    """
    taken: list[Entity] = []
    for number, row in enumerate(rows, start=1):
        label = str(row.get("label") or "").strip()
        start, end = _offset(row.get("start")), _offset(row.get("end"))
        quoted = str(row.get("text") or "")
        if start is None and end is None and not quoted and not label:
            continue
        if not label:
            raise DataError(f"row {number}: has no type: choose one")
        if start is None or end is None:
            start, end = _locate(text, quoted, taken, number)
        if not 0 <= start < end <= len(text):
            raise DataError(
                f"row {number}: {start} to {end} is not within the text of {len(text)} characters: "
                "give the offsets of its first character and after its last one"
            )
        if other := next((e for e in taken if e.start < end and start < e.end), None):
            raise DataError(
                f"row {number}: {start} to {end} overlaps {other.start} to {other.end}: remove one"
            )
        taken.append(Entity(start, end, label))
    return sorted(taken)


def to_annotation(text: str, entities: Iterable[Entity]) -> str:
    """Return a line of JSON that the step ``data`` reads, and doccano imports."""
    return _line(
        {
            TEXT_FIELD: text,
            "label": [[entity.start, entity.end, entity.type] for entity in entities],
        }
    )


def _line(row: Mapping[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False) + "\n"


def _offset(value: Any) -> int | None:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    try:
        return int(value)
    except (TypeError, ValueError):  # pandas' own missing value
        return None


def _locate(text: str, quoted: str, taken: Sequence[Entity], number: int) -> tuple[int, int]:
    start = text.find(quoted) if quoted else -1
    while start >= 0:
        end = start + len(quoted)
        if not any(entity.start < end and start < entity.end for entity in taken):
            return start, end
        start = text.find(quoted, start + 1)
    raise DataError(
        f"row {number}: {shorten(quoted)!r} does not stand in the text outside other entities: "
        "copy it from there, or give its offsets"
    )
