"""Label sentences without gold labels: what a labeler is, and the labelers that ask models."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np

from ..config.schema import PROMPT_LABELER
from ..data.sentences import Sentence
from ..prompting.baseline import extract_entities
from ..prompting.client import Complete, Message
from ..tagging.decoding import Iob2Decoder
from ..tagging.ensemble import mean_log_probabilities
from ..tagging.iob2 import Entity, to_entities
from ..tagging.tagger import Tagger

ANY_TYPE = ""
"""Type of a span of words that a labeler leaves open: it may hold an entity or not."""


class VotedSpan(NamedTuple):
    """A span that a labeler votes for, over the words of a sentence, end exclusive.

    Attributes:
        start: the first word.
        end: the word after the last one.
        type: the entity type, or :data:`ANY_TYPE`.
        score: the labeler's own confidence, 0 to 1.
        rule: what decided, such as the name of a list or of a model.
    """

    start: int
    end: int
    type: str
    score: float = 1.0
    rule: str = ""

    @property
    def entity(self) -> Entity:
        """The span and its type."""
        return Entity(self.start, self.end, self.type)


Votes = list[VotedSpan]
"""A labeler's spans in a sentence, sorted; none overlaps another."""


class Labeler(Protocol):
    """A source of labels for sentences whose words are pieces."""

    @property
    def name(self) -> str:
        """Return the name in tables and metrics."""

    @property
    def version(self) -> str:
        """Return the SHA-256 (hex) of everything that its votes depend on."""

    @property
    def saw_validation(self) -> bool:
        """Return whether validation helped to make it, so that its scores there are optimistic."""

    def label(self, sentences: Sequence[Sentence]) -> list[Votes]:
        """Return the votes for each sentence."""


class TeacherLabeler:
    """Labels as trained models do, where they are confident.

    The models' probabilities are averaged. Words whose tag is less probable than ``confidence`` are
    left open: they get a span of :data:`ANY_TYPE`.
    """

    saw_validation = True
    """Training keeps the epoch that is best on validation, which may be the same."""

    def __init__(
        self, name: str, version: str, taggers: Sequence[Tagger], confidence: float
    ) -> None:
        """
        Args:
            name: the name in tables and metrics.
            version: the fingerprint of the models and of what else the votes depend on.
            taggers: one model or more, with the same labels.
            confidence: the least mean probability of a tag.
        """
        self.name = name
        self.version = version
        self._taggers = taggers
        self._confidence = confidence

    def label(self, sentences: Sequence[Sentence]) -> list[Votes]:
        """Return the votes for each sentence."""
        labels = self._taggers[0].labels
        decoder = Iob2Decoder(labels)
        votes = []
        for scores in mean_log_probabilities(
            self._taggers,
            [sentence.tokens for sentence in sentences],
            [sentence.document for sentence in sentences],
        ):
            ids = decoder.decode(scores)
            probabilities = np.exp(scores[np.arange(len(ids)), ids])
            votes.append(self._votes([labels[id_] for id_ in ids], probabilities.tolist()))
        return votes

    def _votes(self, tags: Sequence[str], probabilities: Sequence[float]) -> Votes:
        votes = []
        taken = [False] * len(tags)
        for entity in to_entities(tags):
            score = min(probabilities[entity.start : entity.end])
            type_ = entity.type if score >= self._confidence else ANY_TYPE
            votes.append(VotedSpan(entity.start, entity.end, type_, score, self.name))
            taken[entity.start : entity.end] = [True] * (entity.end - entity.start)
        votes += [
            VotedSpan(word, word + 1, ANY_TYPE, probability, self.name)
            for word, probability in enumerate(probabilities)
            if probability < self._confidence and not taken[word]
        ]
        return sorted(votes)


class PromptLabeler:
    """Labels as a language model answers a prompt.

    A sentence is left open if the call fails or the answer is not valid.
    """

    name = PROMPT_LABELER
    saw_validation = False

    def __init__(
        self,
        version: str,
        complete: Complete,
        template: Sequence[Message],
        examples: Sequence[Sentence],
        types: Sequence[str],
        threads: int,
    ) -> None:
        """
        Args:
            version: the fingerprint of the model, the prompt and what else the answers depend on.
            complete: makes a call, from several threads.
            template: the messages of the prompt, with slots.
            examples: gold sentences for the slot ``examples``.
            types: the entity types.
            threads: calls at a time.
        """
        self.version = version
        self._complete = complete
        self._template = template
        self._examples = examples
        self._types = types
        self._threads = threads

    def label(self, sentences: Sequence[Sentence]) -> list[Votes]:
        """Return the votes for each sentence."""
        if not sentences:
            return []
        extractions = extract_entities(
            sentences, self._template, self._examples, self._types, self._complete, self._threads
        )
        return [
            [VotedSpan(0, len(sentence.tokens), ANY_TYPE, 0.0, self.name)]
            if extraction.problem
            else [
                VotedSpan(entity.start, entity.end, entity.type, 1.0, self.name)
                for entity in to_entities(extraction.tags)
            ]
            for sentence, extraction in zip(sentences, extractions, strict=True)
        ]
