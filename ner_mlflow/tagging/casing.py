"""Classify words by their capitals, for encoders whose vocabulary is lower-cased."""

from functools import lru_cache

CASINGS = ("lower", "capitalised", "upper", "mixed")
"""Names of the classes; a class is an index here. Numbers and punctuation are ``lower``."""
KNOWN_WORD_CHARACTERS = 64
"""Longer words (encoded data, minified code) rarely repeat and are not remembered."""


def casing(word: str) -> int:
    """Return the class of a word.

    ``server`` is 0, ``Java`` and ``I`` are 1, ``HTML`` is 2, ``jQuery`` and ``PostgreSQL`` are 3.
    """
    return _known_casing(word) if len(word) <= KNOWN_WORD_CHARACTERS else _casing(word)


def _casing(word: str) -> int:
    if not any(character.isupper() for character in word):
        return 0
    if word[0].isupper() and not any(character.isupper() for character in word[1:]):
        return 1
    return 2 if word.isupper() else 3


_known_casing = lru_cache(maxsize=65_536)(_casing)
