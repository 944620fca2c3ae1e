"""A study of Optuna that many processes work on: how many trials it has is settled first, then each is taken by one of them.

Every trial fills a slot, numbered from 0; one that was lost, because its process ended before its time or fell silent, is run
again in the same slot, with the parameters it had. So no trial is missing, none is run twice, and a study that is called again goes
on with the slots left.
"""

import gc
import logging
import math
import os
import platform
import time
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import optuna
from filelock import FileLock
from optuna.exceptions import ExperimentalWarning, StorageInternalError, UpdateFinishedTrialError
from optuna.storages import BaseStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalStorage
from optuna.trial import FrozenTrial, TrialState, create_trial
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from ..config.schema import SweepConfig
from ..errors import TrackingError
from ..paths import cache_folder
from ..redaction import one_line, redact_address
from .background import repeating
from .liveness import is_gone, presence
from .samplers import PRUNERS, SLOT, seeded_sampler, slots
from .space import Space

log = logging.getLogger(__name__)

WORKER, REASON, RUN = "worker", "reason", "run"
"""Attributes of a trial: the process that runs it, why it was pruned or failed, where it was logged."""
LOST = "lost"
"""Attribute of a failed trial that says nothing about its parameters: its slot is open again. True where that counts as a try."""
BEAT = "beat"
"""Attribute of a trial in a journal: its last sign of life, in seconds since 1970; databases keep their own."""
MISSED_HEARTBEATS = 4
"""Signs of life that may be missing before a trial counts as lost."""
SQLITE_TIMEOUT_S = 60
UNSIGNED_S = 120
"""A trial that has been running for as long without the name of a process was lost between the two."""
STATES = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "running",
    TrialState.WAITING: "waiting",
}

optuna.logging.set_verbosity(
    optuna.logging.ERROR
)  # what its warnings say of trials, this module says in its own words
warnings.simplefilter("ignore", ExperimentalWarning)


class TrialPrunedError(Exception):
    """Says why a trial is not worth going on with."""


class TrialLostError(Exception):
    """A trial that still runs was given up: this process had been silent for too long, and its slot is another's now."""


@dataclass(frozen=True)
class StudySpec:
    """What makes the same study in every process: its name, the space, each objective's direction, epochs of a trial at most."""

    name: str
    space: Space
    directions: tuple[Literal["minimize", "maximize"], ...]
    epochs: int
    config: SweepConfig


@dataclass(frozen=True)
class BestTrial:
    """The complete trial that stands best: what it tried, the objectives' values, and its run."""

    number: int
    chosen: dict[str, Any]
    values: tuple[float, ...]
    run: str


class RunningTrial:
    """A trial that this process took."""

    def __init__(self, trial: optuna.Trial, spec: StudySpec, number: int | None = None) -> None:
        space = spec.space
        self.number = trial.number if number is None else number
        self.chosen = {key: entry.suggest(trial, key) for key, entry in space.entries.items()}
        self.overrides = space.overrides(self.chosen)
        self._trial = trial
        self._reports = len(spec.directions) == 1  # with several objectives Optuna takes none
        self._epochs = self.overrides.get("train.epochs", spec.epochs)

    def note(self, **attributes: Any) -> None:
        """Keep values with the trial.

        Raises:
            TrialLostError: it was given up.
        """
        try:
            for name, value in attributes.items():
                self._trial.set_user_attr(name, value)
        except UpdateFinishedTrialError as error:
            raise TrialLostError from error

    def check_kept(self) -> None:
        """To be called before what the trial found is made known.

        Raises:
            TrialLostError: it was given up.
        """
        if self._trial.storage.get_trial(self._trial._trial_id).state.is_finished():
            raise TrialLostError

    def report(self, epoch: int, value: float) -> None:
        """Say how the trial stands after an epoch.

        Raises:
            TrialPrunedError: others stood better.
            TrialLostError: it was given up.
        """
        if not self._reports:
            self.check_kept()
            return
        try:
            self._trial.report(value, epoch)
        except UpdateFinishedTrialError as error:
            raise TrialLostError from error
        if (
            epoch < self._epochs and self._trial.should_prune()
        ):  # after the last one there is nothing to save
            raise TrialPrunedError(
                f"validation F1 {value:.4f} after epoch {epoch} is too far behind other trials"
            )


TrialObjective = Callable[[RunningTrial], Sequence[float]]
"""Runs a trial; gives a value for each objective."""


