"""Find the files of a corpus and the split of each."""

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import translate
from functools import cache
from itertools import groupby
from pathlib import Path

import yaml

from ..config.schema import DataConfig
from ..errors import DataError
from ..paths import find_path
from ..redaction import one_line
from .files import suffix_of
from .findings import Findings
from .formats.base import Format
from .formats.brat import ANNOTATION_SUFFIX as BRAT_SUFFIX
from .formats.brat import BRAT, TEXT_SUFFIX
from .formats.heads import read_head
from .formats.registry import FORMATS, find_format, recognize
from .sentences import SPLITS, TRAIN
from .shards import has_total, natural_order, order_of_shards
from .split_names import (
    NO_SPLIT,
    NOT_CHOSEN,
    SEVERAL_SPLITS,
    SPLIT_NAMES,
    chosen_splits,
    listed,
    split_of_name,
    splits_of_name,
)

FOLDER_LEVELS = 2
"""Levels of sub-folders that are looked into."""
MOST_LOOKED_AT = 10_000
"""Files whose format is found out only to say that they are left out."""
MANY_FILES = 5
"""An example of the setting ``splits`` gives a pattern for more files of one split."""
SHARD_WORDS = ("of", "part", "shard")
FILES_LEFT_OUT = "files left out"
"""The fact, of no split, that names the files."""
MOST_NAMED = 200

NO_FORMAT = "its name matches a split, but no format recognises its content"
BELOW = "it is in a sub-folder, and the folder above holds the splits"
BESIDE = "it is beside the folder that holds the splits"
"""Reasons why a file is left out, beside those of its name."""

_LETTERS = re.compile(r"[^\W\d_]+")
_WILDCARDS = re.compile(r"[*?\[]")


@dataclass(frozen=True)
class SplitFile:
    """A file of a corpus, its split and its format."""

    path: Path
    split: str
    format: Format


@dataclass(frozen=True)
class _Candidate:
    """A file that may belong to a corpus.

    Attributes:
        path: the file.
        splits: the splits that its name matches.
        format: its format by its content; None if no format recognises it.
        fallback: its format by the settings or its suffix, where its content tells none.
        reason: why it cannot be read, if so.
        is_closed: it cannot even be opened.
    """

    path: Path
    splits: tuple[str, ...]
    format: Format | None
    fallback: Format | None = None
    reason: str = ""
    is_closed: bool = False

    @property
    def split(self) -> str | None:
        return self.splits[0] if len(self.splits) == 1 else None

    @property
    def is_broken(self) -> bool:
        """Whether it cannot be opened, or has the plain name of a split and cannot be read."""
        words = set(_LETTERS.findall(self.path.name.lower().partition(".")[0]))
        is_plain = bool(words) and words <= {*SPLIT_NAMES, *SHARD_WORDS}
        return self.is_closed or (is_plain and bool(self.fallback))

    @property
    def is_brat(self) -> bool:
        return self.format is not None and self.path.suffix.lower() == BRAT_SUFFIX


def find_split_files(config: DataConfig, findings: Findings) -> list[SplitFile]:
    """Return the files of ``config.dataset``, a path or several paths separated by commas.

    The files come by split, in the order of ``SPLITS``. Files that are left out are counted and
    named, with the reason.

    Raises:
        DataError: there is no such path, no file belongs to a split, or several files claim one.
    """
    paths = corpus_paths(config.dataset)
    chosen = chosen_splits(config)
    if chosen:
        files = _find_chosen(paths, chosen, config, findings)
    elif len(paths) == 1 and paths[0].is_dir():
        files = _find_in_folder(paths[0], config, findings)
    elif len(paths) == 1:
        split = split_of_name(paths[0].name) or TRAIN
        files = [SplitFile(paths[0], split, _format(paths[0], config))]
    else:
        files = [file for path in paths for file in _find_listed(path, paths, config, findings)]
    return sorted(files, key=lambda file: SPLITS.index(file.split))


