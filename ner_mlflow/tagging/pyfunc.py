"""Serve an exported model through MLflow: texts in, a list of entities for each text out.

The model is logged without a schema of its inputs. MLflow would fit the input to a schema before
the model sees it: it makes texts of null and numbers, keeps the first column of a table whatever
its name, and refuses an empty list and half a surrogate pair. So the model checks its input itself,
which is also faster.
"""

import json
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import PythonModel, PythonModelContext

from .recognizer import BATCH_SUBWORDS, CPU, EntityRecognizer, load_tagger
from .tagger import Tagger

TEXT_COLUMN = "text"
SPARK_COLUMN = "0"
"""Name that MLflow's Spark function gives to its only column."""
AS_JSON = "as_json"
SHOWN = 80
"""Characters of a value that a message quotes."""
MODEL_CONFIG: dict[str, int | str] = {
    "threads": 0,
    "batch_subwords": BATCH_SUBWORDS,
    "provider": CPU,
}
"""Options that ``model_config`` can set when the model is loaded, with their defaults.

MLflow passes on only options that were logged with the model.
"""
SCORING_SERVER = "mlflow.pyfunc.scoring_server"
"""MLflow's module that answers HTTP requests."""
UNCHANGED_FORMATS = ("inputs", "instances", "dataframe_records")
"""Formats of requests whose JSON values reach the model as they are."""


class ServedModel(PythonModel):
    """The registered model; needs the logged requirements and nothing else."""

    def load_context(self, context: PythonModelContext) -> None:
        """Load the exported files.

        ``context.model_config`` can set ``threads`` (0: all usable cores), ``batch_subwords`` and
        ONNX Runtime's ``provider``.
        """
        config = {**MODEL_CONFIG, **(context.model_config or {})}
        tagger = self.open_tagger(Path(context.artifacts["model"]), config)
        self._recognizer = EntityRecognizer(tagger)
        if f"{SCORING_SERVER}.app" in sys.modules:  # this process serves this model
            keep_json_values(sys.modules[SCORING_SERVER])

    def open_tagger(self, folder: Path, config: dict[str, Any]) -> Tagger:
        """Load the files in a folder by the options of :data:`MODEL_CONFIG`."""
        return load_tagger(
            folder, int(config["threads"]), int(config["batch_subwords"]), str(config["provider"])
        )

    def predict(
        self,
        context: PythonModelContext,
        # Any input that texts_of takes. With another annotation MLflow would check the input.
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,
    ) -> list[list[dict[str, Any]]] | list[str]:
        """Return the entities of each row's text, in row order.

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
            return self._recognizer.recognize_each(texts, json.dumps)
        return self._recognizer.recognize_rows(texts)


def texts_of(model_input: Any) -> list[str]:
    """Return the texts of an input, one for each row.

    Args:
        model_input: a table or a dict with a column ``text`` and any others, a list of records with
            a field ``text``, a list, array or column of texts, a table of one column without a name
            (as Spark and pandas make of bare texts), or one text.

    Raises:
        MlflowException: it is none of these, or a value is not text.
    """
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
    shown = " ".join(repr(value).split())
    return shown if len(shown) <= SHOWN else f"{shown[:SHOWN]}..."


def keep_json_values(server: Any) -> None:
    """Let MLflow's scoring server pass JSON values on to the model as they are.

    For a model without a schema it makes NumPy arrays of them, and NumPy makes the text "1" of the
    number 1 beside a text. A table as ``dataframe_split`` becomes a pandas table all the same.

    Args:
        server: the module :data:`SCORING_SERVER`.
    """
    parse: Callable[..., Any] = server.infer_and_parse_data

    def keep_values(data: Mapping[str, Any], schema: Any = None) -> Any:
        for name in UNCHANGED_FORMATS:
            if list(data) == [name]:
                return data[name]
        return parse(data, schema)

    server.infer_and_parse_data = keep_values
