"""Recognise splits by the names of files and hub splits, and read the setting ``splits``."""

import re
from collections.abc import Iterable, Iterator

from ..config.schema import DataConfig
from ..errors import DataError
from .sentences import SPLITS, TEST, TRAIN, VALIDATION

SPLIT_NAMES = {
    "train": TRAIN,
    "trn": TRAIN,
    "training": TRAIN,
    "validation": VALIDATION,
    "valid": VALIDATION,
    "val": VALIDATION,
    "dev": VALIDATION,
    "devel": VALIDATION,
    "develop": VALIDATION,
    "development": VALIDATION,
    "testa": VALIDATION,
    "test": TEST,
    "tst": TEST,
    "testing": TEST,
    "testb": TEST,
}
"""Split by a word in the name of a file, a folder or a split on the hub."""
WORD_ENDINGS = ("set", "data")
"""What may follow such a word without a border, as in ``trainset``."""
SHOWN_NAMES = 12
NO_SPLIT = "its name matches no split"
SEVERAL_SPLITS = "its name matches several splits"
NOT_CHOSEN = "the setting splits names others"
"""Reasons why a file or hub split is left out."""
_LETTERS_OR_DIGITS = re.compile(r"[^\W\d_]+|\d+")
_CAMEL = re.compile(r"[Tt]est[AB](?![a-z])|[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_ACRONYM = re.compile(r"(?<=[A-Z]{2})[a-z]+")


def splits_of_name(name: str) -> tuple[str, ...]:
    """Return the splits whose names are among the words of a file's or hub split's name.

    Words end at characters that are not letters or digits, between letters and digits, and between
    lower and upper case; otherwise case does not matter.
    """
    found = {
        split
        for run in _LETTERS_OR_DIGITS.findall(name)
        for word in _words(run)
        if (split := _split_of_word(word))
    }
    return tuple(split for split in SPLITS if split in found)


def split_of_name(name: str) -> str | None:
    """Return the one split that the name of a file or hub split matches; else None."""
    splits = splits_of_name(name)
    return splits[0] if len(splits) == 1 else None


def chosen_splits(config: DataConfig) -> dict[str, str]:
    """Return the setting ``splits`` as a table from names of the source to splits.

    Raises:
        DataError: an item is not NAME=SPLIT, its split is unknown, or a name is given twice.
    """
    chosen: dict[str, str] = {}
    for item in config.splits:
        name, equals, split = (part.strip() for part in item.rpartition("="))
        if not equals or not name:
            raise DataError(f"splits: {item!r} is not NAME=SPLIT: write e.g. dev.tsv=validation")
        if split not in SPLITS:
            raise DataError(
                f"splits: {item!r} names the split {split!r}: write {name}= and one of "
                f"{', '.join(SPLITS)}"
            )
        if name in chosen:
            raise DataError(f"splits: {name!r} is given twice: give it once")
        chosen[name] = split
    return chosen


def listed(names: Iterable[object]) -> str:
    """Return names separated by commas, the first :data:`SHOWN_NAMES` of them."""
    texts = [str(name) for name in names]
    more = len(texts) - SHOWN_NAMES
    return ", ".join(texts[:SHOWN_NAMES]) + (f" and {more} more" if more > 0 else "")


def _words(run: str) -> Iterator[str]:
    yield run.lower()
    if not _split_of_word(run.lower()):
        for pattern in (_CAMEL, _ACRONYM):
            yield from (word.lower() for word in pattern.findall(run))


def _split_of_word(word: str) -> str | None:
    if word in SPLIT_NAMES:
        return SPLIT_NAMES[word]
    shorter = (word.removesuffix(ending) for ending in WORD_ENDINGS if word.endswith(ending))
    return next((SPLIT_NAMES[part] for part in shorter if part in SPLIT_NAMES), None)
