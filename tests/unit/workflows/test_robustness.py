"""A model is scored on perturbed sentences, one row for each kind and severity."""

import mlflow
import pytest
from pipelines import Finished

from ner_mlflow.errors import ConfigError
from ner_mlflow.tracking.lifecycle import open_run
from ner_mlflow.tracking.models import find_model
from ner_mlflow.tracking.queries import read_run
from ner_mlflow.tracking.steps import Step
from ner_mlflow.workflows.robustness import run_robustness


def test_each_kind_and_severity_has_its_loss(finished: Finished) -> None:
    config = finished.config.robustness.model_copy(update={"kinds": ("typos",), "sentences": 8})
    model = find_model(finished.result.export.model_uri)
    with open_run(Step.ROBUSTNESS, "robustness") as run:
        table = run_robustness(run, config, finished.config.evaluate, model, finished.data)
    assert table["kind"].tolist() == ["clean", "typos", "typos", "typos"]
    assert table["f1_drop"].tolist() == pytest.approx((table["f1"][0] - table["f1"]).tolist())
    metrics = read_run(run.id).metrics
    assert metrics["test/robustness/typos_3/f1_drop"] == pytest.approx(table["f1_drop"][3])
    files = {entry.path for entry in mlflow.artifacts.list_artifacts(run_id=run.id)}
    assert {"robustness.html", "robustness.png", "changes.html"} <= files
    worst = table.loc[table["f1_drop"][1:].idxmax()]
    description = mlflow.get_run(run.id).data.tags["mlflow.note.content"]
    assert description.startswith(
        f"F1 is {table['f1'][0]:.4f} without changes. It falls most by typos, severity "
        f"{worst['severity']}: to {worst['f1']:.4f}.\n\n[plot]("
    )


def test_an_unknown_kind_is_named(finished: Finished) -> None:
    config = finished.config.robustness.model_copy(update={"kinds": ("typoes",)})
    model = find_model(finished.result.export.model_uri)
    with (
        open_run(Step.ROBUSTNESS, "robustness") as run,
        pytest.raises(ConfigError, match=r"robustness\.kinds typoes: no such perturbation: give"),
    ):
        run_robustness(run, config, finished.config.evaluate, model, finished.data)
