"""Find versions of registered models, and move aliases so that one of two competing moves wins."""

import logging
import random
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime

import mlflow
from mlflow.entities.model_registry import ModelVersion, RegisteredModel
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE, RESOURCE_DOES_NOT_EXIST, ErrorCode

from ..errors import TrackingError
from .run import Run

log = logging.getLogger(__name__)

LATEST = "latest"
LOCK_TAG = "ner.promotion."
"""Start of the name of a registered model's tag that a process sets to lock the model's aliases."""
HISTORY_TAG = "ner.history."
"""Start of the name of a registered model's tag that holds the history of an alias.

The alias ends the name. The value lists the versions that had it, the oldest first, with commas
between.
"""
HISTORY_LIMIT = 200
"""Versions of an alias that are remembered."""
STALE_LOCK_S = 60
"""Age from which a lock counts as left by a process that died; it is normally held for a second."""


class AliasMovedError(TrackingError):
    """An alias was moved by another process while this one compared versions."""


@dataclass(frozen=True)
class RegisteredVersion:
    """A version of a registered model; ``source`` is the address of the logged model."""

    name: str
    version: str
    source: str
    tags: Mapping[str, str]

    @property
    def address(self) -> str:
        """The address that MLflow loads."""
        return f"models:/{self.name}/{self.version}"


def find_version(name: str, which: str) -> RegisteredVersion:
    """Return the version with a number or an alias, or the ``latest``.

    Raises:
        TrackingError: there is none.
    """
    client = mlflow.MlflowClient()
    try:
        if which == LATEST:
            versions = client.search_model_versions(f"name = '{name}'")
            if not versions:
                raise TrackingError(
                    f"registered model {name!r} has no version: run main or export first"
                )
            return _version(max(versions, key=lambda version: int(version.version)))
        if which.isdigit():
            return _version(client.get_model_version(name, which))
        return _version(client.get_model_version_by_alias(name, which))
    except MlflowException as error:
        if not _is_missing(error):
            raise
        raise TrackingError(
            f"no version {which!r} of registered model {name!r}: give a number, an alias or "
            f"{LATEST!r}, or run main or export first"
        ) from error


def alias_holder(name: str, alias: str) -> RegisteredVersion | None:
    """Return the version that has an alias, None if no version has it.

    Raises:
        TrackingError: there is no such registered model.
    """
    number = _registered_model(name).aliases.get(alias)
    return find_version(name, str(number)) if number else None


def previous_holder(name: str, alias: str) -> RegisteredVersion | None:
    """Return the version that had an alias before its present holder, None if none is known.

    Versions that were deleted since are passed over.
    """
    history = _history(_registered_model(name), alias)
    for version in history[-2::-1]:
        with suppress(TrackingError):
            return find_version(name, version)
    return None


def check_not_promoted_alias(name: str, alias: str) -> None:
    """Check that an alias is not one that only promotions move, before any work.

    Raises:
        TrackingError: it is one.
    """
    try:
        tags = _registered_model(name).tags
    except TrackingError:  # there is no such model yet
        return
    if f"{HISTORY_TAG}{alias}" in tags:
        raise TrackingError(
            f"only promote moves {name}@{alias}: give another alias, such as candidate, "
            "then promote that"
        )


def user_of(run: Run) -> str:
    """Return the user who opened a run, as MLflow recorded it."""
    return str(mlflow.get_run(run.id).data.tags.get("mlflow.user", "unknown"))


