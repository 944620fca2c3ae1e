"""Trials of one process share what they read and encode, and leave no memory behind."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from sweeps import job_below, settings_of, sweep

from ner_mlflow.config.loading import load_config
from ner_mlflow.modeling import cache as training_cache
from ner_mlflow.sweeping.space import read_space
from ner_mlflow.tagging.encoding import WordEncoder
from ner_mlflow.tracking.flavors import log_trained_model
from ner_mlflow.tracking.lifecycle import open_run
from ner_mlflow.workflows import train, trials
from ner_mlflow.workflows.trials import MEASURES, SweepJob, make_trials, trial_config

pytestmark = pytest.mark.usefixtures("store")


def test_a_training_is_held_until_its_model_is_logged(
    tiny_preset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[bool] = []

    def try_lock_and_log(run_id: str, folder: Path, name: str) -> Any:
        code = (
            "import sys; from filelock import FileLock; "
            "FileLock(sys.argv[1], blocking=False).acquire()"
        )
        other = subprocess.run(
            [sys.executable, "-c", code, folder.parent / "lock"],
            capture_output=True,
            text=True,
            check=False,
        )
        held.append("Timeout" in other.stderr)
        return log_trained_model(run_id, folder, name)

    monkeypatch.setattr(train, "log_trained_model", try_lock_and_log)
    settings = {"sweep.trials": 1, "sweep.log_models": True}
    sweep(tiny_preset, tmp_path, monkeypatch, **settings)
    assert held == [True]
    assert not list((tmp_path / "cache").rglob("lock"))


def test_weights_are_read_once_and_sentences_encoded_once(
    tiny_preset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = {"read": 0, "encoded": 0}
    read, encode = training_cache.load_file, WordEncoder._encode

    def counting_read(*args: Any) -> Any:
        counts["read"] += 1
        return read(*args)

    def counting_encode(*args: Any) -> Any:
        counts["encoded"] += 1
        return encode(*args)

    monkeypatch.setattr(training_cache, "load_file", counting_read)
    monkeypatch.setattr(WordEncoder, "_encode", counting_encode)
    sweep(tiny_preset, tmp_path, monkeypatch, **{"sweep.trials": 3, "train.epochs": 2})
    assert counts == {"read": 1, "encoded": 2}  # train and validation


def test_processes_share_the_cpus_that_this_machine_lets_them_use(
    tiny_preset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = settings_of(tiny_preset, tmp_path, monkeypatch)
    with open_run("sweep", "trials") as parent:
        job, _ = job_below(parent, config)
    cases = [(8, 8, 2, 4), (8, 3, 1, 3), (2, 8, 1, 2), (2, 2, 8, 1)]
    before = torch.get_num_threads()
    try:
        for torch_threads, cpus, processes, expected in cases:
            torch.set_num_threads(torch_threads)
            with monkeypatch.context() as patch:
                patch.setattr(trials, "usable_cpus", lambda cpus=cpus: cpus)
                make_trials(job, processes)
            assert torch.get_num_threads() == expected, (torch_threads, cpus, processes)
    finally:
        torch.set_num_threads(before)


def test_a_job_is_rebuilt_from_its_text_which_has_no_password(tmp_path: Path) -> None:
    storage = "postgresql://me:secret7@host/db"
    config = load_config("minilm_lora", {"sweep.storage": storage, "sweep.jobs": 7})
    job = SweepJob("study", read_space("lora", config), config, "data", "parent", "experiment")
    local = load_config("minilm_lora", {"sweep.storage": storage, "sweep.jobs": 2})
    assert "secret7" not in job.to_json()
    rebuilt = SweepJob.from_json("study", job.to_json(), local)
    assert (rebuilt.space, rebuilt.data_run, rebuilt.parent) == (job.space, "data", "parent")
    assert rebuilt.config == local


@pytest.mark.parametrize(("trial_epochs", "epochs"), [(4, 4), (0, 10), (20, 10)])
def test_trials_have_fewer_epochs_unless_the_space_chooses_them(
    trial_epochs: int, epochs: int, tmp_path: Path
) -> None:
    config = load_config("minilm_lora", {"train.epochs": 10, "sweep.trial_epochs": trial_epochs})
    assert trial_config(config, read_space("lora", config)).train.epochs == epochs
    path = tmp_path / "epochs.yaml"
    path.write_text("train.epochs: {type: int, low: 1, high: 3}\n", encoding="utf-8")
    assert trial_config(config, read_space(str(path), config)).train.epochs == 10


def test_an_objective_is_rounded_to_its_step() -> None:
    assert MEASURES["latency"].value({"latency/one_core/p50_ratio": 1.0249}) == 1.0
    assert MEASURES["latency"].value({"latency/one_core/p50_ratio": 1.0251}) == 1.05
    assert MEASURES["validation_f1"].value({"best_validation/f1": 0.71234}) == 0.71234
