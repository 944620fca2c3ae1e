"""Processes share a study: workers of one sweep, and sixteen processes on PostgreSQL."""

from pathlib import Path

import pytest
from forks import fork_context
from optuna.trial import TrialState
from sqlalchemy import create_engine
from studies import filled, rate, run_and_note, slots_of, spec_of, states

from ner_mlflow.paths import CACHE_VARIABLE
from ner_mlflow.sweeping.process_study import ProcessStudy
from ner_mlflow.sweeping.study import TrialWork
from ner_mlflow.sweeping.trial import TrialObjective


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache of its own for each test."""
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))


@pytest.mark.slow
def test_sixteen_processes_on_postgresql_lose_no_trial_and_run_none_twice(
    postgresql: str, tmp_path: Path
) -> None:
    trials, log = 160, tmp_path / "log"
    study = filled(storage=postgresql, trials=trials, sampler="random")
    processes = [
        fork_context().Process(target=run_and_note, args=(postgresql, trials, log))
        for _ in range(16)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(300)
    assert [process.exitcode for process in processes] == [0] * 16
    assert states(study) == {"COMPLETE": trials}
    assert slots_of(study, TrialState.COMPLETE) == list(range(trials))
    assert sorted(map(int, log.read_text().split())) == list(range(trials))
    assert len({trial.user_attrs["worker"]["pid"] for trial in study.trials()}) > 1
    with create_engine(postgresql).connect() as connection:
        query = "select count(*) from trials where state = 'RUNNING'"
        assert connection.exec_driver_sql(query).scalar() == 0


def make_rate(argument: str, processes: int) -> TrialObjective:
    assert (argument, processes) == ("argument", 2)
    return rate


def set_nothing_up() -> None:
    pass


def test_a_study_runs_its_trials_in_processes_and_publishes_the_work_for_those_that_join() -> None:
    study = filled(jobs=2, trials=3)
    assert ProcessStudy.published_work(study.spec) is None
    study.run_trials(TrialWork(make_rate, "argument", "the work", None, set_nothing_up))
    assert states(study) == {"COMPLETE": 3}
    assert ProcessStudy.published_work(study.spec) == "the work"
    assert ProcessStudy.published_work(spec_of("another")) is None
    more = ProcessStudy(spec_of(jobs=2, trials=5))
    assert more.fill(None) == 2
    more.join(TrialWork(make_rate, "argument", "", None, set_nothing_up))
    assert states(more) == {"COMPLETE": 5}
    assert ProcessStudy.published_work(study.spec) == "the work"
