"""The commands: each resolves the configuration, opens a run and calls a workflow."""

import gc
import os
import sys

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # before anything imports mlflow

if (
    sys.argv[0] == "-m"
):  # what it is while `python -m entrypoints.NAME` looks for NAME, and never in a process that a command starts
    gc.disable()  # little that an import makes becomes garbage, and looking for it takes a quarter of the start; options.Command.main enables it
