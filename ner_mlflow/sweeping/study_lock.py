"""Lock a study, so that one process at a time sweeps it.

The lock holds on this machine and, with a PostgreSQL storage, on all machines that share it.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

from filelock import FileLock, Timeout
from sqlalchemy import create_engine
from sqlalchemy.exc import SQLAlchemyError

from ..config.schema import SweepConfig
from ..errors import TrackingError
from ..paths import cache_folder
from .storage import unusable_storage

POSTGRESQL = "postgresql"


@contextmanager
def lock_study(name: str, config: SweepConfig) -> Iterator[None]:
    """Hold a study's lock while the block runs.

    The operating system, or the database, releases the lock of a process that was killed.

    Raises:
        TrackingError: another process holds the lock, or the study's storage cannot be used.
    """
    file = cache_folder() / "sweeps" / f"{hashlib.sha256(name.encode()).hexdigest()[:16]}.lock"
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(file, blocking=False), _lock_in_database(name, config):
            yield
    except Timeout as error:
        raise _locked(name) from error


@contextmanager
def _lock_in_database(name: str, config: SweepConfig) -> Iterator[None]:
    # A SQLite file, and the driver of a Spark sweep, are on this machine: the file lock is enough.
    if config.engine == "spark" or not config.storage.startswith(POSTGRESQL):
        yield
        return
    key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)
    # AUTOCOMMIT: no transaction stays open while the lock is held.
    engine = create_engine(config.storage, isolation_level="AUTOCOMMIT")
    try:
        try:
            connection = engine.connect()
        except SQLAlchemyError as error:
            raise unusable_storage(config.storage, error) from error
        with connection:
            if not connection.exec_driver_sql(f"select pg_try_advisory_lock({key})").scalar():
                raise _locked(name)
            yield
    finally:
        engine.dispose()  # closes the connection, which releases the lock


def _locked(name: str) -> TrackingError:
    return TrackingError(
        f"sweep.study {name!r}: another process sweeps it: "
        f"help it with join={name}, or name another study"
    )
