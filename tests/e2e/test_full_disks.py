"""A folder that is full or cannot be written is named in one line, with a way out."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import mlflow
import pytest
from conftest import Completed, StoreMaker, entry_point

from ner_mlflow.cli.command import UNDELIVERED
from ner_mlflow.paths import CACHE_VARIABLE

Mount = Callable[[str], Path]
SIZE = 256 * 1024


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    """A function that mounts a small file system with an option: ``rw`` or ``ro``."""
    mounted: list[Path] = []

    def make(option: str) -> Path:
        folder = tmp_path / f"disk{len(mounted)}"
        folder.mkdir()
        options = f"size={SIZE},{option}"
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        if subprocess.run(command, check=False, capture_output=True).returncode:
            pytest.skip("this user may not mount file systems")
        mounted.append(folder)
        return folder

    yield make
    for folder in mounted:
        subprocess.run(["umount", "-l", str(folder)], check=False)


def error_of(done: Completed) -> str:
    """Return the error of a command, which is one line without a traceback."""
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    lines = done.stderr.strip().splitlines()
    assert [line for line in lines if line.startswith("error: ")] == lines[-1:], done.stderr
    return lines[-1].removeprefix("error: ")


def fill(disk: Path, free: int) -> None:
    """Leave so many bytes of a disk free."""
    (disk / "other").write_bytes(b"x" * (SIZE - free))


def use_artifacts(folder: Path) -> dict[str, str]:
    mlflow.create_experiment("on the disk", artifact_location=folder.as_uri())
    return {"MLFLOW_EXPERIMENT_NAME": "on the disk"}


@pytest.mark.slow
@pytest.mark.parametrize("free", [0, 48 * 1024])
def test_what_a_full_artifact_store_does_not_take_is_kept_until_it_does(
    free: int, make_store: StoreMaker, tmp_path: Path, mount: Mount
) -> None:
    store, disk = make_store(tmp_path), mount("rw")
    fill(disk, free)
    env = {**use_artifacts(disk / "artifacts"), CACHE_VARIABLE: str(tmp_path / "cache")}
    done = entry_point(store, "data", env=env)
    assert done.returncode == UNDELIVERED, done.stderr
    assert "Traceback" not in done.stderr
    assert f"artifact store {disk.as_uri()}/artifacts/" in done.stderr
    assert "No space left on device" in done.stderr
    assert "create the experiment with another artifact location" in done.stderr
    still = entry_point(store, "sync", env=env)
    assert "1 runs still wait" in error_of(still)
    (disk / "other").unlink()
    subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
    assert "1 runs" in entry_point(store, "sync", env=env).stdout
    (run,) = mlflow.search_runs(search_all_experiments=True, output_format="list")
    assert run.info.status == "FINISHED"


@pytest.mark.slow
def test_a_read_only_artifact_store_is_named(
    make_store: StoreMaker, tmp_path: Path, mount: Mount
) -> None:
    store, disk = make_store(tmp_path), mount("ro")
    env = {**use_artifacts(disk / "artifacts"), CACHE_VARIABLE: str(tmp_path / "cache")}
    done = entry_point(store, "data", env=env)
    assert done.returncode == UNDELIVERED, done.stderr
    assert f"artifact store {disk.as_uri()}/artifacts/" in done.stderr
    assert "cannot be written ([Errno 30] Read-only file system" in done.stderr


def test_a_read_only_home_is_named(make_store: StoreMaker, tmp_path: Path, mount: Mount) -> None:
    store, disk = make_store(tmp_path), mount("ro")
    env = {"HOME": str(disk), "XDG_CACHE_HOME": ""}
    error = error_of(entry_point(store, "data", env=env))
    assert error.startswith(f"cache folder {disk}/.cache/ner_mlflow cannot be written ([Errno 30]")
    assert error.endswith("or set NER_MLFLOW_CACHE to a folder that is")


@pytest.mark.slow
def test_a_full_cache_is_named(
    make_store: StoreMaker, tiny_preset: Path, tmp_path: Path, mount: Mount
) -> None:
    store, disk = make_store(tmp_path), mount("rw")
    arguments = ["--preset", str(tiny_preset), "--epochs", "1"]
    error = error_of(entry_point(store, "train", *arguments, env={CACHE_VARIABLE: str(disk)}))
    assert str(disk) in error
    assert "full" in error
    assert error.endswith("free space there, or set NER_MLFLOW_CACHE to another folder")


@pytest.mark.slow
def test_a_full_temporary_folder_is_named(
    make_store: StoreMaker, tmp_path: Path, mount: Mount
) -> None:
    store, disk = make_store(tmp_path), mount("rw")
    fill(disk, 16 * 1024)
    error = error_of(entry_point(store, "data", env={"TMPDIR": str(disk)}))
    assert str(disk) in error
    assert error.endswith("free space there, or set TMPDIR to another folder")


@pytest.mark.parametrize(
    ("store", "message"),
    [
        (
            "mysql://user:a-secret@host/mlflow",
            "tracking store mysql://user:***@host/mlflow needs the package MySQLdb, which is not "
            "installed: install it, or set MLFLOW_TRACKING_URI to another store",
        ),
        ("foo://user:a-secret@host", "tracking store foo://user:***@host cannot be used ("),
        ("postgresql+none://user:a-secret@host/x", "tracking store postgresql+none://user:***@"),
    ],
)
def test_a_store_that_this_machine_cannot_use_is_named(store: str, message: str) -> None:
    done = entry_point(store, "data")
    assert error_of(done).startswith(message)
    assert "a-secret" not in done.stderr
