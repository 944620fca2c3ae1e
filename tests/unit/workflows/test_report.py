"""A report on trained models is made from their records, and shows what serves them."""

import mlflow
import pytest
from pipelines import Finished

from ner_mlflow.tracking.lifecycle import open_run
from ner_mlflow.tracking.steps import Step
from ner_mlflow.workflows.report import log_comparison, report_on


def test_the_report_has_the_scores_of_the_model_and_of_its_served_file(finished: Finished) -> None:
    result, config = finished.result, finished.config
    report = report_on([result], finished.data, config.evaluate, config.export)
    assert report.title == "1 model on test of corpus"
    (row,) = report.tables["results"].to_dict("records")
    assert (row["model"], row["f1"]) == ("small", result.evaluate.scores["f1"])
    (served,) = report.tables["served"].to_dict("records")
    assert (served["file"], served["f1"]) == ("fp32", result.served.scores["f1"])
    assert served["f1_lost"] == pytest.approx(0, abs=1e-6)
    assert served["standin_f1"] == result.served.text_scores["f1"]
    (variant,) = report.tables["variants"].to_dict("records")
    assert (variant["variant"], variant["served"]) == ("fp32", "*")
    assert variant["latency_ratio"] == 1.0


def test_a_run_is_described_by_the_conclusion_with_links(finished: Finished) -> None:
    result, config = finished.result, finished.config
    report = report_on([result], finished.data, config.evaluate, config.export)
    with open_run(Step.COMPARE, "compare") as run:
        log_comparison(run, report, [result], ["It is the best.", "It has one weakness."])
    tracked = mlflow.get_run(run.id)
    description = tracked.data.tags["mlflow.note.content"]
    # MLflow folds all but the first lines, so the links stand above the table.
    assert description.startswith("It is the best. It has one weakness.\n\n[whole report](")
    assert description.index("[errors of small]") < description.index("| model&emsp; |")
    for run_id in (result.train.run_id, result.export.run_id, result.served.run_id):
        assert f"(#/experiments/0/runs/{run_id}?" in description
    assert f"runs/{run.id}/artifacts/comparison.html" in description
    assert tracked.data.metrics["small/served/test/f1"] == result.served.scores["f1"]
    page = mlflow.artifacts.load_text(f"runs:/{run.id}/comparison.html")
    assert "It is the best. It has one weakness." in page
    # A model without errors has no examples of them.
    assert ("Sentences with the most errors by small" in page) == (result.served.scores["f1"] < 1)
