"""One process at a time sweeps a study, on this machine and on all that share the study's database."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

from filelock import FileLock, Timeout
from sqlalchemy import create_engine
from sqlalchemy.exc import SQLAlchemyError

from ..config.schema import SweepConfig
from ..errors import TrackingError
from ..paths import cache_folder
from .study import unusable

POSTGRESQL = "postgresql"


@contextmanager
def exclusive(name: str, config: SweepConfig) -> Iterator[None]:
    """Hold a study's name while the block runs; the system, or the database, frees that of a process that was killed.

    Raises:
        TrackingError: another process holds it, or the study's storage cannot be used.
    """
    file = cache_folder() / "sweeps" / f"{hashlib.sha256(name.encode()).hexdigest()[:16]}.lock"
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(file, blocking=False), _of_database(name, config):
            yield
    except Timeout as error:
        raise _taken(name) from error


@contextmanager
def _of_database(name: str, config: SweepConfig) -> Iterator[None]:
    if config.engine == "spark" or not config.storage.startswith(
        POSTGRESQL
    ):  # a file of this machine, or Spark's, whose driver is here
        yield
        return
    key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)
    engine = create_engine(
        config.storage, isolation_level="AUTOCOMMIT"
    )  # no transaction stays open meanwhile
    try:
        try:
            connection = engine.connect()
        except SQLAlchemyError as error:
            raise unusable(config.storage, error) from error
        with connection:
            if not connection.exec_driver_sql(f"select pg_try_advisory_lock({key})").scalar():
                raise _taken(name)
            yield
    finally:
        engine.dispose()  # and with its connection the lock


def _taken(name: str) -> TrackingError:
    return TrackingError(
        f"sweep.study {name!r}: another process sweeps it: help it with join={name}, or name another study"
    )
