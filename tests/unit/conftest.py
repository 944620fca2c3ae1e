"""A tracking store of its own for each unit test that writes runs."""

from pathlib import Path

import pytest
from conftest import StoreMaker


@pytest.fixture
def store(make_store: StoreMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of an empty store, which is MLflow's store while the test runs."""
    for name in ("MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_EXPERIMENT_ID"):
        monkeypatch.delenv(name, raising=False)
    return make_store(tmp_path)
