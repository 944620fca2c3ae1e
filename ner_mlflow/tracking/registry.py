"""Find versions of registered models, and move aliases so that one of two competing moves wins.

A move takes several requests. What it will do is noted first, in a tag of the registered model. If
its process is killed in between, the next process that locks the model finishes the move, or drops
the note if the alias did not move.
"""

import json
import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime

import mlflow
from mlflow.entities.model_registry import ModelVersion, RegisteredModel
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE, RESOURCE_DOES_NOT_EXIST, ErrorCode

from ..errors import TrackingError
from .registry_lock import lock_model, remove_dead_claims
from .registry_notes import add_note
from .run import Run

log = logging.getLogger(__name__)

LATEST = "latest"
HISTORY_TAG = "ner.history."
"""Start of the name of a registered model's tag that holds the history of an alias.

The alias ends the name. The value lists the versions that had it, the oldest first, with commas
between.
"""
HISTORY_LIMIT = 200
"""Versions of an alias that are remembered."""
MOVE_TAG = "ner.move."
"""Start of the name of a registered model's tag that notes what a move of an alias, which ends the
name, is about to do. It is there while the move goes on."""
REASON_LIMIT = 1000
"""Characters of a reason; a registry stores 5,000 of the tag that notes a move."""


class AliasMovedError(TrackingError):
    """An alias was moved by another process while this one compared versions."""


class AliasHeldError(TrackingError):
    """A version has the alias already that it was to get."""