def corpus_paths(dataset: str, setting: str = "dataset") -> list[Path]:
    """Return the existing files and folders that ``dataset`` lists, separated by commas.

    A path may hold commas itself: the longest pieces that exist are taken.

    Args:
        dataset: the paths.
        setting: the setting that named them, for messages.

    Raises:
        DataError: one of them does not exist; the message names the absolute path that was tried.
    """
    parts = dataset.split(",")
    paths: list[Path] = []
    while parts:
        for end in range(len(parts), 0, -1):
            joined = ",".join(parts[:end])
            if joined.strip() and (path := find_path(joined) or find_path(joined.strip())):
                paths.append(path)
                parts = parts[end:]
                break
        else:
            if part := parts.pop(0).strip():
                raise DataError(_missing_path(dataset, part, setting))
    if not paths:
        raise DataError(_missing_path(dataset, dataset, setting))
    return paths


def files_read(path: Path) -> list[Path]:
    """Return a file of a corpus, and the text that stands beside brat's annotations."""
    text = path.with_suffix(TEXT_SUFFIX)
    return [path, text] if path.suffix.lower() == BRAT_SUFFIX and text.is_file() else [path]


def _missing_path(dataset: str, part: str, setting: str) -> str:
    path = Path(os.path.abspath(Path(part.replace("\0", ""))))  # noqa: PTH100  # keeps links
    head = f"{setting} {dataset!r}: no such file or folder: {path}"
    try:
        if path.is_symlink():
            return f"{head} (a link to {path.readlink()}, which is not there): mend the link"
        path.stat()
    except PermissionError:
        return f"{head} (permission denied): grant read permission"
    except OSError:
        pass
    return (
        f"{head} (and it is not a hub id, owner/name): give a path that exists; a relative path "
        "starts at the current folder, which under mlflow run is the project's: give an absolute "
        "path"
    )


def _find_in_folder(folder: Path, config: DataConfig, findings: Findings) -> list[SplitFile]:
    """Return the files of the splits in a folder, or in the one sub-folder that has some."""
    files, folders = _list_folder(folder)
    top = _candidates(files, config)
    if any(file.is_brat or (file.split and (file.format or file.is_broken)) for file in top):
        for below in folders:
            _leave_out_below(below, BELOW, config, findings)
        return _claim(top, folder, findings)
    for is_strict in (True, False):  # content counts before suffixes
        if any(_is_split_folder(below, config, is_strict) for below in folders):
            return _find_in_split_folders(folder, top, folders, config, findings)
        inner = [below for below in folders if _holds_splits(below, config, is_strict)]
        if len(inner) > 1:
            raise DataError(
                f"dataset {config.dataset!r}: several sub-folders hold splits "
                f"({listed(below.name for below in inner)}): choose one, dataset={inner[0]}"
            )
        if inner:
            findings.add("folder_entered", place=str(inner[0]))
            _leave_out(top, BESIDE, findings)
            for below in folders:
                if below != inner[0]:
                    _leave_out_below(below, BESIDE, config, findings)
            return _find_in_folder(inner[0], config, findings)
    if any((file.fallback or file.reason) and file.split for file in top):
        return _claim(top, folder, findings)
    readable = [file for file in top if file.format]
    if len(readable) == 1 and not readable[0].splits:
        (only,) = readable
        findings.add("only_file_is_train", TRAIN, str(only.path))
        _leave_out([file for file in top if file is not only], NO_SPLIT, findings)
        return [SplitFile(only.path, TRAIN, _format(only.path, config))]
    if len(files) == 1 and not folders and not readable:
        _format(files[0], config)  # raises the reason why it cannot be read
    example = f"{readable[0].path.name}={TRAIN}" if len(readable) == 1 else "NAME=SPLIT"
    way_out = f"assign them by splits={example}" if readable else "give their folder"
    there = listed(path.name for path in (*files, *folders)) or "nothing"
    raise DataError(
        f"dataset {config.dataset!r}: no file named after a split: expected e.g. train.conll, "
        f"dev.conll or test.conll, but {folder} holds {there}: rename the files, or {way_out}"
    )


def _find_in_split_folders(
    folder: Path,
    top: Sequence[_Candidate],
    folders: Sequence[Path],
    config: DataConfig,
    findings: Findings,
) -> list[SplitFile]:
    """Return the files of sub-folders such as ``train`` and ``test``."""
    found: list[_Candidate] = []
    _leave_out(top, BESIDE, findings)
    for below in folders:
        splits = splits_of_name(below.name)
        if len(splits) == 1:
            found += _candidates(_walk(below), config, splits)
        else:
            why = f"its folder's {SEVERAL_SPLITS.removeprefix('its ')}" if splits else BESIDE
            _leave_out_below(below, why, config, findings)
    return _claim(found, folder, findings)


