"""Runs go to an experiment named by the dataset, unless the user names another."""

from pathlib import Path

import mlflow
import pytest

from ner_mlflow.cli.options import GivenSettings, SettingOption
from ner_mlflow.cli.runs import open_step
from ner_mlflow.config.settings import SETTINGS
from ner_mlflow.tracking.steps import Step


def given(dataset: str = "") -> GivenSettings:
    """Return what a command line with a dataset gives, or one without any setting."""
    option = SettingOption(["--dataset"], SETTINGS["data.dataset"])
    return GivenSettings(((option, dataset),) if dataset else ())


def experiment_of(step: Step, dataset: str = "", preset: str | None = None) -> str:
    with open_step(step, given(dataset), preset) as (run, _):
        pass
    return str(mlflow.get_experiment(run.experiment_id).name)


@pytest.fixture(autouse=True)
def _no_active_experiment(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MLFLOW_EXPERIMENT_NAME", "MLFLOW_EXPERIMENT_ID"):
        monkeypatch.delenv(name, raising=False)


def test_a_dataset_has_an_experiment_of_its_own(tmp_path: Path) -> None:
    corpus = tmp_path / "tickets"
    corpus.mkdir()
    assert experiment_of(Step.DATA) == "sample"
    assert experiment_of(Step.DATA, str(corpus)) == "tickets"
    assert experiment_of(Step.MAIN, "owner/name") == "owner/name"


def test_a_step_without_a_dataset_goes_on_where_the_last_run_is(tmp_path: Path) -> None:
    assert experiment_of(Step.TRAIN) == "sample"  # there is no run yet
    corpus = tmp_path / "tickets"
    corpus.mkdir()
    experiment_of(Step.DATA, str(corpus))
    assert experiment_of(Step.TRAIN) == "tickets"
    assert experiment_of(Step.EVALUATE, "sample") == "sample"


def test_an_experiment_that_the_user_names_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "mine")
    assert experiment_of(Step.DATA) == "mine"


def test_the_ui_opens_a_new_experiment_as_one_of_model_training() -> None:
    experiment_of(Step.DATA)
    tags = mlflow.get_experiment_by_name("sample").tags
    assert tags["mlflow.experimentKind"] == "custom_model_development"
