"""Worker processes run a study's trials; those that die are replaced, as long as that helps."""

import os
import signal
from collections import Counter
from pathlib import Path

import pytest
from optuna.trial import TrialState
from studies import filled, rate, slots_of, states

from ner_mlflow.errors import TrackingError
from ner_mlflow.sweeping.process_study import ProcessStudy
from ner_mlflow.sweeping.trial import RunningTrial, StudySpec
from ner_mlflow.sweeping.workers import supervise


def work(spec: StudySpec, log: str, killed_at: int) -> None:
    """Log each trial as it starts; die during the trial ``killed_at``."""

    def log_and_rate(trial: RunningTrial) -> list[float]:
        with Path(log).open("a") as file:
            file.write(f"{trial.number}\n")
        if trial.number == killed_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return rate(trial)

    ProcessStudy(spec).run_waiting(log_and_rate)


def test_workers_share_a_study_and_one_that_is_killed_loses_nothing(tmp_path: Path) -> None:
    log = tmp_path / "log"
    study = filled(trials=12)
    supervise(study, work, (study.spec, str(log), 4), jobs=2)
    assert states(study) == {"COMPLETE": 12, "FAIL": 1}
    assert slots_of(study, TrialState.COMPLETE) == list(range(12))
    (lost,) = [trial for trial in study.trials() if trial.state == TrialState.FAIL]
    assert lost.user_attrs["reason"] == "its process ended before the trial did"
    assert max(Counter(log.read_text().split()).values()) == 1


def fail(_spec: StudySpec) -> None:
    raise TrackingError("the store is down: start it")


def test_a_worker_that_fails_ends_the_sweep_with_its_message() -> None:
    study = filled()
    with pytest.raises(
        TrackingError, match="a worker of the sweep failed: the store is down: start it"
    ):
        supervise(study, fail, (study.spec,), jobs=2)
    assert states(study) == {"WAITING": 8}


def die(_spec: StudySpec) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.slow
def test_workers_that_are_killed_before_they_start_a_trial_are_not_replaced_forever() -> None:
    study = filled(retries=1)
    message = "2 workers of the sweep in a row were killed before they started a trial, .* signal 9"
    with pytest.raises(TrackingError, match=message):
        supervise(study, die, (study.spec,), jobs=1)
    assert states(study) == {"WAITING": 8}
