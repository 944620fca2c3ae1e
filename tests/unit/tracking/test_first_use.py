"""A SQLite store is made once, whole, however many processes use it first."""

import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import mlflow
import pytest
from clocks import set_clock_back
from conftest import StoreMaker, user_environment
from crashes import kill, open_a_run, start, wait_for

from ner_mlflow.tracking import first_use as first_use_module
from ner_mlflow.tracking.first_use import database_file, first_use
from ner_mlflow.tracking.lifecycle import choose_experiment, connect


def test_first_uses_at_once_after_one_that_was_killed_all_succeed(tmp_path: Path) -> None:
    env = user_environment(f"sqlite:///{tmp_path / 'new' / 'mlflow.db'}")
    killed = start(open_a_run, "killed", env=env, log=tmp_path / "killed.log")
    part = tmp_path / "new" / f".mlflow.db.{killed.pid}.part"
    wait_for(lambda: part.exists() and part.stat().st_size > 100_000)
    kill(killed)
    assert [path.name for path in part.parent.iterdir() if path.name == "mlflow.db"] == []
    logs = [tmp_path / f"{number}.log" for number in range(4)]
    processes = [start(open_a_run, f"run {log.stem}", env=env, log=log) for log in logs]
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0] * 4, [log.read_text() for log in logs]
    assert [path.name for path in part.parent.iterdir() if path.suffix != ".db"] == []
    client = mlflow.MlflowClient(env["MLFLOW_TRACKING_URI"])
    assert [run.info.status for run in client.search_runs(["0"])] == ["FINISHED"] * 4


def test_a_store_that_another_program_is_making_is_awaited(
    make_store: StoreMaker, tmp_path: Path
) -> None:
    made, path = tmp_path / "made", tmp_path / "mlflow.db"
    made.mkdir()
    make_store(made)
    path.touch()

    def finish() -> None:
        time.sleep(0.5)
        shutil.copy(made / "mlflow.db", path)

    thread = threading.Thread(target=finish)
    thread.start()
    with first_use(f"sqlite:///{path}"):
        assert path.stat().st_size == (made / "mlflow.db").stat().st_size
    thread.join()


def test_a_database_without_tables_is_not_awaited_for_hours_after_the_clock_was_set_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(first_use_module, "QUIET_S", 0.3)
    path = tmp_path / "mlflow.db"
    path.touch()
    set_clock_back(monkeypatch)  # the file is now from the future
    started = time.monotonic()
    with first_use(f"sqlite:///{path}"):
        assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    ("uri", "file"),
    [
        ("sqlite:////data/mlflow.db", "/data/mlflow.db"),
        ("sqlite:////data/mlflow.db?timeout=3", "/data/mlflow.db"),
        ("sqlite://", None),
        ("sqlite:///:memory:", None),
        ("postgresql://user:secret@host/mlflow", None),
        ("http://127.0.0.1:5000", None),
        ("./mlruns", None),
        ("databricks", None),
    ],
)
def test_only_addresses_of_sqlite_files_name_a_file(uri: str, file: str | None) -> None:
    assert database_file(uri) == (Path(file) if file else None)


def test_a_relative_address_names_a_file_of_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert database_file("sqlite:///mlflow.db") == tmp_path / "mlflow.db"


def test_an_experiment_that_several_commands_need_at_once_is_made_once(
    make_store: StoreMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_EXPERIMENT_ID", raising=False)
    monkeypatch.delenv("MLFLOW_EXPERIMENT_NAME", raising=False)
    make_store(tmp_path)
    connect()
    begin = threading.Barrier(4)

    def choose(name: str) -> str | None:
        begin.wait()
        return choose_experiment(name)

    for name in ("tickets", "forum", "bugs"):
        with ThreadPoolExecutor(4) as pool:
            assert len(set(pool.map(choose, [name] * 4))) == 1
