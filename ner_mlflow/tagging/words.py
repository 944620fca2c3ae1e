"""Split running text into sentences of words with their offsets.

Words are split as in corpora of developer text: first at white space, then punctuation is cut off
their ends. Punctuation that belongs to a name stays (`Node.js`, `C++`, `.NET`, `foo()`, `<div>`).
The rules are the tables below.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

OPENING = frozenset("\"'“‘«„`")
CLOSING = frozenset("\"'”’»`.,;:!?…")
BRACKETS = {"(": ")", "[": "]", "{": "}", "<": ">"}
CLOSING_BRACKETS = {close: open_ for open_, close in BRACKETS.items()}
CONTRACTION = re.compile(r"(?:n['’]t|['’](?:s|m|ve|re|d|ll))$", re.IGNORECASE)
TAG = re.compile(r"<[^<>\s]+>$")
"""An HTML or XML tag; `$` matches at the end of the searched span."""
AFTER_STOP = frozenset("\"'”’»`)]}")
"""Closing marks; up to three may follow the mark that ends a sentence."""
LONGEST_CUT = 256
"""Characters; longer chunks (encoded data, minified code) are not cut."""
SENTENCE_END = frozenset((".", "!", "?", "…", "..."))
ABBREVIATIONS = frozenset(
    (
        "e.g",
        "i.e",
        "etc",
        "vs",
        "cf",
        "resp",
        "approx",
        "no",
        "fig",
        "mr",
        "mrs",
        "ms",
        "dr",
        "prof",
        "st",
    )
)
"""Words whose full stop does not end a sentence."""

_CHUNK = re.compile(r"\S+")
_BLANK_LINE = re.compile(r"\n\s*\n")
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


class Words(NamedTuple):
    """Words of a text in order, with their offsets in code points, end exclusive.

    These are three lists, not one object per word: the garbage collector would scan so many objects
    again and again, which took a tenth of a fast model's time.
    """

    texts: list[str]
    starts: list[int]
    ends: list[int]


def encodable(text: str) -> str:
    """Replace each half of a surrogate pair by U+FFFD; offsets stay the same.

    JSON can carry such halves, UTF-8 cannot.
    """
    return _LONE_SURROGATE.sub("\ufffd", text)


def split_sentences(text: str) -> list[Words]:
    """Return the sentences of a text; none is empty, and white space belongs to no word.

    A sentence ends at a blank line, and at a line break unless the next line begins in lower case
    (a wrapped line). It also ends after a full stop, question mark or exclamation mark, unless the
    next word begins in lower case or the full stop belongs to an abbreviation.
    """
    sentences: list[Words] = []
    current = Words([], [], [])
    for start, end in _spans(text):
        if current.texts and _breaks(text, current, start):
            sentences.append(current)
            current = Words([], [], [])
        current.texts.append(text[start:end])
        current.starts.append(start)
        current.ends.append(end)
    return [*sentences, current] if current.texts else sentences


def _spans(text: str) -> Iterator[tuple[int, int]]:
    """Yield the start and end of each word."""
    for chunk in _CHUNK.finditer(text):
        if chunk.group().isalnum():
            yield chunk.span()
        else:
            yield from _cuts(text, *chunk.span())


def _breaks(text: str, current: Words, start: int) -> bool:
    """Return whether the word at ``start`` begins a new sentence after the words of ``current``."""
    words = current.texts
    gap = text[current.ends[-1] : start]
    # The common case first: no mark that ends a sentence, no line break.
    if gap == " " and words[-1][-1].isalnum():
        return False
    if "\n" in gap and (not text[start].islower() or _BLANK_LINE.search(gap)):
        return True
    if not gap or text[start].islower():
        return False
    end = len(words) - 1
    while end > max(0, len(words) - 4) and words[end] in AFTER_STOP:
        end -= 1
    if words[end] not in SENTENCE_END:
        return False
    return words[end] != "." or end == 0 or words[end - 1].lower() not in ABBREVIATIONS


def _cuts(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    if (
        end - start > LONGEST_CUT
        or not any(character.isalnum() for character in text[start:end])
        or CONTRACTION.fullmatch(text, start, end)
    ):
        yield start, end
        return
    tail: list[tuple[int, int]] = []
    while True:
        if text[end - 1] in CLOSING or _closes(text, start, end):
            end -= 1
            tail.append((end, end + 1))
        elif text[start] in OPENING or _opens(text, start, end):
            yield start, start + 1
            start += 1
        else:
            break
    contraction = CONTRACTION.search(text, start, end)
    if contraction and contraction.start() > start:
        tail.append((contraction.start(), end))
        end = contraction.start()
    yield start, end
    yield from reversed(tail)


def _opens(text: str, start: int, end: int) -> bool:
    return text[start] in BRACKETS and TAG.match(text, start, end) is None


def _closes(text: str, start: int, end: int) -> bool:
    open_ = CLOSING_BRACKETS.get(text[end - 1])
    return open_ is not None and text.count(text[end - 1], start, end) > text.count(
        open_, start, end
    )
