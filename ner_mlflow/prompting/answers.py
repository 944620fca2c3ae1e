"""Parse a language model's answers, and locate the mentions in the sentence's words."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from ..tagging.iob2 import Entity, to_tags


class Mention(BaseModel):
    """An entity in an answer: its words as one text, and its type."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    text: str
    type: str


class Answer(BaseModel):
    """The answer that the prompts request."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    entities: tuple[Mention, ...]


@dataclass(frozen=True)
class LocatedMentions:
    """The tags of located mentions, and the texts of all others by reason.

    Attributes:
        tags: IOB2 tags of the sentence.
        hallucinated: texts that are not in the sentence.
        foreign: texts with an unknown type.
        overlapping: texts whose words all belong to earlier mentions.
    """

    tags: list[str]
    hallucinated: tuple[str, ...]
    foreign: tuple[str, ...]
    overlapping: tuple[str, ...]


def answer_schema(types: Sequence[str]) -> dict[str, Any]:
    """Return the JSON schema of an answer as OpenAI-compatible endpoints take it."""
    mention = {
        "type": "object",
        "properties": {"text": {"type": "string"}, "type": {"type": "string", "enum": list(types)}},
        "required": ["text", "type"],
        "additionalProperties": False,
    }
    answer = {
        "type": "object",
        "properties": {"entities": {"type": "array", "items": mention}},
        "required": ["entities"],
        "additionalProperties": False,
    }
    return {
        "type": "json_schema",
        "json_schema": {"name": "entities", "schema": answer, "strict": True},
    }


def parse_answer(text: str) -> Answer:
    """Parse an answer, which must be JSON of the schema and nothing more.

    Raises:
        ValueError: the text is not such an answer; the message names the faulty field.
    """
    try:
        return Answer.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise ValueError(f"{field}: {first['msg']}" if field else first["msg"]) from error


def render_answer(tokens: Sequence[str], entities: Sequence[Entity]) -> str:
    """Return the correct answer for these entities, for examples in a prompt."""
    return json.dumps(
        {
            "entities": [
                {"text": " ".join(tokens[entity.start : entity.end]), "type": entity.type}
                for entity in entities
            ]
        },
        ensure_ascii=False,
    )


def locate_mentions(answer: Answer, tokens: Sequence[str], types: Sequence[str]) -> LocatedMentions:
    """Locate each mention of an answer in the words of its sentence.

    A mention takes the first free span whose words equal its text, ignoring blanks; exact matches
    come before matches in another case. Mentions begin and end at word boundaries. A repeated
    mention takes the next span.

    Args:
        answer: the parsed answer.
        tokens: the sentence's words.
        types: the known entity types.
    """
    entities: list[Entity] = []
    hallucinated: list[str] = []
    foreign: list[str] = []
    overlapping: list[str] = []
    for mention in answer.entities:
        if mention.type not in types:
            foreign.append(mention.text)
            continue
        # Exact matches first; the sort is stable, so each group stays in sentence order.
        exact = _matching_spans(mention.text, tokens, fold=False)
        spans = sorted(
            _matching_spans(mention.text, tokens, fold=True), key=lambda span: span not in exact
        )
        free = [
            (start, end)
            for start, end in spans
            if all(end <= other.start or other.end <= start for other in entities)
        ]
        if free:
            entities.append(Entity(*free[0], mention.type))
        else:
            (overlapping if spans else hallucinated).append(mention.text)
    return LocatedMentions(
        to_tags(entities, len(tokens)), tuple(hallucinated), tuple(foreign), tuple(overlapping)
    )


def _matching_spans(text: str, tokens: Sequence[str], fold: bool) -> list[tuple[int, int]]:
    target = _normalize(text, fold)
    if not target:
        return []
    words = [_normalize(token, fold) for token in tokens]
    spans = []
    for start in range(len(words)):
        joined = ""
        for end in range(start, len(words)):
            joined += words[end]
            if joined == target:
                spans.append((start, end + 1))
                break
            if not target.startswith(joined):
                break
    return spans


def _normalize(text: str, fold: bool) -> str:
    without_blanks = "".join(text.split())
    return without_blanks.casefold() if fold else without_blanks
