"""A study whose trials run in processes of this machine, and of other machines that join it.

The study is stored in a database. Each process takes the next waiting trial, sends heartbeats while
it runs it, and gives up trials of others whose heartbeat stopped.
"""

import logging
import math
import os
import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Self

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import fail_stale_trials
from optuna.trial import FrozenTrial, TrialState, create_trial

from ..errors import TrackingError
from ..liveness import liveness_name
from ..redaction import redact_address
from .background import repeating
from .samplers import PRUNERS, seeded_sampler, slots
from .storage import (
    MISSED_HEARTBEATS,
    STORAGE_ERRORS,
    is_orphan,
    lock_storage,
    open_storage,
    unusable_storage,
)
from .study import SweepStudy, TrialWork
from .trial import (
    LOST,
    REASON,
    SLOT,
    WORKER,
    RunningTrial,
    StudySpec,
    TrialLostError,
    TrialObjective,
    TrialPrunedError,
    failure_reason,
    is_lost,
)
from .workers import check_interrupted, supervise

log = logging.getLogger(__name__)

JOB = "job"
"""Attribute of a study: the description of the work, for machines that join."""


class ProcessStudy(SweepStudy):
    """One process's connection to a study in a database."""

    def __init__(self, spec: StudySpec) -> None:
        """
        Raises:
            TrackingError: the storage cannot be used.
        """
        self.spec = spec
        self._storage = open_storage(spec.config, self._replace_stale)
        self._stale: list[int] = []
        try:
            self.study = optuna.create_study(
                storage=self._storage,
                study_name=spec.name,
                directions=list(spec.directions),
                pruner=PRUNERS[spec.config.pruner](spec.epochs),
                load_if_exists=True,
            )
            self._study_id = self._storage.get_study_id_from_name(spec.name)
        except (*STORAGE_ERRORS, OSError) as error:
            raise unusable_storage(spec.config.storage, error) from error

    @classmethod
    @contextmanager
    def open(cls, spec: StudySpec, parent: str, experiment_id: str) -> Iterator[Self]:  # noqa: ARG003
        """Open the study; a database needs neither the run nor the experiment."""
        yield cls(spec)

    @property
    def address(self) -> str:
        """The storage's address, without its password."""
        return redact_address(self.spec.config.storage)

    @staticmethod
    def published_work(spec: StudySpec) -> str | None:
        """Return the description of the work of a study that another process started, or None if
        there is no such study.

        Raises:
            TrackingError: the storage cannot be used.
        """
        storage = open_storage(spec.config)
        try:
            attributes = storage.get_study_user_attrs(storage.get_study_id_from_name(spec.name))
        except KeyError:
            return None
        description: str | None = attributes.get(JOB)
        return description

    def open_trials(self) -> tuple[int, int]:
        """Return how many trials wait, and how many run on any machine."""
        states = [trial.state for trial in self.trials() if self._has_slot(trial)]
        return states.count(TrialState.WAITING), states.count(TrialState.RUNNING)

    def started_trials(self) -> int:
        """Return how many trials have started, lost ones included."""
        return sum(trial.state != TrialState.WAITING for trial in self.trials())

    def fill(self, first: Mapping[str, Any] | None) -> int:
        """Add the slots that the study lacks, see :meth:`SweepStudy.fill`."""
        self.reopen()
        filled = {trial.user_attrs.get(SLOT) for trial in self.trials()}
        missing = {
            slot: params
            for slot, params in enumerate(slots(self.spec.space, self.spec.config, first))
            if slot not in filled
        }
        for slot, params in missing.items():
            self._add(params, slot)
        return len(missing)

    def reopen(self) -> int:
        """Open the slots of lost trials that no process has opened again.

        A process that is killed while it gives up a trial leaves such a slot. Only one process at a
        time may call this.

        Returns:
            The number of slots opened.
        """
        with lock_storage(self.spec.config):
            trials = self.trials()
            filled = {trial.user_attrs.get(SLOT) for trial in trials if not is_lost(trial)}
            lost = {
                trial.user_attrs[SLOT]: trial
                for trial in trials
                if is_lost(trial) and trial.user_attrs[SLOT] not in filled
            }
            return sum(self._open_slot(trial) for trial in lost.values())

    def run_trials(self, work: TrialWork) -> None:
        """Run trials in ``sweep.jobs`` processes, and wait for those of other machines."""
        self.note(**{JOB: work.description})
        self._supervise(work, finish=True)

    def join(self, work: TrialWork) -> None:
        """Run trials in ``sweep.jobs`` processes until none waits; another process ends the study.

        Raises:
            TrackingError: see :meth:`SweepStudy.run_trials`.
        """
        self._supervise(work, finish=False)

    def run_waiting(
        self,
        objective: TrialObjective,
        deadline: float | None = None,
        check: Callable[[], None] = lambda: None,
    ) -> int:
        """Run trials in this process until none waits.

        A trial whose objective raises an error fails with the reason, and the next one starts. An
        error of the tracking store, and Ctrl-C, end the work; the trial waits again.

        Args:
            objective: runs a trial.
            deadline: seconds since 1970 after which no trial starts.
            check: called before each trial; its errors end the work.

        Returns:
            The number of trials run.
        """
        count = 0
        while deadline is None or time.time() < deadline:
            check()
            trial = self.take()
            if trial is None:
                break
            self._run(trial, objective)
            count += 1
        return count

    def take(self) -> optuna.Trial | None:
        """Return the next waiting trial, which now belongs to this process; None if none waits."""
        self._reclaim_silent()
        with lock_storage(self.spec.config):
            # Read through the study: a trial that its cache has not seen cannot be run.
            waiting = self.study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
            for trial in sorted(
                (trial for trial in waiting if self._has_slot(trial)),
                key=lambda trial: (int(trial.user_attrs[SLOT]), trial.number),
            ):
                id_ = self._id(trial)
                try:
                    if not self._storage.set_trial_state_values(id_, TrialState.RUNNING):
                        continue
                except UpdateFinishedTrialError:
                    continue
                worker = {"liveness": liveness_name(), "node": platform.node(), "pid": os.getpid()}
                self._storage.set_trial_user_attr(id_, WORKER, worker)
                self.study.sampler = seeded_sampler(self.spec.config, trial.number)
                return optuna.Trial(self.study, id_)
        return None

    def keep_alive(self, trial: optuna.Trial | FrozenTrial) -> AbstractContextManager[None]:
        """Send a running trial's heartbeats while the block runs."""
        id_ = self._id(trial)
        return repeating(
            lambda: self._storage.record_heartbeat(id_),
            self.spec.config.heartbeat_s,
            f"trial {trial.number}: no heartbeat",
        )

    def give_up(self, trial: optuna.Trial | FrozenTrial, reason: str, counts: bool) -> bool:
        """Mark a running trial as lost, and open its slot again.

        Args:
            trial: the trial.
            reason: why it is lost.
            counts: this try is one of those that ``sweep.retries`` limits.

        Returns:
            False if the trial had already ended.
        """
        id_ = self._id(trial)
        with lock_storage(self.spec.config):
            try:
                # In this order: a process that is killed in between leaves a trial that can be
                # given up again, or a slot that ``reopen`` opens.
                self._storage.set_trial_user_attr(id_, REASON, reason)
                self._storage.set_trial_user_attr(id_, LOST, counts)
                if not self._storage.set_trial_state_values(id_, TrialState.FAIL):
                    return False
            except UpdateFinishedTrialError:
                return False
            log.warning("trial %d was lost: %s", trial.number, reason)
            self._open_slot(self._storage.get_trial(id_))
            return True

    def reclaim(self) -> list[int]:
        """Give up trials of this machine's dead processes, and trials without a heartbeat."""
        orphans = [
            trial
            for trial in self.trials()
            if trial.state == TrialState.RUNNING and is_orphan(trial)
        ]
        return self._reclaim_silent() + [
            trial.number
            for trial in orphans
            if self.give_up(trial, "its process ended before the trial did", counts=True)
        ]

    def _supervise(self, work: TrialWork, finish: bool) -> None:
        supervise(
            self,
            _run_worker,
            (self.spec, work),
            self.spec.config.jobs,
            work.deadline,
            finish,
            work.set_up,
        )

    def _run(self, trial: optuna.Trial, objective: TrialObjective) -> None:
        try:
            with self.keep_alive(trial):
                running = RunningTrial(trial, self.spec)
                log.info("trial %d: %s", trial.number, _shown(running.chosen))
                values = [float(value) for value in objective(running)]
            if any(math.isnan(value) for value in values):
                raise ValueError(f"objectives {values} are not numbers")
            ended = self._tell(trial, values)
            outcome = f"complete: {', '.join(f'{value:.4f}' for value in values)}"
        except (TrialLostError, UpdateFinishedTrialError):
            ended, outcome = False, ""
        except TrialPrunedError as error:
            ended = self._tell(trial, state=TrialState.PRUNED, reason=str(error))
            outcome = f"pruned: {error}"
        except KeyboardInterrupt:
            self.give_up(trial, "interrupted", counts=False)
            raise
        except TrackingError as error:
            self.give_up(trial, str(error), counts=False)
            raise
        except Exception as error:
            reason = failure_reason(error)
            ended = self._tell(trial, state=TrialState.FAIL, reason=reason)
            outcome = f"failed: {reason}"
        if ended:
            log.info("trial %d %s", trial.number, outcome)
        else:
            log.warning(
                "trial %d was given up: this process sent no heartbeat for too long, "
                "and another process runs the trial again",
                trial.number,
            )

    def _tell(
        self,
        trial: optuna.Trial,
        values: Sequence[float] | None = None,
        state: TrialState | None = None,
        reason: str = "",
    ) -> bool:
        """End a trial; return False if it had been given up."""
        try:
            if reason:
                trial.set_user_attr(REASON, reason)
            return not is_lost(self.study.tell(trial, values, state, skip_if_finished=True))
        except UpdateFinishedTrialError:
            return False

    def _reclaim_silent(self) -> list[int]:
        """Give up the trials whose heartbeat stopped; return their numbers."""
        self._stale = []
        with lock_storage(self.spec.config):
            fail_stale_trials(self.study)  # calls _replace_stale
        return self._stale

    def _replace_stale(self, _study: optuna.Study, trial: FrozenTrial) -> None:
        if not is_lost(trial):  # its process wrote the reason of a failure at the last moment
            return
        silence_s = MISSED_HEARTBEATS * self.spec.config.heartbeat_s
        log.warning("trial %d was lost: no heartbeat for %d s", trial.number, silence_s)
        self._stale.append(trial.number)
        self._open_slot(trial)

    def _has_slot(self, trial: FrozenTrial) -> bool:
        """Return whether a trial's slot is among the study's, which may have fewer than before."""
        return int(trial.user_attrs.get(SLOT, self.spec.config.trials)) < self.spec.config.trials

    def _open_slot(self, lost: FrozenTrial) -> bool:
        """Add a waiting trial with a lost trial's slot and parameters.

        Returns:
            False if the slot has been lost more often than ``sweep.retries`` allows.
        """
        slot = lost.user_attrs[SLOT]
        tries = sum(
            is_lost(trial) and trial.user_attrs[SLOT] == slot and trial.user_attrs.get(LOST, True)
            for trial in self.trials()
        )
        if tries > self.spec.config.retries:
            return False
        self._add(lost.params, slot)
        return True

    def _add(self, params: Mapping[str, Any], slot: int) -> None:
        distributions = self.spec.space.distributions()
        self.study.add_trial(
            create_trial(
                state=TrialState.WAITING,
                params=dict(params),
                distributions={key: distributions[key] for key in params},
                user_attrs={SLOT: slot},
            )
        )

    def _id(self, trial: optuna.Trial | FrozenTrial) -> int:
        """Return the storage's id of a trial."""
        return self._storage.get_trial_id_from_study_id_trial_number(self._study_id, trial.number)


def _run_worker(spec: StudySpec, work: TrialWork) -> None:
    """Run trials in a worker process."""
    study = ProcessStudy(spec)
    objective = work.make_objective(work.argument, spec.config.jobs)
    study.run_waiting(objective, work.deadline, check_interrupted)


def _shown(params: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{key}={value:.4g}" if isinstance(value, float) else f"{key}={value}"
        for key, value in params.items()
    )
