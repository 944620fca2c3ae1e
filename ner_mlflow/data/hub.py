"""Read datasets of the hub."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from ..config.schema import DataConfig
from ..errors import DataError
from ..paths import find_path
from ..redaction import one_line
from .files import GZIP_SUFFIX
from .findings import Findings
from .formats.base import Format, Head, Record, RowReader, Rows
from .formats.registry import FORMATS, recognize
from .formats.rows import find_class_names, open_beside
from .shards import order_of_shards
from .split_names import (
    NO_SPLIT,
    NOT_CHOSEN,
    SEVERAL_SPLITS,
    chosen_splits,
    listed,
    split_of_name,
    splits_of_name,
)

if TYPE_CHECKING:
    from datasets import Dataset, DatasetBuilder

HUB_TIMEOUT_S = 20
BATCH_ROWS = 1_000
PARQUET_COPY = "refs/convert/parquet"
"""The revision that holds the hub's own Parquet copy of a dataset."""
CARD = "README.md"
DEFAULT_CONFIG = "default"

_ID = re.compile(r"[\w-][\w.-]*/[\w.-]+(:[\w.+-]+)?")
_NAME_FILES = re.compile(
    r"(?:.*/)?(?:labels?|label2id|id2label|label_?map|tags?|tag_?names|ner_?tags|classes)"
    r"\.(?:json|ya?ml)"
)
"""Paths of files that may name the numbers of tags."""
_NUMBERS = re.compile(r"'u?int\d+'")


class _WayOut(NamedTuple):
    """What to say about an error of the hub's libraries; the first pattern that matches applies."""

    pattern: str
    what: str
    way_out: str


_WAYS_OUT = (
    _WayOut(
        r"GatedRepoError|gated dataset",
        "its access is gated",
        "ask for access on its page, and set HF_TOKEN",
    ),
    _WayOut(
        r"scripts are no longer supported",
        "it is a script, and scripts of datasets are never run",
        f"give revision={PARQUET_COPY}, its Parquet copy, or download its files and give their "
        "folder",
    ),
    _WayOut(
        r"OfflineMode|ConnectionError|ConnectError|Timeout|LocalEntryNotFound",
        "the hub cannot be reached, and the dataset is not in the cache",
        "check the network, HF_ENDPOINT and HF_HUB_OFFLINE, or give a folder",
    ),
    _WayOut(
        r"DataFilesNotFound|EmptyDataset|doesn't contain any data files",
        "its repository holds no data files that can be read",
        "check id and revision",
    ),
    _WayOut(
        r"DatasetGeneration|DatasetBuild|CastError|Verification|SplitsSizes",
        "its files do not fit together",
        "download them and give their folder or the files to read",
    ),
    _WayOut(
        r"",
        "the hub gave no such dataset",
        "check id, revision and HF_ENDPOINT, and set HF_TOKEN if it is private",
    ),
)


def is_hub_id(dataset: str) -> bool:
    """Return whether a dataset is a hub id, ``owner/name`` or ``owner/name:config``.

    A path that exists is not a hub id.
    """
    return (
        find_path(dataset) is None
        and _ID.fullmatch(dataset) is not None
        and Path(dataset).suffix.lower() not in _file_suffixes()
    )


def hub_commit(dataset: str, revision: str) -> str | None:
    """Return the commit that a revision of a hub dataset points to now.

    Returns None if ``dataset`` is not a hub id, or if the hub cannot be reached.
    """
    if not is_hub_id(dataset):
        return None
    from huggingface_hub import HfApi  # here: files do not need it

    try:
        commit: str | None = (
            HfApi()
            .dataset_info(dataset.partition(":")[0], revision=revision, timeout=HUB_TIMEOUT_S)
            .sha
        )
    except Exception:  # of many types; the dataset may still be in the local cache
        return None
    return commit


def hub_license(dataset: str, revision: str) -> str:
    """Return the licence that the card of a hub dataset names.

    Empty if it names none, if ``dataset`` is not a hub id, or if the hub cannot be reached.
    """
    if not is_hub_id(dataset):
        return ""
    from huggingface_hub import HfApi  # as in hub_commit

    try:
        info = HfApi().dataset_info(
            dataset.partition(":")[0], revision=revision, timeout=HUB_TIMEOUT_S
        )
    except Exception:  # as in hub_commit
        return ""
    named = info.card_data.get("license") if info.card_data else None
    return ", ".join(named) if isinstance(named, list) else str(named or "")


def read_hub(config: DataConfig, findings: Findings) -> Iterator[tuple[str, str, Iterator[Record]]]:
    """Yield the split, the first part of its places and the records of each split of a dataset.

    Hub splits other than train, validation and test are left out and counted.

    Raises:
        DataError: the hub gives no such dataset, it has several configurations and none is chosen,
            several of its splits are named after one split, or a row cannot be read.
    """
    chosen = chosen_splits(config)
    builder = _builder(config)
    config = config.model_copy(update={"tag_names": _tag_names(config)})
    loaded: dict[str, Dataset] = {}
    try:
        builder.download_and_prepare()
        names = list(map(str, builder.info.splits or ()))
        splits = _choose_splits(names, chosen, config, findings)
        for name in splits:
            loaded[name] = cast("Dataset", builder.as_dataset(split=name))
    except DataError:
        raise
    except Exception as error:  # the hub's libraries raise many types
        raise DataError(explain_hub_error(config.dataset, error)) from error
    for name, split in splits.items():
        place = f"{config.dataset}, {name}, row "
        yield split, place, _read(place, loaded[name], split, config, findings)


