"""How many trials an hour do two workers of a sweep finish, over one?

The objective sleeps and computes nothing, so that what is measured is what sharing a study costs: on a machine with a core for each
worker, trainings scale by as much. Time runs from the first trial's begin to the last one's end, without the start of processes.

usage: python -m benchmarks.sweep_workers [--storage sqlite] [--trials 24] [--seconds 2] [--workers 2]
"""

import argparse
import json
import os
import tempfile
import time

from ner_mlflow.config import load_config
from ner_mlflow.paths import CACHE_VARIABLE
from ner_mlflow.provenance import git_commit, hardware
from ner_mlflow.sweeping.space import read_space
from ner_mlflow.sweeping.study import RunningTrial, StudySpec, SweepStudy, without_password
from ner_mlflow.sweeping.workers import supervise


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--storage", default="sqlite")
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ[CACHE_VARIABLE] = folder
        rates = {
            workers: trials_per_hour(arguments.storage, arguments.trials, arguments.seconds, workers, f"{time.time()} {workers}")
            for workers in (1, arguments.workers)
        }
    print(
        json.dumps(
            {
                "ratio": rates[arguments.workers] / rates[1],
                "trials_per_hour": rates,
                "workers": arguments.workers,
                "trials": arguments.trials,
                "sleep_s": arguments.seconds,
                "storage": without_password(arguments.storage),
                "commit": git_commit(),
                "hardware": hardware(),
            }
        )
    )


def trials_per_hour(storage: str, trials: int, seconds: float, workers: int, name: str) -> float:
    """Run a study of its own."""
    config = load_config("minilm_lora", {"sweep.storage": storage, "sweep.trials": trials, "sweep.pruner": "none"})
    spec = StudySpec(name, read_space("lora", config), ("maximize",), 1, config.sweep)
    study = SweepStudy(spec)
    study.fill(None)
    supervise(study, work, (spec, seconds), workers)
    times = [(trial.datetime_start, trial.datetime_complete) for trial in study.trials()]
    begin, end = min(start for start, _ in times if start), max(complete for _, complete in times if complete)
    return trials * 3600 / (end - begin).total_seconds()


def work(spec: StudySpec, seconds: float) -> None:
    """What each worker does."""

    def sleep(trial: RunningTrial) -> list[float]:
        time.sleep(seconds)
        return [trial.overrides["train.learning_rate"]]

    SweepStudy(spec).work(sleep)


if __name__ == "__main__":
    main()