class HeldStudy(ABC):
    """A study, wherever it is kept; ``study`` is Optuna's."""

    spec: StudySpec
    study: optuna.Study

    @property
    def attributes(self) -> dict[str, Any]:
        """What was noted about the study."""
        attributes: dict[str, Any] = self.study.user_attrs
        return attributes

    def note(self, **attributes: Any) -> None:
        """Keep values with the study."""
        for name, value in attributes.items():
            self.study.set_user_attr(name, value)

    @abstractmethod
    def fill(self, first: Mapping[str, Any] | None) -> int:
        """Have as many slots as the study shall have trials; to be called by one process at a time.

        Args:
            first: what the very first trial tries, None: what the sampler says. A grid has its own.

        Returns:
            How many were added.
        """

    @abstractmethod
    def reclaim(self) -> list[int]:
        """Have the slots of trials whose process is no more filled again.

        Returns:
            The trials' numbers.
        """

    def trials(self) -> list[FrozenTrial]:
        """All trials, those that were lost and run again too."""
        return self.study.get_trials(deepcopy=False)

    def best_trials(self) -> list[FrozenTrial]:
        """The best complete trial, or the Pareto front of several objectives."""
        return self.study.best_trials

    def running(self) -> set[int]:
        """Numbers of the trials that run somewhere."""
        return {trial.number for trial in self.trials() if trial.state == TrialState.RUNNING}

    def best(self) -> BestTrial | None:
        """The complete trial with the best first objective, among those that are best in some way where there are several; None: there is none."""
        sign = 1 if self.spec.directions[0] == "maximize" else -1
        found = max(
            self.best_trials(),
            key=lambda trial: (sign * trial.values[0], -trial.number),
            default=None,
        )
        return (
            None
            if found is None
            else BestTrial(
                found.number, dict(found.params), tuple(found.values), found.user_attrs.get(RUN, "")
            )
        )


