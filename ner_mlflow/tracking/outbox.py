"""The outbox: what is to be tracked, on this disk, until the tracking store has it.

An outbox is a folder. ``outbox.sqlite`` lists operations in order; ``artifacts/ID/`` holds the
files of the run or logged model ID. A process makes one outbox for the runs that it opens, and
removes it once all was delivered. What a process left behind is delivered by the next one, or by
`sync`.
"""

import json
import logging
import re
import shutil
import sqlite3
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

from filelock import FileLock, Timeout

from ..errors import TrackingError
from ..paths import CACHE_VARIABLE, cache_folder
from ..private_names import UNFINISHED_ARTIFACT
from ..redaction import one_line

log = logging.getLogger(__name__)

DATABASE = "outbox.sqlite"
ARTIFACTS = "artifacts"
LOCK = "lock"
IDS = "ids"
"""The folder, beside the outboxes, with a file for each local id; it holds the store's id, once the
store has given one."""
LOCAL_MARK = "10ca11d0"
"""Start of the ids that this machine gives. Random ids begin so once in four thousand million."""
LOCAL_ID = re.compile(rf"(?<![0-9a-f]){LOCAL_MARK}[0-9a-f]{{24}}(?![0-9a-f])")
CLIENT_ID_TAG = "ner.client_id"
"""The tag of runs and logged models with an id of this machine's, by which a second attempt to make
them finds what the first one made."""
MODEL_MARK = "m-"
"""Start of the ids of logged models."""
LONGEST_WAIT_S = 30
"""Seconds that a thread waits for another process that writes the same database."""
CLOCK_STEP_S = 1.0
"""Seconds by which a file may be younger than the clock says without a clock that was set back."""
_TABLES = (
    """CREATE TABLE operations (
        number INTEGER PRIMARY KEY,
        kind TEXT NOT NULL,
        subject TEXT NOT NULL,
        payload TEXT NOT NULL,
        tried INTEGER NOT NULL DEFAULT 0,
        delivered INTEGER NOT NULL DEFAULT 0
    )""",
    "CREATE INDEX open ON operations (number) WHERE NOT delivered",
    """CREATE TABLE files (
        path TEXT PRIMARY KEY, size INTEGER NOT NULL, changed_ns INTEGER NOT NULL
    )""",
    "CREATE TABLE outbox (address TEXT NOT NULL)",  # the last: an outbox with an address is whole
)


class Kind(StrEnum):
    """What an operation does to its subject: an experiment, a run or a logged model."""

    EXPERIMENT = "experiment"
    EXPERIMENT_TAG = "experiment tag"
    RUN = "run"
    ADOPTED_RUN = "adopted run"
    LOGGED = "entries"
    STATUS = "status"
    INPUTS = "inputs"
    OUTPUTS = "outputs"
    MODEL = "model"
    MODEL_TAGS = "model tags"
    MODEL_TAG_DELETED = "model tag deleted"
    MODEL_PARAMS = "model params"
    MODEL_STATUS = "model status"
    VERSION = "version"


MAKING = frozenset({Kind.EXPERIMENT, Kind.RUN, Kind.MODEL})
"""Kinds of operations whose subject gets its id from the store."""


@dataclass(frozen=True)
class Operation:
    """An operation: ``payload`` holds its arguments, as JSON has them.

    ``tried`` says that it was sent before, and that the answer, if there was one, was not noted.
    """

    number: int
    kind: Kind
    subject: str
    payload: Mapping[str, Any]
    tried: bool = False


class DamagedOutboxError(TrackingError):
    """The database of an outbox is damaged, so what was logged there cannot be delivered."""

    def __init__(self, folder: Path, detail: object) -> None:
        super().__init__(
            f"outbox {folder} is damaged ({one_line(detail)}) and cannot be delivered: its pages "
            f"are in its folder {ARTIFACTS}; move it away"
        )


