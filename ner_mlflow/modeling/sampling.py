"""Which training windows make a batch."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import BatchSampler, SequentialSampler

from ..data.sentences import Sentence
from ..tagging.iob2 import split_tag


def repeat_factors(sentences: Sequence[Sentence], threshold: float) -> NDArray[np.float64]:
    """How often each sentence is drawn in an epoch: ``max(1, sqrt(threshold / share))`` of its rarest type, where ``share``
    of the sentences hold the type; shape (sentences,).

    Repeat factor sampling (Gupta, Dollár and Girshick, "LVIS", CVPR 2019, section 4.3).
    """
    types = [
        {type_ for _, type_ in map(split_tag, sentence.tags) if type_} for sentence in sentences
    ]
    holding: dict[str, int] = {}
    for found in types:
        for type_ in found:
            holding[type_] = holding.get(type_, 0) + 1
    factors = {
        type_: max(1.0, (threshold * len(sentences) / count) ** 0.5)
        for type_, count in holding.items()
    }
    return np.array([max((factors[type_] for type_ in found), default=1.0) for found in types])


class SubwordBatches(BatchSampler):
    """Batches of windows of like length with as many subwords each, in an order drawn anew each epoch.

    Windows are sorted by length, cut where the running sum passes equal shares, and the batches shuffled; who shares a batch
    changes among windows of one length. So little is padded, every step costs the same, and the number of steps is known.
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
        """
        Args:
            lengths: subwords of each window.
            batch_size: windows a batch, on average.
            seed: of the order; with the epoch, it determines the batches.
            factors: how often each window is drawn in an epoch; a fraction is a chance.
            rank: of the process that asks; it gets every ``world_size``-th window of each batch, from its own place on.
            world_size: processes that share a batch, at most half as many as ``batch_size``.
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
        """Draw the batches of this epoch next."""
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
        running = np.cumsum(self._lengths[drawn])
        inner = np.searchsorted(running, running[-1] * np.arange(1, self._batches) / self._batches)
        # Each batch has a window for each process at least, however long these are.
        least = self._world_size * np.arange(1, self._batches)
        inner = np.maximum.accumulate(np.maximum(inner - least, 0)) + least
        inner = np.minimum(inner, len(drawn) - least[::-1])
        return np.concatenate([[0], inner, [len(drawn)]])
