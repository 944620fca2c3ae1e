"""Recognise documents that repeat an earlier one, exactly or nearly, while they stream by.

A document is the set of its runs of :data:`SHINGLE_WORDS` words. Rensa computes its MinHash, which
is cut into bands; two documents are near duplicates if they share the key of a band. With the
constants below a document is recognised with this probability, by the Jaccard similarity to an
earlier one: 0.5: 0.004, 0.6: 0.03, 0.7: 0.20, 0.8: 0.68, 0.9: 0.995, 1: 1.

Why Rensa: a MinHash of 192 permutations took 6 µs for an issue, datasketch's 190 µs. Why no index
of a library: one of Rensa grows by 1.3 GB and one of datasketch by 5.6 GB for a million documents.
The keys are kept in a Bloom filter instead, which is allocated once.
"""

import re
from typing import Final

import numpy as np
import numpy.typing as npt
from rensa import RMinHash

from ..tagging.words import encodable

SHINGLE_WORDS: Final = 3
BANDS: Final = 16
ROWS: Final = 12
"""Values of the MinHash in a band."""
SEED: Final = 42
KEY_BITS: Final = 32
"""Bits of the filter for each key of a band, at the capacity."""
PROBES: Final = 11
"""Bits that a key sets."""

Keys = npt.NDArray[np.uint64]

_WORD = re.compile(r"\w+")
_FACTORS = np.random.default_rng(SEED).integers(1, 2**63, (BANDS, ROWS), dtype=np.uint64) | 1
_BANDS = np.random.default_rng(SEED + 1).integers(1, 2**63, BANDS, dtype=np.uint64)
_STEPS = np.arange(PROBES, dtype=np.uint64)


def band_keys(text: str) -> Keys:
    """Return the keys of a document's bands, ``BANDS`` numbers of 64 bits.

    They do not depend on the process, the platform, or case, white space and punctuation of the
    text, so that other processes can compute them and hand them to :meth:`NearDuplicates.is_new`.
    """
    words = _WORD.findall(text.casefold())
    runs = zip(*(words[start:] for start in range(SHINGLE_WORDS)), strict=False)
    # A shorter text is one run; one without words counts as it is.
    shingles = list(map(" ".join, runs)) or [" ".join(words or encodable(text).split())]
    minhash = RMinHash(num_perm=BANDS * ROWS, seed=SEED)
    minhash.update(shingles)
    values = np.array(minhash.digest(), dtype=np.uint64).reshape(BANDS, ROWS)
    return _mix((values * _FACTORS).sum(axis=1, dtype=np.uint64) + _BANDS)


class NearDuplicates:
    """A filter for a stream of documents that lets the first of each group pass.

    A document that repeats an earlier one is a duplicate, whether that one was new or not. So the
    answers follow from the order of the documents and their keys alone.

    The memory is allocated at once: ``BANDS * KEY_BITS / 8`` bytes for each document of the
    capacity, rounded up to a power of two (64 MiB for a million). A new document is
    taken for a duplicate by chance with a probability below 1 in 10,000 up to the capacity, and
    below 1 in 100 up to twice the capacity.

    Args:
        capacity: number of documents.
    """

    def __init__(self, capacity: int = 1_000_000) -> None:
        bits = max(capacity * BANDS * KEY_BITS, 1 << 16)
        self._shift = np.uint64(64 - (bits - 1).bit_length())
        # Filled, not only reserved, so that the memory of the process does not grow later.
        self._filter = np.full(1 << ((bits - 1).bit_length() - 3), 0, dtype=np.uint8)

    @property
    def size_bytes(self) -> int:
        """Memory of the filter."""
        return self._filter.nbytes

    def is_new(self, document: str | Keys) -> bool:
        """Return whether no earlier document was like this one, and remember it.

        Args:
            document: its text, or its :func:`band_keys`.
        """
        keys = band_keys(document) if isinstance(document, str) else document
        steps = _mix(keys ^ _FACTORS[0, 0]) | np.uint64(1)
        places = (keys[:, None] + steps[:, None] * _STEPS) >> self._shift
        places = places.ravel()
        octets = places >> np.uint64(3)
        bits = np.left_shift(np.uint8(1), (places & np.uint64(7)).astype(np.uint8))
        is_set = (self._filter[octets] & bits).astype(bool).reshape(BANDS, PROBES)
        np.bitwise_or.at(self._filter, octets, bits)
        return not is_set.all(axis=1).any()


def _mix(keys: Keys) -> Keys:
    """Spread each key over all 64 bits (the finaliser of SplitMix64)."""
    keys = (keys ^ (keys >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    keys = (keys ^ (keys >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return keys ^ (keys >> np.uint64(31))
