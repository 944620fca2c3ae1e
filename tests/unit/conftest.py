"""A tracking store of its own for each unit test that writes runs."""

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

StoreMaker = Callable[[Path], str]


@pytest.fixture(scope="session")
def make_store(tmp_path_factory: pytest.TempPathFactory) -> StoreMaker:
    """A function that puts an empty store into a folder and makes it MLflow's store.

    It returns the store's address. MLflow takes seconds to create the tables of a database, so the
    stores are copies of one.
    """
    import mlflow

    original = tmp_path_factory.mktemp("store") / "mlflow.db"
    mlflow.set_tracking_uri(f"sqlite:///{original}")
    mlflow.search_experiments()

    def make(folder: Path) -> str:
        shutil.copy(original, folder / "mlflow.db")
        with sqlite3.connect(folder / "mlflow.db") as database:
            database.execute(
                "update experiments set artifact_location = ?", [(folder / "mlruns" / "0").as_uri()]
            )
        address = f"sqlite:///{folder / 'mlflow.db'}"
        mlflow.set_tracking_uri(address)
        return address

    return make


@pytest.fixture
def store(make_store: StoreMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of an empty store, which is MLflow's store while the test runs."""
    for name in ("MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_EXPERIMENT_ID"):
        monkeypatch.delenv(name, raising=False)
    return make_store(tmp_path)
