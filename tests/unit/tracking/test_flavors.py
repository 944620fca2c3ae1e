"""Logged models: they answer as the exported files do, and a model that does not is refused."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import mlflow
import numpy as np
import pytest

from ner_mlflow.errors import ModelError
from ner_mlflow.exporting.bundle import write_code_bundle
from ner_mlflow.exporting.golden import GoldenAnswers, answers_match, golden_answers
from ner_mlflow.exporting.onnx_files import read_onnx
from ner_mlflow.tagging.engines import ENGINES, write_engine
from ner_mlflow.tagging.recognizer import EntityRecognizer, load_tagger
from ner_mlflow.tracking.flavors import EXAMPLE, log_onnx_model, log_served_model


@pytest.fixture(scope="module")
def golden(tiny_export: Path) -> GoldenAnswers:
    answers = golden_answers(EntityRecognizer(load_tagger(tiny_export)), EXAMPLE)
    assert any(answers.values())
    return answers


@pytest.fixture(scope="module")
def run_id(make_store: Callable[[Path], str], tmp_path_factory: pytest.TempPathFactory) -> str:
    """A run in a store of its own, which is not the active run."""
    make_store(tmp_path_factory.mktemp("store"))
    run_id: str = mlflow.MlflowClient().create_run("0").info.run_id
    return run_id


def test_a_served_model_gives_the_golden_answers_with_the_code_that_it_carries(
    run_id: str, tiny_export: Path, golden: GoldenAnswers, tmp_path: Path
) -> None:
    bundle = write_code_bundle(tmp_path / "code")
    logged = log_served_model(
        run_id, tiny_export, bundle, "served_model", golden, {"variant": "fp32"}
    )
    assert mlflow.models.get_model_info(logged.uri).run_id == run_id
    model = mlflow.pyfunc.load_model(logged.uri)
    assert all(
        answers_match(model.predict([text])[0], expected) for text, expected in golden.items()
    )
    code = type(model.unwrap_python_model()).__module__
    assert code == f"{bundle.package.name}.tagging.pyfunc"
    assert model.metadata.metadata["variant"] == "fp32"


def test_a_model_with_an_engine_of_its_own_carries_it_and_requires_its_package(
    run_id: str, tiny_export: Path, golden: GoldenAnswers, tmp_path: Path
) -> None:
    folder = tmp_path / "onnx"
    shutil.copytree(tiny_export, folder)
    write_engine(folder, ENGINES["openvino"])
    bundle = write_code_bundle(tmp_path / "code", engine=ENGINES["openvino"])
    # Golden answers of the engine itself, since random weights answer otherwise in bf16.
    own = golden_answers(EntityRecognizer(load_tagger(folder)), EXAMPLE)
    logged = log_served_model(run_id, folder, bundle, "with_openvino", own, {})
    files = Path(mlflow.artifacts.download_artifacts(logged.uri))
    assert "openvino==" in (files / "requirements.txt").read_text(encoding="utf-8")
    told = mlflow.pyfunc.load_model(logged.uri, model_config={"engine": "onnxruntime"})
    for text, expected in golden.items():
        assert answers_match(told.predict([text])[0], expected)


def test_a_model_does_not_open_with_an_engine_that_it_does_not_carry(
    run_id: str, tiny_export: Path, golden: GoldenAnswers, tmp_path: Path
) -> None:
    bundle = write_code_bundle(tmp_path / "code")
    logged = log_served_model(run_id, tiny_export, bundle, "served_model", golden, {})
    assert "openvino" not in (
        Path(mlflow.artifacts.download_artifacts(logged.uri)) / "requirements.txt"
    ).read_text(encoding="utf-8")
    with pytest.raises(Exception, match="engine 'openvino' does not come with this model"):
        mlflow.pyfunc.load_model(logged.uri, model_config={"engine": "openvino"})


SERVICE = """
import json, os, sys
from fastapi.testclient import TestClient
from mlflow.pyfunc import scoring_server
os.environ[scoring_server._SERVER_MODEL_PATH] = sys.argv[1]
from mlflow.pyfunc.scoring_server.app import app
client = TestClient(app)
for body in json.load(sys.stdin):
    kind = "application/json" if body.startswith("{") else "text/csv"
    headers = {"Content-Type": kind} if body != "no content type" else {}
    answer = client.post("/invocations", content=body, headers=headers)
    print(json.dumps([answer.status_code, answer.json() if headers else answer.text]))
