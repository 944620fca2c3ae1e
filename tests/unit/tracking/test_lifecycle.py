"""Runs are opened, adopted, resumed and ended with the right status."""

import os
from contextlib import suppress

import mlflow
import pytest
from conftest import free_port

from ner_mlflow.errors import DataError, TrackingError
from ner_mlflow.tracking.lifecycle import (
    RUN_VARIABLE,
    connect,
    end_dead_run,
    open_child,
    open_child_of,
    open_run,
    open_run_or_child,
    set_parent,
)
from ner_mlflow.tracking.queries import read_run
from ner_mlflow.tracking.remote import StoreAwayError
from ner_mlflow.tracking.steps import Step


def opened_by_mlflow(monkeypatch: pytest.MonkeyPatch, name: str) -> str:
    """Return the id of a run that `mlflow run` opened for the next command."""
    run_id: str = mlflow.MlflowClient().create_run("0", run_name=name).info.run_id
    monkeypatch.setenv(RUN_VARIABLE, run_id)
    return run_id


@pytest.fixture
def interrupted(store: str) -> str:
    """The id of a train run that Ctrl-C ended, below a parent that still counts as running."""
    parent = mlflow.MlflowClient().create_run("0").info.run_id
    with suppress(KeyboardInterrupt), open_run(Step.TRAIN, "train") as run:
        run.log_metrics({"loss": 1.0}, step=1)
        raise KeyboardInterrupt
    set_parent(run.id, parent)
    return run.id


def test_a_run_holds_its_step_and_provenance(store: str) -> None:
    with open_run(Step.DATA, "data sample") as run:
        pass
    summary = read_run(run.id)
    assert (summary.name, summary.step, summary.status) == ("data sample", "data", "FINISHED")
    assert {"git_commit", "code_fingerprint", "package_version", "cpu"} <= set(summary.tags)
    assert "python" in mlflow.artifacts.load_text(f"runs:/{run.id}/provenance.yaml")


def test_an_interrupted_run_ends_as_killed_without_an_error(interrupted: str) -> None:
    summary = read_run(interrupted)
    assert summary.status == "KILLED"
    assert "error" not in summary.tags


def test_an_error_of_this_package_is_noted_without_its_class(store: str) -> None:
    with pytest.raises(DataError), open_run(Step.DATA, "data") as run:
        raise DataError("no sentences:\ngive a file")
    summary = read_run(run.id)
    assert summary.status == "FAILED"
    assert summary.tags["error"].startswith("no sentences")
    assert "\n" not in summary.tags["error"]


def test_the_run_of_mlflow_run_is_adopted(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    adopted = opened_by_mlflow(monkeypatch, "nimble-fox-123")
    with open_run(Step.TRAIN, "train minilm_full") as run:
        assert run.id == adopted
    assert read_run(adopted).name == "train minilm_full"
    assert len(mlflow.search_runs(["0"], output_format="list")) == 1


def test_an_adopted_run_keeps_a_name_that_a_user_chose(
    store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    adopted = opened_by_mlflow(monkeypatch, "my run")
    with open_run(Step.TRAIN, "train minilm_full"):
        pass
    assert read_run(adopted).name == "my run"


def test_a_resumed_run_is_the_interrupted_one(interrupted: str) -> None:
    with open_run(Step.TRAIN, "train", resume=interrupted) as run:
        assert run.id == interrupted
        run.log_metrics({"loss": 9.0}, step=1)
        run.log_metrics({"loss": 0.5}, step=2)
    assert read_run(interrupted).status == "FINISHED"
    history = mlflow.MlflowClient().get_metric_history(interrupted, "loss")
    assert [(metric.step, metric.value) for metric in history] == [(1, 1.0), (2, 0.5)]


def test_an_adopted_run_names_the_run_that_is_resumed_in_its_place(
    interrupted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    adopted = opened_by_mlflow(monkeypatch, "nimble-fox-123")
    with open_run(Step.TRAIN, "train", resume=interrupted) as run:
        assert run.id == interrupted
        assert RUN_VARIABLE not in os.environ
    summary = read_run(adopted)
    assert summary.tags["resumed_run"] == interrupted
    assert summary.name == f"resume {interrupted}"


def test_a_resumed_child_moves_to_its_new_parent_and_its_old_one_ends(interrupted: str) -> None:
    old_parent = read_run(interrupted).parent
    assert read_run(old_parent).status == "RUNNING"
    with (
        open_run(Step.MAIN, "main") as parent,
        open_child(parent, Step.TRAIN, "train", resume=interrupted) as child,
    ):
        assert child.id == interrupted
    assert read_run(interrupted).parent == parent.id
    assert read_run(old_parent).status == "KILLED"


def test_a_child_of_another_process_has_its_tags_from_the_start(store: str) -> None:
    with open_run(Step.SWEEP, "sweep") as parent:
        parent_id, experiment_id = parent.id, parent.experiment_id
    tags = {"trial_number": 3}
    with open_child_of(parent_id, experiment_id, Step.TRIAL, "trial 3", tags) as run:
        assert read_run(run.id).tags["trial_number"] == "3"
        run.log_metrics({"loss": 1.0}, step=1)
    summary = read_run(run.id)
    assert (summary.parent, summary.metrics["loss"]) == (parent_id, 1.0)


def test_a_run_of_the_api_is_a_child_of_the_active_run(store: str) -> None:
    with mlflow.start_run() as notebook, open_run_or_child(Step.DATA, "data") as child:
        pass
    with open_run_or_child(Step.DATA, "data") as alone:
        pass
    assert read_run(child.id).parent == notebook.info.run_id
    assert read_run(alone.id).parent == ""


def test_the_run_of_a_dead_process_ends_as_killed(store: str) -> None:
    run_id = mlflow.MlflowClient().create_run("0").info.run_id
    end_dead_run(run_id, "its process ended", {"trial_state": "lost"})
    summary = read_run(run_id)
    assert summary.status == "KILLED"
    assert (summary.tags["error"], summary.tags["trial_state"]) == ("its process ended", "lost")


def test_a_run_to_adopt_that_does_not_exist_is_named(
    store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(RUN_VARIABLE, "0" * 32)
    with (
        pytest.raises(TrackingError, match=r"no run can be started \(.*check .*MLFLOW_RUN_ID"),
        open_run(Step.DATA, "data"),
    ):
        pass


def test_a_server_that_does_not_answer_is_named_without_its_password(
    store: str, caplog: pytest.LogCaptureFixture
) -> None:
    port = free_port()
    address = f"http://me:***@127.0.0.1:{port}"
    mlflow.set_tracking_uri(f"http://me:hunter2@127.0.0.1:{port}")
    with pytest.raises(StoreAwayError) as caught:
        connect(needed=True)
    assert f"tracking server {address} does not answer (ConnectionError)" in str(caught.value)
    assert "start it, or set MLFLOW_TRACKING_URI to one that runs" in str(caught.value)
    mlflow.set_tracking_uri(f"http://me:hunter2@127.0.0.1:{port}/")
    connect()
    assert "work goes on" in caplog.text
    assert "hunter2" not in caplog.text + str(caught.value)


def test_a_store_that_cannot_be_opened_is_named(store: str) -> None:
    mlflow.set_tracking_uri("sqlite:////proc/none/mlflow.db")
    with pytest.raises(TrackingError, match=r"tracking store .* cannot be used .*MLFLOW_TRACKING"):
        connect()