def explain_hub_error(dataset: str, error: BaseException, setting: str = "dataset") -> str:
    """Return one line about an error of the hub's libraries, with a way out.

    Args:
        dataset: the hub id that was asked for.
        error: what a library raised.
        setting: the setting that named the dataset.
    """
    chain: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in chain:
        chain.append(cause)
        cause = cause.__cause__ or cause.__context__
    text = " ".join(f"{type(part).__name__}: {part}" for part in chain)
    way = next(way for way in _WAYS_OUT if re.search(way.pattern, text))
    shown = error.__cause__ or error
    as_path = f"; as a path it is {Path(dataset).absolute()}, which does not exist"
    return (
        f"{setting} {dataset!r}: {way.what} ({type(shown).__name__}: {one_line(shown)}): "
        f"{way.way_out}{'' if way.pattern else as_path}"
    )


def _builder(config: DataConfig) -> "DatasetBuilder":
    """Return what prepares the dataset, in the configuration that is named or in its only one."""
    from datasets import load_dataset_builder

    name, _, hub_config = config.dataset.partition(":")
    load: Callable[..., DatasetBuilder] = partial(
        load_dataset_builder, name, revision=config.revision
    )
    try:
        builder = load(hub_config or None)
    except ValueError as error:
        known = _configs(name, config.revision)
        if not known:
            raise DataError(explain_hub_error(config.dataset, error)) from error
        if known != [DEFAULT_CONFIG]:
            raise DataError(_choose_config(config, known)) from error
        if not any(path.startswith(f"{hub_config}/") for path in _repository_files(config)):
            raise DataError(_choose_config(config, known)) from error
        builder = load(data_dir=hub_config)
    except Exception as error:
        raise DataError(explain_hub_error(config.dataset, error)) from error
    known = list(builder.builder_configs)
    if not hub_config and len(known) > 1:
        raise DataError(_choose_config(config, known))
    _check_files(builder, config)
    return builder


def _configs(name: str, revision: str) -> list[str]:
    from datasets import get_dataset_config_names

    try:
        return list(get_dataset_config_names(name, revision=revision))
    except Exception:  # of many types; the first error is reported
        return []


def _choose_config(config: DataConfig, known: Sequence[str]) -> str:
    name, _, hub_config = config.dataset.partition(":")
    what = f"no configuration {hub_config!r} among" if hub_config else "several configurations,"
    first = name if known[0] == DEFAULT_CONFIG else f"{name}:{known[0]}"
    return f"dataset {config.dataset!r}: {what} {listed(known)}: choose one: dataset={first}"


def _check_files(builder: "DatasetBuilder", config: DataConfig) -> None:
    """Check that the hub made each split of one file or of shards, where its names decided."""
    files_by_split: Mapping[Any, Sequence[str]] = builder.config.data_files or {}
    name = config.dataset.partition(":")[0]
    for split, files in files_by_split.items():
        if isinstance(split, str) or len(files) < 2:
            continue  # the dataset's card lists the files
        names = [file.removeprefix(f"{builder.base_path}/") for file in files]
        if order_of_shards(names) is None:
            folders = list(dict.fromkeys(name.partition("/")[0] for name in names if "/" in name))
            way_out = (
                f"choose a folder: dataset={name}:{folders[0]}"
                if len(folders) > 1
                else "download them and give their folder"
            )
            raise DataError(
                f"dataset {config.dataset!r}: the hub makes its split {split} of {len(names)} "
                f"files ({listed(names)}) that are not numbered shards of one: {way_out}"
            )


def _choose_splits(
    names: Sequence[str], chosen: Mapping[str, str], config: DataConfig, findings: Findings
) -> dict[str, str]:
    """Return our split of each hub split that is read."""
    if missing := [name for name in chosen if name not in names]:
        raise DataError(
            f"splits: no split {missing[0]!r} in dataset {config.dataset!r}: choose among "
            f"{listed(names)}"
        )
    splits = dict(chosen) or {name: split for name in names if (split := split_of_name(name))}
    if not splits:
        example = f"splits={names[0]}=train" if names else "revision"
        raise DataError(
            f"dataset {config.dataset!r}: none of its splits ({listed(names)}) is named "
            f"after train, validation or test: assign them by {example}"
        )
    for split in dict.fromkeys(splits.values()):
        claiming = [name for name, of_name in splits.items() if of_name == split]
        if len(claiming) > 1 and not chosen:
            raise DataError(
                f"dataset {config.dataset!r}: {len(claiming)} of its splits are {split} by their "
                f"names ({listed(claiming)}): choose by splits={_example(splits)}"
            )
    for name in names:
        if name not in splits:
            why = NOT_CHOSEN if chosen else SEVERAL_SPLITS if splits_of_name(name) else NO_SPLIT
            findings.add("split_left_out", place=f"{config.dataset}, {name}", detail=f"({why})")
    return splits


