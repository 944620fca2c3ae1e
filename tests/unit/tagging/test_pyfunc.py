"""The served model takes texts in a table and returns a list of entities for each."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import PythonModelContext

from ner_mlflow.config.loading import load_config
from ner_mlflow.exporting.onnx_files import write_fp32
from ner_mlflow.modeling.backbone import resolve_backbone
from ner_mlflow.modeling.build import build_model
from ner_mlflow.modeling.checkpoint import load_model, save_model
from ner_mlflow.tagging.label_schema import LabelSchema
from ner_mlflow.tagging.pyfunc import ServedModel
from ner_mlflow.tagging.recognizer import EntityRecognizer, load_tagger

TEXTS = ["I use Ubuntu 22.04", "", "PostgreSQL crashes on Windows"]


@pytest.fixture(scope="module")
def exported(tiny_backbone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("served")
    overrides = {"model.backbone": str(tiny_backbone), "model.max_length": 48}
    config = load_config(overrides=overrides).model
    built = build_model(resolve_backbone(str(tiny_backbone)), config, LabelSchema(("OS",)), 1)
    save_model(built, folder / "torch")
    write_fp32(load_model(folder / "torch"), folder / "onnx")
    return folder / "onnx"


@pytest.fixture(scope="module")
def context(exported: Path) -> PythonModelContext:
    return PythonModelContext({"model": str(exported)}, {"threads": 1})


@pytest.fixture(scope="module")
def model(context: PythonModelContext) -> ServedModel:
    model = ServedModel()
    model.load_context(context)
    return model


@pytest.mark.parametrize(
    "table",
    [
        pd.DataFrame({"text": TEXTS}),
        pd.DataFrame({"id": [1, 2, 3], "text": TEXTS}),
        pd.DataFrame([[text] for text in TEXTS]),
    ],
    ids=["a column", "a column beside others", "bare strings"],
)
def test_each_row_has_the_entities_of_its_text(
    model: ServedModel, context: PythonModelContext, exported: Path, table: pd.DataFrame
) -> None:
    expected = list(EntityRecognizer(load_tagger(exported)).recognize(TEXTS))
    answers = model.predict(context, table)
    assert len(answers) == len(TEXTS)
    assert answers[1] == []
    for entities, of_text in zip(answers, expected, strict=True):
        spans = [(entity["label"], entity["start"], entity["end"]) for entity in entities]
        assert spans == [(entity.label, entity.start, entity.end) for entity in of_text]


def test_entities_may_be_returned_as_json(model: ServedModel, context: PythonModelContext) -> None:
    table = pd.DataFrame({"text": TEXTS})
    answers: Any = model.predict(context, table, {"as_json": True})
    assert [json.loads(answer) for answer in answers] == model.predict(context, table)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (pd.DataFrame({"body": TEXTS}), "the first column must be 'text', not 'body'"),
        (pd.DataFrame({"text": ["a", None]}, dtype=object), "row 1: None is not text"),
        (pd.DataFrame([["a"], [5]]), "row 1: 5 is not text: send strings only"),
    ],
)
def test_a_table_without_texts_is_refused(
    model: ServedModel, context: PythonModelContext, table: pd.DataFrame, message: str
) -> None:
    with pytest.raises(MlflowException, match=message):
        model.predict(context, table)
