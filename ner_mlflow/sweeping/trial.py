"""Trials of a study: the attributes they carry, the objective's view of one, the best one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState

from ..config.schema import SweepConfig
from ..private_names import trial_id
from .space import Space

SLOT, WORKER, REASON, RUN = "slot", "worker", "reason", "run"
"""Attributes of a trial: its slot in the study (a trial that replaces a lost one has the same
slot), the process that runs it, the reason for its pruning or failure, the id of its run."""
LOST = "lost"
"""Attribute of a trial whose process ended before the trial did; True if ``sweep.retries`` counts
this try."""
REASON_LENGTH = 1000
"""Characters of the longest reason; longer ones are cut."""


class TrialPrunedError(Exception):
    """The reason why a trial is pruned."""


class TrialLostError(Exception):
    """The trial was given up while it ran: its process sent no heartbeat for too long, and another
    process runs its slot now."""


@dataclass(frozen=True)
class StudySpec:
    """The definition of a study, equal in every process that works on it.

    Attributes:
        name: the study's name in its storage.
        space: the search space.
        directions: the direction of each objective.
        epochs: epochs of a trial whose space does not choose them.
        config: the sweep's settings.
    """

    name: str
    space: Space
    directions: tuple[Literal["minimize", "maximize"], ...]
    epochs: int
    config: SweepConfig


@dataclass(frozen=True)
class BestTrial:
    """The best complete trial: its number, parameters, objective values and run id."""

    number: int
    chosen: dict[str, Any]
    values: tuple[float, ...]
    run: str


class RunningTrial:
    """A trial that this process runs.

    Attributes:
        number: the trial's number, on Spark its slot.
        chosen: Optuna's parameters by dotted key.
        overrides: the settings that the parameters stand for, by dotted key.
    """

    def __init__(self, trial: optuna.Trial, spec: StudySpec, number: int | None = None) -> None:
        space = spec.space
        self.number = trial.number if number is None else number
        self.chosen = {key: entry.suggest(trial, key) for key, entry in space.entries.items()}
        self.overrides = space.overrides(self.chosen)
        self._trial = trial
        self._reports = len(spec.directions) == 1  # Optuna refuses reports of several objectives
        self._epochs = self.overrides.get("train.epochs", spec.epochs)

    def note(self, **attributes: Any) -> None:
        """Store attributes of the trial.

        Raises:
            TrialLostError: the trial was given up.
        """
        try:
            for name, value in attributes.items():
                self._trial.set_user_attr(name, value)
        except UpdateFinishedTrialError as error:
            raise TrialLostError from error

    def check_running(self) -> None:
        """Check that the trial still belongs to this process; call this before publishing results.

        Raises:
            TrialLostError: the trial was given up.
        """
        if self._trial.storage.get_trial(trial_id(self._trial)).state.is_finished():
            raise TrialLostError

    def report(self, epoch: int, value: float) -> None:
        """Report the validation F1 after an epoch.

        Raises:
            TrialPrunedError: other trials were better at this epoch.
            TrialLostError: the trial was given up.
        """
        if not self._reports:
            self.check_running()
            return
        try:
            self._trial.report(value, epoch)
        except UpdateFinishedTrialError as error:
            raise TrialLostError from error
        # Pruning after the last epoch would save nothing.
        if epoch < self._epochs and self._trial.should_prune():
            raise TrialPrunedError(
                f"validation F1 {value:.4f} after epoch {epoch} is too far behind other trials"
            )


TrialObjective = Callable[[RunningTrial], Sequence[float]]
"""A function that runs a trial and returns one value for each objective."""


def is_lost(trial: FrozenTrial) -> bool:
    """Return whether a trial was given up before it ended, so that its slot is open again.

    Optuna fails trials without a heartbeat and leaves no attribute; every other failure has its
    reason.
    """
    attributes = trial.user_attrs
    return trial.state == TrialState.FAIL and (LOST in attributes or REASON not in attributes)


def failure_reason(error: Exception) -> str:
    """Return the reason for a trial's failure as one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:REASON_LENGTH]
