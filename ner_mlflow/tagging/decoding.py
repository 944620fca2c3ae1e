"""From a model's log-probabilities to valid IOB2 tags."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from .iob2 import OUTSIDE, split_tag

Scalar = TypeVar("Scalar", bound=np.generic)

FORBIDDEN = -1e9
"""Added to the score of a forbidden step; finite, so that a sum of two is still a number."""


def log_softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Natural logarithm of the softmax over the last axis."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    result: NDArray[np.float32] = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return result


def by_sentence(values: NDArray[Scalar], lengths: Sequence[int]) -> list[NDArray[Scalar]]:
    """Cut what was computed for all words in a row into what belongs to each sentence.

    Args:
        values: shape (words, ...).
        lengths: words of each sentence; they sum up to ``values``' first axis.

    Returns:
        For each sentence, shape (its words, ...); views.
    """
    return np.split(values, np.cumsum(lengths)[:-1]) if len(lengths) else []


@dataclass(frozen=True)
class Transitions:
    """What a conditional random field adds to the words' scores: ``starts[i]`` where a sentence begins with tag ``i``,
    ``steps[i][j]`` where tag ``j`` follows tag ``i``."""

    starts: tuple[float, ...]
    steps: tuple[tuple[float, ...], ...]


class Iob2Decoder:
    """The most probable valid tag sequence, under independent word probabilities or those of a conditional random field.

    Exact: where words are independent and their best tags are valid these are the answer, else the Viterbi algorithm (Forney,
    "The Viterbi algorithm", Proc. IEEE 61, 1973) finds it over the lattice of allowed steps.
    """

    def __init__(self, labels: Sequence[str], transitions: Transitions | None = None) -> None:
        """``labels[i]`` is the tag with id ``i``; without ``transitions`` every allowed step is as good as another."""
        parts = [split_tag(label) for label in labels]
        continues = np.array([prefix == "I" for prefix, _ in parts])
        types = np.array([type_ for _, type_ in parts])
        self.labels = tuple(labels)
        self._starts_allowed = ~continues
        # allowed[i, j]: tag j may follow tag i.
        self._allowed = ~continues[None, :] | (
            (types[:, None] == types[None, :]) & (np.array(self.labels) != OUTSIDE)[:, None]
        )
        self._independent = transitions is None
        self._start_scores = np.where(
            self._starts_allowed, transitions.starts if transitions else 0.0, FORBIDDEN
        )
        self._step_scores = np.where(
            self._allowed, transitions.steps if transitions else 0.0, FORBIDDEN
        )

    def decode(self, scores: NDArray[np.float32]) -> NDArray[np.int64]:
        """Tag ids of one sentence.

        Args:
            scores: log-probabilities of each word by itself, shape (words, labels).

        Returns:
            Tag ids, shape (words,).
        """
        return self.decode_all([scores])[0]

    def decode_all(self, scores: Sequence[NDArray[np.float32]]) -> list[NDArray[np.int64]]:
        """The same for each of many sentences: together, where their words' best tags are valid."""
        if not self._independent:
            return [self._viterbi(values) for values in scores]
        if not scores:
            return []
        lengths = np.array([len(values) for values in scores])
        ends = np.cumsum(lengths)
        best = np.concatenate(scores).argmax(axis=-1)
        valid = np.ones(len(best), dtype=np.bool_)
        valid[1:] = self._allowed[best[:-1], best[1:]]
        firsts = (ends - lengths)[lengths > 0]
        valid[firsts] = self._starts_allowed[best[firsts]]
        found = np.split(best, ends[:-1])
        for index in np.unique(np.searchsorted(ends, np.flatnonzero(~valid), side="right")):
            found[index] = self._viterbi(scores[index])
        return found

    def log_marginals(self, scores: NDArray[np.float32]) -> NDArray[np.float32]:
        """Log-probabilities of each word's tags over all valid sequences of the sentence; arguments and shape as in :meth:`decode`.

        The forward-backward algorithm (Rabiner, "A tutorial on hidden Markov models", Proc. IEEE 77, 1989, section III).
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
