"""Tell whether `mlflow run` opened a run for this process, without importing MLflow."""

import os

RUN_VARIABLE = "MLFLOW_RUN_ID"


def adopted_run() -> str | None:
    """Return the id of the run that `mlflow run` opened for this process, or None."""
    return os.environ.get(RUN_VARIABLE)
