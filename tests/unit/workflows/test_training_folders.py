"""Checkpoints that nothing will resume are removed, unless a process trains in their folder."""

import os
import time
from pathlib import Path

import pytest
from filelock import FileLock

from ner_mlflow.errors import TrackingError
from ner_mlflow.modeling.fit import CHECKPOINTS
from ner_mlflow.modeling.trainer import COMPLETE
from ner_mlflow.paths import CACHE_VARIABLE, training_folder
from ner_mlflow.workflows.training_folders import (
    KEPT_S,
    lock_folder,
    remove_folders,
    remove_useless_folders,
)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))


def make_folder(name: str, age_s: float = 3600, checkpoint: bool = False) -> Path:
    folder = training_folder(name)
    step = folder / CHECKPOINTS / "checkpoint-3"
    step.mkdir(parents=True)
    (step / "model.safetensors").touch()
    if checkpoint:
        (step / COMPLETE).touch()
    os.utime(folder, (time.time() - age_s,) * 2)
    return folder


def names() -> set[str]:
    return {folder.name for folder in training_folder("").iterdir()}


def test_folders_without_a_whole_checkpoint_and_old_ones_are_removed() -> None:
    remove_useless_folders()  # there is no folder yet
    make_folder("half")
    make_folder("just begun", age_s=1)
    make_folder("resumable", checkpoint=True)
    make_folder("forgotten", KEPT_S + 60, checkpoint=True)
    with FileLock(make_folder("in use") / "lock"):
        os.utime(training_folder("in use"), (0, 0))
        remove_useless_folders()
    assert names() == {"just begun", "resumable", "in use"}


def test_the_folders_of_runs_that_are_done_are_removed_unless_they_are_in_use() -> None:
    with FileLock(make_folder("in use", checkpoint=True) / "lock"):
        make_folder("done", checkpoint=True)
        remove_folders(["done", "in use", "of another machine"])
    assert names() == {"in use"}


def test_a_folder_is_locked_by_one_process_at_a_time_and_by_itself_twice() -> None:
    folder = make_folder("run")
    with lock_folder(folder), lock_folder(folder):
        pass
    with FileLock(folder / "lock"), pytest.raises(TrackingError, match="another process is"):  # noqa: SIM117
        with lock_folder(folder):
            pass
