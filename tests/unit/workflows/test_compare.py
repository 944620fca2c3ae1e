"""A comparison report is made of tracked train runs and their evaluations and exports."""

import mlflow
import pytest
from pipelines import Finished

from ner_mlflow.errors import TrackingError
from ner_mlflow.tracking.lifecycle import open_run
from ner_mlflow.tracking.records import CompareRecord
from ner_mlflow.tracking.steps import Step
from ner_mlflow.workflows.compare import ALL, run_compare


def test_all_evaluated_runs_are_compared(finished: Finished) -> None:
    config = finished.config
    with open_run(Step.COMPARE, "compare") as run:
        report = run_compare(run, config.evaluate, config.export, [ALL]).report
    (row,) = report.tables["results"].to_dict("records")
    assert row["model"] == "small"
    assert row["f1"] == pytest.approx(finished.result.evaluate.scores["f1"])
    assert row["standin_f1"] == finished.result.evaluate.text_scores["f1"]
    assert row["validation_f1"] == pytest.approx(finished.result.train.validation_f1)
    (variant,) = report.tables["variants"].to_dict("records")
    assert (variant["variant"], variant["latency_ratio"]) == ("fp32", 1.0)
    record = CompareRecord.read(run.id)
    assert record.compared_runs == finished.result.train.run_id
    assert record.dataset_fingerprint == finished.data.dataset.fingerprint
    files = {entry.path for entry in mlflow.artifacts.list_artifacts(run_id=run.id)}
    assert {"comparison.html", "comparison.md", "results.html"} <= files


def test_a_named_run_needs_an_evaluation_on_the_split(finished: Finished) -> None:
    train_run = finished.result.train.run_id
    config = finished.config.evaluate.model_copy(update={"split": "train"})
    with open_run(Step.COMPARE, "compare") as run:
        with pytest.raises(TrackingError, match=f"train runs {train_run} have no evaluation on tr"):
            run_compare(run, config, finished.config.export, [train_run])
        with pytest.raises(TrackingError, match="was evaluated on train: run train and evaluate"):
            run_compare(run, config, finished.config.export, [ALL])
