"""What a model answered, as tags: parsed strictly, located in the sentence's words, counted where it does not fit."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from ..tagging.iob2 import Entity, to_tags


class Mention(BaseModel):
    """An entity as the model gives it: its words as one text, and a type."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    text: str
    type: str


class Answer(BaseModel):
    """What the model is asked for."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    entities: tuple[Mention, ...]


@dataclass(frozen=True)
class Located:
    """Tags of the mentions that stand in the sentence; ``hallucinated`` texts do not, ``foreign`` ones have an unknown type, ``overlapping``
    ones would share words with an earlier mention."""

    tags: list[str]
    hallucinated: tuple[str, ...]
    foreign: tuple[str, ...]
    overlapping: tuple[str, ...]


def answer_schema(types: Sequence[str]) -> dict[str, Any]:
    """The JSON schema of an answer, in the form that OpenAI-compatible endpoints take."""
    mention = {
        "type": "object",
        "properties": {"text": {"type": "string"}, "type": {"type": "string", "enum": list(types)}},
        "required": ["text", "type"],
        "additionalProperties": False,
    }
    whole = {
        "type": "object",
        "properties": {"entities": {"type": "array", "items": mention}},
        "required": ["entities"],
        "additionalProperties": False,
    }
    return {
        "type": "json_schema",
        "json_schema": {"name": "entities", "schema": whole, "strict": True},
    }


def parse_answer(text: str) -> Answer:
    """The answer, which is JSON of the asked form and nothing else.

    Raises:
        ValueError: it is not; the message says where.
    """
    try:
        return Answer.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ValueError(f"{place + ': ' if place else ''}{first['msg']}") from error


def render_answer(tokens: Sequence[str], entities: Sequence[Entity]) -> str:
    """The answer that would give these entities, for examples."""
    return json.dumps(
        {
            "entities": [
                {"text": " ".join(tokens[entity.start : entity.end]), "type": entity.type}
                for entity in entities
            ]
        },
        ensure_ascii=False,
    )


def locate(answer: Answer, tokens: Sequence[str], types: Sequence[str]) -> Located:
    """Find each mention's words: the first place not taken yet where they stand, blanks aside, as written, else in any casing.

    Mentions begin and end with whole words; one that repeats takes the next place.
    """
    found: list[Entity] = []
    hallucinated: list[str] = []
    foreign: list[str] = []
    overlapping: list[str] = []
    for mention in answer.entities:
        if mention.type not in types:
            foreign.append(mention.text)
            continue
        # As written first; sorting is stable, so each kind stays in the order of the sentence.
        written = _places(mention.text, tokens, fold=False)
        places = sorted(
            _places(mention.text, tokens, fold=True), key=lambda place: place not in written
        )
        free = [
            (start, end)
            for start, end in places
            if all(end <= other.start or other.end <= start for other in found)
        ]
        if free:
            found.append(Entity(*free[0], mention.type))
        else:
            (overlapping if places else hallucinated).append(mention.text)
    return Located(
        to_tags(found, len(tokens)), tuple(hallucinated), tuple(foreign), tuple(overlapping)
    )


def _places(text: str, tokens: Sequence[str], fold: bool) -> list[tuple[int, int]]:
    wanted = _plain(text, fold)
    plain = [_plain(token, fold) for token in tokens]
    places = []
    for start in range(len(tokens)):
        joined = ""
        for end in range(start, len(tokens)):
            joined += plain[end]
            if joined == wanted and wanted:
                places.append((start, end + 1))
                break
            if not wanted.startswith(joined):
                break
    return places


def _plain(text: str, fold: bool) -> str:
    without_blanks = "".join(text.split())
    return without_blanks.casefold() if fold else without_blanks