def _find_listed(
    path: Path, paths: Sequence[Path], config: DataConfig, findings: Findings
) -> list[SplitFile]:
    """Return the file, or the files of the folder, that is one of several listed paths."""
    if paths.count(path) > 1:
        raise DataError(f"dataset {config.dataset!r}: {path} is given twice: give it once")
    split = split_of_name(path.name) or _split_of_parent(path, paths)
    if split is None:
        why = SEVERAL_SPLITS if splits_of_name(path.name) else NO_SPLIT
        example = ",".join(f"{other.name}={split_of_name(other.name) or TRAIN}" for other in paths)
        raise DataError(
            f"{path}: {why} ({', '.join(SPLITS)}): rename it, or assign files by splits={example}"
        )
    if path.is_dir():
        return _claim(_candidates(_walk(path), config, (split,)), path, findings)
    return [SplitFile(path, split, _format(path, config))]


def _split_of_parent(path: Path, paths: Sequence[Path]) -> str | None:
    """Return the split that the folder of one of several paths is named, if not all lie in it."""
    if splits_of_name(path.name) or all(other.parent == path.parent for other in paths):
        return None
    return SPLIT_NAMES.get(path.parent.name.lower())


def _find_chosen(
    paths: Sequence[Path], chosen: dict[str, str], config: DataConfig, findings: Findings
) -> list[SplitFile]:
    """Return the files that the setting ``splits`` names; the others are left out."""
    found: dict[Path, str] = {}
    for name, split in chosen.items():
        matching = _named(name, paths, config)
        if not matching:
            there = [
                path.name if path in paths else _relative(path, paths[0])
                for path in _all_files(paths)
            ]
            raise DataError(
                f"splits: no file {name!r} in dataset {config.dataset!r}: there is "
                f"{listed(there) or 'nothing'}"
            )
        for path in matching:
            if path in found and found[path] != split:
                raise DataError(
                    f"splits: {path} would be {found[path]} and {split}: name it for one of them"
                )
            found[path] = split
    rest = [path for path in _all_files(paths) if path not in found]
    _leave_out_paths(rest, NOT_CHOSEN, config, findings)
    return [SplitFile(path, split, _format(path, config)) for path, split in found.items()]


def _named(name: str, paths: Sequence[Path], config: DataConfig) -> list[Path]:
    """Return the files that a name, a relative path, a folder or a pattern means, in order."""
    if len(paths) > 1 or not paths[0].is_dir():
        own = find_path(name)
        same = [path for path in paths if path.name == name or path == own]
        return [file for path in same for file in _files_of(path, config)]
    folder = paths[0]
    if path := find_path(str(folder / name)):
        return _files_of(path, config)
    if not _WILDCARDS.search(name):
        return []
    pattern = re.compile(translate(name))
    return [path for path in _all_files(paths) if pattern.match(_relative(path, folder))]


def _files_of(path: Path, config: DataConfig) -> list[Path]:
    """Return a file, or the files of a folder that may be a corpus."""
    if not path.is_dir():
        return [path]
    files = _candidates(_walk(path), config)
    return [file.path for file in files if file.format or file.fallback]


def _all_files(paths: Sequence[Path]) -> list[Path]:
    files = (file for path in paths for file in (_walk(path) if path.is_dir() else [path]))
    return list(_without_texts(files))


def _claim(candidates: Sequence[_Candidate], folder: Path, findings: Findings) -> list[SplitFile]:
    """Return the files of each split, of one file or of shards; the others are left out."""
    claims = {split: _claims(split, candidates) for split in SPLITS}
    for file, split in _brat_splits([file for file in candidates if file.is_brat], folder):
        claims[split].append(file)
    files = []
    for split, claiming in claims.items():
        is_one = len(claiming) < 2 and not any(map(has_total, _names(claiming, folder)))
        if not is_one and not all(file.is_brat for file in claiming):
            names = _names(claiming, folder)
            order = order_of_shards(names)
            if order is None:
                raise DataError(
                    f"{len(claiming)} files of {folder} are {split} by their names "
                    f"({listed(names)}), and they are not numbered shards of one file: keep one "
                    f"of them, or assign files by splits={_example(claims, folder)}"
                )
            claiming = [claiming[index] for index in order]
        for file in claiming:
            if format_ := file.format or file.fallback:
                files.append(SplitFile(file.path, split, format_))
    used = {file.path for file in files}
    _leave_out([file for file in candidates if file.path not in used], NO_SPLIT, findings)
    return files


