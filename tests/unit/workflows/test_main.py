"""The main job runs the steps of each preset, registers the best and promotes it if it may."""

import mlflow
import pytest
from pipelines import Finished

from ner_mlflow.config.loading import override
from ner_mlflow.errors import ModelError, TrackingError
from ner_mlflow.tracking.lifecycle import open_run
from ner_mlflow.tracking.queries import finished_runs
from ner_mlflow.tracking.records import MainRecord
from ner_mlflow.tracking.registry import alias_holder
from ner_mlflow.tracking.steps import Step
from ner_mlflow.workflows.main import run_main
from ner_mlflow.workflows.sweep import run_sweep


def test_finished_steps_are_reused_and_the_first_version_gets_the_alias(
    finished: Finished,
) -> None:
    trainings = len(finished_runs(Step.TRAIN, "0"))
    for _ in range(2):  # again, nothing is left to do
        with open_run(Step.MAIN, "main") as run:
            result = run_main(run, {"small": finished.config}, "main", "champion")
        assert result.registration.address == "models:/main/1"
        assert result.registration.has_alias
        assert result.conclusion[0].startswith("small was trained: test F1 ")
        assert result.best.train == finished.result.train
        assert result.report.tables["results"]["model"].tolist() == ["small"]
    assert len(finished_runs(Step.TRAIN, "0")) == trainings
    holder = alias_holder("main", "champion")
    assert holder is not None
    assert holder.version == "1"
    record = MainRecord.read(run.id)
    assert record.best_train_run == finished.result.train.run_id
    assert record.registered_version == "models:/main/1"
    files = {entry.path for entry in mlflow.artifacts.list_artifacts(run_id=run.id)}
    assert {"comparison.html", "config.yaml"} <= files


def test_an_alias_that_the_registry_refuses_is_refused_before_any_step(
    finished: Finished,
) -> None:
    with (
        open_run(Step.MAIN, "main") as run,
        pytest.raises(TrackingError, match="alias 'v1': must be letters"),
    ):
        run_main(run, {"small": finished.config}, "main", "v1")


def test_an_engine_that_is_not_installed_is_refused_before_any_training(
    finished: Finished, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ner_mlflow.tagging.engines.find_spec", lambda _: None)
    trainings = len(finished_runs(Step.TRAIN, "0"))
    config = override(finished.config, {"train.seed": 99})
    message = "engine 'onnxruntime' is not installed"
    with open_run(Step.MAIN, "main") as run, pytest.raises(ModelError, match=message):
        run_main(run, {"small": config}, "main", "champion")
    with open_run(Step.SWEEP, "sweep") as run, pytest.raises(ModelError, match=message):
        run_sweep(run, config, finished.data, "swept", "candidate")
    assert len(finished_runs(Step.TRAIN, "0")) == trainings
    assert finished_runs(Step.TRIAL, "0") == []
