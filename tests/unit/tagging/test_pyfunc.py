"""The served model takes texts in a table and returns a list of entities for each."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from backbones import export_untrained
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mlflow.exceptions import MlflowException
from mlflow.models import Model
from mlflow.pyfunc import PyFuncModel, PythonModelContext, scoring_server

from ner_mlflow.tagging import request_bodies
from ner_mlflow.tagging.pyfunc import ServedModel, check_requests, texts_of
from ner_mlflow.tagging.recognizer import EntityRecognizer, load_tagger
from ner_mlflow.tracking.flavors import SIGNATURE

PIECES = [
    "Ubuntu 22.04",
    " crashes",
    ".",
    " ",
    "\n",
    "\n\n",
    "(a,b)",
    " /etc/x",
    "\ud800",
    "数据",
    "é",
]
TEXTS = ["I use Ubuntu 22.04", "", "PostgreSQL crashes on Windows"]


@pytest.fixture(scope="module")
def exported(tiny_backbone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_untrained(tiny_backbone, tmp_path_factory.mktemp("served"), 48)


@pytest.fixture(scope="module")
def context(exported: Path) -> PythonModelContext:
    return PythonModelContext({"model": str(exported)}, {"threads": 1})


@pytest.fixture(scope="module")
def model(context: PythonModelContext) -> ServedModel:
    model = ServedModel()
    model.load_context(context)
    return model


def test_each_row_has_the_entities_of_its_text(
    model: ServedModel, context: PythonModelContext, exported: Path
) -> None:
    expected = list(EntityRecognizer(load_tagger(exported)).recognize(TEXTS))
    answers = model.predict(context, pd.DataFrame({"id": [1, 2, 3], "text": TEXTS}))
    assert len(answers) == len(TEXTS)
    assert answers[1] == []
    for entities, of_text in zip(answers, expected, strict=True):
        spans = [(entity["label"], entity["start"], entity["end"]) for entity in entities]
        assert spans == [(entity.label, entity.start, entity.end) for entity in of_text]


@settings(
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.text(max_size=80) | st.lists(st.sampled_from(PIECES), max_size=30).map("".join))
def test_the_recognizer_answers_any_text_as_predict_does(model: ServedModel, text: str) -> None:
    entities = [entity._asdict() for entity in model.recognizer.recognize(text)]
    predict: Any = model.predict
    assert predict(None, [text]) == [entities]
    assert predict(None, [text, text]) == [entities, entities]


INPUTS: dict[str, Any] = {
    "a list": TEXTS,
    "a tuple": tuple(TEXTS),
    "an array": np.array(TEXTS),
    "an array of objects": np.array(TEXTS, dtype=object),
    "an array of one column": np.array(TEXTS).reshape(-1, 1),
    "a column": pd.Series(TEXTS),
    "a column that has a name": pd.Series(TEXTS, name="body"),
    "a column in Arrow": pd.Series(TEXTS, dtype=pd.ArrowDtype(pa.string())),
    "a column of objects": pd.Series(TEXTS, dtype=object),
    "categories": pd.DataFrame({"text": pd.Categorical(TEXTS)}),
    "a table": pd.DataFrame({"text": TEXTS}),
    "a table of selected rows": pd.DataFrame({"text": ["x", *TEXTS]}).iloc[1:],
    "the text first": pd.DataFrame({"text": TEXTS, "id": [1, 2, 3], 0: "x"}),
    "the text last": pd.DataFrame({"id": ["a", "b", "c"], "note": None, "text": TEXTS}),
    "a table without names": pd.DataFrame([[text] for text in TEXTS]),
    "Spark's table": pd.DataFrame({"0": TEXTS}),
    "a dict": {"text": TEXTS, "id": [1, 2, 3]},
    "a dict of arrays": {"text": np.array(TEXTS)},
    "records": [{"id": number, "text": text} for number, text in enumerate(TEXTS)],
}


@pytest.mark.parametrize("model_input", INPUTS.values(), ids=INPUTS)
def test_texts_may_come_in_any_shape_that_says_which_they_are(model_input: Any) -> None:
    assert texts_of(model_input) == TEXTS


@pytest.mark.parametrize("model_input", ["one text", {"text": "one text"}, np.array("one text")])
def test_one_text_is_one_row(model_input: Any) -> None:
    assert texts_of(model_input) == ["one text"]


@pytest.mark.parametrize(
    "model_input",
    [[], (), np.array([]), pd.Series([]), pd.DataFrame(), pd.DataFrame({"text": []}), {"text": []}],
)
def test_no_rows_have_no_answers(
    model: ServedModel, context: PythonModelContext, model_input: Any
) -> None:
    assert model.predict(context, model_input) == []


def test_half_a_surrogate_pair_is_answered_and_keeps_the_offsets(
    model: ServedModel, context: PythonModelContext
) -> None:
    text = "\ud83d I use Ubuntu 22.04"
    half: Any = [text, text.replace("\ud83d", "\ufffd")]
    answers: Any = model.predict(context, half)
    spans = [[(entity["start"], entity["end"]) for entity in of_text] for of_text in answers]
    assert spans[0] == spans[1]


def test_entities_may_be_returned_as_json(model: ServedModel, context: PythonModelContext) -> None:
    table = pd.DataFrame({"text": TEXTS})
    answers: Any = model.predict(context, table, {"as_json": True})
    assert [json.loads(answer) for answer in answers] == model.predict(context, table)


@pytest.mark.parametrize(
    ("model_input", "message"),
    [
        ([None], "row 0: None is not text: send strings only"),
        (["a", 5], "row 1: 5 is not text"),
        (["a", True], "row 1: True is not text"),
        (["a", 2.5], "row 1: 2.5 is not text"),
        ([["a", "b"]], r"row 0: \['a', 'b'\] is not text"),
        ([["a"]], r"row 0: \['a'\] is not text"),
        (["a", []], r"row 1: \[\] is not text"),
        ([b"a"], "row 0: b'a' is not text"),
        ([{"text": "a"}, "b", {"text": None}], "row 2: None is not text"),
        ([{"text": "a"}, {"id": 1}], "row 1: no field 'text' among 'id': send the texts as 'text'"),
        ([{}], "row 0: no field 'text' among none"),
        ({"body": ["a"]}, "no field 'text' among 'body'"),
        ({"text": None}, "row 0: None is not text"),
        ({"text": {"text": "a"}}, "row 0: {'text': 'a'} is not text"),
        (None, "None is not text: send a list of texts"),
        (5, "5 is not text: send a list"),
        (np.array([["a", "b"]]), r"row 0: \['a', 'b'\] is not text"),
        (np.array([1.5]), "row 0: 1.5 is not text"),
        (pd.Series(["a", None]), "row 1: nan is not text"),
        (pd.DataFrame({"body": TEXTS}), "no column 'text' among 'body': send the texts as 'text'"),
        (pd.DataFrame({"id": [1], "body": ["a"]}), "no column 'text' among 'id', 'body'"),
        (pd.DataFrame([["a", "b"]]), "no column 'text' among 0, 1"),
        (pd.DataFrame([{}]), "no column 'text' among none"),
        (pd.DataFrame([["a", "b"]], columns=["text", "text"]), "2 columns are named 'text'"),
        (pd.DataFrame({"text": ["a", None]}, dtype=object), "row 1: None is not text"),
        (pd.DataFrame([["a"], [5]]), "row 1: 5 is not text: send strings only"),
    ],
)
def test_anything_else_is_refused_with_its_row_and_value(
    model: ServedModel, context: PythonModelContext, model_input: Any, message: str
) -> None:
    with pytest.raises(MlflowException, match=message) as caught:
        model.predict(context, model_input)
    assert caught.value.get_http_status_code() == 400
    assert "\n" not in caught.value.message


def test_a_long_value_is_cut_in_the_message() -> None:
    with pytest.raises(MlflowException) as caught:
        texts_of([["a" * 10_000]])
    assert len(caught.value.message) < 150


@pytest.fixture
def post(
    model: ServedModel, context: PythonModelContext, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Any]:
    """The answer of MLflow's server to the body of a request."""
    for name in (
        *("infer_and_parse_data", "invocations"),
        *("predictions_to_json", "_decode_json_input"),
    ):
        monkeypatch.setattr(scoring_server, name, getattr(scoring_server, name))
    check_requests(scoring_server)
    monkeypatch.setattr(request_bodies, "LONG_BODY", 1000)
    monkeypatch.setattr(request_bodies, "LONG_STRING", 100)

    class Implementation:
        def predict(self, data: Any, params: Any = None) -> Any:
            return model.predict(context, data, params)

    pyfunc = PyFuncModel(Model(signature=SIGNATURE), Implementation())
    return lambda body: scoring_server.invocations(body.encode(), "application/json", pyfunc, None)