class Outbox:
    """An outbox on disk; several threads may use it.

    Only the process that holds its lock may deliver and remove it; the others may read it.
    """

    def __init__(self, folder: Path, lock: FileLock | None = None) -> None:
        """Open the outbox in a folder.

        Args:
            folder: the folder, with a database.
            lock: the outbox's lock, held by this process; None if it will only read.

        Raises:
            TrackingError: the database cannot be opened.
        """
        self.folder = folder
        self._lock = threading.RLock()
        self._held = lock
        try:
            self._database = sqlite3.connect(
                f"{(folder / DATABASE).absolute().as_uri()}?mode=rw",  # it is never made here
                LONGEST_WAIT_S,
                check_same_thread=False,
                isolation_level=None,
                uri=True,
            )
        except sqlite3.Error as error:
            raise _cannot_write(folder, error) from error
        self._execute("PRAGMA synchronous=NORMAL")

    @classmethod
    def create(cls, address: str) -> Self:
        """Create the outbox of this process, for a store.

        Args:
            address: the store's address, without a password.

        Raises:
            TrackingError: the folder of outboxes cannot be written.
        """
        folder = outbox_folder() / uuid.uuid4().hex
        lock = _lock(folder)
        try:
            folder.mkdir(parents=True)
            lock.acquire()  # before other processes can find the database
            (folder / DATABASE).touch()
        except OSError as error:
            raise _cannot_write(folder, error) from error
        outbox = cls(folder, lock)
        outbox._execute("PRAGMA journal_mode=WAL")
        for statement in _TABLES:
            outbox._execute(statement)
        outbox._execute("INSERT INTO outbox VALUES (?)", [address])
        return outbox

    @classmethod
    def take(cls, folder: Path) -> Self | None:
        """Open and hold an outbox that a process left.

        Args:
            folder: its folder.

        Returns:
            The outbox; None if a living process holds it, or has removed it.

        Raises:
            TrackingError: the folder cannot be written.
        """
        lock = _lock(folder)
        try:
            lock.acquire()
        except (Timeout, FileNotFoundError):  # it was removed while the lock was made
            return None
        except OSError as error:
            # The lock's own check of the folder may see it, and a moment later see it no more.
            if isinstance(error, FileExistsError) and not folder.is_file():
                return None
            raise _cannot_write(folder, error) from error
        if not (folder / DATABASE).exists():
            shutil.rmtree(folder, ignore_errors=True)  # the lock has made the folder anew
            lock.release()
            return None
        try:
            return cls(folder, lock)
        except TrackingError:
            lock.release()
            raise

    @property
    def address(self) -> str:
        """The address of the store that it is for, without a password; empty until it is made.

        Raises:
            DamagedOutboxError: the database is damaged, or empty although there are artifacts.
        """
        if not self._execute("SELECT 1 FROM sqlite_master WHERE name = 'outbox'").fetchone():
            if (self.folder / ARTIFACTS).exists():
                raise DamagedOutboxError(self.folder, "its database is empty")
            return ""
        row = self._execute("SELECT address FROM outbox").fetchone()
        return row[0] if row else ""

    def add(
        self,
        kind: Kind,
        subject: str,
        payload: Mapping[str, Any],
        delivered: bool = False,
        tried: bool = False,
    ) -> Operation:
        """Add an operation, on disk when this returns.

        Args:
            kind: the kind of operation.
            subject: the id of the experiment, run or model.
            payload: the arguments.
            delivered: the store has done it already; it is noted for those who read the outbox.
            tried: the store was told, and did not answer.

        Raises:
            TrackingError: the disk is full, or cannot be written.
        """
        text = json.dumps(payload)
        cursor = self._execute(
            "INSERT INTO operations (kind, subject, payload, delivered, tried) "
            "VALUES (?, ?, ?, ?, ?)",
            [kind, subject, text, delivered, tried],
        )
        return Operation(int(cursor.lastrowid or 0), kind, subject, json.loads(text))

    def waiting(self, limit: int = -1) -> list[Operation]:
        """Return the operations that wait for the store, in order, at most ``limit`` if it is
        positive."""
        return self._operations("WHERE NOT delivered ORDER BY number LIMIT ?", [limit])

    def operations(self) -> list[Operation]:
        """Return all operations, in order."""
        return self._operations("ORDER BY number", [])

    def note_tried(self, operation: Operation) -> None:
        """Note that an operation is about to be sent."""
        self._execute("UPDATE operations SET tried = 1 WHERE number = ?", [operation.number])

    def note_delivered(self, operations: Sequence[Operation]) -> None:
        """Note that the store has done operations."""
        numbers = [operation.number for operation in operations]
        marks = ",".join("?" * len(numbers))
        self._execute(f"UPDATE operations SET delivered = 1 WHERE number IN ({marks})", numbers)

    def artifact_folder(self, subject: str) -> Path:
        """Return the folder of the artifacts of a run or model; it need not exist."""
        return self.folder / ARTIFACTS / subject

    def changed_files(self, subject: str, older_than_s: float = 0) -> list[Path]:
        """Return the artifacts of a run or model that the store does not have as they are now.

        Args:
            subject: the id of the run or model.
            older_than_s: leave out files that were written within these seconds.
        """
        folder = self.artifact_folder(subject)
        known = {
            path: (size, changed)
            for path, size, changed in self._execute("SELECT path, size, changed_ns FROM files")
        }
        changed = []
        for path in sorted(folder.rglob("*")):
            if path.name.startswith(UNFINISHED_ARTIFACT) or path.is_dir():
                continue
            try:
                status = path.stat()
            except FileNotFoundError:  # it was there only while another one was written
                continue
            age_s = time.time() - status.st_ctime  # below 0: the clock was set back
            is_new = -CLOCK_STEP_S <= age_s < older_than_s
            is_known = known.get(self._name(path)) == (status.st_size, status.st_mtime_ns)
            if not is_new and not is_known:
                changed.append(path)
        return changed

    def note_uploaded(self, path: Path, size: int, changed_ns: int) -> None:
        """Note that the store has a file as it was with this size and time of change."""
        self._execute(
            "INSERT OR REPLACE INTO files VALUES (?, ?, ?)", [self._name(path), size, changed_ns]
        )

    def subjects_with_files(self) -> list[str]:
        """Return the ids of runs and models with artifacts."""
        folder = self.folder / ARTIFACTS
        return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []

    def is_delivered(self) -> bool:
        """Return whether the store has everything."""
        return not self.waiting(1) and not any(map(self.changed_files, self.subjects_with_files()))

    def remove(self) -> None:
        """Remove the outbox, which this process holds, from the disk."""
        with self._lock:
            self._database.close()
        # The database first: without the lock, which another process could make anew, it would
        # look like one that a dead process left.
        (self.folder / DATABASE).unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        """Close the outbox, and let another process hold it."""
        with self._lock:
            self._database.close()
        if not (self.folder / DATABASE).exists():  # a reader too may have made files beside it
            shutil.rmtree(self.folder, ignore_errors=True)
        if self._held:
            self._held.release()

    def _name(self, path: Path) -> str:
        return path.relative_to(self.folder).as_posix()

    def _operations(self, condition: str, values: Sequence[Any]) -> list[Operation]:
        rows = self._execute(
            f"SELECT number, kind, subject, payload, tried FROM operations {condition}", values
        )
        return [
            Operation(number, Kind(kind), subject, json.loads(payload), bool(tried))
            for number, kind, subject, payload, tried in rows
        ]

    def _execute(self, statement: str, values: Sequence[Any] = ()) -> "_Rows":
        try:
            with self._lock:
                cursor = self._database.execute(statement, values)
                return _Rows(cursor.fetchall(), cursor.lastrowid)
        except sqlite3.Error as error:
            if type(error) is sqlite3.DatabaseError:  # the others have a class of their own
                raise DamagedOutboxError(self.folder, error) from error
            raise _cannot_write(self.folder, error) from error


