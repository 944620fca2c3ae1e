"""Split running text into sentences of pieces with their offsets.

White space separates chunks, which are cut into pieces by the rules of :mod:`.cutting`. The rules
for the ends of sentences are the tables below.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from .cutting import LONGEST_CUT, cut
from .joining import GLUE

AFTER_STOP = frozenset("\"'”’»`)]}")
"""Closing marks; up to three may follow the mark that ends a sentence."""
MOST_PIECES = 1024
"""Pieces of a sentence; a longer one is split."""
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
    """Return the sentences of a text, as :func:`sentences_of` yields them."""
    return list(sentences_of(text))


def sentences_of(text: str, longest: int | None = None) -> Iterator[Words]:
    """Yield the sentences of a text; none is empty, and white space belongs to no word.

    A sentence ends at a blank line, and at a line break unless the next line begins in lower case
    (a wrapped line). It also ends after a full stop, question mark or exclamation mark, unless the
    next word begins in lower case or the full stop belongs to an abbreviation.

    Args:
        text: of any length; halves of surrogate pairs are replaced as by :func:`encodable`.
        longest: characters of a word that are kept; its offsets are those of the whole word. None:
            all of them.
    """
    current = Words([], [], [])
    must_encode = not text.isascii() and _LONE_SURROGATE.search(text) is not None
    kept = len(text) if longest is None else longest
    uncut = max(LONGEST_CUT, kept)
    for chunk in _CHUNK.finditer(text):
        begin, chunk_end = chunk.span()
        texts, starts, ends = current
        if texts and (len(texts) >= MOST_PIECES or _breaks(text, current, begin)):
            yield current
            current = Words([], [], [])
            texts, starts, ends = current
        if chunk_end - begin > uncut:  # one word, which is not copied whole
            word = text[begin : begin + kept]
            texts.append(encodable(word) if must_encode else word)
            starts.append(begin)
            ends.append(chunk_end)
            continue
        word = chunk.group()
        if must_encode:
            word = encodable(word)
        if word.isalnum() and word.isascii():
            texts.append(word[:kept])
            starts.append(begin)
            ends.append(chunk_end)
            continue
        for start, end in cut(word):
            texts.append(word[start:end][:kept])
            starts.append(begin + start)
            ends.append(begin + end)
    if current.texts:
        yield current


def pieces_of(words: Words) -> list[str]:
    """Return the words of running text as a tagger's pieces, with GLUE where no white space is."""
    end = -1
    pieces = []
    for piece, start, piece_end in zip(*words, strict=True):
        pieces.append(GLUE + piece if start == end else piece)
        end = piece_end
    return pieces


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
