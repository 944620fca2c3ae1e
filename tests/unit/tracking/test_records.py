"""The record that a step writes to its run is read back, for every kind of run."""

from dataclasses import fields
from typing import Any, get_type_hints

import pytest

from ner_mlflow.errors import ModelError, TrackingError
from ner_mlflow.tracking import records
from ner_mlflow.tracking.lifecycle import open_run
from ner_mlflow.tracking.queries import read_run
from ner_mlflow.tracking.records import (
    RECORDS,
    DataRecord,
    EvaluateRecord,
    ExportRecord,
    Record,
    TrainRecord,
    VersionOrigin,
    dataset_of,
    logged_model_uri,
    variant_metrics,
)
from ner_mlflow.tracking.steps import Step

pytestmark = pytest.mark.usefixtures("store")

SAMPLES: dict[type, Any] = {str: "a value", int: 7, bool: True}
ON_DATASET = {"data_run": "d" * 32, "dataset": "tiny", "dataset_fingerprint": "f" * 64}


def filled(record: type[Record], run_id: str) -> Record:
    """Return a record with a value in every field."""
    types = get_type_hints(record)
    values = {
        entry.name: SAMPLES[types[entry.name]]
        for entry in fields(record)
        if entry.name not in ("run_id", "metrics")
    }
    return record(**{**values, "run_id": run_id})


def test_every_step_with_a_result_has_one_record() -> None:
    with_result = set(Step) - {Step.INSPECT, Step.DEMO}
    assert sorted(record.STEP for record in RECORDS) == sorted(with_result)


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.__name__)
def test_what_is_written_is_read_back(record: type[Record]) -> None:
    with open_run(record.STEP, "run") as run:
        written = filled(record, run.id)
        written.write(run)
    assert record.read(run.id) == written
    assert record.latest("0") == written


def test_false_and_empty_values_are_read_back() -> None:
    with open_run(Step.PROMOTE, "run") as run:
        written = records.PromoteRecord(run_id=run.id, candidate="a", champion="b", alias="c")
        written.write(run)
    assert records.PromoteRecord.read(run.id) == written


def test_a_run_of_another_step_is_refused() -> None:
    with open_run(Step.DATA, "run") as run:
        DataRecord(run_id=run.id, dataset="tiny", dataset_fingerprint="f").write(run)
    with pytest.raises(
        TrackingError, match="is a data run, not a train run: give the id of a train"
    ):
        TrainRecord.read(run.id)


def test_a_run_that_ended_too_early_is_refused() -> None:
    with open_run(Step.DATA, "run") as run:
        pass
    with pytest.raises(
        TrackingError, match=r"data run .* lacks the tag 'dataset': .* run the step"
    ):
        DataRecord.read(run.id)


def test_a_run_that_does_not_exist_is_refused() -> None:
    with pytest.raises(TrackingError, match="is not in sqlite"):
        DataRecord.read("0" * 32)


def test_the_metrics_of_variants_are_found_by_variant() -> None:
    metrics = {"validation_f1": 0.5, "latency/real/p50_ms": 2.0}
    with open_run(Step.EXPORT, "run") as run:
        record = ExportRecord(run_id=run.id, model="m", served_variant="int8", **ON_DATASET)
        record.write(run)
        run.log_metrics(variant_metrics("fp32", metrics))
        run.log_metrics(variant_metrics("int8", {**metrics, "validation_f1": 0.4}))
    read = ExportRecord.read(run.id)
    assert read.variants["fp32"] == metrics
    assert read.served_metrics["validation_f1"] == 0.4
    assert set(read.variants) == {"fp32", "int8"}  # and not what MLflow logs of the system


@pytest.mark.parametrize("kind", ["raw", "standin"])
def test_scores_in_running_text_are_found_by_their_kind(kind: str) -> None:
    metrics = {"test/f1": 0.8, f"{kind}/f1": 0.5, f"{kind}/OS/f1": 0.4, "served/f1_lost": 0.3}
    with open_run(Step.EVALUATE, "run") as run:
        EvaluateRecord(run_id=run.id, model="m", split="test", **ON_DATASET).write(run)
        run.log_metrics(metrics)
    read = EvaluateRecord.read(run.id)
    assert read.text_kind == kind
    assert read.text_scores == {"f1": 0.5, "OS/f1": 0.4}
    assert read.scores == {"f1": 0.8}
    served = {"fp32/validation_f1": 0.8, f"fp32/validation_{kind}_f1": 0.5}
    export = ExportRecord(
        run_id="e", model="m", served_variant="fp32", metrics=served, **ON_DATASET
    )
    assert export.text_kind == kind


def test_the_model_and_the_dataset_of_a_run_are_found() -> None:
    with open_run(Step.TRAIN, "run") as run:
        TrainRecord(run_id=run.id, model_uri="models:/m-1", **ON_DATASET).write(run)
    assert logged_model_uri(run.id) == "models:/m-1"
    dataset = dataset_of(run.id)
    assert dataset is not None
    assert (dataset.run_id, dataset.dataset) == (ON_DATASET["data_run"], "tiny")
    with open_run(Step.DATA, "run") as other:
        pass
    assert dataset_of(other.id) is None
    with pytest.raises(ModelError, match=r"run .* \(data\) logged no model"):
        logged_model_uri(other.id)


def test_the_origin_of_a_version_is_read_back_from_its_tags() -> None:
    origin = VersionOrigin(variant="int8", export_run="e", preset="minilm_full")
    assert VersionOrigin.from_tags({**origin.tags(), "promoted_by": "me"}) == origin
    assert "train_run" not in origin.tags()


def test_a_preset_is_noted_beside_the_record() -> None:
    with open_run(Step.DATA, "run") as run:
        records.note_preset(run, "minilm_full")
        DataRecord(run_id=run.id, dataset="tiny", dataset_fingerprint="f").write(run)
    assert DataRecord.read(run.id).preset == "minilm_full"
    assert read_run(run.id).step == Step.DATA