@dataclass(frozen=True)
class AliasMove:
    """A move of an alias: what it does besides moving the alias.

    Attributes:
        alias: the alias.
        to: the number of the version that gets it.
        tags: tags that this version gets.
        note: a line that is added to its description.
        left: the version that had the alias; empty: none.
        left_tags: tags that this version gets.
        kept: for a return to an earlier version, the number of entries of the alias's history that
            stay; None: the version is added to the history.
    """

    alias: str
    to: str
    tags: Mapping[str, str]
    note: str
    left: str = ""
    left_tags: Mapping[str, str] = field(default_factory=dict)
    kept: int | None = None

    @property
    def tag(self) -> str:
        """The name of the tag that notes the move."""
        return f"{MOVE_TAG}{self.alias}"

    def to_json(self) -> str:
        """Return the move as text, which :meth:`from_json` reads."""
        return json.dumps(asdict(self), ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> "AliasMove":
        """Return the move that :meth:`to_json` wrote."""
        return cls(**json.loads(text))

    def history(self, before: list[str]) -> list[str]:
        """Return the history of the alias after the move; it is the same if it is there already."""
        if self.kept is not None:
            return before[: self.kept]
        if before[-1:] == [self.to]:
            return before
        # A holder that got the alias by hand is not in the history yet.
        return [*before, *([self.left] if self.left != "".join(before[-1:]) else []), self.to]


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
    number = registered_model(name).aliases.get(alias)
    return find_version(name, str(number)) if number else None


def previous_holder(name: str, alias: str) -> RegisteredVersion | None:
    """Return the version that had an alias before its present holder, None if none is known.

    Versions that were deleted since are passed over.
    """
    history = _history(registered_model(name), alias)
    for version in history[-2::-1]:
        with suppress(TrackingError):
            return find_version(name, version)
    return None


def is_promoted_alias(model: RegisteredModel, alias: str) -> bool:
    """Return whether an alias is one that only promotions move."""
    return bool({f"{HISTORY_TAG}{alias}", f"{MOVE_TAG}{alias}"} & set(model.tags))


def check_not_promoted_alias(name: str, alias: str) -> None:
    """Check that an alias is not one that only promotions move.

    Raises:
        TrackingError: it is one.
    """
    try:
        model = registered_model(name)
    except TrackingError:  # there is no such model yet
        return
    if is_promoted_alias(model, alias):
        raise TrackingError(
            f"only promote moves {name}@{alias}: give another alias, such as candidate, "
            "then promote that"
        )


def check_reason(option: str, reason: str) -> None:
    """Check that a registry can store a user's reason.

    Raises:
        TrackingError: it is too long.
    """
    if len(reason) > REASON_LIMIT:
        raise TrackingError(
            f"{option}: the reason has {len(reason)} characters: give at most {REASON_LIMIT}"
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
    left_tags: Mapping[str, str] | None = None,
) -> None:
    """Give an alias to a version, unless another process moved the alias meanwhile.

    The registered model keeps the alias's history.

    Args:
        alias: the alias to move.
        to: the version that gets it.
        holder: the version that had it when the decision was made; None: none.
        tags: tags that the version gets.
        note: a line that is added to the version's description.
        timeout_s: seconds to wait for other processes that change this model.
        back: return the alias to the version that had it before, and remove later holders from the
            history.
        left_tags: tags that ``holder`` gets.

    Raises:
        AliasMovedError: another process moved the alias meanwhile.
        TrackingError: another process holds the lock for too long.
    """
    client = mlflow.MlflowClient()
    with lock_model(to.name, timeout_s):
        history = _history(finish_moves(to.name), alias)
        _check_unmoved(alias, to, holder)
        kept = len(history) - history[-2::-1].index(to.version) - 1 if back else None
        left = holder.version if holder else ""
        move = AliasMove(alias, to.version, tags, note, left, left_tags or {}, kept)
        client.set_registered_model_tag(to.name, move.tag, move.to_json())
        try:
            _check_unmoved(alias, to, holder)  # a slow registry may have outlasted the lock
        except AliasMovedError:
            client.delete_registered_model_tag(to.name, move.tag)
            raise
        client.set_registered_model_alias(to.name, alias, to.version)
        _finish(to.name, move, history)


def settle(name: str, timeout_s: float) -> None:
    """Finish what processes that died began on a registered model, and remove their locks.

    Args:
        name: the registered model.
        timeout_s: seconds to wait for other processes that change this model.

    Raises:
        TrackingError: there is no such model, or another process holds the lock for too long.
    """
    model = registered_model(name)
    remove_dead_claims(model)
    if any(key.startswith(MOVE_TAG) for key in model.tags):
        with lock_model(name, timeout_s):
            finish_moves(name)


def finish_moves(name: str) -> RegisteredModel:
    """Finish the moves of processes that died; only the holder of the model's lock may call this.

    Returns:
        The registered model after that.
    """
    model = registered_model(name)
    notes = [value for key, value in model.tags.items() if key.startswith(MOVE_TAG)]
    for move in map(AliasMove.from_json, notes):
        if str(model.aliases.get(move.alias, "")) == move.to:
            log.info("finishing the move of %s@%s to version %s", name, move.alias, move.to)
            _finish(name, move, _written_history(model, move.alias))
        else:
            mlflow.MlflowClient().delete_registered_model_tag(name, move.tag)
    return registered_model(name) if notes else model


def _finish(name: str, move: AliasMove, history: list[str]) -> None:
    """Do what a move does after the alias has moved; what is done already stays as it is."""
    client = mlflow.MlflowClient()
    _set_tags(name, move.to, move.tags)
    before = client.get_model_version(name, move.to).description or ""
    if (after := add_note(before, move.note)) != before:
        client.update_model_version(name, move.to, after)
    try:
        _set_tags(name, move.left, move.left_tags)
    except MlflowException as error:
        if not _is_missing(error):  # the version may be deleted by now
            raise
    value = ",".join(move.history(history)[-HISTORY_LIMIT:])
    client.set_registered_model_tag(name, f"{HISTORY_TAG}{move.alias}", value)
    client.delete_registered_model_tag(name, move.tag)


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
    _set_tags(version.name, version.version, tags)


def _set_tags(name: str, version: str, tags: Mapping[str, str]) -> None:
    client = mlflow.MlflowClient()
    for key, value in tags.items():
        client.set_model_version_tag(name, version, key, value)


def now() -> str:
    """Return the time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def registered_model(name: str) -> RegisteredModel:
    """Return a registered model.

    Raises:
        TrackingError: there is none of this name.
    """
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
    versions = _written_history(model, alias)
    holder = str(model.aliases.get(alias, ""))
    if (note := model.tags.get(f"{MOVE_TAG}{alias}")) and AliasMove.from_json(note).to == holder:
        versions = AliasMove.from_json(note).history(versions)
    return [*versions, holder] if holder and versions[-1:] != [holder] else versions


def _written_history(model: RegisteredModel, alias: str) -> list[str]:
    text = model.tags.get(f"{HISTORY_TAG}{alias}", "")
    return [version for version in text.split(",") if version]


def _version(version: ModelVersion) -> RegisteredVersion:
    tags = dict(version.tags or {})
    return RegisteredVersion(version.name, str(version.version), version.source or "", tags)
