"""Trials of one process share what they read and encode, and leave no memory behind."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import psutil
import pytest
import torch
from conftest import runs

from ner_mlflow.config.loading import load_config
from ner_mlflow.config.schema import Config
from ner_mlflow.errors import ConfigError
from ner_mlflow.modeling import cache as training_cache
from ner_mlflow.paths import CACHE_VARIABLE
from ner_mlflow.sweeping.process_study import JOB, ProcessStudy
from ner_mlflow.sweeping.space import read_space
from ner_mlflow.sweeping.trial import RunningTrial
from ner_mlflow.tagging.encoding import WordEncoder
from ner_mlflow.tracking.flavors import log_transformers_model
from ner_mlflow.tracking.lifecycle import open_run
from ner_mlflow.tracking.run import Run
from ner_mlflow.workflows import train, trials
from ner_mlflow.workflows.data import TrackedDataset
from ner_mlflow.workflows.inputs import find_data
from ner_mlflow.workflows.sweep import join_sweep
from ner_mlflow.workflows.trials import MEASURES, SweepJob, Trials, make_trials, trial_config

pytestmark = pytest.mark.usefixtures("store")

MIB = 2**20


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
        return log_transformers_model(run_id, folder, name)

    monkeypatch.setattr(train, "log_transformers_model", try_lock_and_log)
    settings = {"sweep.trials": 1, "sweep.log_models": True}
    sweep(tiny_preset, tmp_path, monkeypatch, **settings)
    assert held == [True]
    assert not list((tmp_path / "cache").rglob("lock"))


def test_a_machine_that_joins_runs_the_waiting_trials(
    tiny_preset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = settings_of(tiny_preset, tmp_path, monkeypatch, **{"sweep.trials": 2, "sweep.jobs": 1})
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow.get_tracking_uri())
    with open_run("sweep", "trials") as parent:
        job, _ = job_below(parent, config)
        study = ProcessStudy(job.spec)
        study.fill(None)
        study.note(**{JOB: job.to_json()})
    with open_run("sweep join", "join") as helper:
        assert join_sweep(helper, config, "trials") == 2
    assert {
        (run.info.status, run.data.tags["mlflow.parentRunId"])
        for run in runs(mlflow.get_tracking_uri(), "trial")
    } == {("FINISHED", parent.id)}
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
    sweep(tiny_preset, tmp_path, monkeypatch, **{"sweep.trials": 3, "train.epochs": 2})
    assert counts == {"read": 1, "encoded": 2}  # train and validation


def test_trials_that_differ_in_adapters_only_have_the_latency_of_the_preset_s_network(
    tiny_preset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {
        "sweep.trials": 2,
        "sweep.objectives": ["validation_f1", "latency"],
        "sweep.sampler": "nsgaii",
        "export.latency_runs": 100,
    }
    study = sweep(tiny_preset, tmp_path, monkeypatch, **settings)
    assert [trial.values[1] for trial in study.trials()] == pytest.approx([1.0] * 2, abs=0.15)
    assert [round(trial.values[1] / 0.05, 6) % 1 for trial in study.trials()] == [0.0] * 2


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


@pytest.fixture
def wide_backbone(tiny_backbone: Path, tmp_path: Path) -> Path:
    """The tiny backbone with weights of 8 MiB, so that 27 copies left in memory are noticed."""
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
