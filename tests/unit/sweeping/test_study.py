"""A study is shared: no trial is lost, none is run twice, and what was interrupted is run again."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from optuna.trial import TrialState
from sqlalchemy import create_engine

from ner_mlflow.config.loading import load_config
from ner_mlflow.errors import TrackingError
from ner_mlflow.paths import CACHE_VARIABLE
from ner_mlflow.sweeping.report import report
from ner_mlflow.sweeping.space import read_space
from ner_mlflow.sweeping.study import SLOT, RunningTrial, StudySpec, SweepStudy
from ner_mlflow.sweeping.study_lock import exclusive
from ner_mlflow.sweeping.workers import supervise

STORAGES = ("sqlite", "journal")


def spec_of(storage: str, **settings: Any) -> StudySpec:
    overrides = {
        "sweep.storage": storage,
        "sweep.pruner": "none",
        "sweep.trials": 8,
        **{f"sweep.{name}": value for name, value in settings.items()},
    }
    config = load_config("minilm_lora", overrides)
    directions = ("maximize", "minimize")[: len(config.sweep.objectives)]
    return StudySpec("study", read_space("lora", config), directions, 4, config.sweep)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


def rate(trial: RunningTrial) -> list[float]:
    return [1 - abs(trial.overrides["train.learning_rate"] - 0.002)]


def states(study: SweepStudy) -> Counter[str]:
    return Counter(trial.state.name for trial in study.trials())


@pytest.mark.parametrize(
    ("sampler", "storage"),
    [
        ("tpe", "sqlite"),
        ("tpe", "journal"),
        ("random", "journal"),
        ("grid", "journal"),
        ("gp", "journal"),
        ("nsgaii", "journal"),
    ],
)
def test_every_sampler_gives_different_trials_and_the_same_ones_again(
    storage: str, sampler: str
) -> None:
    tried = []
    for name in ("first", "second"):
        spec = spec_of(storage, sampler=sampler, trials=6)
        study = SweepStudy(StudySpec(name, spec.space, spec.directions, 4, spec.config))
        assert study.fill(None) == 6
        assert study.work(rate) == 6
        assert study.fill(None) == 0
        assert study.work(rate) == 0
        assert states(study) == {"COMPLETE": 6}
        tried.append([json.dumps(trial.params) for trial in study.trials()])
    assert len(set(tried[0])) == 6
    assert tried[0] == tried[1]


def test_a_study_that_goes_on_draws_what_it_would_have_drawn() -> None:
    whole = SweepStudy(spec_of("sqlite", sampler="random"))
    whole.fill(None)
    whole.work(rate)
    spec = spec_of("journal", sampler="random", trials=3)
    SweepStudy(spec).fill(None)
    SweepStudy(spec).work(rate)
    more = SweepStudy(spec_of("journal", sampler="random"))
    assert more.fill(None) == 5
    more.work(rate)
    assert [trial.params for trial in more.trials()] == [trial.params for trial in whole.trials()]


def test_the_first_trial_tries_what_it_is_told(cache: Path) -> None:
    spec = spec_of("sqlite")
    study = SweepStudy(spec)
    first = {
        "model.lora_rank": 16,
        "model.lora_alpha_ratio": 0.5,
        "model.lora_dropout": 0.0,
        "model.lora_targets": "all",
        "train.learning_rate": 0.002,
    }
    study.fill(first)
    study.work(rate)
    assert study.trials()[0].params == first
    best = study.best()
    assert best is not None
    assert (best.number, best.chosen, best.values) == (0, first, (1.0,))


def test_a_grid_ends_with_its_last_point(tmp_path: Path) -> None:
    path = tmp_path / "space.yaml"
    path.write_text(
        "model.lora_rank: {type: int, low: 4, high: 8, step: 4}\ntrain.schedule: {type: categorical, choices: [cosine, linear]}\n",
        encoding="utf-8",
    )
    config = load_config("minilm_lora", {"sweep.sampler": "grid", "sweep.trials": 20})
    study = SweepStudy(
        StudySpec("grid", read_space(str(path), config), ("maximize",), 4, config.sweep)
    )
    assert study.fill(None) == 4
    study.work(lambda trial: [float(trial.overrides["model.lora_rank"])])
    assert {tuple(trial.params.values()) for trial in study.trials()} == {
        (4, "cosine"),
        (4, "linear"),
        (8, "cosine"),
        (8, "linear"),
    }


@pytest.mark.parametrize("pruner", ["hyperband", pytest.param("median", marks=pytest.mark.slow)])
def test_a_trial_that_stands_badly_is_pruned_with_its_reason(pruner: str) -> None:
    study = SweepStudy(spec_of("sqlite", pruner=pruner, trials=24))
    study.fill(None)
    epochs: Counter[int] = Counter()

    def learns(trial: RunningTrial) -> list[float]:
        best = 0.9 - trial.number / 100
        for epoch in range(1, 5):
            epochs[trial.number] += 1
            trial.report(epoch, best * epoch / 4)
        return [best]

    study.work(learns)
    assert states(study)["PRUNED"] >= 4
    assert states(study)["PRUNED"] + states(study)["COMPLETE"] == 24
    for trial in study.trials():
        if trial.state == TrialState.PRUNED:
            assert epochs[trial.number] < 4
            assert "too far behind other trials" in trial.user_attrs["reason"]


def test_several_objectives_have_a_front() -> None:
    study = SweepStudy(
        spec_of("sqlite", sampler="nsgaii", objectives=["validation_f1", "size"], trials=12)
    )
    study.fill(None)

    def both(trial: RunningTrial) -> list[float]:
        trial.report(1, 0.5)
        return [
            float(trial.overrides["model.lora_rank"]),
            float(trial.overrides["model.lora_rank"] // 8),
        ]

    study.work(both)
    best = study.best()
    assert best is not None
    assert best.values[0] == max(trial.values[0] for trial in study.trials())
    front = {tuple(trial.values) for trial in study.best_trials()}
    assert front == {
        tuple(one.values)
        for one in study.trials()
        if not any(
            other.values[0] >= one.values[0]
            and other.values[1] <= one.values[1]
            and other.values != one.values
            for other in study.trials()
        )
    }
    generations = {
        value
        for trial in study.trials()
        for name, value in trial.system_attrs.items()
        if name.endswith("generation")
    }
    assert len(generations) >= 2  # it breeds, and does not draw all of its trials at random
    found = report(study, ("validation_f1", "size"))
    assert "pareto_front" in found.figures
    assert set(found.table.loc[found.table["pareto_front"] == "*", "trial"]) == {
        trial.number for trial in study.best_trials()
    }


def test_a_report_shows_what_mattered() -> None:
    study = SweepStudy(spec_of("sqlite", trials=8))
    study.fill(None)
    study.work(rate)
    found = report(study, ("validation_f1",))
    assert set(found.figures) == {"history", "importance", "parallel_coordinates", "contour"}
    assert found.page.count("Plotly.newPlot") == 4
    assert "cdn.plot.ly/plotly" not in found.page.replace("https://cdn.plot.ly/un/", "")
    assert list(found.table["validation_f1"]) == [trial.values[0] for trial in study.trials()]


def test_a_failed_trial_is_marked_and_the_next_one_begins() -> None:
    study = SweepStudy(spec_of("sqlite"))
    study.fill(None)

    def breaks(trial: RunningTrial) -> list[float]:
        if trial.number == 2:
            raise RuntimeError("out of\nmemory")
        return rate(trial)

    assert study.work(breaks) == 8
    assert states(study) == {"COMPLETE": 7, "FAIL": 1}
    assert study.trials()[2].user_attrs["reason"] == "RuntimeError: out of memory"
    assert study.fill(None) == 0


@pytest.mark.parametrize("error", [KeyboardInterrupt, TrackingError])
@pytest.mark.parametrize("storage", STORAGES)
def test_an_interrupted_trial_waits_again_with_its_parameters(
    error: type[BaseException], storage: str
) -> None:
    study = SweepStudy(spec_of(storage))
    study.fill(None)

    def interrupted(trial: RunningTrial) -> list[float]:
        if trial.number == 3:
            raise error("stop")
        return rate(trial)

    with pytest.raises(error):
        study.work(interrupted)
    assert states(study) == {"COMPLETE": 3, "FAIL": 1, "WAITING": 5}
    assert study.work(rate) == 5
    finished = [trial for trial in study.trials() if trial.state == TrialState.COMPLETE]
    assert sorted(trial.user_attrs[SLOT] for trial in finished) == list(range(8))
    (retried,) = [trial for trial in finished if trial.user_attrs[SLOT] == 3]
    assert retried.params == study.trials()[3].params


def test_a_deadline_lets_no_trial_begin() -> None:
    study = SweepStudy(spec_of("sqlite"))
    study.fill(None)
    assert study.work(rate, deadline=time.time() - 1) == 0
    assert states(study) == {"WAITING": 8}


def worker(spec: StudySpec, log: str, seconds: float, killed_at: int | None = None) -> None:
    """Write down each trial as it begins; die amid the one of the number ``killed_at``."""

    def noted(trial: RunningTrial) -> list[float]:
        with Path(log).open("a") as file:
            file.write(f"{trial.number}\n")
        time.sleep(seconds)
        if trial.number == killed_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return rate(trial)

    SweepStudy(spec).work(noted)


@pytest.mark.parametrize("storage", STORAGES)
def test_processes_share_a_study_and_one_that_is_killed_loses_nothing(
    storage: str, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    spec = spec_of(storage, trials=12)
    study = SweepStudy(spec)
    study.fill(None)
    supervise(study, worker, (spec, str(log), 0.3, 4), jobs=2)
    assert states(study) == {"COMPLETE": 12, "FAIL": 1}
    finished = [trial for trial in study.trials() if trial.state == TrialState.COMPLETE]
    assert sorted(trial.user_attrs[SLOT] for trial in finished) == list(range(12))
    (lost,) = [trial for trial in study.trials() if trial.state == TrialState.FAIL]
    assert lost.user_attrs["reason"] == "its process ended before its time"
    assert max(Counter(log.read_text().split()).values()) == 1


def broken_worker(_spec: StudySpec) -> None:
    raise TrackingError("the store is gone: mend it")


def test_a_worker_that_cannot_work_ends_the_sweep_with_its_words() -> None:
    spec = spec_of("sqlite")
    study = SweepStudy(spec)
    study.fill(None)
    with pytest.raises(
        TrackingError, match="a worker of the sweep failed: the store is gone: mend it"
    ):
        supervise(study, broken_worker, (spec,), jobs=2)
    assert states(study) == {"WAITING": 8}


def reclaim_all(study: SweepStudy) -> None:
    """Wait until every running trial is given up."""
    deadline = time.monotonic() + 20
    while study.open_trials()[1]:
        assert time.monotonic() < deadline
        study.reclaim()
        time.sleep(0.5)


@pytest.mark.parametrize("storage", STORAGES)
def test_a_trial_of_another_machine_is_run_again_when_its_heartbeat_stops(storage: str) -> None:
    spec = spec_of(storage, heartbeat_s=1)
    study = SweepStudy(spec)
    study.fill(None)
    taken = study.take()
    assert taken is not None
    taken.set_user_attr(
        "worker", {"presence": "elsewhere", "node": "elsewhere", "pid": os.getpid()}
    )
    with study._beating(taken._trial_id):
        time.sleep(6)
        assert study.reclaim() == []
        assert study.open_trials() == (7, 1)
    reclaim_all(study)
    assert study.open_trials() == (8, 0)
    lost = study.trials()[taken.number]
    assert (lost.state, lost.user_attrs["reason"]) == (TrialState.FAIL, "no sign of life for 4 s")
    assert study.work(rate) == 8


@pytest.mark.parametrize("end", ["complete", "pruned", "failed", "noted"])
@pytest.mark.parametrize("storage", STORAGES)
def test_a_worker_that_was_silent_for_too_long_leaves_its_trial_to_another_and_goes_on(
    storage: str, end: str
) -> None:
    spec = spec_of(storage, trials=3, heartbeat_s=1)
    study = SweepStudy(spec)
    study.fill(None)

    def falls_silent(trial: RunningTrial) -> list[float]:
        if trial.number == 1:
            assert SweepStudy(spec)._give_up(
                trial._trial._trial_id, "no sign of life", counts=True
            )  # as another machine does
            if end == "failed":
                raise RuntimeError("too late")
            if end == "noted":
                trial.note(run="too late")
            if end == "pruned":
                trial.report(1, 0.5)
                raise AssertionError("told that it goes on")
        return rate(trial)

    assert study.work(falls_silent) == 4
    assert states(study) == {"COMPLETE": 3, "FAIL": 1}
    assert study.trials()[1].user_attrs["reason"] == "no sign of life"
    again = study.trials()[3]
    assert (again.user_attrs[SLOT], again.params) == (1, study.trials()[1].params)


@pytest.mark.parametrize("storage", STORAGES)
def test_a_trial_is_lost_once_however_many_find_out(storage: str) -> None:
    study, other = SweepStudy(spec_of(storage)), SweepStudy(spec_of(storage))
    study.fill(None)
    taken = study.take()
    assert taken is not None
    assert study._give_up(taken._trial_id, "first", counts=True)
    assert not other._give_up(taken._trial_id, "second", counts=True)
    assert other.open_trials() == (8, 0)
    assert other.trials()[taken.number].user_attrs["reason"] == "first"


def test_interruptions_use_up_no_tries_and_losses_do() -> None:
    study = SweepStudy(spec_of("journal", trials=1, retries=1))
    study.fill(None)

    def lose(counts: bool) -> None:
        taken = study.take()
        assert taken is not None
        study._give_up(taken._trial_id, "gone", counts=counts)

    for _ in range(4):
        lose(counts=False)
    lose(counts=True)
    assert study.open_trials() == (1, 0)
    lose(counts=True)
    assert study.open_trials() == (0, 0)
    assert study.fill(None) == 0
    assert study.open_trials() == (0, 0)


def test_a_slot_whose_finder_was_killed_too_is_opened_again_with_its_parameters() -> None:
    study = SweepStudy(spec_of("journal", trials=2))
    study.fill(None)
    taken = study.take()
    assert taken is not None
    rank = RunningTrial(taken, study.spec).chosen["model.lora_rank"]
    study._storage.set_trial_user_attr(taken._trial_id, "lost", True)
    study._storage.set_trial_state_values(
        taken._trial_id, TrialState.FAIL
    )  # killed here, before the slot was opened again
    again = SweepStudy(spec_of("journal", trials=2))
    assert again.open_trials() == (1, 0)
    supervise(again, rate_all, (again.spec,), jobs=1)
    assert states(again) == {"COMPLETE": 2, "FAIL": 1}
    assert again.trials()[-1].params["model.lora_rank"] == rank


def rate_all(spec: StudySpec) -> None:
    SweepStudy(spec).work(rate)


def killed_at_once(_spec: StudySpec) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_workers_that_are_killed_before_they_begin_a_trial_are_not_replaced_for_ever() -> None:
    spec = spec_of("sqlite", retries=1)
    study = SweepStudy(spec)
    study.fill(None)
    with pytest.raises(
        TrackingError,
        match=r"2 workers of the sweep in a row were killed before they began a trial, the last by signal 9",
    ):
        supervise(study, killed_at_once, (spec,), jobs=1)
    assert states(study) == {"WAITING": 8}


CONCURRENT = """
import sys
sys.path[:0] = [{tests!r}, {here!r}]
from test_study import run_trivial
run_trivial(sys.argv[1], int(sys.argv[2]), sys.argv[3])
"""


def run_trivial(storage: str, trials: int, log: str) -> None:
    """What each of the concurrent processes does."""
    spec = spec_of(storage, trials=trials, sampler="random")

    def noted(trial: RunningTrial) -> list[float]:
        with Path(log).open("a") as file:
            file.write(f"{trial.number}\n")
        return rate(trial)

    SweepStudy(spec).work(noted)


def test_sixteen_workers_on_postgresql_lose_no_trial_and_run_none_twice(
    postgresql: str, tmp_path: Path
) -> None:
    trials, log = 160, tmp_path / "log"
    study = SweepStudy(spec_of(postgresql, trials=trials, sampler="random"))
    study.fill(None)
    code = CONCURRENT.format(tests=str(ROOT / "tests"), here=str(Path(__file__).parent))
    processes = [
        subprocess.Popen([sys.executable, "-c", code, postgresql, str(trials), str(log)], cwd=ROOT)
        for _ in range(16)
    ]
    assert [process.wait(300) for process in processes] == [0] * 16
    assert states(study) == {"COMPLETE": trials}
    assert sorted(trial.user_attrs[SLOT] for trial in study.trials()) == list(range(trials))
    assert sorted(map(int, log.read_text().split())) == list(range(trials))
    assert len({trial.user_attrs["worker"]["pid"] for trial in study.trials()}) > 1
    with create_engine(postgresql).connect() as connection:
        assert (
            connection.exec_driver_sql(
                "select count(*) from trials where state = 'RUNNING'"
            ).scalar()
            == 0
        )


HOLD = """
import sys
from ner_mlflow.config.loading import load_config
from ner_mlflow.sweeping.study_lock import exclusive
with exclusive("study", load_config("minilm_lora", {"sweep.storage": sys.argv[1]}).sweep):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_one_process_at_a_time_sweeps_a_study_on_this_machine(tmp_path: Path) -> None:
    check_exclusive("sqlite", str(tmp_path / "cache"))


