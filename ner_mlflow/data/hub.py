"""Read datasets of the hub."""

import re
from collections.abc import Iterator
from pathlib import Path

from ..config.schema import DataConfig
from ..errors import DataError
from ..paths import find_path
from ..redaction import one_line
from .findings import Findings
from .formats.base import Record, Rows
from .formats.token_rows import read_token_rows
from .split_files import split_of_name

HUB_TIMEOUT_S = 20
_ID = re.compile(r"[\w-][\w.-]*/[\w.-]+(:[\w.-]+)?")


def is_hub_id(dataset: str) -> bool:
    """Return whether a dataset is named as on the hub, ``owner/name`` or ``owner/name:config``,
    and is no path that exists."""
    return (
        find_path(dataset) is None
        and _ID.fullmatch(dataset) is not None
        and not Path(dataset).suffix
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


def read_hub(config: DataConfig, findings: Findings) -> Iterator[tuple[str, str, Iterator[Record]]]:
    """Yield the split, the first part of its places and the records of each split of a dataset.

    Raises:
        DataError: the hub gives no such dataset, or a row cannot be read.
    """
    from datasets import ClassLabel, load_dataset

    name, _, hub_config = config.dataset.partition(":")
    try:
        loaded = load_dataset(name, hub_config or None, revision=config.revision)
    except Exception as error:  # the hub's libraries raise many types
        raise DataError(
            f"dataset {config.dataset!r}: the hub gave no such dataset "
            f"({type(error).__name__}: {one_line(error.__cause__ or error)}): "
            "check id, revision and HF_ENDPOINT"
        ) from error
    found = False
    for hub_split, rows in loaded.items():
        split = split_of_name(str(hub_split))
        if split is None:
            continue
        found = True

        def class_names(
            field: str, features: dict[str, object] = rows.features
        ) -> list[str] | None:
            inner = getattr(features.get(field), "feature", None)
            return list(inner.names) if isinstance(inner, ClassLabel) else None

        place = f"{config.dataset}, {hub_split}, row "
        yield (
            split,
            place,
            read_token_rows(Rows(place, enumerate(rows), class_names), config, findings, split),
        )
    if not found:
        raise DataError(
            f"dataset {config.dataset!r}: none of its splits ({', '.join(map(str, loaded))}) "
            "is train, validation or test"
        )
