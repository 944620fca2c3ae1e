"""Join the words of a corpus as running text has them, and cut them as running text is cut.

Corpora write ``Redis .`` as two words where a text has ``Redis.``, and ``nginx/1.25`` as one where
the served model sees three pieces. A model that learnt the former would meet something else when
it serves. The rules are the tables below.
"""

from collections.abc import Sequence

from .cutting import CONTRACTION, cut
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
    for word, is_glued in zip(words, glued(words), strict=True):
        if parts and not is_glued:
            parts.append(" ")
            length += 1
        starts.append(length)
        parts.append(word)
        length += len(word)
    return "".join(parts), starts


def glued(words: Sequence[str]) -> list[bool]:
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


def cut_words(words: Sequence[str]) -> tuple[list[str], list[int]]:
    """Return the pieces of words, and for each piece the index of its word."""
    pieces: list[str] = []
    owners: list[int] = []
    for index, word in enumerate(words):
        if word.isalnum() and word.isascii():
            pieces.append(word)
            owners.append(index)
            continue
        extents = cut(word)
        pieces += [word[start:end] for start, end in extents]
        owners += [index] * len(extents)
    return pieces, owners
