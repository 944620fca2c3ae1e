"""The tracking store that runs go to, asked so that one that is away holds nobody up."""

import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import requests
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_ALREADY_EXISTS, ErrorCode
from mlflow.store.tracking.abstract_store import AbstractStore
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from ..errors import TrackingError
from ..redaction import one_line, redact_address
from .credentials import basic_credentials

ANSWER_LIMIT_S = 4.0
"""Seconds that work waits for an answer of the store."""
PAUSE_S = 0.2
"""Seconds between two attempts to ask."""
AWAY_CODES = frozenset({"INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE", "REQUEST_LIMIT_EXCEEDED"})
"""MLflow's codes of errors that pass: no connection, no answer in time, a server that fails."""
ALREADY_EXISTS = ErrorCode.Name(RESOURCE_ALREADY_EXISTS)
"""MLflow's code of a name that is taken."""
FIRST_SERVER_ERROR = 500
REASON_LIMIT = 120
"""Characters of the reason for which a store is away."""
CONFLICT_PAUSES_S = (0.05, 0.2, 0.5, 1.0)
"""Seconds before a write is tried again that met the same write of another process."""
_CONFLICT = re.compile("IntegrityError|UniqueViolation|UNIQUE constraint failed|Duplicate entry")
"""What SQLAlchemy says, through MLflow, where another process has just added the same row."""
READS = ("get_", "list_", "load_", "search_")
"""Beginnings of the store's methods that change nothing."""
DATABASE_PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}
"""Ports of database servers whose address names none."""

asks_store: ContextVar[bool] = ContextVar("asks_store", default=False)
"""True where the store itself is asked, also for what an outbox of this process mirrors."""

T = TypeVar("T")


class StoreAwayError(TrackingError):
    """The tracking store does not answer, or cannot write: what it is told may be told again."""


def is_away(error: BaseException) -> bool:
    """Return whether an error says that the store is away, and not that it refuses."""
    if isinstance(error, StoreAwayError):
        return True
    if is_conflict(error):
        return False
    if isinstance(error, MlflowException):
        return error.error_code in AWAY_CODES
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return error.response.status_code >= FIRST_SERVER_ERROR
    return isinstance(error, OSError | SQLAlchemyError)


def is_conflict(error: BaseException) -> bool:
    """Return whether an error says that another process wrote the same at the same moment.

    Nothing was written then, and what the other one wrote is there when it is tried again.
    """
    if isinstance(error, MlflowException) and error.error_code == ALREADY_EXISTS:
        return False  # it would be refused again
    return isinstance(error, MlflowException | SQLAlchemyError) and bool(
        _CONFLICT.search(str(error))
    )


def without_conflicts(function: Callable[[], T]) -> T:
    """Call a function that writes to a store, again where :func:`is_conflict`, a few times."""
    for pause_s in CONFLICT_PAUSES_S:
        try:
            return function()
        except Exception as error:
            if not is_conflict(error):
                raise
            time.sleep(pause_s)
    return function()


