"""The same commands against one tracking server, and against PostgreSQL where it is installed."""

import getpass
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import mlflow
import pytest
from conftest import entry_point, free_port, listening


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    store = f"sqlite:///{tmp_path / 'server.db'}"
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", store, "--artifacts-destination", str(tmp_path / "artifacts"), "--workers", "1"]
    with listening(command, "/health", tmp_path, store, MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false") as address:
        yield address


def whole_job(store: str, tiny_preset: Path) -> None:
    done = entry_point(store, "main", "--presets", str(tiny_preset), "--epochs", "1")
    assert done.returncode == 0, done.stderr
    mlflow.set_tracking_uri(store)
    version = mlflow.MlflowClient().get_model_version_by_alias("it-ner", "champion")
    assert version.status == "READY"
    again = entry_point(store, "main", "--presets", str(tiny_preset), "--epochs", "1")
    assert again.stderr.count("reused") == 4, again.stderr
    answer = mlflow.pyfunc.load_model("models:/it-ner@champion").predict(["Ubuntu 22.04"])
    assert len(answer) == 1


def test_main_through_a_server_with_proxied_artifacts(server: str, tiny_preset: Path) -> None:
    whole_job(server, tiny_preset)


BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))


@pytest.fixture
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if not BINARIES:
        pytest.skip("PostgreSQL is not installed")
    folder = tmp_path_factory.mktemp("postgresql")
    binaries, port = BINARIES[-1].parent, free_port()
    # PostgreSQL refuses to run as root; its package brings a user of its own.
    user = "postgres" if os.geteuid() == 0 else getpass.getuser()
    if os.geteuid() == 0:
        for parent in (folder, *folder.parents):
            if parent.is_relative_to("/tmp") and parent != Path("/tmp"):
                parent.chmod(0o755)
        subprocess.run(["chown", user, folder], check=True)
    data = folder / "data"

    def run(*command: str) -> None:
        subprocess.run(command, check=True, capture_output=True, timeout=60, user=user, cwd=folder)

    run(str(binaries / "initdb"), "-D", str(data), "-A", "trust", "-U", user)
    run(str(binaries / "pg_ctl"), "-D", str(data), "-w", "-l", str(folder / "log"), "-o", f"-p {port} -k {folder}", "start")
    try:
        yield f"postgresql://{user}@127.0.0.1:{port}/postgres"
    finally:
        run(str(binaries / "pg_ctl"), "-D", str(data), "-m", "immediate", "stop")


def test_main_on_postgresql(postgresql: str, tiny_preset: Path) -> None:
    whole_job(postgresql, tiny_preset)