def _example(splits: Mapping[str, str]) -> str:
    """Return a value of the setting ``splits`` with one hub split for each of ours."""
    first: dict[str, str] = {}
    for name, split in splits.items():
        first.setdefault(split, name)
    return ",".join(f"{name}={split}" for split, name in first.items())


def _read(
    place: str, rows: "Dataset", split: str, config: DataConfig, findings: Findings
) -> Iterator[Record]:
    items = _items(rows)
    first = next((row for _, row in islice(_items(rows), BATCH_ROWS) if row is not None), None)
    if first is None:
        raise DataError(
            f"{place.removesuffix(', row ')}: the {split} split is empty: leave it out by splits"
        )
    format_ = _format(place, first, config)
    read = cast("RowReader", format_.read)

    @cache
    def class_names(field: str) -> Sequence[str] | None:
        return _class_names(rows.features.to_dict().get(field), field, config)

    def open_file(name: str) -> str | None:
        return open_beside(Path(name), name) if name == config.tag_names else None

    return read(Rows(place, items, class_names, open_file), config, findings, split)


def _items(rows: "Dataset") -> Iterator[tuple[int, Any]]:
    if "'Json'" in str(rows.features.to_dict()):  # lists of mixed types, which Arrow does not hold
        return enumerate(rows)
    batches = rows.with_format("arrow").iter(batch_size=BATCH_ROWS)
    return enumerate(row for batch in batches for row in batch.to_pylist())


def _format(place: str, row: Any, config: DataConfig) -> Format:
    """Return the format of rows that is named, or that the first row shows."""
    known = ", ".join(name for name, format_ in FORMATS.items() if format_.is_rows)
    if named := FORMATS.get(config.source_format):
        if not named.is_rows:
            raise DataError(
                f"dataset {config.dataset!r}: source_format={named.name} is a format of files, and "
                f"a dataset of the hub has rows: give one of {known}"
            )
        return named
    found = recognize(Head(Path(config.dataset), "", "json", (), row))
    if found is None or not found.is_rows:
        raise DataError(
            f"{place}0: fields {listed(map(repr, row))} are of no known format of rows ({known}): "
            "name the format by source_format, and its fields by token_column and tag_column, or "
            "text_column"
        )
    return found


def _class_names(feature: Any, field: str, config: DataConfig) -> Sequence[str] | None:
    """Return the names of a field's numbers; None if it has none.

    Raises:
        DataError: a file of the repository seems to name them.
    """
    names = find_class_names(feature)
    if names is None and _NUMBERS.search(str(feature)) and (path := _name_file(config)):
        raise DataError(
            f"dataset {config.dataset!r}: the tags in {field!r} are numbers, and the column does "
            f"not name them: give tag_names={path}, a file of the dataset"
        )
    return names


def _name_file(config: DataConfig) -> str | None:
    """Return the path of a file in the repository that seems to name the tags."""
    files = _repository_files(config)
    named = next((path for path in files if _NAME_FILES.fullmatch(path.lower())), None)
    if named is None and CARD in files:
        path = _download(config, CARD)
        text = path.read_text(encoding="utf-8", errors="replace") if path else ""
        return CARD if "id2label" in text else None
    return named


def _tag_names(config: DataConfig) -> str:
    """Return the setting ``tag_names``, with a file of the repository as a local path."""
    if not config.tag_names or "," in config.tag_names:
        return config.tag_names
    if path := _download(config, config.tag_names):
        return str(path)
    if find_path(config.tag_names):
        return config.tag_names
    there = [path for path in _repository_files(config) if not path.endswith(".parquet")]
    raise DataError(
        f"tag_names {config.tag_names!r}: no such file here or in dataset {config.dataset!r}: give "
        f"one of {listed(there) or 'your own'}, or the names separated by commas"
    )


def _download(config: DataConfig, path: str) -> Path | None:
    """Return a file of the dataset's repository in the local cache; None if it has none."""
    from huggingface_hub import hf_hub_download

    name = config.dataset.partition(":")[0]
    try:
        return Path(hf_hub_download(name, path, repo_type="dataset", revision=config.revision))
    except Exception:  # of many types; the caller reports what is missing
        return None


def _repository_files(config: DataConfig) -> list[str]:
    from huggingface_hub import HfApi

    name = config.dataset.partition(":")[0]
    try:
        return list(HfApi().list_repo_files(name, repo_type="dataset", revision=config.revision))
    except Exception:  # of many types; the list only helps
        return []


@cache
def _file_suffixes() -> frozenset[str]:
    suffixes = (suffix for format_ in FORMATS.values() for suffix in format_.suffixes)
    return frozenset((*suffixes, GZIP_SUFFIX))
