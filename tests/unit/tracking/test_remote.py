"""A store that is away holds nobody up for long, and is told from one that refuses."""

import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests
from conftest import free_port
from mlflow.entities import Dataset, DatasetInput
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import (
    INTERNAL_ERROR,
    INVALID_PARAMETER_VALUE,
    PERMISSION_DENIED,
    TEMPORARILY_UNAVAILABLE,
)
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

from ner_mlflow.tracking import remote as remote_module
from ner_mlflow.tracking.remote import (
    Remote,
    StoreAwayError,
    check_answers,
    is_away,
    store_key,
    without_conflicts,
)


class Store:
    """A store whose method fails as often as it is told, then answers."""

    def __init__(self, failures: int = 0, pause_s: float = 0) -> None:
        self.failures, self.pause_s, self.calls = failures, pause_s, 0

    def ask(self, value: int) -> int:
        self.calls += 1
        time.sleep(self.pause_s)
        if self.calls <= self.failures:
            raise ConnectionError("the connection broke")
        return value


def remote_of(store: Any) -> Remote:
    return Remote("http://127.0.0.1:9", lambda: store)


def test_a_question_is_asked_until_there_is_an_answer() -> None:
    store = Store(failures=2)
    assert remote_of(store).ask("ask", 3) == 3
    assert store.calls == 3


def test_what_must_not_be_sent_twice_is_sent_once() -> None:
    store = Store(failures=1)
    with pytest.raises(StoreAwayError, match="does not answer"):
        remote_of(store).try_once("ask", 3)
    assert store.calls == 1


def test_a_store_that_hangs_holds_nobody_up_and_then_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(remote_module, "ANSWER_LIMIT_S", 0.2)
    remote, begun = remote_of(Store(pause_s=5)), time.monotonic()
    for _ in range(20):
        with pytest.raises(StoreAwayError):
            remote.ask("ask", 3)
    assert time.monotonic() - begun < 2


def test_a_write_without_an_answer_is_late_until_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_module, "ANSWER_LIMIT_S", 0.1)
    remote = remote_of(Store(pause_s=0.5))
    with pytest.raises(StoreAwayError):
        remote.try_once("ask", 3)
    assert remote.has_late_writes
    time.sleep(1)
    assert not remote.has_late_writes


@pytest.mark.parametrize(
    ("error", "away"),
    [
        (ConnectionError("refused"), True),
        (TimeoutError("late"), True),
        (OSError(28, "No space left on device"), True),
        (requests.ConnectionError("reset"), True),
        (MlflowException("broken", INTERNAL_ERROR), True),
        (MlflowException("locked", TEMPORARILY_UNAVAILABLE), True),
        (MlflowException("no", INVALID_PARAMETER_VALUE), False),
        (MlflowException("no", PERMISSION_DENIED), False),
        (ValueError("a fault of ours"), False),
    ],
)
def test_errors_that_pass_are_told_from_refusals(error: Exception, away: bool) -> None:
    assert is_away(error) is away


def log_inputs(remote: Remote, inputs: list[DatasetInput], run: str) -> None:
    without_conflicts(lambda: remote.store.log_inputs(run, inputs))


def test_processes_that_log_one_dataset_at_once_are_all_served(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    remote = Remote(uri, lambda: SqlAlchemyStore(uri, str(tmp_path)))
    runs = [
        remote.store.create_run("0", "me", 0, [], f"run {number}").info.run_id
        for number in range(8)
    ]
    for digest in "abcdef":  # each is new to the store, so all of them try to add it
        logged = [DatasetInput(Dataset("tickets", digest, "local", "tickets.json"), [])]
        with ThreadPoolExecutor(len(runs)) as pool:
            list(pool.map(partial(log_inputs, remote, logged), runs))
    for run in runs:
        inputs = remote.store.get_run(run).inputs.dataset_inputs
        assert sorted(entry.dataset.digest for entry in inputs) == list("abcdef")


def test_a_conflict_that_does_not_pass_is_no_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_module, "CONFLICT_PAUSES_S", (0.0, 0.0))
    calls = []

    def write() -> None:
        calls.append(1)
        raise MlflowException("(sqlite3.IntegrityError) UNIQUE constraint failed: a.b")

    with pytest.raises(MlflowException, match="UNIQUE constraint failed"):
        remote_of(None).make(write)
    assert len(calls) == 3


@pytest.mark.parametrize("scheme", ["http", "postgresql"])
def test_a_server_that_is_not_there_is_away(scheme: str) -> None:
    with pytest.raises(StoreAwayError, match=r"tracking (server|store) .*\*\*\*.* does not answer"):
        check_answers(f"{scheme}://me:hunter2@127.0.0.1:{free_port()}/runs")


def test_a_relative_database_is_another_one_in_another_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = store_key("sqlite:///mlflow.db")
    monkeypatch.chdir(tmp_path)
    assert store_key("sqlite:///mlflow.db") == f"sqlite:///{tmp_path}/mlflow.db" != here
    assert store_key("sqlite:////srv/mlflow.db") == "sqlite:////srv/mlflow.db"
    assert store_key("http://me:hunter2@host:5000") == "http://me:***@host:5000"
