"""A step takes the inputs that are named, otherwise the latest, and makes missing ones."""

import logging

import mlflow
import pytest
from pipelines import Finished

from ner_mlflow.config.loading import load_config
from ner_mlflow.errors import TrackingError
from ner_mlflow.tracking.lifecycle import open_run
from ner_mlflow.tracking.queries import read_run
from ner_mlflow.tracking.steps import Step
from ner_mlflow.workflows.inputs import find_data, find_data_of_model, find_trained


def test_the_latest_data_run_is_taken_and_reported(
    finished: Finished, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO), open_run(Step.ROBUSTNESS, "robustness") as run:
        data = find_data(run, finished.config)
    assert data == finished.data
    assert any(f"data: run {data.run_id}, the latest finished" in text for text in caplog.messages)


@pytest.mark.parametrize("address", ["{}", "runs:/{}", "runs:/{}/dataset"])
def test_a_data_run_is_named_by_its_id_or_uri(finished: Finished, address: str) -> None:
    with open_run(Step.ROBUSTNESS, "robustness") as run:
        data = find_data(run, finished.config, address.format(finished.data.run_id))
    assert data == finished.data


def test_an_address_of_no_data_run_is_refused(finished: Finished) -> None:
    with open_run(Step.ROBUSTNESS, "robustness") as run:
        with pytest.raises(TrackingError, match="data_run 'sample': must be a run id, runs:/ID or"):
            find_data(run, finished.config, "sample")
        with pytest.raises(TrackingError, match="is a train run, not a data run"):
            find_data(run, finished.config, finished.result.train.run_id)


def test_missing_data_is_prepared_in_a_child_run(
    store: str, finished_pipeline: Finished, caplog: pytest.LogCaptureFixture
) -> None:
    mlflow.set_tracking_uri(store)
    with caplog.at_level(logging.INFO), open_run(Step.ROBUSTNESS, "robustness") as run:
        data = find_data(run, finished_pipeline.config)
    assert read_run(data.run_id).parent == run.id
    assert data.dataset.fingerprint == finished_pipeline.data.dataset.fingerprint
    assert "data: no finished data run in this experiment: preparing it" in caplog.messages


def test_the_latest_trained_model_or_a_named_one_is_taken(finished: Finished) -> None:
    with open_run(Step.EVALUATE, "evaluate") as run:
        latest = find_trained(run, finished.config)
        named = find_trained(run, finished.config, finished.result.export.model_uri)
    assert latest.address == finished.result.train.model_uri
    assert named.is_onnx


def test_a_model_is_used_with_the_dataset_of_its_run(finished: Finished) -> None:
    other = load_config(str(finished.preset), {"data.cross_split_duplicates": "keep"})
    with open_run(Step.DATA, "data") as later:
        later.set_tags({"dataset": "other", "dataset_fingerprint": "f"})
    try:
        with open_run(Step.EXPORT, "export") as run:
            model = find_trained(run, other, finished.result.train.run_id)
            data = find_data_of_model(run, other, model)
        assert data == finished.data
    finally:
        mlflow.MlflowClient().delete_run(later.id)