def move_alias(
    alias: str,
    to: RegisteredVersion,
    holder: RegisteredVersion | None,
    tags: Mapping[str, str],
    note: str,
    timeout_s: float,
    back: bool = False,
) -> None:
    """Give an alias to a version, unless another process moved the alias meanwhile.

    The registered model keeps the alias's history.

    Args:
        alias: the alias to move.
        to: the version that gets it.
        holder: the version that had it when the decision was made; None: none.
        tags: tags that the version gets.
        note: a line that is added to the version's description.
        timeout_s: seconds to wait for other processes that move an alias of this model.
        back: return the alias to the version that had it before, and remove later holders from the
            history.

    Raises:
        AliasMovedError: another process moved the alias meanwhile.
        TrackingError: another process holds the lock for too long.
    """
    client = mlflow.MlflowClient()
    with _lock_aliases(to.name, timeout_s):
        _check_unmoved(alias, to, holder)
        history = _history(_registered_model(to.name), alias)
        set_version_tags(to, tags)
        before = client.get_model_version(to.name, to.version).description or ""
        client.update_model_version(to.name, to.version, f"{before}\n\n{note}".strip())
        _check_unmoved(alias, to, holder)  # a slow registry may have outlasted the lock
        client.set_registered_model_alias(to.name, alias, to.version)
        if back:
            earlier = history[-2::-1].index(to.version)
            history = history[: len(history) - earlier - 1]
        else:
            history = [*history, to.version]
        value = ",".join(history[-HISTORY_LIMIT:])
        client.set_registered_model_tag(to.name, f"{HISTORY_TAG}{alias}", value)


def _check_unmoved(alias: str, to: RegisteredVersion, holder: RegisteredVersion | None) -> None:
    now_holder = alias_holder(to.name, alias)
    if (now_holder and now_holder.version) != (holder and holder.version):
        before, after = (
            f"version {version.version}" if version else "no version"
            for version in (holder, now_holder)
        )
        raise AliasMovedError(
            f"{to.name}@{alias} was moved by another process: {before} had it when version "
            f"{to.version} was compared, {after} has it now: compare again"
        )


def set_version_tags(version: RegisteredVersion, tags: Mapping[str, str]) -> None:
    """Set tags of a version."""
    client = mlflow.MlflowClient()
    for key, value in tags.items():
        client.set_model_version_tag(version.name, version.version, key, value)


def now() -> str:
    """Return the time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


@contextmanager
def _lock_aliases(name: str, timeout_s: float) -> Iterator[None]:
    """Hold the lock on a registered model's aliases while the block runs.

    A registry has no compare-and-set. But a process that first writes a tag of its own and then
    reads no other process's tag is alone. Of two processes that write at the same time, each reads
    the other's tag; both withdraw and wait for a random time.
    """
    client = mlflow.MlflowClient()
    key = f"{LOCK_TAG}{uuid.uuid4().hex}"
    deadline = time.monotonic() + timeout_s
    while True:
        client.set_registered_model_tag(name, key, str(time.time()))
        try:
            if not _other_locks(name, key):
                yield
                return
        finally:
            client.delete_registered_model_tag(name, key)
        if time.monotonic() > deadline:
            raise TrackingError(
                f"another promotion of {name!r} has not ended in {timeout_s:g} s: "
                "look at its run, then try again"
            )
        time.sleep(random.uniform(0.1, 1.0))


def _registered_model(name: str) -> RegisteredModel:
    try:
        return mlflow.MlflowClient().get_registered_model(name)
    except MlflowException as error:
        if not _is_missing(error):
            raise
        raise TrackingError(
            f"there is no registered model {name!r}: check the name, or run main or export first"
        ) from error


def _is_missing(error: MlflowException) -> bool:
    """Return whether a registry reported that a model, version or alias does not exist.

    Registries use two codes for it. Any other code is a failure of the registry itself.
    """
    codes = (RESOURCE_DOES_NOT_EXIST, INVALID_PARAMETER_VALUE)
    return error.error_code in [ErrorCode.Name(code) for code in codes]


def _history(model: RegisteredModel, alias: str) -> list[str]:
    """Return the versions that had an alias, its present holder last, however it was moved."""
    text = model.tags.get(f"{HISTORY_TAG}{alias}", "")
    versions = [version for version in text.split(",") if version]
    holder = str(model.aliases.get(alias, ""))
    return [*versions, holder] if holder and versions[-1:] != [holder] else versions


def _other_locks(name: str, own: str) -> list[str]:
    earliest = time.time() - STALE_LOCK_S
    return [
        key
        for key, since in _registered_model(name).tags.items()
        if key.startswith(LOCK_TAG) and key != own and float(since) > earliest
    ]


def _version(version: ModelVersion) -> RegisteredVersion:
    tags = dict(version.tags or {})
    return RegisteredVersion(version.name, str(version.version), version.source or "", tags)
