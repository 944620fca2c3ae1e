"""Serve an exported model through MLflow: texts in, a list of entities for each text out.

The model is logged without a schema of its inputs. MLflow would fit the input to a schema before
the model sees it: it makes texts of null and numbers, keeps the first column of a table whatever
its name, and refuses an empty list and half a surrogate pair. So the model checks its input itself,
which is also faster.
"""

import json
import sys
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import PythonModel, PythonModelContext

from .onnx_engine import CPU
from .recognizer import EntityRecognizer, load_tagger
from .request_bodies import JsonAnswers, LongStrings, RequestTexts, load_json
from .tagger import Tagger

TEXT_COLUMN = "text"
SPARK_COLUMN = "0"
"""Name that MLflow's Spark function gives to its only column."""
AS_JSON = "as_json"
BEFORE_REASON = "\nError: "
"""Stands in a message of MLflow's between the whole request and the reason of its refusal."""
MESSAGE_LIMIT = 500
"""Most characters of a message."""
SHOWN = 80
"""Characters of a value that a message quotes."""
MODEL_CONFIG: dict[str, int | str] = {
    "threads": 0,
    "batch_subwords": 0,
    "provider": CPU,
    "engine": "",
}
"""Options that ``model_config`` can set when the model is loaded, with their defaults.

MLflow passes on only options that were logged with the model.
"""
SCORING_SERVER = "mlflow.pyfunc.scoring_server"
"""MLflow's module that answers HTTP requests."""
WAY_OUT = 'send {"inputs": ["a text", "another"]}'
UNCHANGED_FORMATS = ("inputs", "instances", "dataframe_records")
"""Formats of requests whose JSON values reach the model as they are."""


class ServedModel(PythonModel):
    """The registered model; needs the logged requirements and nothing else.

    Attributes:
        recognizer: answers without MLflow's checks and wrappers, which take longer than all other
            work beside the model: ``load_model(uri).unwrap_python_model().recognizer``.
    """

    recognizer: EntityRecognizer

    def load_context(self, context: PythonModelContext) -> None:
        """Load the exported files.

        ``context.model_config`` can set ``threads`` (0: all usable cores), ``batch_subwords``
        (0: that with which the engine is fastest), ONNX Runtime's ``provider``, and ``engine``
        (empty: the one chosen at export).
        """
        config = {**MODEL_CONFIG, **(context.model_config or {})}
        tagger = self.open_tagger(Path(context.artifacts["model"]), config)
        self.recognizer = EntityRecognizer(tagger)
        if f"{SCORING_SERVER}.app" in sys.modules:  # this process serves this model
            check_requests(sys.modules[SCORING_SERVER])

    def open_tagger(self, folder: Path, config: dict[str, Any]) -> Tagger:
        """Load the files in a folder by the options of :data:`MODEL_CONFIG`."""
        return load_tagger(
            folder,
            int(config["threads"]),
            int(config["batch_subwords"]),
            str(config["provider"]),
            str(config["engine"]),
        )

    def predict(
        self,
        context: PythonModelContext,
        # Any input that texts_of takes. With another annotation MLflow would check the input.
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,
    ) -> list[list[dict[str, Any]]] | list[str] | JsonAnswers:
        """Return the entities of each row's text, in row order; those of a request as JSON.

        Args:
            context: unused.
            model_input: the texts, see :func:`texts_of`.
            params: ``as_json`` returns the entities of a row as one JSON string, because MLflow's
                Spark function has no type for lists of unequal length.

        Raises:
            MlflowException: there are no texts, or a value is not text.
        """
        texts = texts_of(model_input)
        if params and params.get(AS_JSON):
            return self.recognizer.recognize_each(texts, json.dumps)
        if isinstance(texts, RequestTexts):
            answers = JsonAnswers()
            self.recognizer.recognize_parts(texts, texts.characters, answers.add)
            return answers
        return self.recognizer.recognize_rows(texts)


def texts_of(model_input: Any) -> Sequence[str]:
    """Return the texts of an input, one for each row; those of a request as they are.

    Args:
        model_input: a table or a dict with a column ``text`` and any others, a list of records with
            a field ``text``, a list, array or column of texts, a table of one column without a name
            (as Spark and pandas make of bare texts), or one text.

    Raises:
        MlflowException: it is none of these, or a value is not text.
    """
    if isinstance(model_input, RequestTexts):
        return model_input
    texts = list(_values(model_input))
    for row, text in enumerate(texts):
        if not isinstance(text, str):
            raise _refusal(f"row {row}: {_shown(text)} is not text: send strings only")
    return texts


def _values(model_input: Any) -> Iterable[Any]:
    if isinstance(model_input, str):
        return [model_input]
    if isinstance(model_input, pd.DataFrame):
        return _column(model_input)
    if isinstance(model_input, Mapping):
        values = _field(model_input, "")
        return (
            list(values) if isinstance(values, (list, tuple, pd.Series, np.ndarray)) else [values]
        )
    if isinstance(model_input, np.ndarray):
        is_column = model_input.ndim == 0 or model_input.shape[1:] == (1,)
        return list((model_input.ravel() if is_column else model_input).tolist())
    if isinstance(model_input, pd.Series):
        return list(model_input)
    if isinstance(model_input, (list, tuple)):
        if not any(isinstance(item, Mapping) for item in model_input):
            return model_input
        return [
            _field(item, f"row {row}: ") if isinstance(item, Mapping) else item
            for row, item in enumerate(model_input)
        ]
    raise _refusal(f"{_shown(model_input)} is not text: send a list of texts")


