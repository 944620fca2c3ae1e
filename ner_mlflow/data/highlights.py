"""Make text ready for pages: sentences in parts, colours of types, characters that show."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..tagging.iob2 import to_entities

PALETTE = (
    ("#fde2e4", "#6b2737"),
    ("#dbeafe", "#1e4273"),
    ("#dcfce7", "#1c5234"),
    ("#fef3c7", "#5f4a10"),
    ("#ede9fe", "#4a3585"),
    ("#cffafe", "#11505c"),
    ("#fce7f3", "#6f2563"),
    ("#e2e8f0", "#43505f"),
)
"""Colours behind entities, on a light page and on a dark one."""
LINES = ("none", "solid", "dashed", "dotted", "double")
"""Lines below entities: a ninth type has the colour of the first, and another line."""


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


def type_styles(types: Iterable[str]) -> dict[str, str]:
    """Return a style of CSS for each type, in their order.

    It sets the variables ``--light``, ``--dark`` and ``--line``, which the stylesheet of the pages
    reads.
    """
    styles = {}
    for index, type_ in enumerate(types):
        light, dark = PALETTE[index % len(PALETTE)]
        line = LINES[index // len(PALETTE) % len(LINES)]
        styles[type_] = f"--light: {light}; --dark: {dark}; --line: {line}"
    return styles


def printable(text: str) -> str:
    r"""Return a text with characters that cannot be shown as escapes, such as ``\x1b``."""
    return "".join(
        character
        if character.isprintable()
        else character.encode("unicode_escape", "surrogatepass").decode("ascii")
        for character in text
    )
