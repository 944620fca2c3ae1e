"""A killed training resumes under its own run, and ends with the same weights and metrics."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import mlflow
import pytest
from conftest import ROOT, Completed, StoreMaker, entry_point, mlflow_run, user_environment
from filelock import FileLock
from mlflow.entities import Run

from ner_mlflow.modeling.trainer import COMPLETE
from ner_mlflow.paths import CACHE_VARIABLE
from ner_mlflow.provenance import file_sha256
from ner_mlflow.tracking.dead_runs import process_tags
from ner_mlflow.tracking.models import find_model

SETTINGS = (
    *("--train.checkpoint_steps", "3"),
    *("--train.epochs", "4"),
    *("--train.early_stopping_patience", "4"),
)


LOGGED = ("train/loss", "train/learning_rate", "validation/f1")


@dataclass(frozen=True)
class Uninterrupted:
    """The results of a training that was not interrupted."""

    weights_sha256: str
    steps: dict[str, list[int]]
    validation_f1: list[float]


def kill_after_a_checkpoint(store: str, cache: Path, *arguments: str) -> None:
    command = [sys.executable, "-m", *arguments, *SETTINGS]
    with (cache.parent / "log").open("w") as log:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=user_environment(store, **{CACHE_VARIABLE: str(cache)}),
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    deadline = time.monotonic() + 300
    while not list(cache.rglob(COMPLETE)):
        assert process.poll() is None, (cache.parent / "log").read_text()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def train_runs(store: str) -> list[Run]:
    mlflow.set_tracking_uri(store)
    runs: list[Run] = mlflow.search_runs(["0"], "tags.`ner.step` = 'train'", output_format="list")
    return runs


def weights_of(run: Run) -> str:
    return file_sha256(find_model(run.info.run_id).folder / "model.safetensors")


def logged_steps(run: Run) -> dict[str, list[int]]:
    """Return the steps of each metric, in the order in which they were logged."""
    client = mlflow.MlflowClient()
    return {
        name: [metric.step for metric in client.get_metric_history(run.info.run_id, name)]
        for name in LOGGED
    }


def validation_f1(run: Run) -> list[float]:
    history = mlflow.MlflowClient().get_metric_history(run.info.run_id, "validation/f1")
    return [metric.value for metric in history]


def assert_succeeded(done: Completed) -> None:
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def uninterrupted(
    make_store: StoreMaker, tiny_preset: Path, tmp_path_factory: pytest.TempPathFactory
) -> Uninterrupted:
    store = make_store(tmp_path_factory.mktemp("uninterrupted"))
    done = entry_point(store, "train", "--preset", str(tiny_preset), *SETTINGS)
    assert_succeeded(done)
    (run,) = train_runs(store)
    return Uninterrupted(weights_of(run), logged_steps(run), validation_f1(run))


def test_a_killed_train_resumes_under_its_run(
    make_store: StoreMaker,
    tiny_preset: Path,
    tmp_path: Path,
    uninterrupted: Uninterrupted,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store, cache = make_store(tmp_path), tmp_path / "cache"
    kill_after_a_checkpoint(store, cache, "entrypoints.train", "--preset", str(tiny_preset))
    (killed,) = train_runs(store)
    assert killed.info.status == "RUNNING"
    # As a process that resumes the run, which notes its name in the run.
    monkeypatch.setenv(CACHE_VARIABLE, str(cache))
    mlflow.MlflowClient().set_tag(killed.info.run_id, *next(iter(process_tags().items())))
    with FileLock(next(cache.rglob(COMPLETE)).parents[2] / "lock"):
        busy = entry_point(store, "train", "--resume", "latest", env={CACHE_VARIABLE: str(cache)})
    assert busy.returncode == 1
    assert "no such interrupted train run with a checkpoint" in busy.stderr
    # The run of the process that holds the lock is left alone.
    assert [run.info.status for run in train_runs(store)] == ["RUNNING"]
    environment = {CACHE_VARIABLE: str(cache)}
    assert_succeeded(mlflow_run(store, "-e", "train", "-P", "resume=latest", env=environment))
    (resumed,) = train_runs(store)
    assert (resumed.info.run_id, resumed.info.status) == (killed.info.run_id, "FINISHED")
    assert weights_of(resumed) == uninterrupted.weights_sha256
    assert logged_steps(resumed) == uninterrupted.steps
    assert len(uninterrupted.steps["train/loss"]) > len(uninterrupted.validation_f1) == 4
    assert validation_f1(resumed) == uninterrupted.validation_f1
    assert not list(cache.rglob("*.safetensors"))
    again = entry_point(store, "train", "--resume", resumed.info.run_id, env=environment)
    assert again.returncode == 1
    assert "no such interrupted train run with a checkpoint" in again.stderr


@pytest.mark.slow
def test_a_killed_main_resumes_its_training(
    make_store: StoreMaker, tiny_preset: Path, tmp_path: Path, uninterrupted: Uninterrupted
) -> None:
    store, cache = make_store(tmp_path), tmp_path / "cache"
    kill_after_a_checkpoint(store, cache, "entrypoints.main", "--presets", str(tiny_preset))
    again = entry_point(
        store,
        "main",
        "--presets",
        str(tiny_preset),
        *SETTINGS,
        env={CACHE_VARIABLE: str(cache)},
    )
    assert_succeeded(again)
    assert "resuming interrupted run" in again.stderr
    (run,) = train_runs(store)
    assert run.info.status == "FINISHED"
    assert weights_of(run) == uninterrupted.weights_sha256
    parents = mlflow.search_runs(
        ["0"], "tags.`ner.step` = 'main'", output_format="list", order_by=["attributes.start_time"]
    )
    assert [parent.info.status for parent in parents] == ["KILLED", "FINISHED"]
    assert run.data.tags["mlflow.parentRunId"] == parents[1].info.run_id