def _column(table: pd.DataFrame) -> Iterable[Any]:
    columns = table.columns.tolist()
    if columns.count(TEXT_COLUMN) == 1:
        return list(table[TEXT_COLUMN])
    if TEXT_COLUMN in columns:
        raise _refusal(f"{columns.count(TEXT_COLUMN)} columns are named {TEXT_COLUMN!r}: keep one")
    if len(columns) == 1 and (not isinstance(columns[0], str) or columns[0] == SPARK_COLUMN):
        return list(table.iloc[:, 0])
    if table.shape == (0, 0):
        return []
    raise _no_text(columns, "column", "")


def _field(record: Mapping[Any, Any], place: str) -> Any:
    if TEXT_COLUMN not in record:
        raise _no_text(record, "field", place)
    return record[TEXT_COLUMN]


def _no_text(names: Iterable[Any], kind: str, place: str) -> MlflowException:
    listed = ", ".join(_shown(name) for name in names) or "none"
    return _refusal(
        f"{place}no {kind} {TEXT_COLUMN!r} among {listed}: "
        f"send the texts as {TEXT_COLUMN!r}, or a list of strings"
    )


def _refusal(message: str) -> MlflowException:
    return MlflowException.invalid_parameter_value(message)


def _shown(value: Any) -> str:
    try:
        shown = " ".join(repr(value).split())
    except RecursionError:
        return f"a {type(value).__name__} nested too deeply"
    return shown if len(shown) <= SHOWN else f"{shown[:SHOWN]}..."


def check_requests(server: Any) -> None:
    """Let MLflow's scoring server pass JSON values on as they are, and refuse all else in one line.

    For a model without a schema it makes NumPy arrays of JSON values, and NumPy makes the text "1"
    of the number 1 beside a text. A table as ``dataframe_split`` becomes a pandas table all the
    same. A refusal by the model would repeat the whole request, and what the server itself does not
    expect would be its fault (status 500): a number of 5,000 digits, lists in lists without end, no
    content type. So requests are checked before the model sees them.

    The long texts of a request are decoded one after the other, and the answers are written as
    JSON while texts are tagged, so that neither is in memory more than once.

    Args:
        server: the module :data:`SCORING_SERVER`.
    """
    parse: Callable[..., Any] = server.infer_and_parse_data
    answer: Callable[..., Any] = server.invocations
    write: Callable[..., Any] = server.predictions_to_json
    request = _Request()

    def decode(body: str | bytes | dict[str, Any]) -> dict[str, Any]:
        value, request.long_strings = decode_request(body)
        return value

    def keep_values(data: Mapping[str, Any], schema: Any = None) -> RequestTexts:
        for name in UNCHANGED_FORMATS:
            if list(data) == [name]:
                return RequestTexts(texts_of(data[name]), request.long_strings)
        try:
            return RequestTexts(texts_of(parse(data, schema)), request.long_strings)
        except MlflowException:
            raise
        except Exception as error:  # pandas raises whatever odd columns make it raise
            raise _refusal(f"no table ({_shown(str(error))[1:-1]}): {WAY_OUT}") from None

    def keep_answers(predictions: Any, *others: Any) -> None:
        if isinstance(predictions, JsonAnswers):
            request.answers = predictions.body()
        else:
            write(predictions, *others)

    def invocations(data: bytes, content_type: str | None, *others: Any) -> Any:
        try:
            response = answer(data, content_type or "", *others)
            return (
                response if request.answers is None else response._replace(response=request.answers)
            )
        except MlflowException as error:
            reason = error.message.rpartition(BEFORE_REASON)[2]
            error.message = " ".join(reason.split())[:MESSAGE_LIMIT]
            raise
        finally:
            request.__dict__.clear()

    server.infer_and_parse_data = keep_values
    server.invocations = invocations
    server.predictions_to_json = keep_answers
    server._decode_json_input = decode


class _Request(threading.local):
    """What the thread that answers a request keeps for the next of the server's functions."""

    long_strings = LongStrings()
    answers: bytes | None = None


def decode_request(body: str | bytes | dict[str, Any]) -> tuple[dict[str, Any], LongStrings]:
    """Return the JSON object that is the body of a request, and its long strings.

    Raises:
        MlflowException: it is not a JSON object, or its ``params`` are none.
    """
    if isinstance(body, dict):  # decoded before
        return body, LongStrings()
    try:
        value, long_strings = load_json(body)
    except RecursionError:
        raise _refusal("not JSON: lists or objects are nested too deeply") from None
    except ValueError as error:  # not JSON or not UTF-8, or a number of too many digits
        raise _refusal(f"not JSON ({_shown(str(error))[1:-1]})") from None
    if not isinstance(value, dict):
        raise _refusal(f"{_shown(value)} is not an object: {WAY_OUT}")
    if not isinstance(value.get("params") or {}, dict):
        raise _refusal(f"params {_shown(value['params'])} is not an object: leave it out")
    return value, long_strings
