"""Keep a language model's answers on this disk, so that no question is paid for twice."""

import hashlib
import json
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ..errors import DataError
from ..redaction import one_line
from .client import Complete, Completion, Message

TIMEOUT_S = 60


class AnswerCache:
    """A function that calls an endpoint, unless it was asked the same before.

    Failed calls are not kept. Several threads may call it, and several processes may share a file.

    Raises:
        DataError: the file is damaged or cannot be written.
    """

    def __init__(self, complete: Complete, file: Path, settings: str) -> None:
        """
        Args:
            complete: makes a call.
            file: the SQLite file of the answers; its folder must exist.
            settings: what an answer depends on besides the messages: endpoint, model, temperature.
        """
        self._complete = complete
        self._settings = settings
        self._file = file
        self._lock = threading.Lock()
        with self._errors_named():
            self._store = sqlite3.connect(file, timeout=TIMEOUT_S, check_same_thread=False)
            self._store.execute(
                "create table if not exists answers (key text primary key, text text not null,"
                " input_tokens int not null, output_tokens int not null, seconds real not null)"
            )

    def __call__(self, messages: Sequence[Message]) -> Completion:
        """Return the completion; one that was kept has the tokens and seconds of its call."""
        content = json.dumps([self._settings, list(messages)], sort_keys=True)
        key = hashlib.sha256(content.encode()).hexdigest()
        with self._lock, self._errors_named():
            row = self._store.execute(
                "select text, input_tokens, output_tokens, seconds from answers where key = ?",
                (key,),
            ).fetchone()
        if row:
            return Completion(*row)
        answer = self._complete(messages)
        with self._lock, self._errors_named(), self._store:
            self._store.execute(
                "insert or replace into answers values (?, ?, ?, ?, ?)",
                (key, answer.text, answer.input_tokens, answer.output_tokens, answer.seconds),
            )
        return answer

    @contextmanager
    def _errors_named(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise DataError(
                f"answers in {self._file} cannot be kept ({one_line(error)}): free space there, or "
                "move the file away, and what it holds is asked again"
            ) from error
