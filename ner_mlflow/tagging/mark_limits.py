"""Leave marks out of what a model reads where there are far more than in any real text.

Lines of random marks take a model as long as prose, and no name is in them. A mark here is a piece
without letters and digits. The limits are far above what texts of the field hold: of 18,841 texts,
bug reports, posts and issues, none has more than 23 marks in a row, or more than 8 different
sentences of marks alone.
"""

import logging
from collections.abc import Iterable, Iterator

from .cutting import ALPHANUMERIC
from .words import Words

log = logging.getLogger(__name__)

MOST_IN_A_ROW = 64
"""Marks in a row within a sentence; of more, those in the middle are left out."""
KEPT_AT_AN_END = 16
"""Marks that stay at each end of such a row, beside the words there."""
MOST_OF_SENTENCES = 512
"""Marks of a text in different sentences of marks alone; further such sentences are left out."""


def limit_marks(sentences: Iterable[Words]) -> Iterator[Words]:
    """Yield the sentences of a text, without marks beyond the limits.

    A sentence ends where marks are left out, so that no entity reaches over them. A warning in the
    log says how many were left out of a text.
    """
    shown: set[tuple[str, ...]] = set()
    room = MOST_OF_SENTENCES
    left_out = 0
    for sentence in sentences:
        parts = [sentence]
        if len(sentence.texts) > MOST_IN_A_ROW:
            parts = list(_without_long_rows(sentence))
            left_out += len(sentence.texts) - sum(len(part.texts) for part in parts)
        elif sentence.texts[0][0].isalnum():  # the common case
            yield sentence
            continue
        for part in parts:
            if not any(map(ALPHANUMERIC.search, part.texts)):
                marks = tuple(part.texts)
                if marks not in shown:
                    if len(marks) > room:
                        left_out += len(marks)
                        continue
                    shown.add(marks)
                    room -= len(marks)
            yield part
    if left_out:
        log.warning(
            "%d pieces of a text were left out, as they are long rows of marks without a name",
            left_out,
        )


def _without_long_rows(sentence: Words) -> Iterator[Words]:
    """Yield what stays of a sentence on both sides of each long row of marks."""
    begin, row = 0, 0  # where the next part begins, and where the row of marks does
    for index, text in enumerate([*sentence.texts, "a"]):
        if not ALPHANUMERIC.search(text):
            continue
        if index - row > MOST_IN_A_ROW:
            yield _part(sentence, begin, row + KEPT_AT_AN_END)
            begin = index - KEPT_AT_AN_END
        row = index + 1
    yield _part(sentence, begin, len(sentence.texts))


def _part(sentence: Words, begin: int, end: int) -> Words:
    return Words(sentence.texts[begin:end], sentence.starts[begin:end], sentence.ends[begin:end])
