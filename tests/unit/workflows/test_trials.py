"""Trials of one process share what they read and encode, and leave no memory behind."""

import gc
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import mlflow
import psutil
import pytest
from conftest import runs

from ner_mlflow.config.loading import load_config
from ner_mlflow.config.schema import Config
from ner_mlflow.errors import ConfigError
from ner_mlflow.modeling import cache as training_cache
from ner_mlflow.paths import CACHE_VARIABLE
from ner_mlflow.sweeping.space import read_space
from ner_mlflow.sweeping.study import RunningTrial, SweepStudy
from ner_mlflow.tagging.encoding import WordEncoder
from ner_mlflow.tracking.flavors import log_transformers_model
from ner_mlflow.tracking.lifecycle import open_run
from ner_mlflow.workflows import train
from ner_mlflow.workflows.inputs import find_data
from ner_mlflow.workflows.sweep import JOB, SweepJob, Trials, join_sweep

MIB = 2**20


def settings_of(
    tiny_preset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **overrides: Any
) -> Config:
    """Settings of a sweep over a tiny corpus, with a store of its own."""
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
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path / 'mlflow.db'}")
    return load_config(str(tiny_preset), {**settings, **overrides})


def sweep(
    tiny_preset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: Any, **overrides: Any
) -> SweepStudy:
    """Run trials in this process; ``after`` is called with the number of each."""
    config = settings_of(tiny_preset, tmp_path, monkeypatch, **overrides)
    with open_run("sweep", "trials") as parent:
        data = find_data(parent, config)
        job = SweepJob(
            "trials",
            read_space("lora", config),
            config,
            data.run_id,
            parent.id,
            parent.experiment_id,
        )
        trials = Trials(job, data)

        def counted(trial: RunningTrial) -> list[float]:
            values = trials(trial)
            gc.collect()
            after(trial.number + 1)
            return values

        study = SweepStudy(job.spec)
        study.fill(None)
        assert study.work(counted) == config.sweep.trials
    assert {trial.state.name for trial in study.trials()} == {"COMPLETE"}
    return study


def test_a_training_is_held_until_its_model_is_logged(
    tiny_preset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[bool] = []

    def taken(run_id: str, folder: Path, name: str) -> Any:
        code = "import sys; from filelock import FileLock; FileLock(sys.argv[1], blocking=False).acquire()"
        tried = subprocess.run(
            [sys.executable, "-c", code, folder.parent / "lock"],
            capture_output=True,
            text=True,
            check=False,
        )
        held.append("Timeout" in tried.stderr)
        return log_transformers_model(run_id, folder, name)

    monkeypatch.setattr(train, "log_transformers_model", taken)
    sweep(
        tiny_preset,
        tmp_path,
        monkeypatch,
        lambda _: None,
        **{"sweep.trials": 1, "sweep.log_models": True},
    )
    assert held == [True]
    assert not list((tmp_path / "cache").rglob("lock"))


def test_who_joins_runs_the_trials_that_wait(
    tiny_preset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = settings_of(tiny_preset, tmp_path, monkeypatch, **{"sweep.trials": 2, "sweep.jobs": 1})
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow.get_tracking_uri())
    with open_run("sweep", "trials") as parent:
        job = SweepJob(
            "trials",
            read_space("lora", config),
            config,
            find_data(parent, config).run_id,
            parent.id,
            parent.experiment_id,
        )
        study = SweepStudy(job.spec)
        study.fill(None)
        study.note(**{JOB: job.to_json()})
    with open_run("sweep join", "join") as helper:
        assert join_sweep(helper, config, "trials") == 2
    trials = runs(mlflow.get_tracking_uri(), "trial")
    assert {(run.info.status, run.data.tags["mlflow.parentRunId"]) for run in trials} == {
        ("FINISHED", parent.id)
    }
    study.note(**{JOB: json.dumps({**json.loads(job.to_json()), "code": "of another commit"})})
    with (
        open_run("sweep join", "join") as helper,
        pytest.raises(ConfigError, match="join 'trials': the study was begun with other code"),
    ):
        join_sweep(helper, config, "trials")


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
    sweep(
        tiny_preset, tmp_path, monkeypatch, lambda _: None, **{"sweep.trials": 3, "train.epochs": 2}
    )
    assert counts == {"read": 1, "encoded": 2}  # train and validation


def test_latency_is_that_of_the_preset_s_network_where_only_adapters_differ(
    tiny_preset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {
        "sweep.trials": 2,
        "sweep.objectives": ["validation_f1", "latency"],
        "sweep.sampler": "nsgaii",
        "export.latency_runs": 100,
    }
    study = sweep(tiny_preset, tmp_path, monkeypatch, lambda _: None, **settings)
    assert [trial.values[1] for trial in study.trials()] == pytest.approx([1.0] * 2, abs=0.15)
    assert [round(trial.values[1] / 0.05, 6) % 1 for trial in study.trials()] == [0.0] * 2


@pytest.fixture
def wide_backbone(tiny_backbone: Path, tmp_path: Path) -> Path:
    """The tiny one with weights of 8 MiB, so that 27 of them that stay would be seen."""
    from transformers import BertConfig, BertModel

    folder = tmp_path / "wide"
    shutil.copytree(tiny_backbone, folder)
    settings = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    wide = BertModel(
        BertConfig(**{**settings, "hidden_size": 288, "intermediate_size": 1152}),
        add_pooling_layer=False,
    )
    wide.save_pretrained(folder)
    assert (folder / "model.safetensors").stat().st_size > 8 * MIB
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_memory_after_thirty_trials_is_that_after_three(
    precision: str,
    wide_backbone: Path,
    tiny_preset: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    resident: dict[int, int] = {}

    def measure(number: int) -> None:
        resident[number] = psutil.Process().memory_info().rss

    settings = {
        "sweep.trials": 30,
        "sweep.sampler": "random",
        "train.precision": precision,
        "model.backbone": str(wide_backbone),
    }
    sweep(tiny_preset, tmp_path, monkeypatch, measure, **settings)
    assert resident[30] - resident[3] < 40 * MIB
