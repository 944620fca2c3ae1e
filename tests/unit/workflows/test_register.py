"""A registered version is described by a card with the figures of the file that it serves."""

from dataclasses import replace

import mlflow
import pytest
from pipelines import Finished

from ner_mlflow.config.loading import override
from ner_mlflow.pages import COLUMN_SPACE
from ner_mlflow.tracking.lifecycle import open_run
from ner_mlflow.tracking.queries import download
from ner_mlflow.tracking.records import ExportRecord, VersionOrigin
from ner_mlflow.tracking.steps import Step
from ner_mlflow.workflows.register import evaluate_served, register_served


def register(
    finished: Finished, name: str, export: ExportRecord | None = None, limit: float = 1.0
) -> str:
    """Register the finished model under a name, with the alias candidate."""
    result = finished.result
    config = override(finished.config, {"export.served_loss_limit": limit})
    with open_run(Step.EXPORT, "export") as run:
        return register_served(
            run, export or result.export, result.served, finished.data, name, "candidate", config
        )


def test_the_served_model_is_registered_with_its_origin_and_card(finished: Finished) -> None:
    assert register(finished, "card") == "1"
    result = finished.result
    version = mlflow.MlflowClient().get_model_version_by_alias("card", "candidate")
    assert VersionOrigin.from_tags(version.tags) == VersionOrigin(
        preset="small",
        variant="fp32",
        train_run=result.train.run_id,
        evaluate_run=result.served.run_id,
        export_run=result.export.run_id,
        model=result.train.model_uri,
    )
    card = (download(result.export.model_uri) / "README.md").read_text(encoding="utf-8")
    assert card.startswith("---\n")
    assert "model-index:" in card
    for text in (version.description.replace(COLUMN_SPACE, ""), card):
        assert 'mlflow.pyfunc.load_model("models:/card/1")' in text
        assert f"| test, given words | {result.served.scores['f1']:.4f} |" in text
        in_text = f"{result.served.text_scores['f1']:.4f}"
        assert f"a stand-in for running text | {in_text} |" in text
        assert f"fingerprint {finished.data.dataset.fingerprint[:12]}, licence: not stated" in text
        assert f"- evaluate: run {result.served.run_id}" in text
    assert f"#/experiments/0/runs/{result.served.run_id}" in version.description
    (entities,) = mlflow.pyfunc.load_model("models:/card@candidate").predict(
        ["I use Ubuntu 7.04 train"]
    )
    assert {entity["label"] for entity in entities} <= {"OS", "VERSION"}


def test_a_loss_beyond_the_limit_is_logged_and_in_the_card(
    finished: Finished, caplog: pytest.LogCaptureFixture
) -> None:
    export = finished.result.export
    losing = {**export.metrics, "fp32/validation_served_f1_lost": 0.0701}
    for limit, name in ((0.05, "loses"), (0.08, "within")):
        register(finished, name, replace(export, metrics=losing), limit)
    said, unsaid = (
        mlflow.MlflowClient().get_model_version(name, "1").description
        for name in ("loses", "within")
    )
    warning = (
        "fp32 loses 0.0701 validation F1 from given words to a stand-in for running text (words "
        "joined), more than export.served_loss_limit=0.05."
    )
    assert f"- {warning}" in said
    assert "more than export.served_loss_limit" not in unsaid
    assert [record.message for record in caplog.records if "0.0701" in record.message] == [warning]


def test_a_file_that_was_scored_before_is_not_scored_again(finished: Finished) -> None:
    with open_run(Step.EXPORT, "export") as run:
        config = finished.config.evaluate
        served = evaluate_served(run, finished.result.export, config, finished.data)
    assert served == finished.result.served
