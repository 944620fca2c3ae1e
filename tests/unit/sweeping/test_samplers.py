"""Samplers are seeded for each trial, and slots fix the parameters that they give."""

import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import optuna
import pytest
from studies import PARAMS, rate, spec_of

from ner_mlflow.sweeping.process_study import ProcessStudy
from ner_mlflow.sweeping.samplers import SlotSampler, slots


@dataclass
class Tasks:
    """The slots of one task after the other."""

    slots: list[int]

    def __call__(self) -> int:
        return self.slots.pop(0)


def draw(points: Sequence[dict[str, Any]], order: list[int], **settings: Any) -> dict[int, Any]:
    """Return the parameters of each slot by a pickled sampler, for trials created in ``order``."""
    spec = spec_of(**settings)
    sampler = SlotSampler(spec.space, spec.config, dict(enumerate(points)), Tasks(list(order)))
    study = optuna.create_study(sampler=pickle.loads(pickle.dumps(sampler)))
    params = {}
    for slot in order:
        trial = study.ask()
        params[slot] = {key: entry.suggest(trial, key) for key, entry in spec.space.entries.items()}
        study.tell(trial, 0.5)
    return params


def test_a_slot_has_its_parameters_and_the_first_one_those_given() -> None:
    spec = spec_of(trials=3)
    assert slots(spec.space, spec.config, PARAMS) == [PARAMS, {}, {}]
    assert slots(spec.space, spec.config, None) == [{}, {}, {}]
    grid = spec_of(trials=3, sampler="grid")
    assert slots(grid.space, grid.config, PARAMS) == grid.space.grid(grid.config.seed)[:3]


def test_a_trial_tries_the_fixed_parameters_of_its_slot() -> None:
    params = draw([PARAMS, {}, {**PARAMS, "model.lora_rank": 4}], [2, 0, 1])
    assert params[0] == PARAMS
    assert params[2] == {**PARAMS, "model.lora_rank": 4}
    assert params[1] not in (params[0], params[2])


def test_an_open_parameter_is_drawn_although_the_slot_fixes_others() -> None:
    fixed = {key: value for key, value in PARAMS.items() if key != "model.lora_rank"}
    params = draw([fixed, fixed], [0, 1], sampler="random")
    assert params[0]["model.lora_rank"] != params[1]["model.lora_rank"]
    assert {key: params[0][key] for key in fixed} == fixed


def test_a_slot_draws_the_same_in_any_order_of_tasks() -> None:
    forward = draw([{}] * 4, [0, 1, 2, 3], sampler="random")
    backward = draw([{}] * 4, [3, 2, 1, 0], sampler="random")
    assert forward == backward
    assert len({str(params) for params in forward.values()}) == 4


def test_slots_on_spark_draw_what_waiting_trials_draw_in_processes() -> None:
    study = ProcessStudy(spec_of(trials=3, sampler="random"))
    study.fill(None)
    study.run_waiting(rate)
    assert draw([{}] * 3, [0, 1, 2], trials=3, sampler="random") == {
        trial.number: trial.params for trial in study.trials()
    }


@pytest.mark.parametrize("seed", [13, 14])
def test_the_seed_decides_what_is_drawn(seed: int) -> None:
    same = draw([{}], [0], sampler="random", seed=13) == draw(
        [{}], [0], sampler="random", seed=seed
    )
    assert same == (seed == 13)
