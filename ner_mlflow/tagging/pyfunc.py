"""The MLflow side of the registered model: a `text` column, or strings, in; a list of entities for each out."""

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
"""What ``model_config`` may change when the model is loaded; MLflow passes on nothing that was not logged with the model."""


class ServedModel(PythonModel):
    """``models:/NAME@ALIAS`` as people call it; needs what `requirements` name and nothing else."""

    def load_context(self, context: PythonModelContext) -> None:
        """Load the exported files; ``model_config`` may set ``threads`` (0: all cores), ``batch_subwords`` and ONNX Runtime's ``provider``."""
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
        """Entities of each row's text, in row order.

        ``model_input`` has a column ``text``, or the one column without a name that MLflow makes of strings. With the parameter
        ``as_json`` each row's entities are one string: MLflow's Spark function has no type for lists of unequal length.
        """
        if TEXT_COLUMN in model_input.columns:
            texts = model_input[TEXT_COLUMN].tolist()
        elif model_input.shape[1] == 1 and not isinstance(model_input.columns[0], str):
            texts = model_input.iloc[:, 0].tolist()
        else:
            names = ", ".join(repr(str(name)) for name in model_input.columns)
            raise MlflowException.invalid_parameter_value(
                f"the first column must be {TEXT_COLUMN!r}, not {names}: send texts in it, or bare strings"
            )
        if odd := [index for index, text in enumerate(texts) if not isinstance(text, str)]:
            raise MlflowException.invalid_parameter_value(
                f"row {odd[0]}: {texts[odd[0]]!r} is not text: send strings only"
            )
        rows = self._recognizer.recognize_rows(texts)
        return (
            [json.dumps(entities) for entities in rows] if params and params.get(AS_JSON) else rows
        )
