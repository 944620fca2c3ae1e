"""The tracking store and the registry: runs, what they mean, models and their versions."""

import os
import sys

TELEMETRY_VARIABLE = "MLFLOW_DISABLE_TELEMETRY"

if TELEMETRY_VARIABLE not in os.environ:  # nobody asked for reports to MLflow's makers
    os.environ[TELEMETRY_VARIABLE] = "true"
    if telemetry := sys.modules.get("mlflow.telemetry"):  # MLflow was imported before, and reports
        telemetry.set_telemetry_client()
