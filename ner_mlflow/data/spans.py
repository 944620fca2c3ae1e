"""Turn texts and words with spans into sentences of words with IOB2 tags."""

from collections.abc import Iterator
from typing import NamedTuple

from ..config.schema import DataConfig
from .findings import Findings
from .formats.base import TextWithSpans, WordsWithSpans


class CutSentence(NamedTuple):
    """A sentence as the arguments of ``SentencesBuilder.append`` take it."""

    tokens: list[str]
    tags: list[str]
    text: str | None = None
    starts: list[int] | None = None


def cut_text(
    record: TextWithSpans, config: DataConfig, findings: Findings, split: str, place: str
) -> Iterator[CutSentence]:
    """Yield the sentences of a text, cut into words as the served model cuts them.

    A span's end within a word cuts the word there. The texts of the sentences join to the text.
    Offsets are checked against the surfaces that the file names; spans that overlap are resolved
    by ``config.overlaps``, and what is left out or changed is counted.

    Raises:
        DataError: a span does not fit the text, or overlaps, where the settings refuse it.
    """
    raise NotImplementedError


def tag_words(
    record: WordsWithSpans, config: DataConfig, findings: Findings, split: str, place: str
) -> list[str]:
    """Return the IOB2 tags of words with spans, resolved and counted likewise.

    Raises:
        DataError: as :func:`cut_text`.
    """
    raise NotImplementedError
