"""One process at a time holds a registered model's lock; locks of dead processes are removed."""

import os
import threading
import time
from pathlib import Path

import mlflow
import pytest
from conftest import user_environment
from crashes import hold_the_lock, kill, start, wait_for

from ner_mlflow.errors import TrackingError
from ner_mlflow.paths import CACHE_VARIABLE
from ner_mlflow.tracking import registry_lock
from ner_mlflow.tracking.registry import settle
from ner_mlflow.tracking.registry_lock import LOCK_TAG, lock_model

NAME = "model"


@pytest.fixture
def name(store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a registered model in an empty store, with a cache folder of its own."""
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    mlflow.MlflowClient().create_registered_model(NAME)
    return NAME


def locks() -> list[str]:
    tags = mlflow.MlflowClient().get_registered_model(NAME).tags
    return [key for key in tags if key.startswith(LOCK_TAG)]


def test_the_lock_is_held_by_one_and_passed_on(name: str) -> None:
    inside, most, done = 0, 0, []

    def work(number: int) -> None:
        nonlocal inside, most
        with lock_model(name, 60):
            inside += 1
            most = max(most, inside)
            time.sleep(0.02)
            inside -= 1
        done.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (most, sorted(done)) == (1, list(range(6)))
    assert locks() == []


def test_the_lock_of_a_killed_process_is_removed_at_once(name: str, store: str) -> None:
    env = user_environment(store, **{CACHE_VARIABLE: os.environ[CACHE_VARIABLE]})
    held = start(hold_the_lock, name, env=env, log=Path(os.environ[CACHE_VARIABLE]).parent / "log")
    wait_for(locks)
    message = "another registration or promotion of 'model' has not ended in 0 s"
    with pytest.raises(TrackingError, match=message), lock_model(name, 0):
        pass
    assert len(locks()) == 1
    kill(held)
    with lock_model(name, 0):
        assert len(locks()) == 1
    assert locks() == []


def test_the_lock_of_another_machine_is_removed_once_it_is_old(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time()
    client = mlflow.MlflowClient()
    client.set_registered_model_tag(NAME, f"{LOCK_TAG}other", f"held {now} {now} elsewhere")
    with pytest.raises(TrackingError, match="has not ended in 0 s"), lock_model(name, 0):
        pass
    settle(name, 0)
    assert locks() == [f"{LOCK_TAG}other"]
    monkeypatch.setattr(registry_lock, "STALE_S", 0)
    settle(name, 0)
    assert locks() == []


def test_a_queue_waits_longer_than_the_limit_for_one(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry_lock, "POLL_S", 0.02)
    ended = []

    def work() -> None:
        with lock_model(name, 1.5):
            time.sleep(0.6)
        ended.append(True)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ended == [True] * 4