"""
"""Answers requests with the app that ``mlflow models serve`` runs."""
TEXT = EXAMPLE[1]
LONG = "A text that is longer than the digits of any number: " + TEXT
REQUESTS: dict[str, list[str]] = {
    json.dumps({"inputs": [TEXT, LONG]}): [TEXT, LONG],
    json.dumps({"inputs": TEXT}): [TEXT],
    json.dumps({"inputs": [LONG, "15"]}): [LONG, "15"],
    json.dumps({"inputs": []}): [],
    json.dumps({"inputs": {"text": [TEXT, "a"], "id": [3, 4]}}): [TEXT, "a"],
    json.dumps({"inputs": [{"id": 3, "text": TEXT}]}): [TEXT],
    json.dumps({"instances": [TEXT]}): [TEXT],
    json.dumps({"instances": [{"id": 3, "text": TEXT}]}): [TEXT],
    json.dumps({"dataframe_records": [{"id": 3, "text": TEXT}, {"text": "a"}]}): [TEXT, "a"],
    json.dumps({"dataframe_records": []}): [],
    json.dumps({"dataframe_split": {"columns": ["id", "text"], "data": [[3, TEXT]]}}): [TEXT],
    json.dumps({"dataframe_split": {"columns": ["text"], "data": []}}): [],
    json.dumps({"inputs": ["\ud83d " + TEXT, TEXT]}): ["\ufffd " + TEXT, TEXT],
    json.dumps({"dataframe_records": [{"text": "\ud83d " + TEXT}]}): ["\ufffd " + TEXT],
    f"id,text\n3,{TEXT}\n": [TEXT],
}
BAD_REQUESTS = {
    '{"inputs": [["a", "b"]]}': "row 0: ['a', 'b'] is not text: send strings only",
    '{"inputs": [null]}': "row 0: None is not text",
    '{"inputs": [1]}': "row 0: 1 is not text",
    json.dumps({"inputs": [LONG, 1]}): "row 1: 1 is not text",
    json.dumps({"instances": [{"text": LONG}, {"text": 1.5}]}): "row 1: 1.5 is not text",
    json.dumps({"inputs": {"text": [LONG, True]}}): "row 1: True is not text",
    '{"inputs": [[]]}': "row 0: [] is not text",
    '{"inputs": null}': "None is not text: send a list of texts",
    '{"dataframe_records": [{"text": null}]}': "row 0: None is not text",
    '{"dataframe_records": [{"body": "a"}]}': "row 0: no field 'text' among 'body'",
    '{"dataframe_split": {"columns": ["body"], "data": [["a"]]}}': "no column 'text' among 'body'",
    '{"dataframe_split": {"columns": ["text"], "data": [["a"], [5]]}}': "row 1: 5 is not text",
    '{"dataframe_split": 3}': "Dataframe split format must be a dictionary",
    '{"inputs": ["a"], "params": {"as_json": "perhaps"}}': "as_json",
    '{"other": []}': "exactly one of the input fields",
    '{"inputs": ["a"], "instances": ["b"]}': "exactly one of the input fields",
    f'{{"inputs": {"[" * 100_000}{"]" * 100_000}}}': "not JSON: lists or objects are nested too",
    f'{{"inputs": {"[" * 900}{"]" * 900}}}': "is not text: send strings only",
    f'{{"inputs": [{"9" * 5000}]}}': "not JSON (Exceeds the limit (4300 digits)",
    '{"inputs": ["a"': "not JSON (Expecting ',' delimiter: line 1 column 16 (char 15))",
    '{"inputs": ["a"], "params": 5}': "params 5 is not an object",
    '{"dataframe_split": {"columns": [[], "text"], "data": [[3, "a"]]}}': "",
    '{"messages": 3}': "no field 'text' among 'messages'",
    '{"inputs": ["\\ud83d"], "instances": 1e999}': "exactly one of the input fields",
}
NO_CONTENT_TYPE = "no content type"
"""A request without a content type, which begins as no other."""


def test_over_http_texts_are_answered_and_anything_else_is_refused_unchanged(
    run_id: str, tiny_export: Path, golden: GoldenAnswers, tmp_path: Path
) -> None:
    bundle = write_code_bundle(tmp_path / "code")
    logged = log_served_model(run_id, tiny_export, bundle, "served_model", golden, {})
    served = subprocess.run(
        [sys.executable, "-c", SERVICE, mlflow.artifacts.download_artifacts(logged.uri)],
        input=json.dumps([*REQUESTS, *BAD_REQUESTS, NO_CONTENT_TYPE]),
        capture_output=True,
        text=True,
        check=False,
    )
    assert served.returncode == 0, served.stderr
    *lines, last = map(json.loads, served.stdout.splitlines())
    answers = dict(zip([*REQUESTS, *BAD_REQUESTS], lines, strict=True))
    assert last[0] == 415
    recognizer = EntityRecognizer(load_tagger(tiny_export))
    for request, texts in REQUESTS.items():
        status, answer = answers[request]
        assert status == 200, (request, answer)
        spans = [
            [(entity["label"], entity["start"], entity["end"]) for entity in entities]
            for entities in answer["predictions"]
        ]
        assert spans == [
            [(entity.label, entity.start, entity.end) for entity in entities]
            for entities in recognizer.recognize(texts)
        ]
    for request, reason in BAD_REQUESTS.items():
        status, answer = answers[request]
        assert (status, reason in answer["message"]) == (400, True), (request[:200], answer)
        assert "\n" not in answer["message"].strip()
        assert len(answer["message"]) < 600


def test_a_served_model_with_other_answers_is_refused(
    run_id: str, tiny_export: Path, golden: GoldenAnswers, tmp_path: Path
) -> None:
    text = next(text for text, entities in golden.items() if entities)
    wrong = {text: [{**entity, "end": entity["end"] + 1} for entity in golden[text]]}
    with pytest.raises(ModelError, match="was proven: not registered"):
        log_served_model(
            run_id, tiny_export, write_code_bundle(tmp_path / "code"), "served_model", wrong, {}
        )


def test_a_served_model_without_its_graph_is_refused(
    run_id: str, tiny_export: Path, golden: GoldenAnswers, tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    for name in ("tokenizer.json", "ner_model.json"):
        (broken / name).write_bytes((tiny_export / name).read_bytes())
    with pytest.raises(ModelError, match="does not load and answer") as caught:
        log_served_model(
            run_id, broken, write_code_bundle(tmp_path / "code"), "served_model", golden, {}
        )
    assert "\n" not in str(caught.value)


def test_an_onnx_model_gives_the_logits_of_its_graph(run_id: str, tiny_export: Path) -> None:
    logged = log_onnx_model(run_id, read_onnx(tiny_export), tiny_export, "onnx_model")
    ids = np.array([[2, 7, 8, 3]], dtype=np.int64)
    inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
    names = {value.name for value in read_onnx(tiny_export).graph.input}
    if "token_type_ids" in names:
        inputs["token_type_ids"] = np.zeros_like(ids)
    logits = mlflow.pyfunc.load_model(logged.uri).predict(inputs)["logits"]
    assert logits.shape == (1, 4, 5)
