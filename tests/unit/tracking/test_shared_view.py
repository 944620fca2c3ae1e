"""The view of training runs is saved in their experiment, and nothing of the user's is lost."""

import json
import logging
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import mlflow
import pytest
from conftest import StoreMaker

from ner_mlflow.tracking.lifecycle import choose_experiment, open_run
from ner_mlflow.tracking.shared_view import save_view, view_link
from ner_mlflow.tracking.steps import Step

NOTE = "mlflow.note.content"


def view(experiment_id: str) -> dict[str, object]:
    """Return the view that the link to an experiment's training runs names."""
    query = parse_qs(urlsplit(view_link(experiment_id).removeprefix("#")).query)
    tags = mlflow.get_experiment(experiment_id).tags
    found = json.loads(tags[f"mlflow.sharedViewState.{query['viewStateShareKey'][0]}"])
    assert isinstance(found, dict)
    return found


def test_a_run_saves_a_view_of_training_runs_by_test_f1(
    make_store: StoreMaker, tmp_path: Path
) -> None:
    make_store(tmp_path)
    experiment_id = choose_experiment("tickets")
    with open_run(Step.DATA, "data", experiment_id=experiment_id) as run:
        assert run.experiment_id == experiment_id
    saved = view(run.experiment_id)
    assert saved["searchFilter"] == "tags.`ner.step` = 'train'"
    assert saved["orderByKey"] == "metrics.`test/f1`"
    columns = saved["selectedColumns"]
    assert isinstance(columns, list)
    assert {"metrics.`test/f1`", "params.`train.learning_rate`", "params.`model.lora_rank`"} <= {
        *columns
    }
    note = mlflow.get_experiment(run.experiment_id).tags[NOTE]
    assert view_link(run.experiment_id) in note
    assert view_link(run.experiment_id, charts=True) in note


def test_a_description_of_the_user_stays_and_an_older_view_is_replaced(
    make_store: StoreMaker, tmp_path: Path
) -> None:
    make_store(tmp_path)
    key = parse_qs(urlsplit(view_link("0").removeprefix("#")).query)["viewStateShareKey"][0]
    old = {NOTE: "Ours.", f"mlflow.sharedViewState.{key}": "{}", "mlflow.experimentKind": "automl"}
    experiment_id = mlflow.create_experiment("ours", tags=old)
    save_view(experiment_id)
    tags = mlflow.get_experiment(experiment_id).tags
    assert (tags[NOTE], tags["mlflow.experimentKind"]) == ("Ours.", "automl")
    assert view(experiment_id)["selectedColumns"]


def test_an_experiment_that_cannot_be_written_is_warned_of(
    make_store: StoreMaker, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    make_store(tmp_path)
    experiment_id = mlflow.create_experiment("gone")
    mlflow.delete_experiment(experiment_id)
    with caplog.at_level(logging.WARNING):
        save_view(experiment_id)
    assert "the view of training runs could not be saved" in caplog.text
