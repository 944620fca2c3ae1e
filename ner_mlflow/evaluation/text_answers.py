"""Texts with their gold spans and the served model's answers, in characters."""

from dataclasses import dataclass

from ..tagging.iob2 import Entity


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
