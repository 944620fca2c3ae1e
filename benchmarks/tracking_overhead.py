"""Measure the share of a trial's wall time that tracking calls take, with a local server.

The benchmark runs trials of a sweep in this process, against an `mlflow server` of its own (SQLite,
proxied artifacts). It adds up the seconds that the trial's thread waits for tracking: opening and
ending the run, parameters, metrics, tags, dataset inputs, tables, figures, the adapters and the
model. Other threads send system metrics at the same time; they are not counted.

usage: python -m benchmarks.tracking_overhead DATASET [--preset minilm_lora] [--trials 2]
    [--set train.epochs=3] ...
"""

import argparse
import json
import logging
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from socket import create_server
from typing import Any
from unittest.mock import patch

import mlflow
import requests

from ner_mlflow.config.loading import load_config
from ner_mlflow.config.settings import parse_assignments
from ner_mlflow.logs import show_progress
from ner_mlflow.paths import CACHE_VARIABLE
from ner_mlflow.provenance import git_commit, hardware
from ner_mlflow.sweeping.process_study import ProcessStudy
from ner_mlflow.sweeping.space import read_space
from ner_mlflow.sweeping.trial import RunningTrial
from ner_mlflow.tracking.flavors import log_trained_model
from ner_mlflow.tracking.lifecycle import open_child_of, open_run
from ner_mlflow.tracking.records import resume_key
from ner_mlflow.tracking.run import Run
from ner_mlflow.tracking.steps import Step
from ner_mlflow.workflows.inputs import find_data
from ner_mlflow.workflows.trials import SweepJob, Trials, trial_config


class Clock:
    """A clock that adds up the seconds of calls in the main thread, by name.

    Of nested calls, only the outermost counts.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.calls: Counter[str] = Counter()
        self._inside = False

    @contextmanager
    def running(self, name: str) -> Iterator[None]:
        """Count the seconds of the block."""
        if self._inside or threading.current_thread() is not threading.main_thread():
            yield
            return
        self._inside, started = True, time.perf_counter()
        try:
            yield
        finally:
            self._inside = False
            self.seconds[name] += time.perf_counter() - started
            self.calls[name] += 1

    def timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that counts the seconds of each call."""

        def call(*args: Any, **kwargs: Any) -> Any:
            with self.running(name):
                return function(*args, **kwargs)

        return call

    @contextmanager
    def timed_opening(self, opened: AbstractContextManager[Run]) -> Iterator[Run]:
        """Count the seconds to enter and exit a context manager, without its block."""
        with self.running("open run"):
            run = opened.__enter__()
        try:
            yield run
        except BaseException as error:
            with self.running("end run"):
                opened.__exit__(type(error), error, error.__traceback__)
            raise
        with self.running("end run"):
            opened.__exit__(None, None, None)


def main() -> None:
    """Measure, and print the result as JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dataset")
    parser.add_argument("--preset", default="minilm_lora")
    parser.add_argument("--trials", type=int, default=2)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    arguments = parser.parse_args()
    show_progress()
    overrides = {
        "data.dataset": arguments.dataset,
        "sweep.trials": arguments.trials,
        "sweep.pruner": "none",
        **parse_assignments(arguments.set),
    }
    config = load_config(arguments.preset, overrides)
    space = read_space(config.sweep.space, config)
    config = trial_config(config, space)
    clock, trial_seconds = Clock(), 0.0
    with tempfile.TemporaryDirectory() as folder, server(Path(folder)) as address:
        os.environ[CACHE_VARIABLE] = folder
        mlflow.set_tracking_uri(address)
        with open_run(Step.SWEEP, "tracking overhead") as parent:
            data = find_data(parent, config)
            job = SweepJob("overhead", space, config, data.run_id, parent.id, parent.experiment_id)
            trials = Trials(job, data)

            def timed_trial(trial: RunningTrial) -> list[float]:
                nonlocal trial_seconds
                started = time.perf_counter()
                values = trials(trial)
                trial_seconds += time.perf_counter() - started
                return values

            study = ProcessStudy(job.spec)
            study.fill(space.point(config))
            with ExitStack() as patches:
                for name, counted in counted_calls(clock).items():
                    patches.enter_context(patch(name, counted))
                study.run_waiting(timed_trial)
    logging.getLogger("ner_mlflow").info(
        "seconds by call: %s",
        {
            name: round(seconds, 2)
            for name, seconds in sorted(clock.seconds.items(), key=lambda item: -item[1])
        },
    )
    print(
        json.dumps(
            {
                "share": sum(clock.seconds.values()) / trial_seconds,
                "tracking_s": sum(clock.seconds.values()),
                "trial_s": trial_seconds,
                "trials": arguments.trials,
                "seconds_by_call": dict(clock.seconds),
                "calls": dict(clock.calls),
                "epochs": config.train.epochs,
                "dataset": data.dataset.name,
                "preset": arguments.preset,
                "set": arguments.set,
                "commit": git_commit(),
                "hardware": hardware(),
            }
        )
    )


def counted_calls(clock: Clock) -> dict[str, Callable[..., Any]]:
    """Return the tracking functions that a trial calls, counted, by the name to patch."""
    methods = {
        name: getattr(Run, name)
        for name in vars(Run)
        if name.startswith(("log_", "set_", "describe"))
    }
    return {
        **{
            f"ner_mlflow.tracking.run.Run.{name}": clock.timed(name, method)
            for name, method in methods.items()
        },
        "ner_mlflow.workflows.train.log_trained_model": clock.timed("log model", log_trained_model),
        "ner_mlflow.workflows.train.resume_key": clock.timed("read", resume_key),
        "ner_mlflow.workflows.trials.open_child_of": lambda *args: clock.timed_opening(
            open_child_of(*args)
        ),
    }


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """Run an MLflow server on this machine while the block runs, and yield its address."""
    with create_server(("127.0.0.1", 0)) as socket:
        port = socket.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "server",
        "--backend-store-uri",
        f"sqlite:///{folder}/mlflow.db",
    ]
    command += [
        "--artifacts-destination",
        f"{folder}/artifacts",
        "--workers",
        "1",
        "--port",
        str(port),
    ]
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(
            command,
            stdout=log,
            stderr=log,
            env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        )
    try:
        for _ in range(240):
            try:
                requests.get(f"{address}/health", timeout=2).raise_for_status()
                break
            except requests.RequestException:
                time.sleep(0.5)
        yield address
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    main()
