"""Split running text into sentences of pieces with their offsets.

White space separates chunks, which are cut into pieces by the rules of :mod:`.cutting`. The rules
for the ends of sentences are the tables below.
"""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from . import scripts
from .cutting import CHUNK, PARTING, cut

AFTER_STOP = frozenset([*"\"'”’»`)]}*_", "**", "__", "***"]) | scripts.AFTER_STOP
"""Closing marks; up to three may follow the mark that ends a sentence."""
MOST_PIECES = 1024
"""Pieces of a sentence; a longer one is split, after one of the :data:`~.cutting.PARTING` marks."""
SEAM_PIECES = 128
"""Pieces among which such a mark is looked for."""
SENTENCE_END = ".!?…" + "".join(sorted(scripts.SENTENCE_END))
"""Marks that end a sentence, one or several."""
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

_LINE_BREAK = r"(?:\n|\r(?!\n)|[\v\f\x85\u2028\u2029])"
_LINE_END = re.compile(_LINE_BREAK)
_BLANK_LINE = re.compile(rf"{_LINE_BREAK}\s*{_LINE_BREAK}|[\f\u2029]")  # or a new page
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


def sentences_of(text: str) -> Iterator[Words]:
    """Yield the sentences of a text; none is empty, and white space belongs to no word.

    A sentence ends at a blank line, and at a line break unless the next line begins in lower case
    (a wrapped line). It also ends after a full stop, question mark or exclamation mark, unless the
    next word begins in lower case or the full stop belongs to an abbreviation.

    Args:
        text: of any length; halves of surrogate pairs are replaced as by :func:`encodable`.
    """
    is_ascii = text.isascii()
    must_encode = not is_ascii and _LONE_SURROGATE.search(text) is not None
    current = Words([], [], [])
    texts, starts, ends = current
    in_word, last_end = False, 0  # whether the last piece ends with a letter or digit, and where
    for chunk in CHUNK.finditer(text):
        word = chunk[0]
        begin, chunk_end = chunk.span()
        # The common case first: no mark that ends a sentence, no line break.
        goes_on = in_word and begin == last_end + 1 and text[last_end] == " "
        if texts and not goes_on and _breaks(text, current, begin):
            yield current
            current = Words([], [], [])
            texts, starts, ends = current
        elif len(texts) >= MOST_PIECES:
            seam = _seam(texts)
            yield Words(texts[:seam], starts[:seam], ends[:seam])
            current = Words(texts[seam:], starts[seam:], ends[seam:])
            texts, starts, ends = current
        if word.isalnum() and word.isascii():
            texts.append(word)
            starts.append(begin)
            ends.append(chunk_end)
            in_word, last_end = True, chunk_end
            continue
        if must_encode:
            word = encodable(word)
        for start, end in cut(word):
            piece = word[start:end]
            if start and not is_ascii and ends_closely(texts) and not _stays_closely(piece):
                yield current
                current = Words([], [], [])
                texts, starts, ends = current
            texts.append(piece)
            starts.append(begin + start)
            ends.append(begin + end)
        in_word, last_end = texts[-1][-1].isalnum(), ends[-1]
    if texts:
        yield current


def ends_closely(words: Sequence[str]) -> bool:
    """Return whether words end a sentence also where no white space follows, as after ``。``."""
    last = next((word for word in reversed(words[-4:]) if word not in AFTER_STOP), "")
    return last in scripts.CLOSELY_SET


def _stays_closely(piece: str) -> bool:
    """Return whether a piece still belongs to the sentence whose end stands right before it."""
    return piece in AFTER_STOP or piece in scripts.CLOSELY_SET


def _seam(words: Sequence[str]) -> int:
    """Return the index of the word where a sentence of too many words is best split."""
    last = len(words)
    while last > len(words) - SEAM_PIECES and words[last - 1][0] not in PARTING:
        last -= 1
    return last if last > len(words) - SEAM_PIECES else len(words)


def _breaks(text: str, current: Words, start: int) -> bool:
    """Return whether the word at ``start`` begins a new sentence after the words of ``current``."""
    words = current.texts
    gap = text[current.ends[-1] : start]
    if not gap:
        return False
    is_lower = text[start].islower()
    if gap != " " and (_BLANK_LINE if is_lower else _LINE_END).search(gap):
        return True
    if is_lower:
        return False
    end = len(words) - 1
    while end > max(0, len(words) - 4) and words[end] in AFTER_STOP:
        end -= 1
    if words[end].strip(SENTENCE_END):
        return False
    return words[end] != "." or end == 0 or words[end - 1].lower() not in ABBREVIATIONS