def _claims(split: str, candidates: Sequence[_Candidate]) -> list[_Candidate]:
    """Return the files that are named after a split; those of known content before others.

    Raises:
        DataError: the only file of the split cannot be read.
    """
    of_split = [file for file in candidates if file.split == split and not file.is_brat]
    readable = [file for file in of_split if file.format]
    if readable:
        return readable
    for file in of_split:
        if file.reason:
            raise DataError(file.reason)
    return [file for file in of_split if file.fallback]


def _brat_splits(files: Sequence[_Candidate], folder: Path) -> Iterator[tuple[_Candidate, str]]:
    """Yield the split of each brat file.

    It is the one that its name matches, if the names of all files of its folder match one; else
    that of the folder; else train.
    """
    own = SPLIT_NAMES.get(folder.name.lower(), TRAIN)
    for _, group in groupby(files, key=lambda file: file.path.parent):
        together = list(group)
        tell = all(file.split for file in together)
        for file in together:
            yield file, (file.split if tell and file.split else own)


def _names(files: Sequence[_Candidate], folder: Path) -> list[str]:
    return [_relative(file.path, folder) for file in files]


def _example(claims: dict[str, list[_Candidate]], folder: Path) -> str:
    """Return a value of the setting ``splits`` with one file for each split, or with the files, or
    a pattern for them, of the split's own folder."""
    items = []
    for split, files in claims.items():
        names = [_relative(file.path, folder) for file in files]
        if names and "/" not in names[0]:
            names = names[:1]
        elif len(names) > MANY_FILES:
            names = [f"{names[0].rpartition('/')[0]}/*"]
        items += [f"{name}={split}" for name in names]
    return ",".join(items)


def _candidates(
    paths: Iterable[Path], config: DataConfig, of_folder: tuple[str, ...] = ()
) -> list[_Candidate]:
    """Return the files with the splits that their names, or those of their folders, match."""
    return [_candidate(path, config, of_folder) for path in _without_texts(paths)]


def _candidate(path: Path, config: DataConfig, of_folder: tuple[str, ...]) -> _Candidate:
    own = splits_of_name(path.name)
    is_brat = path.suffix.lower() == BRAT_SUFFIX
    if of_folder and is_brat:
        own = ()  # a document's name does not count where its folder has a split
    splits = tuple(split for split in SPLITS if split in (*own, *of_folder))
    suffix = suffix_of(path)
    if suffix in _no_corpus()["suffixes"] or path.stem.lower() in _no_corpus()["stems"]:
        return _Candidate(path, splits, None)
    if _is_broken_link(path):
        reason = f"{path}: a link to {path.readlink()}, which is not there: mend the link"
        return _Candidate(path, splits, None, None, reason, True)
    if not os.access(path, os.R_OK):
        reason = f"{path}: cannot be read (permission denied): grant read permission"
        return _Candidate(path, splits, None, None, reason, True)
    chosen = FORMATS.get(config.source_format)
    if is_brat and chosen is None:
        chosen = BRAT
    # An empty file is known by its suffix alone.
    by_suffix = (format_ for format_ in FORMATS.values() if suffix in format_.suffixes)
    fallback = chosen or next(by_suffix, None)
    try:
        if chosen and suffix in chosen.suffixes:
            return _Candidate(path, splits, find_format(path, chosen.name), fallback)
        head = read_head(path)
        found = recognize(head)
        if found is None and chosen is None and head.row is not None:
            find_format(path)  # says which rows are known
    except DataError as error:
        return _Candidate(path, splits, None, fallback, str(error))
    except OSError as error:
        reason = f"{path}: cannot be read ({one_line(error)}): remove the file"
        return _Candidate(path, splits, None, fallback, reason)
    return _Candidate(path, splits, found and (chosen or found), fallback)


def _format(path: Path, config: DataConfig) -> Format:
    """Return the format of a file that is to be read."""
    candidate = _candidate(path, config, ())
    if candidate.reason:
        raise DataError(candidate.reason)
    return candidate.format or candidate.fallback or find_format(path, config.source_format)


