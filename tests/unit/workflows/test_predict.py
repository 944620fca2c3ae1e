"""A corpus is tagged row by row by an exported model."""

import json
from pathlib import Path

import mlflow
import pytest
from pipelines import Finished

from ner_mlflow.config.schema import PredictConfig
from ner_mlflow.errors import DataError, ModelError
from ner_mlflow.pages import escape_markdown
from ner_mlflow.tracking.lifecycle import open_run
from ner_mlflow.tracking.models import find_model
from ner_mlflow.tracking.records import PredictRecord
from ner_mlflow.tracking.steps import Step
from ner_mlflow.workflows.predict import run_predict


def test_every_row_gets_its_entities(finished: Finished, tmp_path: Path) -> None:
    source, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    rows = [{"id": number, "text": f"I use Ubuntu {number}.04 test"} for number in range(4)]
    rows.append({"id": 4, "text": "\ud83d half a pair on Ubuntu 4.04 test"})
    source.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    model = find_model(finished.result.export.model_uri)
    with open_run(Step.PREDICT, "predict") as run:
        metrics = run_predict(run, finished.config.predict, model, str(source), str(output))
    tagged = [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]
    assert [{"id": row["id"], "text": row["text"]} for row in tagged] == rows
    for row in tagged:
        for entity in row["entities"]:
            assert row["text"][entity["start"] : entity["end"]] == entity["text"]
    assert metrics["texts"] == 5
    assert metrics["entities"] == sum(len(row["entities"]) for row in tagged)
    assert PredictRecord.read(run.id).model_fingerprint == model.fingerprint
    tracked = mlflow.get_run(run.id)
    assert tracked.info.run_name.endswith(" · predict · in.jsonl")
    description = tracked.data.tags["mlflow.note.content"]
    assert description.startswith(f"{escape_markdown(f'{source} was tagged by {model.address}')}; ")


def test_a_model_that_is_not_exported_is_refused(finished: Finished, tmp_path: Path) -> None:
    model = find_model(finished.result.train.model_uri)
    with (
        open_run(Step.PREDICT, "predict") as run,
        pytest.raises(ModelError, match="is not exported: run export on it"),
    ):
        run_predict(run, finished.config.predict, model, "in.jsonl", str(tmp_path / "out.jsonl"))


def test_a_cluster_needs_a_model_that_mlflow_can_load(finished: Finished, tmp_path: Path) -> None:
    model = find_model(str(find_model(finished.result.export.model_uri).folder))
    config = finished.config.predict.model_copy(update={"engine": "spark"})
    with (
        open_run(Step.PREDICT, "predict") as run,
        pytest.raises(ModelError, match="is a folder: on Spark give one that MLflow can load"),
    ):
        run_predict(run, config, model, "in.jsonl", str(tmp_path / "out"))


def test_predictions_are_written_in_the_format_of_a_tool(
    finished: Finished, tmp_path: Path
) -> None:
    source = tmp_path / "in.jsonl"
    rows = [{"id": number, "text": f"I use Ubuntu {number}.04 test"} for number in range(5)]
    source.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    model = find_model(finished.result.export.model_uri)
    entities = {}
    for name, output in (("jsonl", "out.jsonl"), ("label_studio", "out.json")):
        config = PredictConfig(format=name, batch_rows=2)
        with open_run(Step.PREDICT, "predict") as run:
            metrics = run_predict(run, config, model, str(source), str(tmp_path / output))
        entities[name] = metrics["entities"]
        assert metrics["texts"] == 5
    tasks = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    tagged = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [task["data"] for task in tasks] == [
        {"id": str(row["id"]), "text": row["text"]} for row in rows
    ]
    assert [
        [
            (result["value"]["start"], result["value"]["end"], *result["value"]["labels"])
            for result in task["predictions"][0]["result"]
        ]
        for task in tasks
    ] == [
        [(entity["start"], entity["end"], entity["label"]) for entity in row["entities"]]
        for row in tagged
    ]
    assert entities["jsonl"] == entities["label_studio"]


def test_a_name_that_does_not_fit_the_format_is_refused_and_an_error_leaves_no_file(
    finished: Finished, tmp_path: Path
) -> None:
    source = tmp_path / "in.jsonl"
    source.write_text('{"text": "half \\ud83d here"}\n', encoding="utf-8")
    model = find_model(finished.result.export.model_uri)
    config = PredictConfig(format="conll")
    for output, message in (("out.json", "end in .conll or"), ("out.conll", "UTF-8 cannot hold")):
        with (
            open_run(Step.PREDICT, "predict") as run,
            pytest.raises(DataError, match=message),
        ):
            run_predict(run, config, model, str(source), str(tmp_path / output))
    assert list(tmp_path.glob("*out*")) == []


def test_spark_writes_rows_only() -> None:
    with pytest.raises(ValueError, match="engine=spark writes Parquet, but format=conll"):
        PredictConfig(engine="spark", format="conll")