def test_one_process_at_a_time_sweeps_a_study_on_machines_that_share_a_database(
    postgresql: str, tmp_path: Path
) -> None:
    check_exclusive(postgresql, str(tmp_path / "elsewhere"))


def check_exclusive(storage: str, here: str) -> None:
    config = spec_of(storage).config
    command = [sys.executable, "-c", HOLD, storage]
    holder = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, CACHE_VARIABLE: here},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with (
        pytest.raises(TrackingError, match="another process sweeps it"),
        exclusive("study", config),
    ):
        pass
    with exclusive("another", config):
        pass
    holder.kill()
    holder.wait()
    deadline = time.monotonic() + 20
    while True:  # a server needs a moment to see that a client is gone
        try:
            with exclusive("study", config):
                break
        except TrackingError:
            assert time.monotonic() < deadline
            time.sleep(0.2)


@pytest.mark.parametrize(
    ("storage", "words"),
    [
        (
            "postgresql://me:secret@127.0.0.1:1/none",
            "postgresql://me:***@127.0.0.1:1/none cannot be used",
        ),
        ("sqlite:////proc/none/studies.db", "cannot be used"),
        ("postgresql://me@127.0.0.1:1/none?password=secret", "none?password=*** cannot be used"),
        ("somewhere", "somewhere cannot be used"),
        ("sqlite:///:memory:", "it lives in the memory of one process"),
    ],
)
def test_a_storage_that_cannot_be_used_is_named_without_its_password(
    storage: str, words: str
) -> None:
    with pytest.raises(TrackingError) as error:
        SweepStudy(spec_of(storage))
    assert words in str(error.value)
    assert "secret" not in str(error.value)
