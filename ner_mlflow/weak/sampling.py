"""Choose a random sample of documents in one pass, wherever and in whatever order they are read."""

import hashlib
import pickle
import tempfile
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from .documents import Document

Ranks = NDArray[np.uint64]

LARGEST = 2**64 - 1


def rank(document: Document, seed: int) -> int:
    """Return a number of 64 bits that depends on the seed, the document's id and its text alone."""
    content = f"{seed}\0{document.id}\0{document.text}".encode(errors="surrogatepass")
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "big")


class SmallestRanks:
    """Keeps the smallest different ranks of a stream; the memory is some 40 bytes for each.

    Args:
        size: how many.
        ranks: those to begin with, any number.
    """

    def __init__(self, size: int, ranks: Iterable[int] | Ranks = ()) -> None:
        self._size = size
        self._ranks = np.zeros(0, dtype=np.uint64)
        self._new: list[int] = []
        self._limit = LARGEST
        if len(given := np.asarray(ranks, dtype=np.uint64)):
            self._keep(given)

    def add(self, rank: int) -> bool:
        """Return whether a rank may be one of the smallest, and keep it if so."""
        if rank > self._limit:
            return False
        self._new.append(rank)
        if len(self._new) >= self._size:
            self.ranks()
        return True

    def ranks(self) -> Ranks:
        """Return the smallest ranks so far, sorted."""
        if self._new:
            new, self._new = np.array(self._new, dtype=np.uint64), []
            self._keep(np.concatenate([self._ranks, new]))
        return self._ranks

    @property
    def limit(self) -> int:
        """The largest rank that belongs to the smallest ones so far."""
        ranks = self.ranks()
        return int(ranks[-1]) if len(ranks) == self._size else LARGEST

    def _keep(self, ranks: Ranks) -> None:
        self._ranks = np.unique(ranks)[: self._size]
        if len(self._ranks) == self._size:
            self._limit = int(self._ranks[-1])


def sample_documents(documents: Iterable[Document], size: int, seed: int) -> Iterator[Document]:
    """Yield a random sample of documents in their order, after all of them were read.

    The sample is the documents with the smallest ranks, so neither the order of the documents nor
    the number of processes that read them changes it. Those that may belong to it wait in a
    temporary file, about ``size * (2 + log(documents / size))`` of them. Documents that are equal
    in id and text count once.

    Args:
        documents: all documents; they are not held in memory.
        size: the number of documents to keep.
        seed: another seed gives another sample.
    """
    smallest = SmallestRanks(size)
    with tempfile.TemporaryFile() as file:
        waiting = 0
        for document in documents:
            if smallest.add(number := rank(document, seed)):
                pickle.dump((number, *document), file, pickle.HIGHEST_PROTOCOL)
                waiting += 1
        limit = smallest.limit
        file.seek(0)
        for _ in range(waiting):
            number, *fields = pickle.load(file)
            if number <= limit:
                yield Document(*fields)
