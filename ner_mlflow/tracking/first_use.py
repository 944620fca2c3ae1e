"""Make the first use of a SQLite store safe: several processes at once, and processes that are
killed.

MLflow creates the tables of a new database in a hundred migrations that are no transaction. Two
processes that do it at once fail (``duplicate column name``), and one that is killed leaves a
database that no later process can use. So one process at a time connects for the first time, and a
new database gets its name once it is whole.
"""

import fcntl
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

from mlflow.store.db.utils import _initialize_tables
from sqlalchemy import create_engine
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

MEMORY = (None, "", ":memory:")
"""The databases of SQLite addresses that name no file."""
QUIET_S = 3.0
"""Seconds without a change after which a database without tables counts as left by a process that
was killed. A process that creates the tables writes several times a second."""
POLL_S = 0.1

_connected: set[Path] = set()
"""The databases that this process has connected to."""


@contextmanager
def first_use(*uris: str) -> Iterator[None]:
    """Connect within the block, while no other process connects to these SQLite stores for the
    first time.

    A database that does not exist is made first. Later uses in this process, and stores of other
    kinds, are not locked.

    Args:
        uris: the addresses of the tracking store and the registry, as MLflow takes them.

    Raises:
        OSError: the folder of a database cannot be written.
        sqlalchemy.exc.SQLAlchemyError: a database cannot be made.
    """
    files = {path for path in map(database_file, uris) if path} - _connected
    with ExitStack() as locks:
        for folder in sorted({path.parent for path in files}):  # in one order: no deadlock
            folder.mkdir(parents=True, exist_ok=True)
            locks.enter_context(_locked(folder))
        for path in files:
            if path.exists():
                _await_tables(path)
            else:
                _create(path)
        yield
    _connected.update(files)


def database_file(uri: str) -> Path | None:
    """Return the absolute path of the file behind a SQLite address, None if there is none."""
    try:
        url: URL = make_url(uri)
    except ArgumentError:  # a folder, or what MLflow will refuse
        return None
    if url.get_backend_name() != "sqlite" or url.database in MEMORY:
        return None
    return Path(str(url.database)).absolute()


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Lock a folder. The operating system releases the lock of a killed process."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with suppress(OSError):  # some network file systems lock no folders
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _create(path: Path) -> None:
    for left in path.parent.glob(f".{path.name}.*.part*"):  # of a killed process: see the lock
        left.unlink(missing_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    engine = create_engine(URL.create("sqlite", database=str(part)))
    try:
        _initialize_tables(engine)
        engine.dispose()
        if not path.exists():  # `mlflow ui` does not know the lock
            part.rename(path)
    finally:
        engine.dispose()
        for left in path.parent.glob(f"{part.name}*"):
            left.unlink()


def _await_tables(path: Path) -> None:
    """Wait while a process that does not know the lock, such as `mlflow ui`, creates the tables."""
    seen, since = 0.0, 0.0
    while not _has_experiment(path):
        changed = path.stat().st_mtime
        if changed != seen:
            seen, since = changed, time.monotonic()
        # The second is for files from the future: the clock may have been set back.
        if time.time() - changed >= QUIET_S or time.monotonic() - since >= QUIET_S:
            break
        time.sleep(POLL_S)


def _has_experiment(path: Path) -> bool:
    """Return whether the default experiment exists, which MLflow makes after all tables."""
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as database:
            return database.execute("select 1 from experiments limit 1").fetchone() is not None
    except sqlite3.Error:
        return False
