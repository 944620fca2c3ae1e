"""Every entry point runs as a user runs it, and the registered model is served over HTTP."""

import json
import re
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from conftest import Completed, entry_point, mlflow_run, run_server, runs, user_environment
from mlflow.entities import Run
from transformers import AutoModelForTokenClassification

from ner_mlflow.config.schema import Config
from ner_mlflow.tracking.models import find_model


@dataclass(frozen=True)
class Session:
    """One store after main, and then after each entry point without parameters."""

    store: str
    main: Completed
    alone: dict[str, Completed]

    def runs(self, step: str) -> list[Run]:
        return runs(self.store, step)

    def text(self, run: Run, name: str) -> str:
        mlflow.set_tracking_uri(self.store)
        return mlflow.artifacts.load_text(f"{run.info.artifact_uri}/{name}")

    def artifacts(self, run: Run) -> set[str]:
        mlflow.set_tracking_uri(self.store)
        return {entry.path for entry in mlflow.artifacts.list_artifacts(run_id=run.info.run_id)}


INT8_EXPORT = {
    "export.latency_runs": "4",
    "export.latency_warmup_runs": "0",
    "export.served": "[int8]",
    "export.f1_tolerance": "0.5",
    "registered_model": "it-ner-int8",
}
"""Settings that serve int8; main serves fp32 here, whose answers equal those of PyTorch."""


