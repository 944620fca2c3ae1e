"""The commands: each resolves the configuration, opens a run and calls a workflow."""

import os

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # before anything imports mlflow
