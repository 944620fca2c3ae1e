"""Find the files of a corpus and the split of each."""

import re
from dataclasses import dataclass
from pathlib import Path

from ..config.schema import DataConfig
from ..errors import DataError
from ..paths import find_path
from .findings import Findings
from .formats.base import Format
from .formats.registry import find_format
from .sentences import TEST, TRAIN, VALIDATION

SPLIT_NAMES = {
    "train": TRAIN,
    "training": TRAIN,
    "validation": VALIDATION,
    "valid": VALIDATION,
    "val": VALIDATION,
    "dev": VALIDATION,
    "devel": VALIDATION,
    "testa": VALIDATION,
    "test": TEST,
    "testing": TEST,
    "testb": TEST,
}
"""Split by a word in the name of a file or of a split on the hub."""


@dataclass(frozen=True)
class SplitFile:
    """A file of a corpus, its split and its format."""

    path: Path
    split: str
    format: Format


def find_split_files(config: DataConfig, findings: Findings) -> list[SplitFile]:  # noqa: ARG001
    """Return the files of ``config.dataset``, a path or paths with commas between.

    Names of files that are left out are counted, with the reason.

    Raises:
        DataError: there is no such path, no file belongs to a split, or several files claim one.
    """
    parts = [part.strip() for part in config.dataset.split(",")]
    paths = [path for part in parts if (path := find_path(part))]
    if len(paths) == 1 and paths[0].is_dir():
        paths = sorted(path for path in paths[0].iterdir() if split_of_name(path.stem))
    if not paths or not all(path.is_file() for path in paths):
        raise DataError(f"dataset {config.dataset!r}: no such file or folder: give a path")
    return [
        SplitFile(path, split, find_format(path, config.source_format))
        for path in paths
        if (split := split_of_name(path.stem) or (TRAIN if len(paths) == 1 else None))
    ]


def split_of_name(name: str) -> str | None:
    """Return the split that a name of a file or hub split tells, or None."""
    return SPLIT_NAMES.get(re.split(r"[-_.]", name.lower(), maxsplit=1)[0])
