"""Recognise documents that repeat an earlier one, exactly or nearly, while they stream by.

A document is the set of its runs of :data:`SHINGLE_WORDS` words. Rensa computes its MinHash, which
is cut into bands; two documents are near duplicates if they share the key of a band. With the
constants below a document is recognised with this probability, by the Jaccard similarity to an
earlier one: 0.5: 0.004, 0.6: 0.03, 0.7: 0.20, 0.8: 0.68, 0.9: 0.995, 1: 1.

Why Rensa: a MinHash of 192 permutations took 6 µs for an issue, datasketch's 190 µs. Why no index
of a library: one of Rensa grows by 1.3 GB and one of datasketch by 5.6 GB for a million documents.
The keys are kept in Bloom filters instead; when one is full, the next one is allocated.
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
"""Bits of a filter for each key of a band when the filter is full."""
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

    The memory is allocated for a number of documents at once: ``BANDS * KEY_BITS / 8`` bytes for
    each, rounded up to a power of two. When as many have been remembered, as much is added for the
    next ones: 64 MiB for each 1,048,576 documents by default. Keys that are known already are not
    remembered again, so that exact repetitions take no memory.

    A new document is taken for a duplicate by chance with a probability below 1 in 40,000 for each
    such number of documents before it: after five million below 1 in 8,000.

    Args:
        capacity: number of documents to allocate memory for at once.
    """

    def __init__(self, capacity: int = 1_000_000) -> None:
        exponent = (max(capacity * BANDS * KEY_BITS, 1 << 16) - 1).bit_length()
        self._shift = np.uint64(64 - exponent)
        self._octets = 1 << (exponent - 3)
        self._most_keys = (1 << exponent) // KEY_BITS
        self._filters: list[npt.NDArray[np.uint8]] = []
        self._add_filter()

    @property
    def size_bytes(self) -> int:
        """Memory of the filters."""
        return sum(octets.nbytes for octets in self._filters)

    def is_new(self, document: str | Keys) -> bool:
        """Return whether no earlier document was like this one, and remember it.

        Args:
            document: its text, or its :func:`band_keys`.
        """
        keys = band_keys(document) if isinstance(document, str) else document
        steps = _mix(keys ^ _FACTORS[0, 0]) | np.uint64(1)
        places = (keys[:, None] + steps[:, None] * _STEPS) >> self._shift
        octets = places >> np.uint64(3)
        bits = np.left_shift(np.uint8(1), (places & np.uint64(7)).astype(np.uint8))
        is_known = np.zeros(BANDS, dtype=np.bool_)
        for known in self._filters:
            is_known |= (known[octets] & bits).astype(np.bool_).all(axis=1)
        new_keys = BANDS - int(np.count_nonzero(is_known))
        if self._keys + new_keys > self._most_keys:
            self._add_filter()
        np.bitwise_or.at(self._filters[-1], octets[~is_known].ravel(), bits[~is_known].ravel())
        self._keys += new_keys
        return new_keys == BANDS

    def _add_filter(self) -> None:
        # Filled, not only reserved, so that the memory of the process grows here alone.
        self._filters.append(np.full(self._octets, 0, dtype=np.uint8))
        self._keys = 0


def _mix(keys: Keys) -> Keys:
    """Spread each key over all 64 bits (the finaliser of SplitMix64)."""
    keys = (keys ^ (keys >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    keys = (keys ^ (keys >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return keys ^ (keys >> np.uint64(31))
