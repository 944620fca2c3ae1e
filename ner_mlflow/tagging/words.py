"""Running text to sentences of words that remember where they stood.

Words are cut the way corpora of developer text are: on white space, then punctuation is peeled off their ends, while what
belongs to a name (`Node.js`, `C++`, `.NET`, `foo()`, `<div>`) stays whole. The rules are the tables below.
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
"""A whole HTML or XML tag; `$` is the end of the span that is searched."""
AFTER_STOP = frozenset("\"'”’»`)]}")
"""What may stand between the end of a sentence and the next one, three at most."""
LONGEST_CUT = 256
"""Chunks with more characters (encoded data, minified code) stay whole."""
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
"""Words after which a full stop does not end the sentence."""

_CHUNK = re.compile(r"\S+")
_BLANK_LINE = re.compile(r"\n\s*\n")
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


class Words(NamedTuple):
    """Words of a text, in order: what they are, and their offsets in code points, end exclusive.

    Three lists, and no object a word: Python would look through so many for garbage time and again, a tenth of a fast model's time.
    """

    texts: list[str]
    starts: list[int]
    ends: list[int]


def encodable(text: str) -> str:
    """The text with a replacement character for each half of a surrogate pair, which JSON may carry and UTF-8 cannot; offsets stay."""
    return _LONE_SURROGATE.sub("\ufffd", text)


def split_sentences(text: str) -> list[Words]:
    """The sentences of a text, none of them empty; white space belongs to no word.

    One ends after a full stop, question or exclamation mark unless the next word begins in lower case or the stop follows an
    abbreviation; at a blank line; and at a line break unless the next line begins in lower case (a wrapped line).
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
    """Where the words stand."""
    for chunk in _CHUNK.finditer(text):
        if chunk.group().isalnum():
            yield chunk.span()
        else:
            yield from _cuts(text, *chunk.span())


def _breaks(text: str, current: Words, start: int) -> bool:
    """Whether the word that begins at ``start`` begins a sentence, ``current`` being the words of this one so far."""
    words = current.texts
    gap = text[current.ends[-1] : start]
    if (
        gap == " " and words[-1][-1].isalnum()
    ):  # most words: no mark that ends a sentence, no line break
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
