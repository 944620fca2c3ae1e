"""A trained model is exported once, with the data that it was trained on, and registered."""

from dataclasses import replace
from pathlib import Path

import mlflow
import pytest
from pipelines import Finished

from ner_mlflow.data.dataset import PreparedDataset, fingerprint
from ner_mlflow.errors import DataError, ModelError
from ner_mlflow.exporting.variants import ExportReport, VariantReport
from ner_mlflow.tagging.engines import find_engine
from ner_mlflow.tracking.lifecycle import open_run
from ner_mlflow.tracking.models import find_model
from ner_mlflow.tracking.steps import Step
from ner_mlflow.workflows.export import run_export, variants_in_words


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


def test_the_proof_says_what_is_lost_in_running_text(finished: Finished) -> None:
    metrics = finished.result.export.served_metrics
    lost = metrics["validation_f1"] - metrics["validation_standin_f1"]
    assert metrics["validation_served_f1_lost"] == pytest.approx(lost)
    assert metrics["validation_standin_f1_low"] <= metrics["validation_standin_f1_high"]
    assert not [name for name in metrics if name.startswith("validation_raw")]
    table = mlflow.load_table("tables/variants.json", run_ids=[finished.result.export.run_id])
    assert {"validation_standin_f1", "validation_served_f1_lost"} <= set(table.columns)


def test_the_run_says_which_variant_is_served_and_why_another_may_not_be(
    finished: Finished,
) -> None:
    run = mlflow.get_run(finished.result.export.run_id)
    assert run.data.tags["mlflow.note.content"].startswith("fp32 is served: ")
    metrics = {"size_bytes": 91_601_563.0, "validation_f1": 0.88717}
    engine, folder = find_engine("onnxruntime"), Path()
    served = VariantReport("fp32", "fp32", engine, folder, metrics, ())
    failed = replace(served, name="int8", failures=("F1 is 0.0115 lower, more than 0.01",))
    assert variants_in_words(ExportReport((served, failed), served, {}, {})) == (
        "fp32 is served: 91.6 MB, validation F1 0.8872. "
        "int8 may not be served: F1 is 0.0115 lower, more than 0.01."
    )
