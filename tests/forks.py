"""Python modules that run as programs, in forks of a process that has imported their libraries.

A fresh interpreter imports PyTorch, Transformers and MLflow for seconds. A fork has them, and is
otherwise a process as any other: with arguments, environment, working directory, output and exit
status of its own.
"""

import atexit
import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from multiprocessing.context import ForkServerContext
from pathlib import Path

LIBRARIES = (
    "ner_mlflow.cli.main",
    "ner_mlflow.cli.runs",
    "ner_mlflow.workflows.robustness",
    "ner_mlflow.workflows.promote",
    "ner_mlflow.workflows.prompt",
    "mlflow.cli",
    "mlflow.projects.backend.local",
    "onnxscript",
    "sklearn.metrics",
    "transformers.trainer",
)
"""What the modules import, directly or not.

They are imported before the fork gets its environment. Programs that need a variable which a
library reads on its import need a fresh interpreter.
"""


def fork_context() -> ForkServerContext:
    """Return the context that starts processes in which :data:`LIBRARIES` are imported."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(LIBRARIES))
    return context


def run_forked(
    module: str,
    arguments: Sequence[str],
    cwd: Path,
    env: Mapping[str, str],
    timeout_s: float,
) -> subprocess.CompletedProcess[str]:
    """Run ``python -m MODULE ARGUMENTS`` in a fork.

    Raises:
        subprocess.TimeoutExpired: it took longer than ``timeout_s``.
    """
    with tempfile.TemporaryDirectory(prefix="fork-") as folder:
        output = Path(folder)
        process = fork_context().Process(
            target=_run, args=(module, list(arguments), cwd, dict(env), output)
        )
        process.start()
        process.join(timeout_s)
        command = [module, *arguments]
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(command, timeout_s)
        texts = [
            (output / name).read_text(encoding="utf-8", errors="replace")
            for name in ("stdout", "stderr")
        ]
        return subprocess.CompletedProcess(command, process.exitcode, *texts)


def _run(module: str, arguments: list[str], cwd: Path, env: dict[str, str], output: Path) -> None:
    for number, name in ((1, "stdout"), (2, "stderr")):
        with (output / name).open("wb") as file:
            os.dup2(file.fileno(), number)
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    tempfile.tempdir = None  # as TMPDIR of the new environment says
    sys.argv = [module, *arguments]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    finally:
        # multiprocessing ends a process without the functions that libraries registered.
        atexit._run_exitfuncs()
