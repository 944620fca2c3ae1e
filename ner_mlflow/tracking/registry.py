"""Versions of registered models and the aliases on them: find, and move an alias such that of two who try one wins."""

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
TURN_TAG = "ner.promotion."
HISTORY_TAG = "ner.history."
"""Tag of a registered model, ended by an alias: the versions that had it, the first one first, commas between."""
HISTORY_LIMIT = 200
"""Versions of an alias that are remembered."""
STALE_S = 60
"""A turn taken longer ago is a process's that died: what is done in a turn takes a second."""


class AliasMovedError(TrackingError):
    """Somebody else moved an alias while it was decided who should have it."""


@dataclass(frozen=True)
class RegisteredVersion:
    """A version of a registered model; ``source`` is the address of the logged model, ``tags`` those of the version."""

    name: str
    version: str
    source: str
    tags: Mapping[str, str]

    @property
    def address(self) -> str:
        """As MLflow loads it."""
        return f"models:/{self.name}/{self.version}"


def find_version(name: str, which: str) -> RegisteredVersion:
    """The version with a number or an alias, or the ``latest``.

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
            return _version(max(versions, key=lambda found: int(found.version)))
        return _version(
            client.get_model_version(name, which)
            if which.isdigit()
            else client.get_model_version_by_alias(name, which)
        )
    except MlflowException as error:
        if not _says_there_is_none(error):
            raise
        raise TrackingError(
            f"no version {which!r} of registered model {name!r}: give a number, an alias or {LATEST!r}, or run main or export first"
        ) from error


def alias_holder(name: str, alias: str) -> RegisteredVersion | None:
    """The version that has an alias, if one has.

    Raises:
        TrackingError: there is no such registered model.
    """
    number = _registered_model(name).aliases.get(alias)
    return find_version(name, str(number)) if number else None


def holder_before(name: str, alias: str) -> RegisteredVersion | None:
    """The version that had an alias before the one that has it now, if that is known; one that was deleted since had it not."""
    past = _history(_registered_model(name), alias)
    for version in past[-2::-1]:
        with suppress(TrackingError):
            return find_version(name, version)
    return None


def check_not_judged(name: str, alias: str) -> None:
    """Refuse an alias that promotions judge about, before any work whose result would be given it unjudged.

    Raises:
        TrackingError: it is one.
    """
    try:
        known = _registered_model(name).tags
    except TrackingError:  # the first version will make it
        return
    if f"{HISTORY_TAG}{alias}" in known:
        raise TrackingError(
            f"{name}@{alias} is moved by promote alone: give another alias, candidate say, then promote that"
        )


def user_of(run: Run) -> str:
    """Who opened a run, as MLflow noted it."""
    return str(mlflow.get_run(run.id).data.tags.get("mlflow.user", "unknown"))


def move_alias(
    alias: str,
    to: RegisteredVersion,
    held_by: RegisteredVersion | None,
    tags: Mapping[str, str],
    note: str,
    timeout_s: float,
    back: bool = False,
) -> None:
    """Give an alias to a version, if it is still where it was when that was decided; ``tags`` and ``note`` are written on the version.

    The registered model keeps the alias's history, which grows by the version, or shrinks to it.

    Args:
        alias: the alias to move.
        to: the version that gets it.
        held_by: the version that had it when the decision was made; None: none had.
        tags: tags of the version.
        note: a line for the version's description.
        timeout_s: seconds to wait for others who move an alias of this model.
        back: the alias returns to the version that had it before: what came after that is taken out of the history.

    Raises:
        AliasMovedError: somebody else moved the alias meanwhile.
        TrackingError: somebody else does not end.
    """
    client = mlflow.MlflowClient()
    with _turn(to.name, timeout_s):
        _check_unmoved(alias, to, held_by)
        past = _history(_registered_model(to.name), alias)
        mark(to, tags)
        before = client.get_model_version(to.name, to.version).description or ""
        client.update_model_version(to.name, to.version, f"{before}\n\n{note}".strip())
        _check_unmoved(alias, to, held_by)  # who waits long for the registry may have lost the turn
        client.set_registered_model_alias(to.name, alias, to.version)
        past = (
            past[: len(past) - past[-2::-1].index(to.version) - 1] if back else [*past, to.version]
        )
        client.set_registered_model_tag(
            to.name, f"{HISTORY_TAG}{alias}", ",".join(past[-HISTORY_LIMIT:])
        )


def _check_unmoved(alias: str, to: RegisteredVersion, held_by: RegisteredVersion | None) -> None:
    holder = alias_holder(to.name, alias)
    if (holder and holder.version) != (held_by and held_by.version):
        was, is_ = (
            f"version {found.version}" if found else "no version" for found in (held_by, holder)
        )
        raise AliasMovedError(
            f"{to.name}@{alias} was moved by somebody else: {was} had it when version {to.version} was compared, {is_} has it now: compare again"
        )


def mark(version: RegisteredVersion, tags: Mapping[str, str]) -> None:
    """Set tags of a version."""
    for key, value in tags.items():
        mlflow.MlflowClient().set_model_version_tag(version.name, version.version, key, value)


def now() -> str:
    """The time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


@contextmanager
def _turn(name: str, timeout_s: float) -> Iterator[None]:
    """One at a time moves aliases of a model.

    A registry has no compare-and-set. But who writes that it is their turn, and then reads that it is nobody else's, is alone:
    of two who write at once, each reads the other's, and both withdraw and wait for a time drawn anew.
    """
    client = mlflow.MlflowClient()
    key = f"{TURN_TAG}{uuid.uuid4().hex}"
    deadline = time.monotonic() + timeout_s
    while True:
        client.set_registered_model_tag(name, key, str(time.time()))
        try:
            if not _others(name, key):
                yield
                return
        finally:
            client.delete_registered_model_tag(name, key)
        if time.monotonic() > deadline:
            raise TrackingError(
                f"another promotion of {name!r} has not ended in {timeout_s:g} s: look at its run, then try again"
            )
        time.sleep(random.uniform(0.1, 1.0))


def _registered_model(name: str) -> RegisteredModel:
    try:
        return mlflow.MlflowClient().get_registered_model(name)
    except MlflowException as error:
        if not _says_there_is_none(error):
            raise
        raise TrackingError(
            f"there is no registered model {name!r}: check the name, or run main or export first"
        ) from error


def _says_there_is_none(error: MlflowException) -> bool:
    """Whether a registry answered that it has no such model, version or alias, for which it has two codes, and did not just fail."""
    return error.error_code in (
        ErrorCode.Name(RESOURCE_DOES_NOT_EXIST),
        ErrorCode.Name(INVALID_PARAMETER_VALUE),
    )


def _history(model: RegisteredModel, alias: str) -> list[str]:
    """The versions that had an alias, the one that has it now last; by whatever hand it came there."""
    past = [
        version for version in model.tags.get(f"{HISTORY_TAG}{alias}", "").split(",") if version
    ]
    now_ = str(model.aliases.get(alias, ""))
    return [*past, now_] if now_ and past[-1:] != [now_] else past


def _others(name: str, own: str) -> list[str]:
    tags = _registered_model(name).tags
    return [
        key
        for key, since in tags.items()
        if key.startswith(TURN_TAG) and key != own and time.time() - float(since) < STALE_S
    ]


def _version(found: ModelVersion) -> RegisteredVersion:
    return RegisteredVersion(
        found.name, str(found.version), found.source or "", dict(found.tags or {})
    )
