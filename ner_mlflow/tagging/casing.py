"""How a word is written, for encoders whose vocabulary is lower-cased."""

from functools import lru_cache

CASINGS = ("lower", "capitalised", "upper", "mixed")
"""Classes of words; a word's class is its index here. Words without capitals, numbers and punctuation too, are ``lower``."""


@lru_cache(maxsize=65_536)
def casing(word: str) -> int:
    """The class of a word: ``server`` 0, ``Java`` and ``I`` 1, ``HTML`` 2, ``jQuery`` and ``PostgreSQL`` 3."""
    if not any(character.isupper() for character in word):
        return 0
    if word[0].isupper() and not any(character.isupper() for character in word[1:]):
        return 1
    return 2 if word.isupper() else 3
