"""Decode valid IOB2 tags from a model's log-probabilities."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from .iob2 import OUTSIDE, split_tag

Scalar = TypeVar("Scalar", bound=np.generic)

FORBIDDEN = -1e9
"""Score of a forbidden step; finite, so that sums and differences stay numbers."""


def log_softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the natural logarithm of the softmax over the last axis."""
    # The ufuncs themselves: the methods `max` and `sum` call them through Python.
    shifted = logits - np.maximum.reduce(logits, axis=-1, keepdims=True)
    result: NDArray[np.float32] = shifted - np.log(
        np.add.reduce(np.exp(shifted), axis=-1, keepdims=True)
    )
    return result


def by_sentence(values: NDArray[Scalar], lengths: Sequence[int]) -> list[NDArray[Scalar]]:
    """Split values of all words, in a row, into the values of each sentence.

    Args:
        values: shape (words, ...).
        lengths: words of each sentence; their sum is the length of the first axis of ``values``.

    Returns:
        A view for each sentence, shape (its words, ...).
    """
    return [
        values[end - length : end] for length, end in zip(lengths, accumulate(lengths), strict=True)
    ]


@dataclass(frozen=True)
class Transitions:
    """Scores that a conditional random field adds to the scores of the words.

    ``starts[i]`` counts where tag ``i`` begins a sentence, ``steps[i][j]`` where tag ``j`` follows
    tag ``i``.
    """

    starts: tuple[float, ...]
    steps: tuple[tuple[float, ...], ...]


class Iob2Decoder:
    """An exact search for the most probable valid tag sequence.

    The probability of a sequence is the product of its words' probabilities or, with transitions,
    follows a conditional random field. Where words are independent and the best tag of each makes a
    valid sequence, that sequence is the answer. Otherwise the Viterbi algorithm (Forney, "The
    Viterbi algorithm", Proc. IEEE 61, 1973) finds it among the allowed steps.
    """

    def __init__(self, labels: Sequence[str], transitions: Transitions | None = None) -> None:
        """
        Args:
            labels: ``labels[i]`` is the tag with id ``i``.
            transitions: None gives every allowed step the same score.
        """
        parts = [split_tag(label) for label in labels]
        continues = np.array([prefix == "I" for prefix, _ in parts])
        types = np.array([type_ for _, type_ in parts])
        self.labels = tuple(labels)
        self._starts_allowed = ~continues
        # allowed[i, j]: tag j may follow tag i.
        self._allowed = ~continues[None, :] | (
            (types[:, None] == types[None, :]) & (np.array(self.labels) != OUTSIDE)[:, None]
        )
        # The same as sets of ids, which are quicker for a single sentence.
        self._no_tag = len(self.labels)
        self._may_follow = [
            frozenset(np.flatnonzero(row).tolist())
            for row in (*self._allowed, self._starts_allowed)
        ]
        self._independent = transitions is None
        self._start_scores = np.where(
            self._starts_allowed, transitions.starts if transitions else 0.0, FORBIDDEN
        )
        self._step_scores = np.where(
            self._allowed, transitions.steps if transitions else 0.0, FORBIDDEN
        )

    def decode(self, scores: NDArray[np.float32]) -> NDArray[np.int64]:
        """Return the tag ids of one sentence.

        Args:
            scores: log-probabilities of each word taken by itself, shape (words, labels).

        Returns:
            Tag ids, shape (words,).
        """
        if not self._independent or len(scores) == 0:
            return self._viterbi(scores)
        best: NDArray[np.int64] = scores.argmax(axis=-1)
        previous = self._no_tag
        for id_ in best.tolist():
            if id_ not in self._may_follow[previous]:
                return self._viterbi(scores)
            previous = id_
        return best

    def decode_all(self, scores: Sequence[NDArray[np.float32]]) -> list[NDArray[np.int64]]:
        """Return the tag ids of many sentences, as :meth:`decode` does for one.

        Sentences whose words' best tags are valid are decoded together.
        """
        if not self._independent:
            return [self._viterbi(values) for values in scores]
        if not scores:
            return []
        lengths = [len(values) for values in scores]
        ends = list(accumulate(lengths))
        best = np.concatenate(scores).argmax(axis=-1)
        valid = np.ones(len(best), dtype=np.bool_)
        valid[1:] = self._allowed[best[:-1], best[1:]]
        firsts = [end - length for length, end in zip(lengths, ends, strict=True) if length]
        valid[firsts] = self._starts_allowed[best[firsts]]
        ids = by_sentence(best, lengths)
        if not valid.all():
            for index in np.unique(np.searchsorted(ends, np.flatnonzero(~valid), side="right")):
                ids[index] = self._viterbi(scores[index])
        return ids

    def log_marginals(self, scores: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the log-probabilities of each word's tags, over all valid sequences.

        Uses the forward-backward algorithm (Rabiner, "A tutorial on hidden Markov models", Proc.
        IEEE 77, 1989, section III).

        Args:
            scores: log-probabilities of each word taken by itself, shape (words, labels).

        Returns:
            Shape (words, labels).
        """
        if len(scores) == 0:
            return scores
        forward = np.empty(scores.shape)
        backward = np.zeros(scores.shape)
        forward[0] = self._start_scores + scores[0]
        for word in range(1, len(scores)):
            forward[word] = (
                np.logaddexp.reduce(forward[word - 1][:, None] + self._step_scores, axis=0)
                + scores[word]
            )
            behind = -word - 1
            backward[behind] = np.logaddexp.reduce(
                self._step_scores + (scores[behind + 1] + backward[behind + 1])[None, :], axis=1
            )
        marginals: NDArray[np.float32] = (
            forward + backward - np.logaddexp.reduce(forward[-1])
        ).astype(np.float32)
        return marginals

    def _viterbi(self, scores: NDArray[np.float32]) -> NDArray[np.int64]:
        if len(scores) == 0:
            return np.zeros(0, dtype=np.int64)
        total = scores[0] + self._start_scores
        backpointers = np.zeros(scores.shape, dtype=np.int64)
        for word in range(1, len(scores)):
            paths = total[:, None] + self._step_scores
            backpointers[word] = paths.argmax(axis=0)
            total = paths.max(axis=0) + scores[word]
        tags = np.zeros(len(scores), dtype=np.int64)
        tags[-1] = total.argmax()
        for word in range(len(scores) - 1, 0, -1):
            tags[word - 1] = backpointers[word, tags[word]]
        return tags