@dataclass(frozen=True)
class _Rows:
    rows: list[Any]
    lastrowid: int | None

    def __iter__(self) -> Iterator[Any]:
        return iter(self.rows)

    def fetchone(self) -> Any:
        return self.rows[0] if self.rows else None


def outbox_folder() -> Path:
    """Return the folder of all outboxes of this user."""
    return cache_folder() / "outbox"


def left_outboxes(address: str) -> Iterator[Outbox]:
    """Yield the outboxes for a store that no living process holds, the oldest first.

    Each is held by this process until the next one is asked for. Damaged ones are logged and left
    out.
    """
    for folder in _folders():
        outbox = None
        try:
            outbox = Outbox.take(folder)
            if outbox is None:
                continue
            if outbox.address == address:
                yield outbox
            elif not outbox.address:  # its process was killed before it wrote anything
                outbox.remove()
        except DamagedOutboxError as error:
            log.warning("%s", error)
        finally:
            if outbox:
                outbox.close()


def read_outboxes(address: str) -> Iterator[Outbox]:
    """Yield all outboxes for a store, also those that other processes hold, the oldest first.

    Each may be read until the next one is asked for. Outboxes that are removed meanwhile are left
    out: the store has what was in them. Damaged ones are left out too.
    """
    for outbox in _open_each():
        if isinstance(outbox, Outbox) and outbox.address == address:
            yield outbox


