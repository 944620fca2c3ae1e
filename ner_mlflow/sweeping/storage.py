"""Storages of studies: a SQLite file of this machine, or a database server."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from pathlib import Path
from typing import Any

import optuna
from filelock import FileLock
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from ..config.schema import SweepConfig
from ..errors import TrackingError
from ..liveness import is_dead
from ..paths import CACHE_VARIABLE, cache_folder
from ..redaction import one_line, redact_address
from .trial import WORKER

MISSED_HEARTBEATS = 4
"""Heartbeats that a trial may miss before it counts as lost."""
SQLITE_TIMEOUT_S = 60
UNSIGNED_S = 120
"""Seconds after which a running trial without a worker's name counts as lost: its process ended
between taking the trial and signing it."""
OWN_FILE = "sqlite"
"""The value of ``sweep.storage`` that stands for a file in the cache folder."""
STORAGE_ERRORS = (SQLAlchemyError, StorageInternalError)
"""Errors of a database that does not answer, or answers with an error."""

OnStale = Callable[[optuna.Study, FrozenTrial], None]
"""A function that is called with each trial that failed because its heartbeat stopped."""


def storage_file(config: SweepConfig) -> Path | None:
    """Return the file of this machine that keeps the study, or None for a database server.

    Raises:
        TrackingError: the storage is no address of a database, or a database in memory.
    """
    if config.storage == OWN_FILE:
        return _own_file()
    try:
        url = make_url(config.storage)
    except ArgumentError as error:
        raise unusable_storage(config.storage, error) from error
    if url.get_backend_name() != "sqlite":
        return None
    if url.database in (None, "", ":memory:"):
        raise unusable_storage(config.storage, ValueError("it lives in the memory of one process"))
    return Path(str(url.database))


def _own_file() -> Path:
    return cache_folder() / "sweeps" / "studies.sqlite"


def open_storage(config: SweepConfig, on_stale: OnStale | None = None) -> RDBStorage:
    """Open the storage of a study; create its tables if they do not exist.

    Args:
        config: the sweep's settings.
        on_stale: called by ``optuna.storages.fail_stale_trials`` with each trial that it fails.

    Raises:
        TrackingError: the storage cannot be used.
    """
    file = storage_file(config)
    try:
        if file:
            file.parent.mkdir(parents=True, exist_ok=True)
        settings: dict[str, Any] = (
            {"connect_args": {"timeout": SQLITE_TIMEOUT_S}} if file else {"pool_pre_ping": True}
        )
        # Processes that create tables at the same time fail.
        with FileLock(file.with_suffix(".create")) if file else nullcontext():
            return RDBStorage(
                f"sqlite:///{file}" if config.storage == OWN_FILE else config.storage,
                engine_kwargs=settings,
                heartbeat_interval=config.heartbeat_s,
                grace_period=MISSED_HEARTBEATS * config.heartbeat_s,
                heartbeat_stale_trial_callback=on_stale,
            )
    except (*STORAGE_ERRORS, ImportError, OSError) as error:
        raise unusable_storage(config.storage, error) from error


def lock_storage(config: SweepConfig) -> AbstractContextManager[Any]:
    """Return a lock for reading a trial and then writing it.

    PostgreSQL locks the rows itself; SQLite does not and needs a file lock.
    """
    file = storage_file(config)
    return FileLock(file.with_suffix(".take")) if file else nullcontext()


def unusable_storage(storage: str, error: Exception) -> TrackingError:
    """Return the error that names a storage without its password, and the reason."""
    reason = one_line(error.__cause__ or error, storage)
    if storage == OWN_FILE:
        return TrackingError(
            f"{_own_file()}, which keeps the studies of sweep.storage {OWN_FILE}, cannot be used "
            f"({reason}): move it away to begin anew, or set {CACHE_VARIABLE} to another folder"
        )
    return TrackingError(
        f"sweep.storage {redact_address(storage)} cannot be used ({reason}): "
        "give sqlite, or the URL of a running database"
    )


def is_orphan(trial: FrozenTrial) -> bool:
    """Return whether a running trial's process was on this machine and is dead.

    A trial whose process ended before it signed the trial is an orphan too, after a while.
    """
    worker = trial.user_attrs.get(WORKER)
    if worker is None:
        started = trial.datetime_start
        return started is not None and (datetime.now() - started).total_seconds() > UNSIGNED_S
    return is_dead(worker["liveness"])
