"""Put the numbered shards of a file in order."""

import re
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from ..errors import DataError
from .split_names import SHOWN_NAMES

_DIGITS = re.compile(r"(\d+)")
_SHARD_OF = re.compile(r"(\d+)([-_. ]of[-_. ])(\d+)", re.IGNORECASE)
_NO_SHARD = re.compile(r"(?:^|[\W_])(?:v|ver|version|fold|run|seed|round)[\W_]?$", re.IGNORECASE)
"""What stands before the number of a version, or of a fold of cross-validation."""
_NO_SHARD_BEHIND = re.compile(r"[\W_]?(?:shots?|percent|pct|k)(?![^\W_])", re.IGNORECASE)
"""What stands behind a number that tells a size."""
_YEAR = re.compile(r"(?:19|20)\d\d")


def has_total(name: str) -> bool:
    """Return whether a name states the number of shards, as ``train-00000-of-00002`` does."""
    return _SHARD_OF.search(name) is not None


def order_of_shards(names: Sequence[str]) -> list[int] | None:
    """Return the order of files by the numbers in their names.

    Returns None if they are not the shards of one name and suffix.

    Raises:
        DataError: one of ``N-of-M`` is missing.
    """
    shards: list[tuple[int, tuple[str, ...]]]
    matches = [match for name in names if (match := _SHARD_OF.search(name))]
    if len(matches) == len(names):
        shards = [
            (int(match[1]), (name[: match.start()], match[3], name[match.end() :]))
            for name, match in zip(names, matches, strict=True)
        ]
    else:
        shards = _numbered(names)
    numbers = [number for number, _ in shards]
    if len({rest for _, rest in shards}) != 1 or len(set(numbers)) < len(numbers):
        return None
    if matches:
        _check_shards(numbers, names[0], matches[0])
    return sorted(range(len(names)), key=numbers.__getitem__)


def _check_shards(numbers: Sequence[int], name: str, match: re.Match[str]) -> None:
    total = int(match[3])
    first = 0 if max(numbers) < total else 1
    wanted = range(first, first + total)
    count = total - sum(number in wanted for number in numbers)
    if count:
        present = set(numbers)
        missing = islice((number for number in wanted if number not in present), SHOWN_NAMES)
        lost = (f"{number:0{len(match[1])}d}{match[2]}{match[3]}" for number in missing)
        names = [name[: match.start()] + text + name[match.end() :] for text in lost]
        raise DataError(
            f"{name}: {count} of {total} shards are missing ({', '.join(names)}"
            f"{', ...' if count > len(names) else ''}): add them"
        )


def _numbered(names: Sequence[str]) -> list[tuple[int, tuple[str, ...]]]:
    """Return the one number in which names differ, and the rest of each name.

    Returns an empty list if they differ in more. Files numbered by years, versions, folds or sizes
    are data sets of their own, not shards.
    """
    pieces = [_DIGITS.split(name) for name in names]
    if len({len(parts) for parts in pieces}) > 1:
        return []
    different = [
        place for place in range(len(pieces[0])) if len({parts[place] for parts in pieces}) > 1
    ]
    if len(different) != 1 or different[0] % 2 == 0:
        return []
    place = different[0]
    if all(_YEAR.fullmatch(parts[place]) for parts in pieces):
        return []
    if _NO_SHARD.search(pieces[0][place - 1]) or _NO_SHARD_BEHIND.match(pieces[0][place + 1]):
        return []
    return [(int(parts[place]), (*parts[:place], *parts[place + 1 :])) for parts in pieces]


def natural_order(path: Path) -> tuple[list[int | str], str]:
    """Return a key that sorts paths by name, with numbers by their value."""
    pieces = _DIGITS.split(path.name.lower())
    return [int(piece) if index % 2 else piece for index, piece in enumerate(pieces)], path.name
