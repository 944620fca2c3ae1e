"""Logged models: they answer as the exported files do, and a model that does not is refused."""

from collections.abc import Callable
from pathlib import Path

import mlflow
import numpy as np
import pytest

from ner_mlflow.config.loading import load_config
from ner_mlflow.errors import ModelError
from ner_mlflow.exporting.bundle import write_code_bundle
from ner_mlflow.exporting.golden import GoldenAnswers, answers_match, golden_answers
from ner_mlflow.exporting.onnx_files import read_onnx, write_fp32
from ner_mlflow.modeling.backbone import resolve_backbone
from ner_mlflow.modeling.build import build_model
from ner_mlflow.modeling.checkpoint import load_model, save_model
from ner_mlflow.tagging.label_schema import LabelSchema
from ner_mlflow.tagging.recognizer import EntityRecognizer, load_tagger
from ner_mlflow.tracking.flavors import EXAMPLE, log_onnx_model, log_served_model


@pytest.fixture(scope="module")
def exported(tiny_backbone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = load_config(
        overrides={"model.backbone": str(tiny_backbone), "model.max_length": 48}
    ).model
    folder = tmp_path_factory.mktemp("model")
    schema = LabelSchema(("OS", "SOFTWARE"))
    save_model(build_model(resolve_backbone(str(tiny_backbone)), config, schema, 1), folder / "a")
    write_fp32(load_model(folder / "a"), folder / "onnx")
    return folder / "onnx"


@pytest.fixture(scope="module")
def golden(exported: Path) -> GoldenAnswers:
    answers = golden_answers(EntityRecognizer(load_tagger(exported)), EXAMPLE)
    assert any(answers.values())
    return answers


@pytest.fixture(scope="module")
def run_id(make_store: Callable[[Path], str], tmp_path_factory: pytest.TempPathFactory) -> str:
    """A run in a store of its own, which is not the active run."""
    make_store(tmp_path_factory.mktemp("store"))
    run_id: str = mlflow.MlflowClient().create_run("0").info.run_id
    return run_id


def test_a_served_model_gives_the_golden_answers_with_the_code_that_it_carries(
    run_id: str, exported: Path, golden: GoldenAnswers, tmp_path: Path
) -> None:
    bundle = write_code_bundle(tmp_path / "code")
    logged = log_served_model(run_id, exported, bundle, "served_model", golden, {"variant": "fp32"})
    assert mlflow.models.get_model_info(logged.uri).run_id == run_id
    model = mlflow.pyfunc.load_model(logged.uri)
    assert all(
        answers_match(model.predict([text])[0], expected) for text, expected in golden.items()
    )
    code = type(model.unwrap_python_model()).__module__
    assert code == f"{bundle.package.name}.tagging.pyfunc"
    assert model.metadata.metadata["variant"] == "fp32"


def test_a_served_model_with_other_answers_is_refused(
    run_id: str, exported: Path, golden: GoldenAnswers, tmp_path: Path
) -> None:
    text = next(text for text, entities in golden.items() if entities)
    wrong = {text: [{**entity, "end": entity["end"] + 1} for entity in golden[text]]}
    with pytest.raises(ModelError, match="was proven: not registered"):
        log_served_model(
            run_id, exported, write_code_bundle(tmp_path / "code"), "served_model", wrong, {}
        )


def test_a_served_model_without_its_graph_is_refused(
    run_id: str, exported: Path, golden: GoldenAnswers, tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    for name in ("tokenizer.json", "ner_model.json"):
        (broken / name).write_bytes((exported / name).read_bytes())
    with pytest.raises(ModelError, match="does not load and answer") as caught:
        log_served_model(
            run_id, broken, write_code_bundle(tmp_path / "code"), "served_model", golden, {}
        )
    assert "\n" not in str(caught.value)


def test_an_onnx_model_gives_the_logits_of_its_graph(run_id: str, exported: Path) -> None:
    logged = log_onnx_model(run_id, read_onnx(exported), exported, "onnx_model")
    ids = np.array([[2, 7, 8, 3]], dtype=np.int64)
    inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
    names = {value.name for value in read_onnx(exported).graph.input}
    if "token_type_ids" in names:
        inputs["token_type_ids"] = np.zeros_like(ids)
    logits = mlflow.pyfunc.load_model(logged.uri).predict(inputs)["logits"]
    assert logits.shape == (1, 4, 5)
