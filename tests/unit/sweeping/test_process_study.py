"""Processes share a study: no trial is lost, none runs twice, interrupted trials run again."""

import json
import time
from collections import Counter
from functools import partial
from pathlib import Path

import pytest
from optuna.trial import TrialState
from studies import (
    PARAMS,
    filled,
    heartbeat_is_fresh,
    rate,
    slots_of,
    spec_of,
    states,
    stop_heartbeats,
    wait_until,
)

from ner_mlflow.config.loading import load_config
from ner_mlflow.errors import TrackingError
from ner_mlflow.sweeping.process_study import ProcessStudy
from ner_mlflow.sweeping.space import read_space
from ner_mlflow.sweeping.trial import RunningTrial, StudySpec


@pytest.mark.parametrize("sampler", ["tpe", "random", "grid", "gp", "nsgaii"])
def test_every_sampler_gives_different_trials_and_the_same_ones_again(sampler: str) -> None:
    tried = []
    for name in ("first", "second"):
        study = ProcessStudy(spec_of(name, sampler=sampler, trials=6))
        assert study.fill(None) == 6
        assert study.run_waiting(rate) == 6
        assert study.fill(None) == 0
        assert study.run_waiting(rate) == 0
        assert states(study) == {"COMPLETE": 6}
        tried.append([json.dumps(trial.params) for trial in study.trials()])
    assert len(set(tried[0])) == 6
    assert tried[0] == tried[1]


def test_a_study_that_resumes_draws_what_it_would_have_drawn_at_once() -> None:
    at_once = ProcessStudy(spec_of("at once", sampler="random"))
    at_once.fill(None)
    at_once.run_waiting(rate)
    first = ProcessStudy(spec_of("resumed", sampler="random", trials=3))
    first.fill(None)
    first.run_waiting(rate)
    resumed = ProcessStudy(spec_of("resumed", sampler="random"))
    assert resumed.fill(None) == 5
    resumed.run_waiting(rate)
    assert [trial.params for trial in resumed.trials()] == [
        trial.params for trial in at_once.trials()
    ]


def test_a_study_with_fewer_trials_than_before_leaves_the_others_waiting() -> None:
    filled(trials=8)
    study = ProcessStudy(spec_of(trials=2))
    assert study.fill(None) == 0
    assert study.open_trials() == (2, 0)
    assert study.run_waiting(rate) == 2
    assert states(study) == {"COMPLETE": 2, "WAITING": 6}


def test_the_first_trial_tries_the_given_parameters() -> None:
    study = ProcessStudy(spec_of())
    study.fill(PARAMS)
    study.run_waiting(rate)
    assert study.trials()[0].params == PARAMS
    best = study.best()
    assert best is not None
    assert (best.number, best.chosen, best.values) == (0, PARAMS, (1.0,))


def test_a_study_without_a_complete_trial_has_no_best_one() -> None:
    assert filled().best() is None


def test_a_grid_ends_with_its_last_point(tmp_path: Path) -> None:
    path = tmp_path / "space.yaml"
    path.write_text(
        "model.lora_rank: {type: int, low: 4, high: 8, step: 4}\n"
        "train.schedule: {type: categorical, choices: [cosine, linear]}\n",
        encoding="utf-8",
    )
    config = load_config("minilm_lora", {"sweep.sampler": "grid", "sweep.trials": 20})
    study = ProcessStudy(
        StudySpec("grid", read_space(str(path), config), ("maximize",), 4, config.sweep)
    )
    assert study.fill(None) == 4
    study.run_waiting(lambda trial: [float(trial.overrides["model.lora_rank"])])
    assert {tuple(trial.params.values()) for trial in study.trials()} == {
        (4, "cosine"),
        (4, "linear"),
        (8, "cosine"),
        (8, "linear"),
    }


@pytest.mark.parametrize("pruner", ["hyperband", pytest.param("median", marks=pytest.mark.slow)])
def test_a_trial_that_is_far_behind_is_pruned_with_its_reason(pruner: str) -> None:
    study = filled(pruner=pruner, trials=24)
    epochs: Counter[int] = Counter()

    def learn(trial: RunningTrial) -> list[float]:
        best = 0.9 - trial.number / 100
        for epoch in range(1, 5):
            epochs[trial.number] += 1
            trial.report(epoch, best * epoch / 4)
        return [best]

    study.run_waiting(learn)
    assert states(study)["PRUNED"] >= 4
    assert states(study)["PRUNED"] + states(study)["COMPLETE"] == 24
    for trial in study.trials():
        if trial.state == TrialState.PRUNED:
            assert epochs[trial.number] < 4
            assert "too far behind other trials" in trial.user_attrs["reason"]


def test_several_objectives_have_a_pareto_front_and_breed_generations() -> None:
    study = filled(sampler="nsgaii", objectives=["validation_f1", "size"], trials=12)

    def measure_two(trial: RunningTrial) -> list[float]:
        trial.report(1, 0.5)
        rank = trial.overrides["model.lora_rank"]
        return [float(rank), float(rank // 8)]

    study.run_waiting(measure_two)
    trials = study.trials()
    best = study.best()
    assert best is not None
    assert best.values[0] == max(trial.values[0] for trial in trials)
    assert {tuple(trial.values) for trial in study.best_trials()} == {
        tuple(trial.values)
        for trial in trials
        if not any(
            other.values[0] >= trial.values[0]
            and other.values[1] <= trial.values[1]
            and other.values != trial.values
            for other in trials
        )
    }
    generations = {
        value
        for trial in trials
        for name, value in trial.system_attrs.items()
        if name.endswith("generation")
    }
    assert len(generations) >= 2  # not all trials are drawn at random


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (None, "RuntimeError: out of memory"),
        ([float("nan")], "ValueError: objectives [nan] are not numbers"),
    ],
)
def test_a_failed_trial_has_its_reason_and_the_next_one_starts(
    values: list[float] | None, reason: str
) -> None:
    study = filled()

    def fail_once(trial: RunningTrial) -> list[float]:
        if trial.number != 2:
            return rate(trial)
        if values is None:
            raise RuntimeError("out of\nmemory")
        return values

    assert study.run_waiting(fail_once) == 8
    assert states(study) == {"COMPLETE": 7, "FAIL": 1}
    assert study.trials()[2].user_attrs["reason"] == reason
    assert study.fill(None) == 0
    assert study.reopen() == 0  # a failure is a result: the slot is not run again


