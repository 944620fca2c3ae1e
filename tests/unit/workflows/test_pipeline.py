"""Steps run once below their parent, and are reused, compared and registered by their records."""

from pipelines import Finished

from ner_mlflow.config.loading import load_config
from ner_mlflow.tracking.lifecycle import open_run
from ner_mlflow.tracking.queries import finished_runs, read_run
from ner_mlflow.tracking.records import (
    DataRecord,
    EvaluateRecord,
    ExportRecord,
    TrainRecord,
)
from ner_mlflow.tracking.steps import Step
from ner_mlflow.workflows.pipeline import Pipeline
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
    assert EvaluateRecord.read(result.served.run_id) == result.served
    records = (result.train, result.evaluate, result.export, result.served)
    children = [finished.data.run_id, *(record.run_id for record in records)]
    assert {read_run(run_id).parent for run_id in children} == {finished.parent}
    tags = read_run(finished.parent).tags
    assert [tags[f"child.{step} small"] for step in STEPS[1:]] == children[1:-1]
    assert tags["child.evaluate fp32 small"] == result.served.run_id
    assert [read_run(run_id).name for run_id in children] == [
        "data · corpus",
        "small · train · corpus · seed 13",
        "small · evaluate · corpus · seed 13",
        "small · export · corpus · seed 13",
        "small fp32 · evaluate · corpus · seed 13",
    ]
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
    assert counts() == {**before, Step.EVALUATE: before[Step.EVALUATE] + 2}
    assert result.evaluate.run_id != finished.result.evaluate.run_id
    assert read_run(result.evaluate.run_id).parent == parent.id
    # What is made from a model has the preset of its training.
    assert read_run(result.evaluate.run_id).tags["preset"] == "small"
    assert result.evaluate.scores["f1"] == finished.result.evaluate.scores["f1"]
