"""How many trials an hour do two workers of a sweep finish, over one?

The objective sleeps and computes nothing, so that what is measured is what sharing a study costs: on a machine with a core for each
worker, trainings scale by as much. Time runs from the first trial's begin to the last one's end, without the start of processes.
With the engine spark, workers are those of a standalone cluster that Spark starts here, of one core each.

usage: python -m benchmarks.sweep_workers [--engine processes|spark] [--storage sqlite] [--trials 24] [--seconds 2] [--workers 2]
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
from ner_mlflow.paths import CACHE_VARIABLE
from ner_mlflow.provenance import git_commit, hardware
from ner_mlflow.redaction import redact_address
from ner_mlflow.sweeping.space import read_space
from ner_mlflow.sweeping.study import RunningTrial, StudySpec, SweepStudy
from ner_mlflow.sweeping.workers import log_progress, supervise
from ner_mlflow.tracking.spark_study import open_spark_study


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--engine", choices=("processes", "spark"), default="processes")
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
            }
            config = load_config("minilm_lora", values)
            spec = StudySpec(
                f"{time.time()} {workers}",
                read_space("lora", config),
                ("maximize",),
                1,
                config.sweep,
            )
            trials = (on_spark if arguments.engine == "spark" else in_processes)(
                spec, workers, arguments.seconds
            )
            rates[workers] = trials_per_hour(trials)
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


def in_processes(spec: StudySpec, workers: int, seconds: float) -> list[FrozenTrial]:
    """Run a study in worker processes of this machine."""
    study = SweepStudy(spec)
    study.fill(None)
    supervise(study, work, (spec, seconds), workers)
    return study.trials()


def work(spec: StudySpec, seconds: float) -> None:
    """What each worker process does."""
    SweepStudy(spec).work(Sleep(seconds))


def on_spark(spec: StudySpec, workers: int, seconds: float) -> list[FrozenTrial]:
    """Run a study on a Spark cluster; its workers begin before the first trial does."""
    experiment_id = mlflow.set_experiment(spec.name).experiment_id
    with open_spark_study(spec, f"local-cluster[{workers},1,1024]", experiment_id) as study:
        study.fill(None)
        study.run(Sleep, seconds, None, log_progress)
        return study.trials()


@dataclass(frozen=True)
class Sleep:
    """An objective that computes nothing."""

    seconds: float

    def __call__(self, trial: RunningTrial) -> list[float]:
        """Sleep, and answer with the learning rate."""
        time.sleep(self.seconds)
        return [trial.overrides["train.learning_rate"]]


def trials_per_hour(trials: Sequence[FrozenTrial]) -> float:
    """How many ended an hour, from the first one's begin to the last one's end."""
    times = [(trial.datetime_start, trial.datetime_complete) for trial in trials]
    begin, end = (
        min(start for start, _ in times if start),
        max(complete for _, complete in times if complete),
    )
    return len(trials) * 3600 / (end - begin).total_seconds()


if __name__ == "__main__":
    main()
