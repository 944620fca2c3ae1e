"""Studies without trainings: what the tests of sweeps share."""

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from optuna.trial import TrialState
from sqlalchemy import create_engine

from ner_mlflow.config.loading import load_config
from ner_mlflow.sweeping.process_study import ProcessStudy
from ner_mlflow.sweeping.space import read_space
from ner_mlflow.sweeping.storage import storage_file
from ner_mlflow.sweeping.study import SweepStudy
from ner_mlflow.sweeping.trial import RunningTrial, StudySpec

PARAMS = {
    "model.lora_rank": 16,
    "model.lora_alpha_ratio": 0.5,
    "model.lora_dropout": 0.0,
    "model.lora_targets": "all",
    "train.learning_rate": 0.002,
}
"""A point of the space `lora`."""


def spec_of(name: str = "study", **settings: Any) -> StudySpec:
    """Return a study of eight trials in the space `lora`, with ``settings`` of section `sweep`."""
    settings = {"pruner": "none", "trials": 8, **settings}
    config = load_config("minilm_lora", {f"sweep.{key}": value for key, value in settings.items()})
    directions = ("maximize", "minimize")[: len(config.sweep.objectives)]
    return StudySpec(name, read_space("lora", config), directions, 4, config.sweep)  # type: ignore[arg-type]


def filled(**settings: Any) -> ProcessStudy:
    """Return a study whose trials wait."""
    study = ProcessStudy(spec_of(**settings))
    study.fill(None)
    return study


def rate(trial: RunningTrial) -> list[float]:
    """Return an objective whose best value is 1, at a learning rate of 0.002."""
    return [1 - abs(trial.overrides["train.learning_rate"] - 0.002)]


def states(study: SweepStudy) -> Counter[str]:
    """Return the number of trials by state."""
    return Counter(trial.state.name for trial in study.trials())


def slots_of(study: SweepStudy, state: TrialState) -> list[int]:
    """Return the slots of the trials in a state, in order."""
    return sorted(trial.user_attrs["slot"] for trial in study.trials() if trial.state == state)


def run_and_note(storage: str, trials: int, log: Path) -> None:
    """Run waiting trials of a study, and write the number of each to a file."""

    def note_and_rate(trial: RunningTrial) -> list[float]:
        with log.open("a") as file:
            file.write(f"{trial.number}\n")
        return rate(trial)

    spec = spec_of(storage=storage, trials=trials, sampler="random")
    ProcessStudy(spec).run_waiting(note_and_rate)


def stop_heartbeats(study: ProcessStudy) -> int:
    """Set all heartbeats of a SQLite storage back by an hour and return their number."""
    file = storage_file(study.spec.config)
    with create_engine(f"sqlite:///{file}").begin() as connection:
        return connection.exec_driver_sql(
            "update trial_heartbeats set heartbeat = datetime('now', '-1 hour')"
        ).rowcount


def heartbeat_is_fresh(study: ProcessStudy, number: int) -> bool:
    """Return whether a trial in a SQLite storage sent a heartbeat in the last minute."""
    file = storage_file(study.spec.config)
    with create_engine(f"sqlite:///{file}").connect() as connection:
        count = connection.exec_driver_sql(
            "select count(*) from trial_heartbeats join trials using (trial_id)"
            " where number = ? and heartbeat > datetime('now', '-1 minute')",
            (number,),
        ).scalar()
    return bool(count)


def wait_until(condition: Callable[[], object], seconds: float = 30) -> None:
    """Wait until a condition is true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition stayed false"
        time.sleep(0.05)
