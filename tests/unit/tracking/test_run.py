"""A run writes to itself, whichever run is open beside it."""

import threading

import mlflow
import pandas as pd
import pytest
from matplotlib.figure import Figure

from ner_mlflow.config.loading import load_config
from ner_mlflow.data.dataset import PreparedDataset, fingerprint
from ner_mlflow.data.sentences import Sentence
from ner_mlflow.tagging.label_schema import LabelSchema
from ner_mlflow.tracking.lifecycle import open_child, open_run, ui_address
from ner_mlflow.tracking.queries import read_run
from ner_mlflow.tracking.run import Run
from ner_mlflow.tracking.steps import Step


def write_everything(run: Run) -> None:
    """Call every method that writes."""
    sentences = [Sentence(("Linux",), ("B-OS",))]
    corpus = dict.fromkeys(("train", "validation", "test"), sentences)
    schema = LabelSchema(("OS",))
    dataset = PreparedDataset("tiny", corpus, schema, fingerprint(corpus, schema))
    table = pd.DataFrame({"a": [1.5], "b": ["x"]})
    run.set_tags({"colour": "red"})
    run.describe(table, "a note")
    run.log_config({"train": load_config(overrides={"train.epochs": 7}).train}, ["train.seed"])
    run.log_metrics({"f1": 0.5, "f1 of nothing": float("nan")})
    run.log_metrics({"loss": 0.25}, step=3)
    run.log_table("table", table)
    run.log_page("page", "<p>page</p>")
    run.log_markdown("text", "# text")
    run.log_yaml("values", {"a": 1})
    run.log_figure("figure", Figure())
    run.log_frame("frame", table)
    run.log_dataset(dataset, ("train", "test"), run.id)


WRITTEN = [
    "config.yaml",
    "figure.png",
    "frame.parquet",
    "page.html",
    "provenance.yaml",
    "table.html",
    "tables",
    "text.md",
    "values.yaml",
]


def check_that_all_is_written(run_id: str) -> None:
    run = mlflow.get_run(run_id)
    assert run.data.tags["ner.colour"] == "red"
    assert "a note" in run.data.tags["mlflow.note.content"]
    # What is as by default is in config.yaml alone, unless it is asked for.
    assert run.data.params == {"train.epochs": "7", "train.seed": "13"}
    assert {name: run.data.metrics[name] for name in ("f1", "loss")} == {"f1": 0.5, "loss": 0.25}
    assert "f1 of nothing" not in run.data.metrics  # a metric that is NaN has no value
    assert [file.path for file in mlflow.MlflowClient().list_artifacts(run_id)] == WRITTEN
    inputs = run.inputs.dataset_inputs
    assert [entry.dataset.name for entry in inputs] == ["tiny train", "tiny test"]
    assert [entry.tags[0].value for entry in inputs] == ["training", "testing"]


def test_a_parent_writes_to_itself_while_its_child_is_open(store: str) -> None:
    with open_run(Step.MAIN, "parent") as parent, open_child(parent, Step.TRAIN, "child") as child:
        write_everything(parent)
    check_that_all_is_written(parent.id)
    written = read_run(child.id)
    assert written.parent == parent.id
    assert "colour" not in written.tags
    assert not set(written.params) | (set(written.metrics) & {"f1", "loss"})


def test_a_run_writes_to_itself_from_another_thread(store: str) -> None:
    with open_run(Step.MAIN, "run") as run:
        thread = threading.Thread(target=write_everything, args=(run,))
        thread.start()
        thread.join()
    check_that_all_is_written(run.id)
    assert len(mlflow.search_runs(["0"], output_format="list")) == 1


def test_a_run_that_the_user_named_keeps_its_name(
    store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = []
    for given in ("mine", "nervous-fox-12"):
        with mlflow.start_run(run_name=given) as started:
            pass
        monkeypatch.setenv("MLFLOW_RUN_ID", started.info.run_id)
        with open_run(Step.TRAIN, "train") as run:
            run.set_name("minilm_full", "train", "", "seed 13")
        names.append(mlflow.get_run(run.id).info.run_name)
    assert names == ["mine", "minilm_full · train · seed 13"]


def test_secrets_do_not_reach_the_store(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-123456")
    config = load_config(overrides={"prompt.base_url": "https://me:hunter2@host/v1"})
    with open_run(Step.MAIN, "run") as run:
        run.set_tags({"endpoint": config.prompt.base_url, "key": "sk-123456"})
        run.log_config({"prompt": config.prompt})
    summary = read_run(run.id)
    assert summary.tags["endpoint"] == summary.params["prompt.base_url"] == "https://me:***@host/v1"
    assert summary.tags["key"] == "***"
    file = mlflow.artifacts.load_text(f"runs:/{run.id}/config.yaml")
    assert "hunter2" not in file


def test_an_error_ends_a_run_as_failed_and_is_its_tag(store: str) -> None:
    with (
        pytest.raises(ZeroDivisionError),
        open_run(Step.MAIN, "run") as run,
    ):
        run.log_metrics({"ratio": 1 / 0})
    summary = read_run(run.id)
    assert (summary.status, summary.tags["error"]) == (
        "FAILED",
        "ZeroDivisionError: division by zero",
    )


def test_a_run_that_is_marked_killed_ends_so(store: str) -> None:
    with open_run(Step.MAIN, "run") as run:
        run.mark_killed()
    assert read_run(run.id).status == "KILLED"


def test_where_to_look_hides_a_password(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run("0" * 32, "0")
    mlflow.set_tracking_uri("https://me:hunter2@host:5000")
    address = ui_address(run, "comparison.html")
    mlflow.set_tracking_uri(store)
    assert address.startswith("https://me:***@host:5000/#/experiments/0/runs/000")
    assert "/artifacts/comparison.html?" in address