def damaged_outboxes() -> list[DamagedOutboxError]:
    """Return what is wrong with each outbox that cannot be read, of any store."""
    return [entry for entry in _open_each() if isinstance(entry, DamagedOutboxError)]


def _open_each() -> Iterator[Outbox | DamagedOutboxError]:
    """Yield all outboxes for reading, and the errors of damaged ones, the oldest first."""
    for folder in _folders():
        try:
            outbox = Outbox(folder)
            try:
                if outbox.address:
                    outbox.waiting(1)
                yield outbox
            finally:
                outbox.close()
        except DamagedOutboxError as error:
            yield error
        except TrackingError:
            if (folder / DATABASE).exists():
                raise
            shutil.rmtree(folder, ignore_errors=True)  # it was removed meanwhile


def _folders() -> list[Path]:
    """Return the folders of all outboxes, the oldest first."""
    ages: dict[Path, int] = {}
    for path in outbox_folder().glob(f"*/{DATABASE}"):
        with suppress(FileNotFoundError):  # it was removed meanwhile
            ages[path.parent] = path.stat().st_ctime_ns
    return sorted(ages, key=lambda folder: ages[folder])


def _lock(folder: Path) -> FileLock:
    return FileLock(folder / LOCK, blocking=False, thread_local=False)


def new_local_id() -> str:
    """Return an id for what the store has not given one yet."""
    return LOCAL_MARK + uuid.uuid4().hex[len(LOCAL_MARK) :]


def note_open(local: str) -> None:
    """Note that the store has yet to give an id to what has a local one, without ``m-``.

    What makes it must be in an outbox: the id counts as open until that is delivered.
    """
    _write_id(local, "", "x")


def note_id(local: str, remote: str) -> None:
    """Note which id the store gave to what has a local one; both without ``m-``."""
    _write_id(local, remote, "w")


def _write_id(local: str, remote: str, mode: str) -> None:
    path = outbox_folder() / IDS / local
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open(mode, encoding="utf-8") as file:
            file.write(remote)
    except OSError as error:
        if mode == "x" and path.is_file():  # it was delivered meanwhile
            return
        raise _cannot_write(outbox_folder(), error) from error


def store_id(local: str) -> str | None:
    """Return the id that the store gave to what has a local one, None if it has not yet."""
    try:
        return (outbox_folder() / IDS / local).read_text(encoding="utf-8") or None
    except OSError:
        return None


def with_store_ids(text: str) -> str:
    """Replace the local ids in a text by those that the store gave, as far as it has."""
    return LOCAL_ID.sub(lambda match: store_id(match[0]) or match[0], text)


def open_ids(text: str) -> list[str]:
    """Return the local ids in a text for which the store has given none yet."""
    folder = outbox_folder() / IDS
    ids = LOCAL_ID.findall(text)
    return [local for local in ids if (folder / local).is_file() and not store_id(local)]


def _cannot_write(folder: Path, error: Exception) -> TrackingError:
    return TrackingError(
        f"outbox {folder} cannot be written ({one_line(error)}): free space there, or set "
        f"{CACHE_VARIABLE} to another folder"
    )
