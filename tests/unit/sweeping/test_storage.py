"""Where studies are stored, and which trials belong to processes that are dead."""

import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import FrozenTrial, TrialState, create_trial
from studies import spec_of

from ner_mlflow.errors import TrackingError
from ner_mlflow.liveness import liveness_name
from ner_mlflow.sweeping.process_study import ProcessStudy
from ner_mlflow.sweeping.storage import is_orphan, open_storage, storage_file


def test_sqlite_is_a_file_in_the_cache_and_a_server_has_none(cache: Path, tmp_path: Path) -> None:
    def file(storage: str) -> Path | None:
        return storage_file(spec_of(storage=storage).config)

    assert file("sqlite") == cache / "sweeps" / "studies.sqlite"
    assert file(f"sqlite:///{tmp_path}/my.db") == tmp_path / "my.db"
    assert file("postgresql://me@host/db") is None


def test_a_storage_keeps_its_studies_when_it_is_opened_again() -> None:
    config = spec_of().config
    ProcessStudy(spec_of()).note(answer=42)
    storage = open_storage(config)
    assert [study.study_name for study in storage.get_all_studies()] == ["study"]
    study_id = storage.get_study_id_from_name("study")
    assert storage.get_study_user_attrs(study_id) == {"answer": 42}
    assert storage.get_heartbeat_interval() == config.heartbeat_s


@pytest.mark.parametrize(
    ("storage", "words"),
    [
        (
            "postgresql://me:secret@127.0.0.1:1/none",
            "postgresql://me:***@127.0.0.1:1/none cannot be used",
        ),
        ("sqlite:////proc/none/studies.db", "cannot be used"),
        ("postgresql://me@127.0.0.1:1/none?password=secret", "none?password=*** cannot be used"),
        ("journal", "journal cannot be used"),
        ("sqlite:///:memory:", "it lives in the memory of one process"),
    ],
)
def test_an_unusable_storage_is_named_without_its_password(storage: str, words: str) -> None:
    with pytest.raises(TrackingError) as error:
        open_storage(spec_of(storage=storage).config)
    assert words in str(error.value)
    assert "give sqlite, or the URL of a running database" in str(error.value)
    assert "secret" not in str(error.value)


def test_a_damaged_file_of_studies_is_named(cache: Path) -> None:
    file = cache / "sweeps" / "studies.sqlite"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"no database" * 900)
    with pytest.raises(
        TrackingError, match=rf"{file}, .* \(file is not a database\): move it away"
    ):
        open_storage(spec_of().config)


def running(started: datetime, **attributes: Any) -> FrozenTrial:
    trial = create_trial(state=TrialState.RUNNING, user_attrs=attributes)
    trial.datetime_start = started
    return trial


def test_a_trial_is_an_orphan_once_its_process_of_this_machine_is_dead(cache: Path) -> None:
    now = datetime.now()
    assert not is_orphan(running(now, worker={"liveness": liveness_name()}))
    assert not is_orphan(running(now, worker={"liveness": "of another machine"}))
    # A process that is killed cannot remove its lock.
    code = (
        "import os; from ner_mlflow.liveness import liveness_name; "
        "print(liveness_name(), flush=True); os.kill(os.getpid(), 9)"
    )
    killed = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert is_orphan(running(now, worker={"liveness": killed.stdout.strip()}))


def test_a_trial_without_a_process_is_an_orphan_after_a_while() -> None:
    assert not is_orphan(running(datetime.now()))
    assert is_orphan(running(datetime.now() - timedelta(hours=1)))
