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
ABBREVIATIONS = frozenset(("e.g", "i.e", "etc", "vs", "cf", "resp", "approx", "no", "fig", "mr", "mrs", "ms", "dr", "prof", "st"))
"""Words after which a full stop does not end the sentence."""

_CHUNK = re.compile(r"\S+")
_BLANK_LINE = re.compile(r"\n\s*\n")
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


class Word(NamedTuple):
    """A word of a text; ``start`` and ``end`` are offsets in code points, end exclusive."""

    text: str
    start: int
    end: int


def encodable(text: str) -> str:
    """The text with a replacement character for each half of a surrogate pair, which JSON may carry and UTF-8 cannot; offsets stay."""
    return _LONE_SURROGATE.sub("\ufffd", text)


def split_words(text: str) -> list[Word]:
    """The words of a text, in order; white space belongs to none."""
    words: list[Word] = []
    for chunk in _CHUNK.finditer(text):
        start, end = chunk.span()
        if chunk.group().isalnum():
            words.append(Word(chunk.group(), start, end))
        else:
            words += [Word(text[first:last], first, last) for first, last in _cuts(text, start, end)]
    return words


def split_sentences(text: str) -> list[list[Word]]:
    """The sentences of a text.

    One ends after a full stop, question or exclamation mark unless the next word begins in lower case or the stop follows an
    abbreviation; at a blank line; and at a line break unless the next line begins in lower case (a wrapped line).
    """
    sentences: list[list[Word]] = []
    current: list[Word] = []
    for word in split_words(text):
        if current and _breaks(text, current, word):
            sentences.append(current)
            current = []
        current.append(word)
    return [*sentences, current] if current else sentences


def _breaks(text: str, current: list[Word], word: Word) -> bool:
    last = current[-1]
    gap = text[last.end : word.start]
    if "\n" in gap and (not word.text[0].islower() or _BLANK_LINE.search(gap)):
        return True
    if not gap or word.text[0].islower():
        return False
    end = len(current) - 1
    while end > max(0, len(current) - 4) and current[end].text in AFTER_STOP:
        end -= 1
    if current[end].text not in SENTENCE_END:
        return False
    return current[end].text != "." or end == 0 or current[end - 1].text.lower() not in ABBREVIATIONS


def _cuts(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    if end - start > LONGEST_CUT or not any(character.isalnum() for character in text[start:end]) or CONTRACTION.fullmatch(text, start, end):
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
    return open_ is not None and text.count(text[end - 1], start, end) > text.count(open_, start, end)
