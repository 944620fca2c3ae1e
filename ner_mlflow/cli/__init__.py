"""The commands: each resolves the configuration, opens a run and calls a workflow."""

import os

from ..start_up import begin_imports

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # before anything imports mlflow
begin_imports()  # until the command runs
