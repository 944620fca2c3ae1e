"""Convert between IOB2 tags and entities, and repair invalid tags.

A tag is ``O``, ``B-TYPE`` or ``I-TYPE``. In train it may also be ``?``: unknown, so nothing is
learnt from the word. A sequence is valid IOB2 when every ``I-TYPE`` follows a
``B-TYPE`` or an ``I-TYPE`` of the same type (Tjong Kim Sang and Veenstra, "Representing Text
Chunks", EACL 1999).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..errors import DataError

OUTSIDE = "O"
UNSURE = "?"
"""The tag of a word that may belong to an entity or not."""


@dataclass(frozen=True, slots=True, order=True)
class Entity:
    """A typed span of words or characters, from ``start`` up to ``end``, which is excluded."""

    start: int
    end: int
    type: str


def split_tag(tag: str) -> tuple[str, str]:
    """Split a tag into prefix and type: ``B-OS`` is ``("B", "OS")``, ``O`` is ``("O", "")``.

    Raises:
        DataError: the tag is none of ``O``, ``?``, ``B-TYPE`` and ``I-TYPE``.
    """
    if tag in (OUTSIDE, UNSURE):
        return tag, ""
    prefix, dash, type_ = tag.partition("-")
    if prefix not in ("B", "I") or not dash or not type_:
        raise DataError(f"tag {tag!r} is not IOB2: write O, B-TYPE or I-TYPE")
    return prefix, type_


def invalid_positions(tags: Sequence[str]) -> list[int]:
    """Return the positions of the ``I-`` tags that continue no entity of their type."""
    invalid = []
    previous = ""
    for position, tag in enumerate(tags):
        prefix, type_ = split_tag(tag)
        if prefix == "I" and type_ != previous:
            invalid.append(position)
        previous = type_
    return invalid


def repair(tags: Sequence[str]) -> list[str]:
    """Turn each ``I-`` tag that continues no entity into a ``B-`` tag, as conlleval does."""
    repaired = list(tags)
    for position in invalid_positions(tags):
        repaired[position] = "B" + tags[position][1:]
    return repaired


def to_entities(tags: Sequence[str]) -> list[Entity]:
    """Return the entities of a valid IOB2 sequence, in order.

    Raises:
        DataError: an ``I-`` tag continues no entity; see :func:`repair`.
    """
    entities: list[Entity] = []
    for position, tag in enumerate(tags):
        if tag in (OUTSIDE, UNSURE):
            continue
        prefix, type_ = split_tag(tag)
        if prefix == "B":
            entities.append(Entity(position, position + 1, type_))
        else:
            last = entities[-1] if entities else None
            if last is None or last.end != position or last.type != type_:
                raise DataError(
                    f"tag {tag!r} at word {position} continues no entity: repair the sequence first"
                )
            entities[-1] = Entity(last.start, position + 1, type_)
    return entities


def to_tags(entities: Iterable[Entity], length: int) -> list[str]:
    """Return ``length`` IOB2 tags that encode the entities, which may come in any order.

    Raises:
        DataError: an entity is empty, outside ``0..length``, or overlaps another.
    """
    tags = [OUTSIDE] * length
    for entity in entities:
        if not 0 <= entity.start < entity.end <= length:
            raise DataError(f"{entity} does not fit a sentence of {length} words")
        if any(tag != OUTSIDE for tag in tags[entity.start : entity.end]):
            raise DataError(f"{entity} overlaps another entity: IOB2 holds flat entities only")
        tags[entity.start] = f"B-{entity.type}"
        tags[entity.start + 1 : entity.end] = [f"I-{entity.type}"] * (entity.end - entity.start - 1)
    return tags
