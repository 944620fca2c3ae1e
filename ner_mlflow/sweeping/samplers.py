"""Optuna's samplers, seeded for each trial, and Optuna's pruners."""

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

GENERATIONS = 4
"""Generations of NSGA-II; Optuna's population of 50 would draw a small study wholly at random."""
SAMPLERS: Mapping[str, Callable[[SweepConfig, int], BaseSampler]] = {
    "tpe": lambda _, seed: TPESampler(seed=seed, multivariate=True),
    "random": lambda _, seed: RandomSampler(seed=seed),
    "grid": lambda _, seed: RandomSampler(seed=seed),  # the slots hold the grid's points
    "gp": lambda _, seed: GPSampler(seed=seed),
    "nsgaii": lambda config, seed: NSGAIISampler(
        seed=seed, population_size=min(50, max(4, config.trials // GENERATIONS))
    ),
}
"""Name of a sampler in the settings -> a function that makes it from the settings and a seed."""
PRUNERS: Mapping[str, Callable[[int], BasePruner]] = {
    "hyperband": lambda epochs: HyperbandPruner(min_resource=1, max_resource=epochs),
    "median": lambda _: MedianPruner(),
    "none": lambda _: NopPruner(),
}
"""Name of a pruner in the settings -> a function that makes it from the epochs of a trial."""


def seeded_sampler(config: SweepConfig, number: int) -> BaseSampler:
    """Return the sampler of one trial.

    Each trial has a seed of its own: a study that resumes must not draw its first numbers again.
    """
    digest = hashlib.sha256(f"{config.seed} {number}".encode()).digest()
    return SAMPLERS[config.sampler](config, int.from_bytes(digest[:4], "big"))


def slots(
    space: Space, config: SweepConfig, first: Mapping[str, Any] | None
) -> list[dict[str, Any]]:
    """Return the fixed parameters of each slot, by dotted key; the sampler chooses the others.

    Args:
        space: the search space.
        config: the sampler and the number of trials.
        first: the parameters of the very first trial, None to let the sampler choose them. A grid
            ignores them.
    """
    if config.sampler == "grid":
        return space.grid(config.seed)[: config.trials]
    return [dict(first or {}), *({} for _ in range(config.trials - 1))]


class SlotSampler(BaseSampler):
    """A sampler that gives each trial the parameters and the seed of its slot; can be pickled.

    It serves engines that create a trial when it starts instead of adding waiting trials first.
    """

    def __init__(
        self,
        space: Space,
        config: SweepConfig,
        points: Mapping[int, Mapping[str, Any]],
        slot: Callable[[], int],
    ) -> None:
        """
        Args:
            space: the search space.
            config: the settings that name the sampler of the parameters that ``points`` leave open.
            points: slot -> its fixed parameters by dotted key.
            slot: returns the slot of this process's next trial.
        """
        self._space, self._config, self._points, self._slot = space, config, points, slot
        self._sampler = seeded_sampler(config, 0)
        self._point: Mapping[str, Any] = {}

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        """Take the seed and the parameters of the slot."""
        slot = self._slot()
        self._sampler, self._point = seeded_sampler(self._config, slot), self._points[slot]
        self._sampler.before_trial(study, trial)

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Return the distributions of the slot's parameters, or of those drawn together."""
        if self._point:
            distributions = self._space.distributions()
            return {key: distributions[key] for key in self._point}
        return self._sampler.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return the slot's parameters, or draw them together."""
        if self._point:
            return dict(self._point)
        return self._sampler.sample_relative(study, trial, search_space)

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Draw one parameter."""
        return self._sampler.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """Let the sampler record what it learned."""
        self._sampler.after_trial(study, trial, state, values)

    def reseed_rng(self) -> None:
        """Do nothing: every slot has a seed of its own."""
