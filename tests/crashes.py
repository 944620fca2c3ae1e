"""Processes that do one thing in a tracking store, to be started together or killed."""

import math
import os
import runpy
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

from forks import fork_context

from ner_mlflow.tracking.lifecycle import open_child, open_run
from ner_mlflow.tracking.records import VersionOrigin
from ner_mlflow.tracking.registration import register
from ner_mlflow.tracking.registry import (
    AliasMovedError,
    alias_holder,
    find_version,
    move_alias,
    now,
    previous_holder,
    settle,
)
from ner_mlflow.tracking.registry_lock import lock_model
from ner_mlflow.tracking.steps import Step

TIMEOUT_S = 60
"""Seconds that a process waits for the lock of a registered model."""


def start(
    work: Callable[..., object], *arguments: Any, env: Mapping[str, str], log: Path
) -> ForkServerProcess:
    """Start a function of a module in a process, with an environment and a file for its output."""
    process = fork_context().Process(target=_run, args=(work, arguments, dict(env), log))
    process.start()
    return process


def run_module(module: str, *arguments: str) -> None:
    """Run ``python -m MODULE ARGUMENTS``, in a process group of its own."""
    os.setsid()
    sys.argv = [module, *arguments]
    tempfile.tempdir = None  # as TMPDIR of the new environment says
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def cpu_seconds(process: ForkServerProcess) -> float:
    """Return the CPU time of a process and its ended children; infinite once it has ended."""
    try:
        stat = Path(f"/proc/{process.pid}/stat").read_text()
    except OSError:
        return math.inf
    times = stat.rpartition(")")[2].split()[11:15]
    return sum(map(int, times)) / os.sysconf("SC_CLK_TCK")


def open_a_run(name: str) -> None:
    """Open a run, log a metric and end the run."""
    with open_run(Step.DATA, name) as run:
        run.log_metrics({"one": 1.0})


def open_runs_and_wait(name: str) -> None:
    """Open a run and a train run below it, and stay in them for a minute."""
    with open_run(Step.MAIN, name) as run, open_child(run, Step.TRAIN, f"{name} child"):
        time.sleep(60)


def register_and_promote(name: str, model_uri: str) -> None:
    """Register a logged model, and make its version the champion, as `main` does."""
    version = register(model_uri, name, "candidate", VersionOrigin(preset="p"), "card of {}".format)
    to, holder = find_version(name, version), alias_holder(name, "champion")
    if holder is None or holder.version != version:
        note = f"{now()}: champion, promoted: better."
        try:
            move_alias("champion", to, holder, {"promotion_reason": "better"}, note, TIMEOUT_S)
        except AliasMovedError:
            holder = alias_holder(name, "champion")
            assert holder is not None
            assert holder.version == version


def roll_back(name: str) -> None:
    """Give the alias champion back to version 1, as `promote` does."""
    settle(name, TIMEOUT_S)
    holder, previous = alias_holder(name, "champion"), previous_holder(name, "champion")
    if previous:
        note = f"{now()}: champion again."
        left = {"rolled_back": "yes"}
        move_alias("champion", previous, holder, {"restored": "yes"}, note, TIMEOUT_S, True, left)


def hold_the_lock(name: str) -> None:
    """Hold the lock of a registered model for a minute."""
    with lock_model(name, 5):
        time.sleep(60)


def kill(process: ForkServerProcess) -> None:
    """Kill a process and wait until it has ended."""
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()


def wait_for(condition: Callable[[], object], seconds: float = 60) -> None:
    """Wait until a condition holds.

    Raises:
        AssertionError: it did not in this time.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _run(
    work: Callable[..., object], arguments: tuple[Any, ...], env: dict[str, str], log: Path
) -> None:
    os.environ.clear()
    os.environ.update(env)
    with log.open("wb") as file:
        for stream in (sys.stdout, sys.stderr):
            os.dup2(file.fileno(), stream.fileno())
    work(*arguments)
