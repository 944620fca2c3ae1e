"""Make text ready for pages: sentences in parts, colours of types, characters that show."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..tagging.iob2 import to_entities

PALETTE = ("#fde2e4", "#dbeafe", "#dcfce7", "#fef3c7", "#ede9fe", "#cffafe", "#fce7f3", "#e2e8f0")
"""Colours behind entities; a ninth type has the colour of the first."""


@dataclass(frozen=True)
class Part:
    """An entity's words with its type, or one word outside all entities with none."""

    text: str
    type: str | None = None


def split_parts(tokens: Sequence[str], tags: Sequence[str]) -> list[Part]:
    """Return a sentence as parts: its entities, and the words between them one by one."""
    parts: list[Part] = []
    position = 0
    for entity in to_entities(tags):
        parts += [Part(token) for token in tokens[position : entity.start]]
        parts.append(Part(" ".join(tokens[entity.start : entity.end]), entity.type))
        position = entity.end
    return parts + [Part(token) for token in tokens[position:]]


def type_colours(types: Iterable[str]) -> dict[str, str]:
    """Return a colour for each type, in their order."""
    return {type_: PALETTE[index % len(PALETTE)] for index, type_ in enumerate(types)}


def printable(text: str) -> str:
    r"""Return a text with characters that cannot be shown as escapes, such as ``\x1b``."""
    return "".join(
        character
        if character.isprintable()
        else character.encode("unicode_escape", "surrogatepass").decode("ascii")
        for character in text
    )
