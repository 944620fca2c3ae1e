"""The MLflow side of the registered model: a `text` column, or strings, in; a list of entities for each out."""

from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import PythonModel, PythonModelContext

from .recognizer import EntityRecognizer, load_tagger

TEXT_COLUMN = "text"


class ServedModel(PythonModel):
    """``models:/NAME@ALIAS`` as people call it; needs what `requirements` name and nothing else."""

    def load_context(self, context: PythonModelContext) -> None:
        """Load the exported files; ``model_config`` may set ``threads`` (0: all cores) and ``batch_tokens``."""
        config: dict[str, Any] = context.model_config or {}
        self._recognizer = EntityRecognizer(
            load_tagger(Path(context.artifacts["model"]), int(config.get("threads", 0)), int(config.get("batch_tokens", 4096)))
        )

    def predict(self, context: PythonModelContext, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> list[list[dict[str, Any]]]:
        """Entities of each row's text, in row order."""
        if TEXT_COLUMN not in model_input.columns:
            raise MlflowException.invalid_parameter_value(f"no column {TEXT_COLUMN!r} among {list(model_input.columns)}: send the texts in it")
        texts = model_input[TEXT_COLUMN].tolist()
        if odd := [index for index, text in enumerate(texts) if not isinstance(text, str)]:
            raise MlflowException.invalid_parameter_value(f"row {odd[0]}: {texts[odd[0]]!r} is not text: send strings only")
        return self._recognizer.recognize_rows(texts)