def _leave_out(files: Iterable[_Candidate], reason: str, findings: Findings) -> None:
    """Count the readable files among these, and those that are named after a split."""
    named = [text for text in findings.facts.get(("", FILES_LEFT_OUT), "").split("; ") if text]
    for file in files:
        if not file.format and not (file.splits and reason == NO_SPLIT):
            continue
        why = reason
        if reason == NO_SPLIT and len(file.splits) > 1:
            why = f"{SEVERAL_SPLITS}, {' and '.join(file.splits)}"
        elif reason == NO_SPLIT and file.splits:
            why = NO_FORMAT
        findings.add("file_left_out", place=str(file.path), detail=f"({why})")
        if len(named) < MOST_NAMED:
            named.append(f"{file.path} ({why})")
    if named:
        findings.facts["", FILES_LEFT_OUT] = "; ".join(named)


def _leave_out_below(folder: Path, reason: str, config: DataConfig, findings: Findings) -> None:
    try:
        files = list(_without_texts(_walk(folder, FOLDER_LEVELS - 1)))
    except DataError:
        findings.add("file_left_out", "", str(folder), "(a folder that cannot be read)")
        return
    _leave_out_paths(files, reason, config, findings)


def _leave_out_paths(
    paths: Sequence[Path], reason: str, config: DataConfig, findings: Findings
) -> None:
    _leave_out(_candidates(paths[:MOST_LOOKED_AT], config), reason, findings)
    if rest := paths[MOST_LOOKED_AT:]:
        findings.add("file_left_out", "", str(rest[0]), "and on, not looked at", len(rest))


def _is_split_folder(folder: Path, config: DataConfig, is_strict: bool) -> bool:
    """Return whether a folder is named after a split and a file in it may be a corpus."""
    return split_of_name(folder.name) is not None and any(
        file.format or (file.fallback and not is_strict)
        for path in _without_texts(_walk(folder))
        for file in [_candidate(path, config, ())]
    )


def _holds_splits(
    folder: Path, config: DataConfig, is_strict: bool, levels: int = FOLDER_LEVELS
) -> bool:
    """Return whether a folder or one of its sub-folders has a file that belongs to a split."""
    files, folders = _list_folder(folder)
    for path in _without_texts(files):
        if path.suffix.lower() == BRAT_SUFFIX or split_of_name(path.name):
            file = _candidate(path, config, ())
            if file.is_brat or (file.split and (file.format or (file.fallback and not is_strict))):
                return True
    return any(
        _is_split_folder(below, config, is_strict)
        or (levels > 1 and _holds_splits(below, config, is_strict, levels - 1))
        for below in folders
    )


def _without_texts(paths: Iterable[Path]) -> Iterator[Path]:
    """Yield the files without the texts that stand beside brat's annotations."""
    files = list(paths)
    annotated = {path.with_suffix("") for path in files if path.suffix.lower() == BRAT_SUFFIX}
    for path in files:
        if path.suffix.lower() != TEXT_SUFFIX or path.with_suffix("") not in annotated:
            yield path


def _walk(folder: Path, levels: int = FOLDER_LEVELS) -> Iterator[Path]:
    """Yield the files of a folder and of some levels of sub-folders, in natural order."""
    files, folders = _list_folder(folder)
    yield from files
    if levels:
        for below in folders:
            yield from _walk(below, levels - 1)


def _list_folder(folder: Path) -> tuple[list[Path], list[Path]]:
    """Return the files and the sub-folders of a folder that are not hidden, in natural order.

    A broken link is a file that cannot be read.
    """
    try:
        entries = [path for path in folder.iterdir() if not path.name.startswith(".")]
        folders = [path for path in entries if path.is_dir()]
        files = [path for path in entries if path.is_file() or _is_broken_link(path)]
    except OSError as error:
        raise DataError(
            f"{folder}: cannot be read ({one_line(error.strerror or error)}): grant read permission"
        ) from error
    visible = (path for path in folders if not path.name.startswith("_"))
    return sorted(files, key=natural_order), sorted(visible, key=natural_order)


def _is_broken_link(path: Path) -> bool:
    return path.is_symlink() and not path.exists()


def _relative(path: Path, folder: Path) -> str:
    return str(path.relative_to(folder)) if path.is_relative_to(folder) else str(path)


@cache
def _no_corpus() -> dict[str, frozenset[str]]:
    table = yaml.safe_load(Path(__file__).with_name("no_corpus.yaml").read_text(encoding="utf-8"))
    return {name: frozenset(values) for name, values in table.items()}
