"""Choose the training windows of each batch."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import BatchSampler, SequentialSampler

from ..data.sentences import Sentence
from ..tagging.iob2 import split_tag


def repeat_factors(sentences: Sequence[Sentence], threshold: float) -> NDArray[np.float64]:
    """Return how often each sentence is drawn in an epoch, shape (sentences,).

    The factor is ``max(1, sqrt(threshold / share))`` of the sentence's rarest type, where ``share``
    is the share of sentences that contain the type. This is repeat factor sampling (Gupta, Dollár
    and Girshick, "LVIS", CVPR 2019, section 4.3).
    """
    types_by_sentence = [
        {type_ for _, type_ in map(split_tag, sentence.tags) if type_} for sentence in sentences
    ]
    counts: dict[str, int] = {}
    for types in types_by_sentence:
        for type_ in types:
            counts[type_] = counts.get(type_, 0) + 1
    factors = {
        type_: max(1.0, (threshold * len(sentences) / count) ** 0.5)
        for type_, count in counts.items()
    }
    return np.array(
        [max((factors[type_] for type_ in types), default=1.0) for types in types_by_sentence]
    )


class SubwordBatches(BatchSampler):
    """Batches of windows of similar length, each with the same number of subwords.

    Windows are sorted by length, cut into equal shares of the subwords, and the batches are
    shuffled. Each epoch has another order, and windows of equal length change batches. So there is
    little padding, every step costs the same, and the number of steps is known in advance.
    """

    def __init__(
        self,
        lengths: Sequence[int],
        batch_size: int,
        seed: int,
        factors: NDArray[np.float64] | None = None,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        """Take the lengths of the windows.

        Args:
            lengths: the number of subwords in each window.
            batch_size: the mean number of windows in a batch.
            seed: the seed of the order; seed and epoch determine the batches.
            factors: how often each window is drawn in an epoch, shape (windows,); the fractional
                part is a probability. None: once each.
            rank: the rank of this process. It takes every ``world_size``-th window of each batch,
                from index ``rank`` on.
            world_size: the number of processes that share a batch; ``batch_size // 2`` or fewer.
        """
        super().__init__(SequentialSampler(range(len(lengths))), batch_size, drop_last=False)
        self._lengths = np.asarray(lengths)
        self._factors = np.ones(len(lengths)) if factors is None else factors
        self._batches: int = max(1, round(float(self._factors.sum()) / batch_size))
        self._seed = seed
        self._epoch = 0
        self._rank = rank
        self._world_size = world_size

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch whose batches are drawn next."""
        self._epoch = epoch

    def __len__(self) -> int:
        return self._batches

    def __iter__(self) -> Iterator[list[int]]:
        random = np.random.default_rng((self._seed, self._epoch))
        repeats = np.floor(self._factors + random.random(len(self._factors))).astype(int)
        drawn = random.permutation(np.repeat(np.arange(len(repeats)), repeats))
        drawn = drawn[np.argsort(self._lengths[drawn], kind="stable")]
        cuts = self._cuts(drawn)
        for index in random.permutation(self._batches):
            yield drawn[cuts[index] : cuts[index + 1]][self._rank :: self._world_size].tolist()

    def _cuts(self, drawn: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return where batches begin in the sorted windows, shape (batches + 1,)."""
        running = np.cumsum(self._lengths[drawn])
        inner = np.searchsorted(running, running[-1] * np.arange(1, self._batches) / self._batches)
        # Each batch has one window or more for each process, however long the windows are.
        least = self._world_size * np.arange(1, self._batches)
        inner = np.maximum.accumulate(np.maximum(inner - least, 0)) + least
        inner = np.minimum(inner, len(drawn) - least[::-1])
        return np.concatenate([[0], inner, [len(drawn)]])
