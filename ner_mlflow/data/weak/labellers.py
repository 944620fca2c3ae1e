"""Define what a labeller is: something that votes for spans of sentences, with a score."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from ..sentences import Sentence


class VotedSpan(NamedTuple):
    """A span of words that a labeller votes for.

    Attributes:
        start: the first word.
        end: the word after the last.
        type: the entity type.
        score: how sure the labeller is, from 0 to 1.
        rule: what in the labeller gave the vote, such as the name of a gazetteer.
    """

    start: int
    end: int
    type: str
    score: float
    rule: str


class Labeller(Protocol):
    """Votes for spans of sentences whose words are pieces (:mod:`ner_mlflow.tagging.words`).

    Attributes:
        name: what it is, such as ``rules``.
        version: SHA-256 (hex) of everything that its answers depend on.
    """

    name: str
    version: str

    def label(self, sentences: Sequence[Sentence]) -> list[list[VotedSpan]]:
        """Return the spans of each sentence, sorted and not overlapping."""
        ...
