"""Serve an exported model through MLflow: texts in, a list of entities for each text out."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import PythonModel, PythonModelContext

from .recognizer import BATCH_SUBWORDS, CPU, EntityRecognizer, load_tagger

TEXT_COLUMN = "text"
AS_JSON = "as_json"
MODEL_CONFIG: dict[str, int | str] = {
    "threads": 0,
    "batch_subwords": BATCH_SUBWORDS,
    "provider": CPU,
}
"""Options that ``model_config`` can set when the model is loaded, with their defaults.

MLflow passes on only options that were logged with the model.
"""


class ServedModel(PythonModel):
    """The registered model; needs the logged requirements and nothing else."""

    def load_context(self, context: PythonModelContext) -> None:
        """Load the exported files.

        ``context.model_config`` can set ``threads`` (0: all usable cores), ``batch_subwords`` and
        ONNX Runtime's ``provider``.
        """
        config = {**MODEL_CONFIG, **(context.model_config or {})}
        settings = int(config["threads"]), int(config["batch_subwords"]), str(config["provider"])
        self._recognizer = EntityRecognizer(
            load_tagger(Path(context.artifacts["model"]), *settings)
        )

    def predict(
        self,
        context: PythonModelContext,
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,
    ) -> list[list[dict[str, Any]]] | list[str]:
        """Return the entities of each row's text, in row order.

        Args:
            context: unused.
            model_input: a table with a column ``text``, or with the one unnamed column that MLflow
                makes of bare strings.
            params: ``as_json`` returns the entities of a row as one JSON string, because MLflow's
                Spark function has no type for lists of unequal length.

        Raises:
            MlflowException: there is no such column, or a value is not text.
        """
        if TEXT_COLUMN in model_input.columns:
            texts = model_input[TEXT_COLUMN].tolist()
        elif model_input.shape[1] == 1 and not isinstance(model_input.columns[0], str):
            texts = model_input.iloc[:, 0].tolist()
        else:
            names = ", ".join(repr(str(name)) for name in model_input.columns)
            raise MlflowException.invalid_parameter_value(
                f"the first column must be {TEXT_COLUMN!r}, not {names}: "
                "send texts in it, or bare strings"
            )
        if odd := [index for index, text in enumerate(texts) if not isinstance(text, str)]:
            raise MlflowException.invalid_parameter_value(
                f"row {odd[0]}: {texts[odd[0]]!r} is not text: send strings only"
            )
        rows = self._recognizer.recognize_rows(texts)
        return (
            [json.dumps(entities) for entities in rows] if params and params.get(AS_JSON) else rows
        )