@pytest.mark.parametrize("error", [KeyboardInterrupt, TrackingError])
def test_an_interrupted_trial_waits_again_with_its_parameters(error: type[BaseException]) -> None:
    study = filled()

    def interrupt(trial: RunningTrial) -> list[float]:
        if trial.number == 3:
            raise error("stop")
        return rate(trial)

    with pytest.raises(error):
        study.run_waiting(interrupt)
    assert states(study) == {"COMPLETE": 3, "FAIL": 1, "WAITING": 5}
    assert study.run_waiting(rate) == 5
    assert slots_of(study, TrialState.COMPLETE) == list(range(8))
    assert study.trials()[8].params == study.trials()[3].params


def test_no_trial_starts_after_the_deadline() -> None:
    study = filled()
    assert study.run_waiting(rate, deadline=time.time() - 1) == 0
    assert states(study) == {"WAITING": 8}


def test_a_trial_of_another_machine_is_run_again_once_its_heartbeat_stops() -> None:
    study = filled(heartbeat_s=1)
    taken = study.take()
    assert taken is not None
    taken.set_user_attr("worker", {"liveness": "elsewhere", "node": "elsewhere", "pid": 1})
    with study.keep_alive(taken):
        wait_until(lambda: stop_heartbeats(study))
        wait_until(lambda: heartbeat_is_fresh(study, taken.number))  # the next one arrived
        assert study.reclaim() == []
        assert study.open_trials() == (7, 1)
    stop_heartbeats(study)
    assert study.reclaim() == [taken.number]
    assert study.open_trials() == (8, 0)
    assert study.run_waiting(rate) == 8
    assert states(study) == {"COMPLETE": 8, "FAIL": 1}
    assert slots_of(study, TrialState.COMPLETE) == list(range(8))


@pytest.mark.parametrize("end", ["complete", "pruned", "failed", "noted"])
def test_a_process_that_was_silent_for_too_long_leaves_its_trial_and_resumes_with_the_next(
    end: str,
) -> None:
    study = filled(trials=3)

    def fall_silent(trial: RunningTrial) -> list[float]:
        if trial.number == 1:
            wait_until(lambda: heartbeat_is_fresh(study, trial.number))
            stop_heartbeats(study)
            assert ProcessStudy(study.spec).reclaim() == [1]  # as another machine does
            if end == "failed":
                raise RuntimeError("too late")
            if end == "noted":
                trial.note(run="too late")
            if end == "pruned":
                trial.report(1, 0.5)
                raise AssertionError("the report was accepted")
        return rate(trial)

    assert study.run_waiting(fall_silent) == 4
    assert states(study) == {"COMPLETE": 3, "FAIL": 1}
    lost, again = study.trials()[1], study.trials()[3]
    assert "reason" not in lost.user_attrs
    assert (again.user_attrs["slot"], again.params) == (1, lost.params)


def test_a_trial_is_given_up_once_although_two_processes_try() -> None:
    study, other = filled(), ProcessStudy(spec_of())
    taken = study.take()
    assert taken is not None
    assert study.give_up(taken, "first", counts=True)
    assert not other.give_up(taken, "second", counts=True)
    assert other.open_trials() == (8, 0)
    assert other.trials()[taken.number].user_attrs["reason"] == "first"


def test_interruptions_use_up_no_tries_but_losses_do() -> None:
    study = filled(trials=1, retries=1)

    def lose(counts: bool) -> None:
        taken = study.take()
        assert taken is not None
        assert study.give_up(taken, "gone", counts=counts)

    for _ in range(4):
        lose(counts=False)
    lose(counts=True)
    assert study.open_trials() == (1, 0)
    lose(counts=True)
    assert study.open_trials() == (0, 0)
    assert study.fill(None) == 0
    assert study.open_trials() == (0, 0)


def test_losses_by_silence_use_up_tries_too() -> None:
    study = filled(trials=1, retries=1)
    for waiting in (1, 0):
        taken = study.take()
        assert taken is not None
        with study.keep_alive(taken):
            wait_until(partial(heartbeat_is_fresh, study, taken.number))
        stop_heartbeats(study)
        assert study.reclaim() == [taken.number]
        assert study.open_trials() == (waiting, 0)


def test_a_slot_opens_again_although_the_process_that_gave_its_trial_up_was_killed() -> None:
    study = filled(trials=2)
    taken = study.take()
    assert taken is not None
    rank = RunningTrial(taken, study.spec).chosen["model.lora_rank"]
    taken.set_user_attr("lost", True)
    study.study.tell(taken, state=TrialState.FAIL)  # killed here, before it opened the slot
    resumed = ProcessStudy(study.spec)
    assert resumed.open_trials() == (1, 0)
    assert resumed.reopen() == 1
    assert resumed.reopen() == 0
    assert resumed.run_waiting(rate) == 2
    assert states(resumed) == {"COMPLETE": 2, "FAIL": 1}
    assert resumed.trials()[-1].params["model.lora_rank"] == rank
