"""The description of a registered version: a text, and below it a note for each move of an alias.

A note is a paragraph that begins with its time. So a process that comes later sees what is written
already, and a description that has notes but no text yet can get its text.
"""

import re

DESCRIPTION_LIMIT = 5000
"""Characters of a version's description that all registries store."""
LEFT_OUT = "Notes before these were left out: the promote runs hold them all."
_NOTE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\S*: ")
_GAP = "\n\n"


def split_notes(description: str) -> tuple[str, list[str]]:
    """Return the text of a description and its notes, the oldest first."""
    paragraphs = description.split(_GAP)
    first = next(
        (index for index, text in enumerate(paragraphs) if _NOTE.match(text) or text == LEFT_OUT),
        len(paragraphs),
    )
    return _GAP.join(paragraphs[:first]).strip(), paragraphs[first:]


def add_note(description: str, note: str) -> str:
    """Return a description with a note, which stands there once.

    If it grows beyond :data:`DESCRIPTION_LIMIT`, the oldest notes are left out, and a line says so.
    """
    note = " ".join(note.split())
    if note in description.split(_GAP):
        return description
    text, notes = split_notes(description)
    return _join(text, [*notes, note])


def with_text(description: str, text: str) -> str:
    """Return a description with this text, if it has none, above its notes."""
    before, notes = split_notes(description)
    return description if before else _join(text, notes)


def _join(text: str, notes: list[str]) -> str:
    whole = _GAP.join(filter(None, [text, *notes]))
    kept = [note for note in notes if note != LEFT_OUT]
    while len(whole) > DESCRIPTION_LIMIT and len(kept) > 1:
        kept = kept[1:]
        whole = _GAP.join(filter(None, [text, LEFT_OUT, *kept]))
    return whole
