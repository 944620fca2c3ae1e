"""Sixteen processes share a study on PostgreSQL."""

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT
from optuna.trial import TrialState
from sqlalchemy import create_engine
from studies import (
    filled,
    slots_of,
    states,
)

from ner_mlflow.paths import CACHE_VARIABLE

CONCURRENT = """
import sys
sys.path.insert(0, {tests!r})
from pathlib import Path
from studies import ProcessStudy, rate, spec_of

def log_and_rate(trial):
    with Path(sys.argv[3]).open("a") as file:
        file.write(f"{{trial.number}}\\n")
    return rate(trial)

spec = spec_of(storage=sys.argv[1], trials=int(sys.argv[2]), sampler="random")
ProcessStudy(spec).run_waiting(log_and_rate)
"""


def test_sixteen_processes_on_postgresql_lose_no_trial_and_run_none_twice(
    postgresql: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    trials, log = 160, tmp_path / "log"
    study = filled(storage=postgresql, trials=trials, sampler="random")
    code = CONCURRENT.format(tests=str(ROOT / "tests"))
    processes = [
        subprocess.Popen([sys.executable, "-c", code, postgresql, str(trials), str(log)], cwd=ROOT)
        for _ in range(16)
    ]
    assert [process.wait(300) for process in processes] == [0] * 16
    assert states(study) == {"COMPLETE": trials}
    assert slots_of(study, TrialState.COMPLETE) == list(range(trials))
    assert sorted(map(int, log.read_text().split())) == list(range(trials))
    assert len({trial.user_attrs["worker"]["pid"] for trial in study.trials()}) > 1
    with create_engine(postgresql).connect() as connection:
        query = "select count(*) from trials where state = 'RUNNING'"
        assert connection.exec_driver_sql(query).scalar() == 0
