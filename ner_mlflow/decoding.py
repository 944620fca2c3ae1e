"""From a model's log-probabilities to valid IOB2 tags."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .bio import OUTSIDE, split_tag

FORBIDDEN = -1e9
"""Added to the score of a forbidden step; finite, so that a sum of two is still a number."""


def log_softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Natural logarithm of the softmax over the last axis."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    result: NDArray[np.float32] = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return result


class Iob2Decoder:
    """The most probable valid tag sequence under independent word probabilities.

    Exact: where the word-wise best tags are valid they are the answer, else the Viterbi algorithm (Forney, "The Viterbi
    algorithm", Proc. IEEE 61, 1973) finds it over the lattice of allowed steps.
    """

    def __init__(self, labels: Sequence[str]) -> None:
        """``labels[i]`` is the tag with id ``i``."""
        parts = [split_tag(label) for label in labels]
        continues = np.array([prefix == "I" for prefix, _ in parts])
        types = np.array([type_ for _, type_ in parts])
        self.labels = tuple(labels)
        self._starts_allowed = ~continues
        # allowed[i, j]: tag j may follow tag i.
        self._allowed = ~continues[None, :] | ((types[:, None] == types[None, :]) & (np.array(self.labels) != OUTSIDE)[:, None])

    def decode(self, scores: NDArray[np.float32]) -> NDArray[np.int64]:
        """Tag ids of one sentence.

        Args:
            scores: log-probabilities, shape (words, labels).

        Returns:
            Tag ids, shape (words,).
        """
        best: NDArray[np.int64] = scores.argmax(axis=-1)
        if len(best) == 0 or (self._starts_allowed[best[0]] and self._allowed[best[:-1], best[1:]].all()):
            return best
        return self._viterbi(scores)

    def _viterbi(self, scores: NDArray[np.float32]) -> NDArray[np.int64]:
        step_penalty = np.where(self._allowed, 0.0, FORBIDDEN)
        total = scores[0] + np.where(self._starts_allowed, 0.0, FORBIDDEN)
        backpointers = np.zeros(scores.shape, dtype=np.int64)
        for word in range(1, len(scores)):
            paths = total[:, None] + step_penalty
            backpointers[word] = paths.argmax(axis=0)
            total = paths.max(axis=0) + scores[word]
        tags = np.zeros(len(scores), dtype=np.int64)
        tags[-1] = total.argmax()
        for word in range(len(scores) - 1, 0, -1):
            tags[word - 1] = backpointers[word, tags[word]]
        return tags
