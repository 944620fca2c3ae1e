"""Average the predictions of several taggers."""

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from .tagger import Tagger


def mean_log_probabilities(
    taggers: Sequence[Tagger],
    sentences: Sequence[Sequence[str]],
    documents: Sequence[Hashable] | None = None,
) -> list[NDArray[np.float32]]:
    """Return the logarithm of the taggers' mean probabilities.

    Args:
        taggers: models with the same labels.
        sentences: the pieces of each sentence.
        documents: the document of each sentence, for models that use context.

    Returns:
        For each sentence an array of shape (pieces, labels).
    """
    by_tagger = [tagger.log_probabilities(sentences, documents) for tagger in taggers]
    return [
        np.logaddexp.reduce(scores, axis=0) - np.float32(np.log(len(taggers)))
        for scores in zip(*by_tagger, strict=True)
    ]
