"""A trained model is exported once, with the data that it was trained on, and registered."""

from dataclasses import replace

import mlflow
import pytest
from pipelines import Finished

from ner_mlflow.data.dataset import PreparedDataset, fingerprint
from ner_mlflow.errors import DataError, ModelError
from ner_mlflow.tracking.lifecycle import open_run
from ner_mlflow.tracking.models import find_model
from ner_mlflow.tracking.records import VersionOrigin
from ner_mlflow.tracking.steps import Step
from ner_mlflow.workflows.export import register_export, run_export


def test_the_served_files_are_those_that_were_proven(finished: Finished) -> None:
    export = finished.result.export
    served, variant = find_model(export.model_uri), find_model(export.variant_uri("fp32"))
    assert served.fingerprint == variant.fingerprint == export.served_fingerprint
    assert export.served_metrics["validation_f1_loss"] == pytest.approx(0)
    assert export.served_metrics["max_logit_difference"] < 1e-3


def test_an_exported_model_is_not_exported_again(finished: Finished) -> None:
    model = find_model(finished.result.export.model_uri)
    with (
        open_run(Step.EXPORT, "export") as run,
        pytest.raises(ModelError, match="is exported already: give the train run"),
    ):
        run_export(run, finished.config.export, model, finished.data)
    mlflow.MlflowClient().delete_run(run.id)


def test_other_data_than_that_of_the_training_is_refused(finished: Finished) -> None:
    model, dataset = find_model(finished.result.train.model_uri), finished.data.dataset
    corpus = {**dataset.corpus, "train": dataset.corpus["train"][:-1]}
    digest = fingerprint(corpus, dataset.schema)
    other = replace(
        finished.data,
        run_id="0" * 32,
        dataset=PreparedDataset(dataset.name, corpus, dataset.schema, digest),
    )
    with (
        open_run(Step.EXPORT, "export") as run,
        pytest.raises(DataError, match=f"data run {'0' * 32} is not the dataset that models:/"),
    ):
        run_export(run, finished.config.export, model, other)
    mlflow.MlflowClient().delete_run(run.id)


def test_an_export_is_registered_with_its_origin(finished: Finished) -> None:
    export = finished.result.export
    assert register_export(export, "exported", "candidate", finished.config.export) == "1"
    version = mlflow.MlflowClient().get_model_version_by_alias("exported", "candidate")
    expected = VersionOrigin(variant="fp32", export_run=export.run_id, model=export.model)
    assert VersionOrigin.from_tags(version.tags) == expected
    in_words, in_text = (export.served_metrics[f"validation_{name}f1"] for name in ("", "standin_"))
    assert version.description.startswith(
        f"Exported from {export.model} as fp32. On validation: F1 {in_words:.4f} ("
    )
    assert f"on given words, {in_text:.4f} (" in version.description
    assert version.description.endswith(") in a stand-in for running text (words joined).")


def test_the_proof_says_what_is_lost_in_running_text(finished: Finished) -> None:
    metrics = finished.result.export.served_metrics
    lost = metrics["validation_f1"] - metrics["validation_standin_f1"]
    assert metrics["validation_served_f1_lost"] == pytest.approx(lost)
    assert metrics["validation_standin_f1_low"] <= metrics["validation_standin_f1_high"]
    assert not [name for name in metrics if name.startswith("validation_raw")]
    table = mlflow.load_table("tables/variants.json", run_ids=[finished.result.export.run_id])
    assert {"validation_standin_f1", "validation_served_f1_lost"} <= set(table.columns)


def test_a_loss_beyond_the_limit_is_said_when_the_model_is_registered(
    finished: Finished, caplog: pytest.LogCaptureFixture
) -> None:
    export = finished.result.export
    losing = {**export.metrics, "fp32/validation_served_f1_lost": 0.0701}
    for limit, name in ((0.05, "loses"), (0.08, "within")):
        config = finished.config.export.model_copy(update={"served_loss_limit": limit})
        register_export(replace(export, metrics=losing), name, None, config)
    said, unsaid = (
        mlflow.MlflowClient().get_model_version(name, "1").description
        for name in ("loses", "within")
    )
    warning = (
        "fp32 loses 0.0701 validation F1 from given words to a stand-in for running text (words "
        "joined), more than export.served_loss_limit=0.05."
    )
    assert said.endswith(warning)
    assert "loses" not in unsaid
    assert [record.message for record in caplog.records if "loses" in record.message] == [warning]
