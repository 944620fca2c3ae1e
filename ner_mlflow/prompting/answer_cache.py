"""Keep a language model's answers on this disk, so that no question is paid for twice."""

import hashlib
import json
import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path

from .client import Complete, Completion, Message

TIMEOUT_S = 60


class AnswerCache:
    """A function that calls an endpoint, unless it was asked the same before.

    Failed calls are not kept. Several threads may call it, and several processes may share a file.
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
        self._lock = threading.Lock()
        self._store = sqlite3.connect(file, timeout=TIMEOUT_S, check_same_thread=False)
        self._store.execute(
            "create table if not exists answers (key text primary key, text text not null,"
            " input_tokens int not null, output_tokens int not null, seconds real not null)"
        )

    def __call__(self, messages: Sequence[Message]) -> Completion:
        """Return the completion; one that was kept has the tokens and seconds of its call."""
        content = json.dumps([self._settings, list(messages)], sort_keys=True)
        key = hashlib.sha256(content.encode()).hexdigest()
        with self._lock:
            row = self._store.execute(
                "select text, input_tokens, output_tokens, seconds from answers where key = ?",
                (key,),
            ).fetchone()
        if row:
            return Completion(*row)
        answer = self._complete(messages)
        with self._lock, self._store:
            self._store.execute(
                "insert or replace into answers values (?, ?, ?, ?, ?)",
                (key, answer.text, answer.input_tokens, answer.output_tokens, answer.seconds),
            )
        return answer
