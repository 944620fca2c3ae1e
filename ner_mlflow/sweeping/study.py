"""A sweep's study, with the same methods for every engine that runs its trials.

A study has a fixed number of slots, numbered from 0, and every trial fills one. A trial whose
process ended too early, or sent no heartbeat for too long, is lost: its slot opens again with the
same parameters. So no trial is missing, none runs twice, and a later call of the sweep continues
with the open slots.
"""

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Self

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.trial import FrozenTrial, TrialState

from .trial import RUN, BestTrial, StudySpec, TrialObjective

# This package reports failed and pruned trials itself.
optuna.logging.set_verbosity(optuna.logging.ERROR)
warnings.simplefilter("ignore", ExperimentalWarning)


@dataclass(frozen=True)
class TrialWork:
    """The inputs of each process that runs trials; everything is pickled.

    Attributes:
        make_objective: a function of a module, called once in each process with ``argument`` and
            the number of processes that share the machine; returns the function that runs a trial.
        argument: its argument.
        description: ``argument`` as text, from which other machines rebuild it to join the study.
        deadline: seconds since 1970 after which no trial starts; None: no limit.
        set_up: a function of a module, called first in each process, for example to set up logging.
    """

    make_objective: Callable[[Any, int], TrialObjective]
    argument: Any
    description: str
    deadline: float | None
    set_up: Callable[[], None]


class SweepStudy(ABC):
    """A study, wherever its trials are stored and run; ``study`` is Optuna's."""

    spec: StudySpec
    study: optuna.Study

    @classmethod
    @abstractmethod
    def open(cls, spec: StudySpec, parent: str, experiment_id: str) -> AbstractContextManager[Self]:
        """Open the study while the block runs; create it if it does not exist.

        Args:
            spec: the study's definition.
            parent: id of the sweep's run, under which an engine shows runs of its own.
            experiment_id: the experiment of that run.

        Raises:
            ConfigError: the engine cannot run here.
            TrackingError: the study's storage cannot be used.
        """

    @property
    @abstractmethod
    def address(self) -> str:
        """The address of the storage or the cluster, without its password."""

    @abstractmethod
    def fill(self, first: Mapping[str, Any] | None) -> int:
        """Add the slots that the study lacks; only one process at a time may call this.

        Args:
            first: the parameters of the very first trial, None to let the sampler choose them. A
                grid ignores them.

        Returns:
            The number of slots added.
        """

    @abstractmethod
    def reclaim(self) -> list[int]:
        """Give up the trials whose process is dead, and open their slots again.

        Returns:
            The trials' numbers.
        """

    @abstractmethod
    def run_trials(self, work: TrialWork) -> None:
        """Run trials until no slot is open, or until the deadline.

        A trial whose process dies is run again, up to ``sweep.retries`` times.

        Raises:
            TrackingError: a process cannot run trials, or processes die again and again.
        """

    @property
    def attributes(self) -> dict[str, Any]:
        """The study's attributes."""
        attributes: dict[str, Any] = self.study.user_attrs
        return attributes

    def note(self, **attributes: Any) -> None:
        """Store attributes of the study."""
        for name, value in attributes.items():
            self.study.set_user_attr(name, value)

    def trials(self) -> list[FrozenTrial]:
        """Return all trials, lost ones included."""
        return self.study.get_trials(deepcopy=False)

    def running(self) -> set[int]:
        """Return the numbers of the trials that run on any machine."""
        return {trial.number for trial in self.trials() if trial.state == TrialState.RUNNING}

    def best_trials(self) -> list[FrozenTrial]:
        """Return the best complete trial, or the Pareto front of several objectives."""
        return self.study.best_trials

    def best(self) -> BestTrial | None:
        """Return the best trial by the first objective, of the Pareto front if there are several
        objectives; None if no trial is complete."""
        sign = 1 if self.spec.directions[0] == "maximize" else -1
        best = max(
            self.best_trials(),
            key=lambda trial: (sign * trial.values[0], -trial.number),
            default=None,
        )
        if best is None:
            return None
        run = best.user_attrs.get(RUN, "")
        return BestTrial(best.number, dict(best.params), tuple(best.values), run)