class Remote:
    """A tracking store behind its address.

    While it is known to be away, :meth:`ask` and :meth:`try_once` fail at once. Whoever delivers to
    it finds out when it is back, and calls :meth:`note_answer`.
    """

    def __init__(self, uri: str, build: Callable[[], AbstractStore]) -> None:
        """
        Args:
            uri: the tracking URI.
            build: connects to the store.
        """
        self.uri = uri
        self._build = build
        self._store: AbstractStore | None = None
        self._building = threading.Lock()
        self._away: str = ""
        self._late_writes: list[threading.Thread] = []

    @property
    def address(self) -> str:
        """The address, without a password."""
        return redact_address(self.uri)

    @property
    def key(self) -> str:
        """The address by which the outboxes for this store are found; see :func:`store_key`."""
        return store_key(self.uri)

    @property
    def store(self) -> AbstractStore:
        """MLflow's store; the first use connects to it."""
        with self._building:
            if self._store is None:
                self._store = self._build()
            return self._store

    @property
    def is_connected(self) -> bool:
        """Whether the store was reached once."""
        return self._store is not None

    @property
    def away(self) -> str:
        """Why the store is thought to be away; empty when it is not."""
        return self._away

    def note_away(self, error: BaseException) -> None:
        """Note that the store was found to be away."""
        self._away = reason(error, self.uri)

    def note_answer(self) -> None:
        """Note that the store has answered."""
        self._away = ""

    @property
    def has_late_writes(self) -> bool:
        """Whether a write that got no answer in time goes on, so that it may still take effect."""
        self._late_writes = [thread for thread in self._late_writes if thread.is_alive()]
        return bool(self._late_writes)

    def ask(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """Call a method that may be called twice, again and again until there is an answer.

        If the store is known to be away, it is not waited for.

        Raises:
            StoreAwayError: there was none within the limit.
        """
        deadline = time.monotonic() + (0 if self._away else ANSWER_LIMIT_S)
        while True:
            try:
                return self.try_once(method, *args, **kwargs)
            except StoreAwayError:
                if time.monotonic() + PAUSE_S > deadline:
                    raise
                time.sleep(PAUSE_S)
                self.note_answer()  # so that it is tried again

    def try_once(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """Call a method of the store once.

        Raises:
            StoreAwayError: there was no answer within the limit.
        """
        late = [] if method.startswith(READS) else self._late_writes
        return self._call(lambda: getattr(self.store, method)(*args, **kwargs), late)

    def make(self, function: Callable[[], T]) -> T:
        """Call a function that writes to the store, once.

        Raises:
            StoreAwayError: there was no answer within the limit.
        """
        return self._call(function, self._late_writes)

    def _call(self, function: Callable[[], T], late: list[threading.Thread]) -> T:
        if self._away:
            raise away_error(self.uri, self._away)
        try:
            return _within(ANSWER_LIMIT_S, partial(without_conflicts, function), late)
        except Exception as error:
            if not is_away(error):
                raise
            self.note_away(error)
            raise away_error(self.uri, self._away) from error


@contextmanager
def asking_store() -> Iterator[None]:
    """Have the store itself asked in the block: for what the registry must find there."""
    token = asks_store.set(True)
    try:
        yield
    finally:
        asks_store.reset(token)


def reason(error: BaseException, uri: str) -> str:
    """Return briefly why a store is away: what kind of connection error, or what it says.

    Args:
        error: an error for which :func:`is_away` is true.
        uri: the store's address, whose password is hidden.
    """
    cause = error.__cause__ or error.__context__
    network = next((e for e in (error, cause) if isinstance(e, requests.RequestException)), None)
    if network is not None:
        return type(network).__name__
    return one_line(error, uri, limit=REASON_LIMIT) or type(error).__name__


def check_answers(uri: str) -> None:
    """Check quickly that a store answers; of a database, that its server takes connections.

    Raises:
        StoreAwayError: it does not answer.
        ImportError: the driver of the database is not installed.
        SQLAlchemyError: there is no such kind of database.
        TrackingError: something else answers at this address, or it wants other credentials.
    """
    address = urlsplit(uri)
    try:
        if address.scheme in ("http", "https"):
            health = f"{uri.rstrip('/')}/health"
            answer = requests.get(health, auth=basic_credentials(), timeout=ANSWER_LIMIT_S)
            answer.raise_for_status()
            return
        make_url(uri).get_dialect().import_dbapi()
        if address.hostname:
            port = address.port or DATABASE_PORTS.get(address.scheme.partition("+")[0])
            socket.create_connection((address.hostname, port), ANSWER_LIMIT_S).close()
    except OSError as error:  # also those of requests
        if is_away(error):
            raise away_error(uri, reason(error, uri)) from error
        raise TrackingError(
            f"tracking server {redact_address(uri)} refuses ({one_line(error, uri)}): check "
            "MLFLOW_TRACKING_URI, and the name and password in MLFLOW_TRACKING_USERNAME and "
            "MLFLOW_TRACKING_PASSWORD"
        ) from error


def store_key(uri: str) -> str:
    """Return a store's address without a password, the same from every working directory."""
    address = redact_address(uri)
    scheme, slashes, path = address.partition(":///")
    if not scheme.startswith("sqlite") or not path or path.startswith(("/", ":")):
        return address
    return f"{scheme}{slashes}{Path(path).absolute()}"


def away_error(uri: str, reason: str) -> StoreAwayError:
    """Return the error that says that a store does not answer."""
    what = "server" if urlsplit(uri).scheme in ("http", "https") else "store"
    return StoreAwayError(
        f"tracking {what} {redact_address(uri)} does not answer ({reason}): start it, or set "
        "MLFLOW_TRACKING_URI to one that runs"
    )


def _within(limit_s: float, function: Callable[[], T], late: list[threading.Thread]) -> T:
    """Return a function's result, or raise TimeoutError.

    The function then runs on by itself, in a thread that is added to ``late``.
    """
    result: list[T] = []
    errors: list[BaseException] = []

    def call() -> None:
        try:
            result.append(function())
        except BaseException as error:  # raised in the thread that waits
            errors.append(error)

    thread = threading.Thread(target=copy_context().run, args=(call,), daemon=True)
    thread.start()
    thread.join(limit_s)
    if errors:
        raise errors[0]
    if not result:
        late.append(thread)
        raise TimeoutError(f"no answer in {limit_s:g} s")
    return result[0]
