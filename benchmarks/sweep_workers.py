"""Measure the trials per hour of several workers of a sweep, relative to one worker.

The objective sleeps and computes nothing, so the benchmark measures the cost of sharing a study.
On a machine with a core for each worker, trainings scale by the same factor. Time runs from the
start of the first trial to the end of the last one and excludes the start of processes. With the
engine spark, the workers belong to a standalone cluster, one core each, that Spark starts here.

usage: python -m benchmarks.sweep_workers [--engine processes|spark] [--storage sqlite]
    [--trials 24] [--seconds 2] [--workers 2]
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass

import mlflow
from optuna.trial import FrozenTrial

from ner_mlflow.config.loading import load_config
from ner_mlflow.logs import show_progress
from ner_mlflow.paths import CACHE_VARIABLE
from ner_mlflow.provenance import git_commit, hardware
from ner_mlflow.redaction import redact_address
from ner_mlflow.sweeping.process_study import ProcessStudy
from ner_mlflow.sweeping.space import read_space
from ner_mlflow.sweeping.study import SweepStudy, TrialWork
from ner_mlflow.sweeping.trial import RunningTrial, StudySpec
from ner_mlflow.tracking.spark_study import SparkStudy

ENGINES: dict[str, type[SweepStudy]] = {"processes": ProcessStudy, "spark": SparkStudy}


def main() -> None:
    """Measure, and print the result as JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--engine", choices=tuple(ENGINES), default="processes")
    parser.add_argument("--storage", default="sqlite")
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ[CACHE_VARIABLE] = folder
        os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder}/mlflow.db"
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        rates = {}
        for workers in (1, arguments.workers):
            values = {
                "sweep.storage": arguments.storage,
                "sweep.trials": arguments.trials,
                "sweep.pruner": "none",
                "sweep.jobs": workers,
                "sweep.engine": arguments.engine,
                "sweep.spark_master": f"local-cluster[{workers},1,1024]",
            }
            config = load_config("minilm_lora", values)
            spec = StudySpec(
                f"{time.time()} {workers}",
                read_space("lora", config),
                ("maximize",),
                1,
                config.sweep,
            )
            rates[workers] = trials_per_hour(run_study(spec, arguments.seconds))
    print(
        json.dumps(
            {
                "ratio": rates[arguments.workers] / rates[1],
                "trials_per_hour": rates,
                "workers": arguments.workers,
                "trials": arguments.trials,
                "sleep_s": arguments.seconds,
                "engine": arguments.engine,
                **(
                    {}
                    if arguments.engine == "spark"
                    else {"storage": redact_address(arguments.storage)}
                ),
                "commit": git_commit(),
                "hardware": hardware(),
            }
        )
    )


def run_study(spec: StudySpec, seconds: float) -> list[FrozenTrial]:
    """Run a study whose trials sleep, and return them."""
    experiment = mlflow.set_experiment(spec.name).experiment_id
    with mlflow.start_run() as run:
        parent = run.info.run_id
    with ENGINES[spec.config.engine].open(spec, parent, experiment) as study:
        study.fill(None)
        study.run_trials(TrialWork(make_sleep, seconds, "", None, show_progress))
        return study.trials()


@dataclass(frozen=True)
class Sleep:
    """An objective that computes nothing and sleeps."""

    seconds: float

    def __call__(self, trial: RunningTrial) -> list[float]:
        """Sleep, and return the learning rate."""
        time.sleep(self.seconds)
        return [trial.overrides["train.learning_rate"]]


def make_sleep(seconds: float, _processes: int) -> Sleep:
    """Return the objective of a process."""
    return Sleep(seconds)


def trials_per_hour(trials: Sequence[FrozenTrial]) -> float:
    """Return the trials per hour, from the start of the first one to the end of the last one."""
    start = min(trial.datetime_start for trial in trials if trial.datetime_start)
    end = max(trial.datetime_complete for trial in trials if trial.datetime_complete)
    return len(trials) * 3600 / (end - start).total_seconds()


if __name__ == "__main__":
    main()