class SweepStudy(HeldStudy):
    """One process's hold on a study that is kept in a database or a journal."""

    def __init__(self, spec: StudySpec) -> None:
        """
        Raises:
            TrackingError: the storage cannot be used.
        """
        self.spec = spec
        self._file, self._storage = _open_storage(spec.config)
        try:
            self.study = optuna.create_study(
                storage=self._storage,
                study_name=spec.name,
                directions=list(spec.directions),
                pruner=PRUNERS[spec.config.pruner](spec.epochs),
                load_if_exists=True,
            )
        except (SQLAlchemyError, StorageInternalError, OSError) as error:
            raise unusable(spec.config.storage, error) from error

    @staticmethod
    def attributes_of(spec: StudySpec) -> dict[str, Any]:
        """What was noted about a study that another process made, nothing where there is none."""
        _, storage = _open_storage(spec.config)
        try:
            return storage.get_study_user_attrs(storage.get_study_id_from_name(spec.name))
        except KeyError:
            return {}

    def open_trials(self) -> tuple[int, int]:
        """How many trials wait, and how many run somewhere."""
        states = [trial.state for trial in self.trials() if self._wanted(trial)]
        return states.count(TrialState.WAITING), states.count(TrialState.RUNNING)

    def begun_trials(self) -> int:
        """How many trials some process has taken, lost ones too."""
        return sum(trial.state != TrialState.WAITING for trial in self.trials())

    def fill(self, first: Mapping[str, Any] | None) -> int:
        """Add the trials that the study lacks, see :meth:`HeldStudy.fill`."""
        self.reopen()
        known = {trial.user_attrs.get(SLOT) for trial in self.trials()}
        new = {
            slot: point
            for slot, point in enumerate(slots(self.spec.space, self.spec.config, first))
            if slot not in known
        }
        for slot, point in new.items():
            self._add(point, slot)
        return len(new)

    def reopen(self) -> int:
        """Have slots filled again whose trial was lost and which nobody opened: who found that out was killed as well.

        To be called by one process at a time.

        Returns:
            How many there were.
        """
        with self._one_at_a_time():
            kept = {trial.user_attrs.get(SLOT) for trial in self.trials() if not is_lost(trial)}
            lost = {
                trial.user_attrs[SLOT]: trial
                for trial in self.trials()
                if is_lost(trial) and trial.user_attrs[SLOT] not in kept
            }
            return sum(self._open_again(trial) for trial in lost.values())

    def take(self) -> optuna.Trial | None:
        """The next waiting trial, now this process's; None where there is none."""
        self._reclaim_silent()
        with self._one_at_a_time():
            # Asked of the study and not of the storage: what the study has not seen it cannot run.
            waiting = self.study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
            for found in sorted(
                (trial for trial in waiting if self._wanted(trial)),
                key=lambda trial: (int(trial.user_attrs[SLOT]), trial.number),
            ):
                try:
                    if not self._storage.set_trial_state_values(
                        found._trial_id, TrialState.RUNNING
                    ):
                        continue
                except UpdateFinishedTrialError:
                    continue
                worker = {"presence": presence(), "node": platform.node(), "pid": os.getpid()}
                self._storage.set_trial_user_attr(found._trial_id, WORKER, worker)
                self.study.sampler = seeded_sampler(self.spec.config, found.number)
                return optuna.Trial(self.study, found._trial_id)
        return None

    def work(
        self,
        objective: TrialObjective,
        deadline: float | None = None,
        check: Callable[[], None] = lambda: None,
    ) -> int:
        """Run trials until none waits, or until ``deadline`` (seconds since 1970) has passed.

        A trial whose objective raises is failed with its reason, and the next one begins; so it does where a trial was given up because
        this process had fallen silent. A tracking store that fails, or Ctrl-C, ends the work, and the trial waits again. What ``check``
        raises before a trial ends the work too.

        Returns:
            How many it ran.
        """
        count = 0
        while deadline is None or time.time() < deadline:
            check()
            trial = self.take()
            if trial is None:
                break
            self._run(trial, objective)
            count += 1
            gc.collect()  # a training leaves cycles behind that hold its weights
        return count

    def _run(self, trial: optuna.Trial, objective: TrialObjective) -> None:
        try:
            with self._beating(trial._trial_id):
                running = RunningTrial(trial, self.spec)
                log.info(
                    "trial %d: %s",
                    trial.number,
                    ", ".join(f"{key}={_short(value)}" for key, value in running.chosen.items()),
                )
                values = [float(value) for value in objective(running)]
            kept = self._tell(trial, values)
            told = f"complete: {', '.join(f'{value:.4f}' for value in values)}"
        except (TrialLostError, UpdateFinishedTrialError):
            kept = False
        except TrialPrunedError as error:
            kept, told = (
                self._tell(trial, state=TrialState.PRUNED, reason=str(error)),
                f"pruned: {error}",
            )
        except (KeyboardInterrupt, TrackingError) as error:
            self._give_up(
                trial._trial_id,
                "interrupted" if isinstance(error, KeyboardInterrupt) else str(error),
                counts=False,
            )
            raise
        except Exception as error:
            reason = reason_of(error)
            kept, told = (
                self._tell(trial, state=TrialState.FAIL, reason=reason),
                f"failed: {reason}",
            )
        if kept:
            log.info("trial %d %s", trial.number, told)
        else:
            log.warning(
                "trial %d had been given up: this process was silent for too long, and another runs it again",
                trial.number,
            )

    def _tell(
        self,
        trial: optuna.Trial,
        values: Sequence[float] | None = None,
        state: TrialState | None = None,
        reason: str = "",
    ) -> bool:
        """End a trial that ran; False where it had been given up before."""
        try:
            if reason:
                trial.set_user_attr(REASON, reason)
            return not is_lost(self.study.tell(trial, values, state, skip_if_finished=True))
        except UpdateFinishedTrialError:
            return False

    def reclaim(self) -> list[int]:
        """Have the trials of this machine's processes that are no more run again, at once; those of other machines need their heartbeat."""
        gone = [
            trial
            for trial in self.trials()
            if trial.state == TrialState.RUNNING and _is_orphan(trial)
        ]
        return self._reclaim_silent() + [
            trial.number
            for trial in gone
            if self._give_up(trial._trial_id, "its process ended before its time", counts=True)
        ]

    def _reclaim_silent(self) -> list[int]:
        reason = f"no sign of life for {MISSED_HEARTBEATS * self.spec.config.heartbeat_s} s"
        return [
            self._storage.get_trial(id_).number
            for id_ in self._silent()
            if self._give_up(id_, reason, counts=True)
        ]

    def _silent(self) -> list[int]:
        """Ids of running trials whose heartbeat has stopped."""
        if isinstance(self._storage, RDBStorage):
            return self._storage._get_stale_trial_ids(self.study._study_id)
        earliest = time.time() - MISSED_HEARTBEATS * self.spec.config.heartbeat_s
        return [
            trial._trial_id
            for trial in self.trials()
            if trial.state == TrialState.RUNNING and trial.user_attrs.get(BEAT, math.inf) < earliest
        ]

    def _wanted(self, trial: FrozenTrial) -> bool:
        return int(trial.user_attrs.get(SLOT, self.spec.config.trials)) < self.spec.config.trials

    def _add(self, params: Mapping[str, Any], slot: int) -> None:
        distributions = {
            key: value for key, value in self.spec.space.distributions().items() if key in params
        }
        self.study.add_trial(
            create_trial(
                state=TrialState.WAITING,
                params=dict(params),
                distributions=distributions,
                user_attrs={SLOT: slot},
            )
        )

    def _give_up(self, trial_id: int, reason: str, counts: bool) -> bool:
        """Fail a trial that says nothing about its parameters, and open its slot again; False where another process was first.

        ``counts`` says that it is one of the tries that ``sweep.retries`` allows.
        """
        with self._one_at_a_time():
            try:
                # In this order: whoever is killed between two of these leaves a trial that can be found and given up again.
                self._storage.set_trial_user_attr(trial_id, REASON, reason)
                self._storage.set_trial_user_attr(trial_id, LOST, counts)
                if not self._storage.set_trial_state_values(trial_id, TrialState.FAIL):
                    return False
            except UpdateFinishedTrialError:
                return False
            trial = self._storage.get_trial(trial_id)
            log.warning("trial %d was lost: %s", trial.number, reason)
            self._open_again(trial)
            return True

    def _open_again(self, lost: FrozenTrial) -> bool:
        """Let a lost trial's slot wait with the parameters it had, unless it was tried too often."""
        slot = lost.user_attrs[SLOT]
        tries = sum(
            is_lost(trial) and trial.user_attrs[SLOT] == slot and trial.user_attrs[LOST]
            for trial in self.trials()
        )
        if tries <= self.spec.config.retries:
            self._add(lost.params, slot)
        return bool(tries <= self.spec.config.retries)

    def _one_at_a_time(self) -> AbstractContextManager[Any]:
        # SQLite and journals lock no row between reading and writing it; PostgreSQL does.
        return FileLock(self._file.with_suffix(".take")) if self._file else nullcontext()

    def _beating(self, trial_id: int) -> AbstractContextManager[Any]:
        def beat() -> None:
            if isinstance(self._storage, RDBStorage):
                self._storage.record_heartbeat(trial_id)
            else:
                self._storage.set_trial_user_attr(trial_id, BEAT, time.time())

        return repeating(beat, self.spec.config.heartbeat_s, f"trial {trial_id}: no heartbeat")


