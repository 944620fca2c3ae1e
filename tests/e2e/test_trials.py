"""Trials of a sweep on several machines: their runs, their latency and the memory they leave."""

import json
import shutil
from pathlib import Path

import mlflow
import psutil
import pytest
from conftest import StoreMaker, runs
from sweeps import job_below, settings_of, sweep

from ner_mlflow.errors import ConfigError
from ner_mlflow.sweeping.process_study import JOB, ProcessStudy
from ner_mlflow.tracking.lifecycle import open_run
from ner_mlflow.workflows.sweep import join_sweep

MIB = 2**20


@pytest.fixture(autouse=True)
def store(make_store: StoreMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tracking store of its own."""
    monkeypatch.delenv("MLFLOW_RUN_ID", raising=False)
    make_store(tmp_path)


@pytest.mark.slow  # 20 s
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


@pytest.mark.slow
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