@pytest.fixture(scope="module")
def preset(tiny_preset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The preset for the tiny backbone, with all variants."""
    settings = json.loads(tiny_preset.read_text(encoding="utf-8"))
    settings["export"]["variants"] = ["fp32", "fp16", "int8"]
    path = tmp_path_factory.mktemp("variants") / "tiny.yaml"
    path.write_text(json.dumps(settings), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def session(preset: Path, tiny_preset: Path, tmp_path_factory: pytest.TempPathFactory) -> Session:
    folder = tmp_path_factory.mktemp("user")
    store = f"sqlite:///{folder / 'mlflow.db'}"
    lora = preset.with_name("tiny_lora.yaml")
    settings = json.loads(tiny_preset.read_text(encoding="utf-8"))
    settings["model"] |= {"adaptation": "lora", "lora_rank": 4}
    lora.write_text(json.dumps(settings), encoding="utf-8")
    main = mlflow_run(store, "-P", f"presets={preset},{lora}", cwd=folder)
    assert main.returncode == 0, main.stderr
    alone = {}
    for entry in ("data", "train", "evaluate", "export"):
        arguments = ["-P", f"preset={preset}"] if entry == "train" else []
        if entry == "export":
            arguments = [f"-P{name}={value}" for name, value in INT8_EXPORT.items()]
        alone[entry] = mlflow_run(store, "-e", entry, *arguments, cwd=folder)
        assert alone[entry].returncode == 0, alone[entry].stderr
    return Session(store, main, alone)


def run_code(store: str, code: str) -> str:
    """Run Python code as a service would, outside the project; return what it prints."""
    process = subprocess.run(
        [sys.executable, "-c", code],
        cwd="/",
        env=user_environment(store),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    return process.stdout


def test_main_makes_a_run_for_each_step_of_each_variant_under_one_parent(session: Session) -> None:
    parent = session.runs("main")[0]
    assert parent.info.status == "FINISHED"
    for step, count in (("data", 1), ("train", 2), ("evaluate", 4), ("export", 2)):
        children = [
            run
            for run in session.runs(step)
            if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id
        ]
        assert len(children) == count
        assert {run.info.status for run in children} == {"FINISHED"}


def test_main_ends_with_a_comparison_and_the_address_to_open(session: Session) -> None:
    lines = session.main.stdout.splitlines()
    (conclusion,) = [line for line in lines if "has the best validation F1" in line]
    assert "This is " in conclusion
    assert "The served file (fp32" in conclusion or "The served file (int8" in conclusion
    assert "It is registered as models:/it-ner/1 and is the champion" in conclusion
    assert lines[-1].startswith("open next: ")
    assert "/artifacts/comparison.html" in lines[-1]
    assert {"comparison.html", "provenance.yaml", "config.yaml"} <= session.artifacts(
        session.runs("main")[0]
    )


def test_data_logs_inputs_counts_and_a_plot(session: Session) -> None:
    run = session.runs("data")[0]
    assert {"dataset", "statistics.html", "statistics.png"} <= session.artifacts(run)
    assert (
        run.data.metrics["prepared/train/sentences"]
        + run.data.metrics.get("changes/train/duplicates_dropped", 0)
        == 600
    )
    contexts = {tag.value for entry in run.inputs.dataset_inputs for tag in entry.tags}
    assert contexts == {"training", "validation", "testing"}
    assert {entry.dataset.digest for entry in run.inputs.dataset_inputs} == {
        run.data.tags["ner.dataset_fingerprint"][:36]
    }


def test_train_logs_settings_that_matter_curves_counts_and_bytes(session: Session) -> None:
    run = session.runs("train")[1]
    assert run.data.params["model.adaptation"] == "lora"
    # With a metric of the evaluation, so that MLflow plots one against the other.
    assert {"train.learning_rate", "model.lora_rank", "train.seed"} <= set(run.data.params)
    assert "train.weight_decay" not in run.data.params  # as by default
    assert "test/f1" in run.data.metrics
    config = yaml.safe_load(mlflow.artifacts.load_text(f"runs:/{run.info.run_id}/config.yaml"))
    assert set(config["train"]) == set(Config().train.model_dump())
    assert {
        "train/loss",
        "train/learning_rate",
        "train/subwords_per_s",
        "best_validation/f1",
        "parameters/trainable",
        "parameters/total",
    } <= set(run.data.metrics)
    assert 0 < run.data.metrics["parameters/trainable"] < run.data.metrics["parameters/total"]
    files = {
        name: value
        for name, value in run.data.metrics.items()
        if name.startswith("size_bytes/model/")
    }
    assert sum(files.values()) == run.data.metrics["size_bytes/model"]
    assert {"adapter", "training_curves.png"} <= session.artifacts(run)
    assert len(mlflow.MlflowClient().get_metric_history(run.info.run_id, "validation/f1")) >= 2


def test_training_learns_and_evaluation_logs_scores_and_errors(session: Session) -> None:
    run = session.runs("evaluate")[0]
    assert run.data.metrics["test/f1"] > 0.3
    assert {
        "test/precision",
        "test/recall",
        "test/accuracy",
        "test/OS/f1",
        "test/ERROR/support",
    } <= set(run.data.metrics)
    assert (
        run.data.metrics["test/f1_low"]
        < run.data.metrics["test/f1"]
        < run.data.metrics["test/f1_high"]
    )
    assert {"test/semeval/partial/f1", "test/surface/unseen/f1", "test/calibration_error"} <= set(
        run.data.metrics
    )
    assert {
        "scores.html",
        "semeval.html",
        "slices.html",
        "slices.png",
        "calibration.html",
        "calibration.png",
        "categories.html",
        "errors.html",
        "predictions.parquet",
        "token_confusion.html",
        "token_confusion.png",
        "entity_confusion.html",
        "entity_confusion.png",
        "error_pairs.html",
        "worst_sentences.html",
    } <= session.artifacts(run)


def test_a_model_is_proven_on_the_dataset_that_it_was_trained_on(session: Session) -> None:
    other = entry_point(session.store, "data", "--seed", "14")
    assert other.returncode == 0, other.stderr
    data, trained = session.runs("data")[-1].info.run_id, session.runs("train")[0]
    done = entry_point(session.store, "export", "--model", trained.info.run_id, "--data_run", data)
    mlflow.MlflowClient().delete_run(data)  # the other tests expect the first one
    assert done.returncode == 1
    uri = trained.data.tags["ner.model_uri"]
    assert f"data run {data} is not the dataset that {uri} was trained on" in done.stderr


def test_export_logs_proof_bytes_and_latency_of_each_variant(session: Session) -> None:
    run = session.runs("export")[0]
    for variant in ("fp32", "fp16", "int8"):
        names = {
            "validation_f1_loss",
            "max_logit_difference",
            "size_bytes",
            "latency/length_128/p95_ms",
            "latency/real/p50_ms",
        }
        assert {f"{variant}/{name}" for name in names} <= set(run.data.metrics)
    assert run.data.metrics["fp32/max_logit_difference"] < 1e-3
    assert (
        run.data.metrics["int8/model_size_bytes"]
        < run.data.metrics["fp16/model_size_bytes"]
        < run.data.metrics["fp32/model_size_bytes"]
    )
    page = session.text(run, "variants.html")
    assert re.findall("<th[^>]*>(fp32|fp16|int8)</th>", page) == [
        "fp32",
        "fp16",
        "int8",
    ]  # one column for each variant
    assert f">{run.data.metrics['fp32/validation_f1']:.4g}</td>" in page


def test_an_entry_point_without_parameters_reports_its_inputs(session: Session) -> None:
    data, train = session.runs("data")[-1].info.run_id, session.runs("train")[-1].info.run_id
    assert f"data: run {data}, the latest finished" in session.alone["train"].stderr
    assert f"model: train run {train}, the latest finished" in session.alone["evaluate"].stderr
    assert f"model: train run {train}, the latest finished" in session.alone["export"].stderr


def test_a_step_fills_the_run_that_mlflow_opened(session: Session) -> None:
    run = session.runs("train")[-1]
    assert run.info.run_id in session.alone["train"].stderr
    assert run.data.params["preset"].endswith("tiny.yaml")
    assert run.data.params["train.epochs"] == "6"
    assert run.data.tags["mlflow.source.type"] == "PROJECT"


def test_mlflow_alone_loads_the_trained_model(session: Session) -> None:
    uri = session.runs("train")[0].data.tags["ner.model_uri"]
    code = (
        f"import sys, mlflow; model = mlflow.pyfunc.load_model('{uri}'); "
        f"print(len(model.predict([{TEXT!r}])[0]), 'ner_mlflow' in sys.modules)"
    )
    entities, loaded = run_code(session.store, code).split()
    assert int(entities) > 0
    assert loaded == "False"


def test_the_registered_model_loads_without_torch_transformers_or_this_package(
    session: Session,
) -> None:
    code = (
        "import json, sys, mlflow\n"
        "model = mlflow.pyfunc.load_model('models:/it-ner@champion')\n"
        "predicted = model.predict(['I use Ubuntu 22.04 .', '', '😀 PostgreSQL 15.3'])\n"
        "heavy = {'torch', 'transformers', 'ner_mlflow'} & set(sys.modules)\n"
        "print(json.dumps({'predicted': predicted, 'loaded': sorted(heavy)}))"
    )
    printed = run_code(session.store, code)
    answer = json.loads(printed.splitlines()[-1])
    assert answer["loaded"] == []
    assert len(answer["predicted"]) == 3
    assert answer["predicted"][1] == []
    for text, entities in zip(
        ["I use Ubuntu 22.04 .", "", "😀 PostgreSQL 15.3"], answer["predicted"], strict=True
    ):
        for entity in entities:
            assert text[entity["start"] : entity["end"]] == entity["text"]
            assert 0 <= entity["score"] <= 1


def test_a_service_chooses_how_many_threads_the_model_uses(session: Session) -> None:
    code = (
        "import json, mlflow, psutil\n"
        "counts = []\n"
        "for threads in (1, 1, 6):\n"
        "    before = psutil.Process().num_threads()\n"
        "    config = {'threads': threads}\n"
        "    model = mlflow.pyfunc.load_model('models:/it-ner@champion', model_config=config)\n"
        "    model.predict(['I use Ubuntu 22.04 .'])\n"
        "    counts.append(psutil.Process().num_threads() - before)\n"
        "print(json.dumps(counts))"
    )
    printed = run_code(session.store, code)
    # The first model starts threads of MLflow too; a library may start or end one at any time.
    _, one, six = json.loads(printed.splitlines()[-1])
    assert six - one >= 3


def test_a_registered_onnx_model_can_be_evaluated_too(session: Session, preset: Path) -> None:
    done = entry_point(
        session.store,
        "evaluate",
        "--model",
        "models:/it-ner@champion",
        "--preset",
        str(preset),
    )
    assert done.returncode == 0, done.stderr
    by_torch = max(run.data.metrics["test/f1"] for run in session.runs("evaluate")[:2])
    assert session.runs("evaluate")[-1].data.metrics["test/f1"] == pytest.approx(by_torch, abs=1e-9)


def test_main_again_reuses_every_step_and_registers_nothing_new(
    session: Session, preset: Path
) -> None:
    lora = preset.with_name("tiny_lora.yaml")
    before = {step: len(session.runs(step)) for step in ("data", "train", "evaluate", "export")}
    again = entry_point(session.store, "main", "--presets", f"{preset},{lora}")
    assert again.returncode == 0, again.stderr
    assert {step: len(session.runs(step)) for step in before} == before
    assert again.stderr.count("reused") == 10
    mlflow.set_tracking_uri(session.store)
    aliased = mlflow.MlflowClient().get_model_version_by_alias("it-ner", "champion")
    assert str(aliased.version) == "1"


def test_a_changed_setting_repeats_only_what_depends_on_it(session: Session, preset: Path) -> None:
    before = {step: len(session.runs(step)) for step in ("data", "train", "evaluate", "export")}
    changed = entry_point(
        session.store,
        "main",
        "--presets",
        str(preset),
        "--evaluate.error_pairs",
        "7",
    )
    assert changed.returncode == 0, changed.stderr
    assert {step: len(session.runs(step)) for step in before} == {
        **before,
        "evaluate": before["evaluate"] + 2,  # of the model and of its served file
    }


@pytest.mark.slow  # 25 s; tests/unit/workflows/test_compare.py compares in one process
def test_several_models_are_compared_pair_by_pair(session: Session) -> None:
    trained = [run.info.run_id for run in session.runs("train")[:2]]
    before = len(session.runs("evaluate"))
    addresses = [*trained, "models:/it-ner@champion"]
    done = mlflow_run(
        session.store,
        "-e",
        "evaluate",
        "-P",
        f"model={','.join(addresses)}",
        "-P",
        "split=validation",
    )
    assert done.returncode == 0, done.stderr
    parent, *children = session.runs("evaluate")[before:]
    assert [run.data.tags["mlflow.parentRunId"] for run in children] == [parent.info.run_id] * 3
    assert {"models.html", "differences.html", "differences.png"} <= session.artifacts(parent)
    table = mlflow.load_table("tables/models.json", run_ids=[parent.info.run_id])
    assert list(table["f1"]) == pytest.approx(
        sorted((run.data.metrics["validation/f1"] for run in children), reverse=True)
    )
    differences = mlflow.load_table("tables/differences.json", run_ids=[parent.info.run_id])
    assert len(differences) == 3
    assert differences["p_value"].between(0, 1).all()
    # The champion is one of the two as ONNX: the same answers, so no difference.
    assert differences["p_value"].max() == 1.0
    again = entry_point(
        session.store, "evaluate", "--model", ",".join(addresses), "--split", "validation"
    )
    assert again.stderr.count("scored it before") == 3


def test_compare_reports_what_was_tracked(session: Session) -> None:
    done = mlflow_run(session.store, "-e", "compare")
    assert done.returncode == 0, done.stderr
    run = session.runs("compare")[-1]
    assert {
        "comparison.html",
        "comparison.md",
        "results.html",
        "variants.html",
        "tradeoff.png",
        "confusions.html",
    } <= session.artifacts(run)
    main = session.runs("main")[0]
    results = mlflow.load_table("tables/results.json", run_ids=[run.info.run_id]).set_index("model")
    by_main = mlflow.load_table("tables/results.json", run_ids=[main.info.run_id])
    for row in by_main.to_dict("records"):
        (name,) = [
            name
            for name in results.index
            if name.startswith(row["model"]) and results.loc[name, "f1"] == pytest.approx(row["f1"])
        ][:1]
        assert results.loc[name, "validation_f1"] == pytest.approx(row["validation_f1"])
    variants = mlflow.load_table("tables/variants.json", run_ids=[run.info.run_id])
    assert set(variants["variant"]) == {"fp32", "fp16", "int8"}
    assert "| model&emsp; | f1&emsp; |" in run.data.tags["mlflow.note.content"]


def test_compare_names_runs_that_cannot_be_compared(session: Session) -> None:
    (data,) = [run.info.run_id for run in session.runs("data")][:1]
    done = entry_point(session.store, "compare", "--runs", data)
    assert done.returncode == 1
    assert f"run {data} is a FINISHED data run: give the id of a finished train run" in done.stderr


def test_robustness_logs_what_each_change_costs(session: Session) -> None:
    done = mlflow_run(
        session.store,
        "-e",
        "robustness",
        "-P",
        "kinds=typos,entities",
        "-P",
        "model=models:/it-ner@champion",
        "-P",
        "sentences=100",
    )
    assert done.returncode == 0, done.stderr
    run = session.runs("robustness")[-1]
    assert {"robustness.html", "robustness.png", "changes.html"} <= session.artifacts(run)
    drops = {name: value for name, value in run.data.metrics.items() if name.endswith("/f1_drop")}
    assert set(drops) == {
        f"test/robustness/{kind}_{severity}/f1_drop"
        for kind in ("typos", "entities")
        for severity in (1, 2, 3)
    }
    assert drops["test/robustness/typos_3/f1_drop"] > 0
    wrong = entry_point(session.store, "robustness", "--kinds", "typoes")
    assert wrong.returncode == 1
    assert (
        "robustness.kinds typoes: no such perturbation: give some of casing, punctuation"
        in wrong.stderr
    )


def test_the_onnx_flavour_and_the_trained_model_hold_the_same_weights(session: Session) -> None:
    exported, trained = session.runs("export")[0], session.runs("train")[0]
    graph = mlflow.onnx.load_model(exported.data.tags["ner.onnx_model_uri"])
    assert [value.name for value in graph.graph.output] == ["logits"]
    inputs = {value.name: np.ones((1, 7), np.int64) for value in graph.graph.input}
    by_onnx = mlflow.pyfunc.load_model(exported.data.tags["ner.onnx_model_uri"]).predict(inputs)[
        "logits"
    ]
    folder = find_model(trained.data.tags["ner.model_uri"]).folder
    network = AutoModelForTokenClassification.from_pretrained(folder).eval()
    with torch.inference_mode():
        by_torch = network(
            **{name: torch.from_numpy(values) for name, values in inputs.items()}
        ).logits.numpy()
    np.testing.assert_allclose(by_onnx, by_torch, atol=1e-3)


@pytest.fixture(scope="module", params=["it-ner@champion", "it-ner-int8@candidate"])
def served(
    request: pytest.FixtureRequest, session: Session, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    command = [
        "mlflow",
        "models",
        "serve",
        "-m",
        f"models:/{request.param}",
        "--env-manager",
        "local",
    ]
    with run_server(command, "/ping", tmp_path_factory.mktemp("served"), session.store) as address:
        yield f"{address}/invocations"


def post(address: str, body: bytes) -> tuple[int, Any]:
    request = urllib.request.Request(address, body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


TEXT = "I upgraded to Ubuntu 22.04 and PostgreSQL 15.3 ."


@pytest.mark.parametrize(
    "body",
    [
        {"inputs": [TEXT]},
        {"dataframe_records": [{"id": 1, "text": TEXT}]},
        {"dataframe_split": {"columns": ["text"], "data": [[TEXT]]}},
    ],
)
def test_the_served_model_answers_over_http_in_every_format(
    served: str, body: dict[str, Any]
) -> None:
    status, answer = post(served, json.dumps(body).encode())
    assert status == 200
    (entities,) = answer["predictions"]
    assert entities
    assert all(TEXT[entity["start"] : entity["end"]] == entity["text"] for entity in entities)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"{not json", "not JSON (Expecting property name enclosed in double quotes"),
        (b'{"other": []}', "exactly one of the input fields"),
        (b'["a"]', "is not an object"),
        (b'{"dataframe_split": 3}', "Dataframe split format must be a dictionary"),
        (b'{"dataframe_records": [{"text": null}]}', "row 0: None is not text: send strings only"),
        (
            b'{"dataframe_records": [{"text": "a"}, {"text": 5}]}',
            "row 1: 5 is not text: send strings only",
        ),
        (b'{"inputs": [["a", "b"]]}', "row 0: ['a', 'b'] is not text: send strings only"),
        (b'{"inputs": ["a text of more than thirty-two characters", 1]}', "row 1: 1 is not text"),
        (b'{"inputs": [null]}', "row 0: None is not text: send strings only"),
        (b'{"dataframe_records": [{"body": "a"}]}', "row 0: no field 'text' among 'body'"),
        (b'{"inputs": ["a"], "params": {"as_json": "perhaps"}}', "as_json"),
    ],
)
def test_bad_requests_get_a_4xx_with_the_reason(served: str, body: bytes, reason: str) -> None:
    status, answer = post(served, body)
    assert 400 <= status < 500
    assert reason in answer["message"]


def test_sixty_four_clients_at_once_get_their_own_answers(served: str) -> None:
    texts = [
        f"Machine {number} : I upgraded to Ubuntu 22.{number:02d} and PostgreSQL 15.{number} ."
        for number in range(64)
    ]
    start = threading.Barrier(len(texts))

    def client(text: str) -> tuple[int, Any]:
        start.wait()
        return post(served, json.dumps({"inputs": [text]}).encode())

    with ThreadPoolExecutor(len(texts)) as clients:
        answers = list(clients.map(client, texts))
    assert [status for status, _ in answers] == [200] * len(texts)
    for text, (_, answer) in zip(texts, answers, strict=True):
        (entities,) = answer["predictions"]
        assert all(text[entity["start"] : entity["end"]] == entity["text"] for entity in entities)
    alone = [
        post(served, json.dumps({"inputs": [text]}).encode())[1]["predictions"][0]
        for text in texts[:8]
    ]
    assert [[(e["label"], e["start"]) for e in entities] for entities in alone] == [
        [(e["label"], e["start"]) for e in answer["predictions"][0]] for _, answer in answers[:8]
    ]


def test_a_text_of_a_megabyte_is_answered(served: str) -> None:
    text = f"{TEXT} Then it crashed .\n" * 15_000
    assert len(text) > 1_000_000
    status, answer = post(served, json.dumps({"inputs": [text]}).encode())
    assert status == 200
    (entities,) = answer["predictions"]
    assert len(entities) >= 15_000
    assert all(text[entity["start"] : entity["end"]] == entity["text"] for entity in entities)


def test_predict_tags_a_corpus_and_keeps_its_columns(session: Session, tmp_path: Path) -> None:
    texts = [TEXT, "", "nothing here", f"😀 {TEXT}"] * 700
    rows = [{"id": number, "text": text} for number, text in enumerate(texts)]
    (tmp_path / "in.jsonl").write_text(
        "".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8"
    )
    done = mlflow_run(
        session.store,
        "-e",
        "predict",
        "-P",
        f"input={tmp_path / 'in.jsonl'}",
        "-P",
        f"output={tmp_path / 'out.parquet'}",
    )
    assert done.returncode == 0, done.stderr
    assert "2800 texts in " in done.stdout
    tagged = pd.read_parquet(tmp_path / "out.parquet").to_dict("records")
    assert [{"id": row["id"], "text": row["text"]} for row in tagged] == rows
    assert all(
        row["text"][entity["start"] : entity["end"]] == entity["text"]
        for row in tagged
        for entity in row["entities"]
    )
    assert [len(row["entities"]) for row in tagged[:4]] == [
        len(tagged[-1]["entities"]),
        0,
        0,
        len(tagged[-1]["entities"]),
    ]
    (run,) = session.runs("predict")
    assert run.data.metrics["texts"] == 2800
    assert run.data.metrics["texts_per_s"] > 0
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["in.jsonl", "out.parquet"]
    again = entry_point(
        session.store,
        "predict",
        "--input",
        str(tmp_path / "in.jsonl"),
        "--output",
        str(tmp_path / "out.parquet"),
    )
    assert again.returncode == 1
    assert f"error: output {tmp_path / 'out.parquet'} exists" in again.stderr
