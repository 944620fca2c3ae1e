"""What chooses a trial's settings, and what ends a trial early: Optuna's, seeded for each trial."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner
from optuna.samplers import BaseSampler, GPSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState

from ..config.schema import SweepConfig
from .space import Space

SLOT = "slot"
"""Attribute of a trial: which of the study's it is; one that is run again after a loss has the slot of the lost one."""
GENERATIONS = 4
"""Of NSGA-II: with Optuna's population of 50 a study of fewer trials would be drawn at random, all of it."""
SAMPLERS: Mapping[str, Callable[[SweepConfig, int], BaseSampler]] = {
    "tpe": lambda _, seed: TPESampler(seed=seed, multivariate=True),
    "random": lambda _, seed: RandomSampler(seed=seed),
    "grid": lambda _, seed: RandomSampler(seed=seed),  # the grid's points are put into the slots
    "gp": lambda _, seed: GPSampler(seed=seed),
    "nsgaii": lambda config, seed: NSGAIISampler(
        seed=seed, population_size=min(50, max(4, config.trials // GENERATIONS))
    ),
}
PRUNERS: Mapping[str, Callable[[int], BasePruner]] = {
    "hyperband": lambda epochs: HyperbandPruner(min_resource=1, max_resource=epochs),
    "median": lambda _: MedianPruner(),
    "none": lambda _: NopPruner(),
}


def seeded_sampler(config: SweepConfig, number: int) -> BaseSampler:
    """The sampler of one trial: an interrupted study must not draw again what it drew at first."""
    return SAMPLERS[config.sampler](
        config,
        int.from_bytes(hashlib.sha256(f"{config.seed} {number}".encode()).digest()[:4], "big"),
    )


def slots(
    space: Space, config: SweepConfig, first: Mapping[str, Any] | None
) -> list[dict[str, Any]]:
    """A study's slots: the values that the trial of each must try, by dotted key; the sampler chooses what is left open.

    Args:
        space: what is tried.
        config: the sampler, and how many trials there are.
        first: what the very first trial tries, None: what the sampler says. A grid has its own.
    """
    if config.sampler == "grid":
        return space.grid(config.seed)[: config.trials]
    return [dict(first or {}), *({} for _ in range(config.trials - 1))]


class SlotSampler(BaseSampler):
    """Gives each trial the values and the seed of its slot, where trials do not wait in the study to be taken; can be pickled."""

    def __init__(
        self,
        space: Space,
        config: SweepConfig,
        points: Mapping[int, Mapping[str, Any]],
        slot: Callable[[], int],
    ) -> None:
        """
        Args:
            space: what is tried.
            config: which sampler chooses what ``points`` leave open.
            points: each slot's values by dotted key.
            slot: says which slot the next trial of this process has.
        """
        self._space, self._config, self._points, self._slot = space, config, points, slot
        self._sampler = seeded_sampler(config, 0)
        self._point: Mapping[str, Any] = {}

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        """Take the slot's seed and values, and note the slot."""
        slot = self._slot()
        self._sampler, self._point = seeded_sampler(self._config, slot), self._points[slot]
        study._storage.set_trial_user_attr(trial._trial_id, SLOT, slot)
        self._sampler.before_trial(study, trial)

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """What the slot says, or else what the sampler chooses together."""
        if self._point:
            distributions = self._space.distributions()
            return {key: distributions[key] for key in self._point}
        return self._sampler.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The values for that."""
        return (
            dict(self._point)
            if self._point
            else self._sampler.sample_relative(study, trial, search_space)
        )

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """A value that is chosen alone."""
        return self._sampler.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """Let the sampler keep what it learned."""
        self._sampler.after_trial(study, trial, state, values)

    def reseed_rng(self) -> None:
        """Nothing: every slot has a seed of its own."""
