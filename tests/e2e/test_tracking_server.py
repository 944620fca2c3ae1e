"""Main runs against a tracking server, and against PostgreSQL where it is installed."""

from pathlib import Path

import mlflow
import pytest
from conftest import entry_point


def run_main_twice(store: str, tiny_preset: Path, temporary: Path) -> None:
    temporary.mkdir()
    done = entry_point(
        store,
        "main",
        "--presets",
        str(tiny_preset),
        "--epochs",
        "2",
        env={"TMPDIR": str(temporary)},
    )
    assert done.returncode == 0, done.stderr
    mlflow.set_tracking_uri(store)
    assert [path for path in temporary.iterdir() if path.is_dir()] == []  # downloads are removed
    version = mlflow.MlflowClient().get_model_version_by_alias("it-ner", "champion")
    assert version.status == "READY"
    again = entry_point(store, "main", "--presets", str(tiny_preset), "--epochs", "2")
    assert again.stderr.count("reused") == 5, again.stderr
    answer = mlflow.pyfunc.load_model("models:/it-ner@champion").predict(["Ubuntu 22.04"])
    assert len(answer) == 1


@pytest.mark.slow
def test_main_through_a_server_with_proxied_artifacts(
    server: str, tiny_preset: Path, tmp_path: Path
) -> None:
    run_main_twice(server, tiny_preset, tmp_path / "temporary")


@pytest.mark.slow
def test_main_on_postgresql(postgresql: str, tiny_preset: Path, tmp_path: Path) -> None:
    run_main_twice(postgresql, tiny_preset, tmp_path / "temporary")
