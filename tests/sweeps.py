"""Sweeps with real trainings on a tiny corpus: what the tests of trials share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ner_mlflow.config.loading import load_config
from ner_mlflow.config.schema import Config
from ner_mlflow.paths import CACHE_VARIABLE
from ner_mlflow.sweeping.process_study import ProcessStudy
from ner_mlflow.sweeping.space import read_space
from ner_mlflow.sweeping.trial import RunningTrial
from ner_mlflow.tracking.lifecycle import open_run
from ner_mlflow.tracking.run import Run
from ner_mlflow.workflows.data import TrackedDataset
from ner_mlflow.workflows.inputs import find_data
from ner_mlflow.workflows.trials import SweepJob, Trials


def settings_of(
    tiny_preset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **overrides: Any
) -> Config:
    """Return settings of a sweep over a tiny corpus, with a cache of its own."""
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for split in ("train", "validation", "test"):
        lines = [
            f"I\tO\nuse\tO\nUbuntu\tB-OS\n{number}.04\tB-VERSION\n{split}\tO\n"
            for number in range(40)
        ]
        (corpus / f"{split}.conll").write_text("\n".join(lines), encoding="utf-8")
    settings = {
        "model.adaptation": "lora",
        "train.epochs": 1,
        "data.dataset": str(corpus),
        "sweep.pruner": "none",
        "sweep.log_models": False,
    }
    return load_config(str(tiny_preset), {**settings, **overrides})


def job_below(parent: Run, config: Config) -> tuple[SweepJob, TrackedDataset]:
    """Return a job whose trials are below a run, and its data."""
    data = find_data(parent, config)
    space = read_space("lora", config)
    return SweepJob("trials", space, config, data.run_id, parent.id, parent.experiment_id), data


def sweep(
    tiny_preset: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    after: Callable[[int], None] = lambda _: None,
    **overrides: Any,
) -> ProcessStudy:
    """Run trials in this process; call ``after`` after each with the number of trials so far."""
    config = settings_of(tiny_preset, tmp_path, monkeypatch, **overrides)
    with open_run("sweep", "trials") as parent:
        job, data = job_below(parent, config)
        run_trial = Trials(job, data)

        def run_and_count(trial: RunningTrial) -> list[float]:
            values = run_trial(trial)
            after(trial.number + 1)
            return values

        study = ProcessStudy(job.spec)
        study.fill(None)
        assert study.run_waiting(run_and_count) == config.sweep.trials
    assert {trial.state.name for trial in study.trials()} == {"COMPLETE"}
    return study