def reason_of(error: Exception) -> str:
    """Why a trial failed, in a line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:1000]


def is_lost(trial: FrozenTrial) -> bool:
    """Whether a trial was given up before it ended, so that its slot was opened again."""
    return trial.state == TrialState.FAIL and LOST in trial.user_attrs


def storage_file(config: SweepConfig) -> Path | None:
    """The file of this machine that keeps the study, None where a server does.

    Raises:
        TrackingError: the storage is no address of a database, or one that lives in the memory of one process.
    """
    if config.storage in ("sqlite", "journal"):
        return cache_folder() / "sweeps" / f"studies.{config.storage}"
    try:
        url = make_url(config.storage)
    except ArgumentError as error:
        raise unusable(config.storage, error) from error
    if url.get_backend_name() != "sqlite":
        return None
    if url.database in (None, "", ":memory:"):
        raise unusable(config.storage, ValueError("it lives in the memory of one process"))
    return Path(str(url.database))


def _open_storage(config: SweepConfig) -> tuple[Path | None, BaseStorage]:
    file = storage_file(config)
    try:
        if file:
            file.parent.mkdir(parents=True, exist_ok=True)
        if config.storage == "journal":
            return file, JournalStorage(JournalFileBackend(str(file)))
        settings: dict[str, Any] = (
            {"connect_args": {"timeout": SQLITE_TIMEOUT_S}} if file else {"pool_pre_ping": True}
        )
        with (
            FileLock(file.with_suffix(".create")) if file else nullcontext()
        ):  # processes that create tables at once get in each other's way
            return file, RDBStorage(
                config.storage if not file or "://" in config.storage else f"sqlite:///{file}",
                engine_kwargs=settings,
                heartbeat_interval=config.heartbeat_s,
                grace_period=MISSED_HEARTBEATS * config.heartbeat_s,
            )
    except (SQLAlchemyError, StorageInternalError, ImportError, OSError) as error:
        raise unusable(config.storage, error) from error


def unusable(storage: str, error: Exception) -> TrackingError:
    """Says that a study cannot be kept there, and why, without the password."""
    reason = one_line(error.__cause__ or error, storage)
    return TrackingError(
        f"sweep.storage {redact_address(storage)} cannot be used ({reason}): give sqlite, journal, or the URL of a database that runs"
    )


def _is_orphan(trial: FrozenTrial) -> bool:
    """Whether the process that ran it was one of this machine and is no more, or ended before it could say which it was."""
    worker = trial.user_attrs.get(WORKER)
    if worker is None:
        return (
            trial.datetime_start is not None
            and (datetime.now() - trial.datetime_start).total_seconds() > UNSIGNED_S
        )
    return is_gone(worker["presence"])


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
