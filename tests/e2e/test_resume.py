"""A training that is killed goes on under its own run and ends with the weights it would have had."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import mlflow
import pytest
from conftest import ROOT, Completed, entry_point, mlflow_run, user_environment
from filelock import FileLock
from mlflow.entities import Run

from ner_mlflow.modeling.trainer import COMPLETE
from ner_mlflow.paths import CACHE_VARIABLE
from ner_mlflow.provenance import file_sha256
from ner_mlflow.tracking.models import find_model

SETTINGS = (
    "--train.checkpoint_steps=3",
    "--train.epochs=4",
    "--train.early_stopping_patience=4",
)


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
    found: list[Run] = mlflow.search_runs(["0"], "tags.`ner.step` = 'train'", output_format="list")
    return found


def weights_of(run: Run) -> str:
    return file_sha256(find_model(run.info.run_id).folder / "model.safetensors")


def ended(done: Completed) -> None:
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def uninterrupted(tiny_preset: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    store = f"sqlite:///{tmp_path_factory.mktemp('whole') / 'mlflow.db'}"
    ended(entry_point(store, "train", "--preset", str(tiny_preset), *SETTINGS))
    (run,) = train_runs(store)
    return weights_of(run)


def test_a_killed_train_goes_on_under_its_run(
    tiny_preset: Path, tmp_path: Path, uninterrupted: str
) -> None:
    store, cache = f"sqlite:///{tmp_path / 'mlflow.db'}", tmp_path / "cache"
    kill_after_a_checkpoint(store, cache, "entrypoints.train", "--preset", str(tiny_preset))
    (killed,) = train_runs(store)
    assert killed.info.status == "RUNNING"
    with FileLock(next(cache.rglob(COMPLETE)).parents[2] / "lock"):
        busy = entry_point(store, "train", "--resume", "latest", env={CACHE_VARIABLE: str(cache)})
    assert busy.returncode == 1
    assert "no such interrupted train run with a checkpoint" in busy.stderr
    assert [run.info.status for run in train_runs(store)] == [
        "RUNNING"
    ]  # whoever trains it is left alone
    ended(mlflow_run(store, "-e", "train", "-P", "resume=latest", env={CACHE_VARIABLE: str(cache)}))
    (resumed,) = train_runs(store)
    assert (resumed.info.run_id, resumed.info.status) == (killed.info.run_id, "FINISHED")
    assert weights_of(resumed) == uninterrupted
    for name, values in (("validation/f1", 4), ("train/loss", None)):
        steps = [
            metric.step
            for metric in mlflow.MlflowClient().get_metric_history(resumed.info.run_id, name)
        ]
        assert sorted(set(steps)) == steps
        assert len(steps) == (values or len(steps))
    assert not list(cache.rglob("*.safetensors"))
    again = entry_point(
        store, "train", "--resume", resumed.info.run_id, env={CACHE_VARIABLE: str(cache)}
    )
    assert again.returncode == 1
    assert "no such interrupted train run with a checkpoint" in again.stderr


def test_a_killed_main_goes_on_where_it_was(
    tiny_preset: Path, tmp_path: Path, uninterrupted: str
) -> None:
    store, cache = f"sqlite:///{tmp_path / 'mlflow.db'}", tmp_path / "cache"
    kill_after_a_checkpoint(store, cache, "entrypoints.main", "--presets", str(tiny_preset))
    again = entry_point(
        store,
        "main",
        "--presets",
        str(tiny_preset),
        *SETTINGS,
        env={CACHE_VARIABLE: str(cache)},
    )
    ended(again)
    assert "resuming interrupted run" in again.stderr
    (run,) = train_runs(store)
    assert run.info.status == "FINISHED"
    assert weights_of(run) == uninterrupted
    parents = mlflow.search_runs(
        ["0"], "tags.`ner.step` = 'main'", output_format="list", order_by=["attributes.start_time"]
    )
    assert [parent.info.status for parent in parents] == ["KILLED", "FINISHED"]
    assert run.data.tags["mlflow.parentRunId"] == parents[1].info.run_id