LONG_TEXTS = [*TEXTS, "PostgreSQL crashes on Ubuntu \U0001f600.\n" * 40, "Windows"]


@pytest.mark.parametrize("texts", [TEXTS[:1], TEXTS, LONG_TEXTS], ids=["one", "short", "long"])
@pytest.mark.parametrize(
    "request_of",
    [
        lambda texts: {"inputs": texts},
        lambda texts: {"inputs": texts, "params": {"as_json": False}},
        lambda texts: {"instances": [{"id": 1, "text": text} for text in texts]},
        lambda texts: {"dataframe_split": {"columns": ["text"], "data": [[one] for one in texts]}},
    ],
)
def test_a_request_is_answered_by_mlflows_server_as_predict_answers(
    model: ServedModel,
    context: PythonModelContext,
    post: Callable[..., Any],
    request_of: Callable[[list[str]], Any],
    texts: list[str],
) -> None:
    response = post(json.dumps(request_of(texts)))
    assert (response.status, response.mimetype) == (200, "application/json")
    expected: Any = model.predict(context, pd.DataFrame({"text": texts}))
    assert response.response == json.dumps({"predictions": expected}).encode()


def test_a_request_for_json_is_answered_with_a_text_for_each_row(
    model: ServedModel, context: PythonModelContext, post: Callable[..., Any]
) -> None:
    response = post(json.dumps({"inputs": LONG_TEXTS, "params": {"as_json": True}}))
    rows = [json.loads(row) for row in json.loads(response.response)["predictions"]]
    assert rows == model.predict(context, pd.DataFrame({"text": LONG_TEXTS}))


def test_a_long_request_is_refused_with_the_row_and_the_beginning_of_its_value(
    post: Callable[..., Any],
) -> None:
    with pytest.raises(MlflowException) as caught:
        post(json.dumps({"inputs": [*LONG_TEXTS, ["Windows 11 " * 200]]}))
    message = caught.value.message
    assert message.startswith("row 5: ['Windows 11 Windows 11 ")
    assert len(message) < 200
    assert caught.value.get_http_status_code() == 400
    assert "\n" not in message
    assert post('{"inputs": ["a"]}').status == 200  # nothing of a refused request stays


def test_a_long_request_that_is_no_json_is_refused(post: Callable[..., Any]) -> None:
    body = json.dumps({"inputs": ["a" * 2000]})[:-2]
    with pytest.raises(MlflowException, match=r"^not JSON \(Expecting ',' delimiter\)$") as caught:
        post(body)
    assert caught.value.get_http_status_code() == 400
