"""Texts with their gold spans and the served model's answers, in characters."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from ..data.running_text import RunningText
from ..tagging.iob2 import Entity
from ..tagging.recognizer import EntityRecognizer


@dataclass(frozen=True, slots=True)
class TextAnswer:
    """A text, its gold entities and the entities that a model found in it.

    The starts and ends of all entities count code points of ``text``.

    Attributes:
        name: the document, or where the text stands in the source.
        text: the text as sent to the model.
        gold: the gold entities, in order; none overlaps another.
        predicted: the model's entities, in order.
        scores: the confidence of each predicted entity.
    """

    name: str
    text: str
    gold: tuple[Entity, ...]
    predicted: tuple[Entity, ...]
    scores: tuple[float, ...]


def answer_texts(recognizer: EntityRecognizer, texts: Sequence[RunningText]) -> list[TextAnswer]:
    """Send texts through the served path: text in, entities at offsets of characters out.

    Args:
        recognizer: the model.
        texts: with their gold entities.
    """
    answers = recognizer.recognize(text.text for text in texts)
    return [
        TextAnswer(
            text.name,
            text.text,
            text.entities,
            tuple(Entity(entity.start, entity.end, entity.label) for entity in entities),
            tuple(entity.score for entity in entities),
        )
        for text, entities in zip(texts, answers, strict=True)
    ]


def answer_frame(answers: Sequence[TextAnswer]) -> pd.DataFrame:
    """Return one row a text, to store: ``name``, ``text``, ``gold`` and ``predicted``.

    The last two are lists of objects with ``start``, ``end`` and ``type``, predictions also with
    ``score``.
    """
    gold = [[_row(entity) for entity in answer.gold] for answer in answers]
    predicted = [
        [
            {**_row(entity), "score": score}
            for entity, score in zip(answer.predicted, answer.scores, strict=True)
        ]
        for answer in answers
    ]
    return pd.DataFrame(
        {
            "name": [answer.name for answer in answers],
            "text": [answer.text for answer in answers],
            "gold": gold,
            "predicted": predicted,
        }
    )


def answers_of_frame(frame: pd.DataFrame) -> list[TextAnswer]:
    """Return the answers of a stored :func:`answer_frame`."""
    return [
        TextAnswer(
            row["name"],
            row["text"],
            _entities(row["gold"]),
            _entities(row["predicted"]),
            tuple(item["score"] for item in row["predicted"]),
        )
        for row in frame.to_dict("records")
    ]


def _row(entity: Entity) -> dict[str, int | str]:
    return {"start": entity.start, "end": entity.end, "type": entity.type}


def _entities(items: Iterable[Mapping[str, Any]]) -> tuple[Entity, ...]:
    return tuple(Entity(item["start"], item["end"], item["type"]) for item in items)
