"""Join the words of a corpus as running text has them.

Corpora write ``Redis .`` as two words where a text has ``Redis.``. The rules are the tables below.
"""

from collections.abc import Sequence

from .cutting import CONTRACTION
from .scripts import written_together

CLOSING = frozenset([*".,;:!?…)]}%’”»", "...", "!!", "??"])
"""Words that stand at the end of the word before them."""
OPENING = frozenset("([{“‘«")
"""Words that stand at the beginning of the word after them."""
QUOTES = frozenset("\"'`")
"""Marks that open and close in turn."""


def join_words(words: Sequence[str]) -> tuple[str, list[int]]:
    """Return the text of words, and the offset of each word in it, in code points."""
    parts: list[str] = []
    starts: list[int] = []
    length = 0
    for word, is_attached in zip(words, _attached(words), strict=True):
        if parts and not is_attached:
            parts.append(" ")
            length += 1
        starts.append(length)
        parts.append(word)
        length += len(word)
    return "".join(parts), starts


def _attached(words: Sequence[str]) -> list[bool]:
    """Return for each word whether running text has no white space before it; first: False."""
    flags: list[bool] = []
    open_quotes: set[str] = set()
    after_opening = True
    previous = ""
    for word in words:
        opens = word in OPENING
        closes = word in CLOSING
        if word in QUOTES:
            closes = word in open_quotes
            opens = not closes
            open_quotes ^= {word}
        flags.append(
            bool(flags)
            and (after_opening or closes or _continues(word) or written_together(previous, word))
        )
        previous, after_opening = word, opens
    return flags


def _continues(word: str) -> bool:
    return len(word) < 5 and CONTRACTION.fullmatch(word) is not None
