"""Steps run once below their parent, and are reused, compared and registered by their records."""

import mlflow
import pytest
from pipelines import Finished

from ner_mlflow.config.loading import load_config
from ner_mlflow.tracking.lifecycle import open_run
from ner_mlflow.tracking.queries import finished_runs, read_run
from ner_mlflow.tracking.records import (
    DataRecord,
    EvaluateRecord,
    ExportRecord,
    TrainRecord,
    VersionOrigin,
)
from ner_mlflow.tracking.steps import Step
from ner_mlflow.workflows.pipeline import (
    Pipeline,
    best_result,
    compare_results,
    register_result,
)
from ner_mlflow.workflows.train import find_inputs

STEPS = (Step.DATA, Step.TRAIN, Step.EVALUATE, Step.EXPORT)


def counts() -> dict[Step, int]:
    """Return how many finished runs each step has."""
    return {step: len(finished_runs(step, "0")) for step in STEPS}


def test_each_step_is_a_child_run_whose_record_is_returned(finished: Finished) -> None:
    result = finished.result
    assert TrainRecord.read(result.train.run_id) == result.train
    assert EvaluateRecord.read(result.evaluate.run_id) == result.evaluate
    assert ExportRecord.read(result.export.run_id) == result.export
    assert DataRecord.read(finished.data.run_id).dataset_fingerprint == (
        finished.data.dataset.fingerprint
    )
    children = [finished.data.run_id]
    children += [record.run_id for record in (result.train, result.evaluate, result.export)]
    assert {read_run(run_id).parent for run_id in children} == {finished.parent}
    tags = read_run(finished.parent).tags
    assert [tags[f"child.{step} small"] for step in STEPS[1:]] == children[1:]
    assert result.types == ("OS", "VERSION")


def test_steps_with_equal_settings_are_reused(finished: Finished) -> None:
    before = counts()
    with open_run(Step.MAIN, "main") as parent:
        pipeline = Pipeline(parent, "again")
        data = pipeline.prepare(finished.config)
        trained = pipeline.train(finished.config, data, find_inputs(finished.config))
        result = pipeline.evaluate_and_export(finished.config, trained, data)
    assert counts() == before
    assert data.run_id == finished.data.run_id
    assert result.train == finished.result.train
    assert result.train.metrics.keys() >= {"best_validation/f1"}
    assert result.export == finished.result.export
    # The parent notes which runs it reused.
    tags = read_run(parent.id).tags
    assert tags["child.train again"] == finished.result.train.run_id


def test_a_changed_setting_repeats_the_step_that_depends_on_it(finished: Finished) -> None:
    before = counts()
    config = load_config(str(finished.preset), {"evaluate.error_pairs": 7})
    with open_run(Step.MAIN, "main") as parent:
        pipeline = Pipeline(parent, "changed")
        data = pipeline.prepare(config)
        trained = pipeline.train(config, data, find_inputs(config))
        result = pipeline.evaluate_and_export(config, trained, data)
    assert counts() == {**before, Step.EVALUATE: before[Step.EVALUATE] + 1}
    assert result.evaluate.run_id != finished.result.evaluate.run_id
    assert read_run(result.evaluate.run_id).parent == parent.id
    assert read_run(result.evaluate.run_id).tags["preset"] == "changed"
    assert result.evaluate.scores["f1"] == finished.result.evaluate.scores["f1"]


def test_results_are_compared_in_one_table(finished: Finished) -> None:
    result = finished.result
    results = compare_results([result], finished.data, finished.config.export)
    (row,) = results.table.to_dict("records")
    assert row["preset"] == "small"
    assert row["best"] == "*"
    assert row["validation_f1"] == result.train.validation_f1
    assert row["test_f1"] == result.evaluate.scores["f1"]
    assert row["standin_f1"] == result.evaluate.text_scores["f1"]
    assert {"OS_f1", "VERSION_f1"} <= row.keys()
    assert row["served"] == "fp32"
    assert row["size_mb"] == row["fp32_size_mb"] > 0
    # The served file is the reference of all ratios.
    assert row["fp32_latency_ratio"] == row["latency_ratio"] == 1.0
    assert row["latency_p50_ms"] == row["fp32_latency_p50_ms"] > 0
    assert row["train_run"] == result.train.run_id
    assert "latency_ratio is over fp32 of small" in results.note
    assert best_result([result]) is result


def test_the_served_model_of_a_result_is_registered_with_its_origin(finished: Finished) -> None:
    assert register_result(finished.result, "pipeline", "candidate", finished.config.export) == "1"
    version = mlflow.MlflowClient().get_model_version_by_alias("pipeline", "candidate")
    assert VersionOrigin.from_tags(version.tags) == VersionOrigin(
        preset="small",
        variant="fp32",
        train_run=finished.result.train.run_id,
        evaluate_run=finished.result.evaluate.run_id,
        export_run=finished.result.export.run_id,
    )
    assert version.description.startswith("small, fp32: F1 ")
    in_text = finished.result.evaluate.text_scores["f1"]
    assert f"on given words, {in_text:.4f} (" in version.description
    assert "in a stand-in for running text (words joined)." in version.description
    (entities,) = mlflow.pyfunc.load_model("models:/pipeline@candidate").predict(
        ["I use Ubuntu 7.04 train"]
    )
    assert {entity["label"] for entity in entities} <= {"OS", "VERSION"}
    assert finished.result.train.validation_f1 == pytest.approx(
        finished.result.export.variants["fp32"]["validation_f1"]
    )
