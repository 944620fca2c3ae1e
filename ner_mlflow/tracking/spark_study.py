"""A study whose trials run on a Spark cluster.

MLflow's own study for Optuna on Spark distributes the trials, and stores the study as runs of the
tracking store.
"""

import copy
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Self

import mlflow
import optuna
from mlflow.exceptions import ExecutionException, MlflowException
from mlflow.optuna.storage import MlflowStorage
from optuna.trial import FrozenTrial, TrialState

from ..errors import TrackingError
from ..private_names import trial_id
from ..sweeping.background import repeating
from ..sweeping.samplers import PRUNERS, SlotSampler, slots
from ..sweeping.study import SweepStudy, TrialWork
from ..sweeping.trial import (
    LOST,
    REASON,
    SLOT,
    RunningTrial,
    StudySpec,
    TrialObjective,
    TrialPrunedError,
    failure_reason,
    is_lost,
)
from .lifecycle import set_parent
from .records import TrialRecord, trial_runs
from .spark import spark_session

log = logging.getLogger(__name__)

PROGRESS_S = 10
KILL_S = 5
"""Seconds to wait for executors to end the Python processes of cancelled tasks; Spark's
``spark.python.task.killTimeout`` is 2 s."""

_objectives: dict[str, TrialObjective] = {}
"""Name of a study -> the objective that this executor process made for it."""


class TrialFailedError(Exception):
    """The failure of one trial; the other trials continue."""


class SparkStudy(SweepStudy):
    """The driver's connection to a study on Spark; use :meth:`open`.

    A trial's number is its slot: ``MlflowStorage`` may give one number to trials that start
    together.
    """

    def __init__(self, spec: StudySpec, experiment_id: str) -> None:
        # Imported here because pyspark is optional.
        from mlflow.pyspark.optuna.study import MlflowSparkStudy

        self.spec = spec
        self._experiment_id = experiment_id
        self._storage = MlflowStorage(experiment_id)
        name = f"study {spec.name}"  # MLflow finds the study by a run of this name
        self._distributed = MlflowSparkStudy(
            name,
            self._storage,
            pruner=PRUNERS[spec.config.pruner](spec.epochs),
            directions=list(spec.directions),
        )
        self.study = optuna.load_study(study_name=name, storage=self._storage)
        self._run_id: str = self._storage.get_study_id_from_name(name)
        self._points: dict[int, dict[str, Any]] = {}

    @classmethod
    @contextmanager
    def open(cls, spec: StudySpec, parent: str, experiment_id: str) -> Iterator[Self]:
        """Open the study on a cluster while the block runs; the end of the block ends the trials.

        Raises:
            ConfigError: pyspark is not installed, or the cluster does not answer.
        """
        settings = {"spark.task.maxFailures": str(spec.config.retries + 1)}
        name = f"ner_mlflow sweep {spec.name}"
        with spark_session(spec.config.spark_master, name, settings):
            study, status = cls(spec, experiment_id), "KILLED"
            try:
                set_parent(study._run_id, parent)
                yield study
                status = "FINISHED"
            finally:
                # MLflow ends the run that stores the study only after a success.
                mlflow.MlflowClient().set_terminated(study._run_id, status)

    @property
    def address(self) -> str:
        """The cluster's master."""
        return self.spec.config.spark_master

    def trials(self) -> list[FrozenTrial]:
        """Return all trials, lost ones included."""
        return sorted(
            map(_numbered, super().trials()), key=lambda trial: (trial.number, trial.datetime_start)
        )

    def best_trials(self) -> list[FrozenTrial]:
        """Return the best complete trial, or the Pareto front of several objectives."""
        return [_numbered(trial) for trial in super().best_trials()]

    def fill(self, first: Mapping[str, Any] | None) -> int:
        """Find the open slots, for which :meth:`run_trials` starts a trial each.

        See :meth:`SweepStudy.fill`.
        """
        trials = self.trials()
        ended = {
            trial.user_attrs.get(SLOT)
            for trial in trials
            if trial.state.is_finished() and not is_lost(trial)
        }
        started = {trial.user_attrs.get(SLOT) for trial in trials}
        self._points = {
            slot: params
            for slot, params in enumerate(slots(self.spec.space, self.spec.config, first))
            if slot not in ended
        }
        return len(self._points.keys() - started)

    def reclaim(self) -> list[int]:
        """Give up all running trials; call this only while no executor works on the study.

        See :meth:`SweepStudy.reclaim`.
        """
        lost = [trial for trial in self.trials() if trial.state == TrialState.RUNNING]
        for trial in lost:
            log.warning("trial %d was lost with its executor", trial.number)
            id_ = trial_id(trial)
            self._storage.set_trial_user_attr(id_, REASON, "its executor ended before the trial")
            self._storage.set_trial_user_attr(id_, LOST, True)
            self._storage.set_trial_state_values(id_, TrialState.FAIL)
        return [trial.number for trial in lost]

    def run_trials(self, work: TrialWork) -> None:
        """Run one trial for each open slot, each as a task; Spark repeats tasks of dead executors.

        See :meth:`SweepStudy.run_trials`.
        """
        if not self._points:
            return
        from py4j.protocol import Py4JError
        from pyspark.errors import PySparkException

        slot_of_task = _SlotOfTask(tuple(self._points))
        self._distributed.sampler = SlotSampler(
            self.spec.space, self.spec.config, self._points, slot_of_task
        )
        objective = _ObjectiveOnExecutor(self.spec, work, slot_of_task)
        count = len(self._points)
        try:
            with self._log_progress(count):
                self._distributed.optimize(
                    objective, n_trials=count, n_jobs=count, catch=(TrialFailedError,)
                )
        except ExecutionException as error:
            raise TrackingError(
                f"an executor of the sweep failed: {str(error).strip().splitlines()[-1]}"
            ) from error
        except (PySparkException, Py4JError) as error:  # a task failed too often
            raise TrackingError(
                f"Spark gave up the sweep: {' '.join(str(error).split())[:500]}"
            ) from error
        except KeyboardInterrupt:
            self._distributed.spark.sparkContext.cancelAllJobs()
            time.sleep(KILL_S)
            raise
        finally:
            self.reclaim()

    def _log_progress(self, count: int) -> AbstractContextManager[None]:
        """Log trials that end while the block runs."""
        logged: set[str] = set()
        start_ms = time.time() * 1000

        def log_ended() -> None:
            for run in trial_runs(self._experiment_id, self.spec.name):
                trial = TrialRecord.from_run(run)
                state = trial.trial_state
                if state != "running" and run.id not in logged and run.started_ms >= start_ms:
                    logged.add(run.id)
                    number = trial.trial_number
                    log.info("trial %d %s (%d of %d)", number, state, len(logged), count)

        return repeating(log_ended, PROGRESS_S, "the state of the trials cannot be read")


def _numbered(trial: FrozenTrial) -> FrozenTrial:
    """Return a trial with its slot as number."""
    trial = copy.copy(trial)
    trial.number = trial.user_attrs.get(SLOT, trial.number)
    return trial


@dataclass(frozen=True)
class _SlotOfTask:
    """A function that returns the slot of the Spark task that calls it."""

    slots: Sequence[int]

    def __call__(self) -> int:
        from pyspark import TaskContext

        context = TaskContext.get()
        assert context is not None
        task: int = context.partitionId()
        return self.slots[task]


@dataclass(frozen=True)
class _ObjectiveOnExecutor:
    """The objective that Spark sends to executors."""

    spec: StudySpec
    work: TrialWork
    slot_of_task: Callable[[], int]

    def __call__(self, trial: optuna.Trial) -> Sequence[float]:
        slot = self.slot_of_task()
        trial.set_user_attr(SLOT, slot)
        if self.work.deadline is not None and time.time() >= self.work.deadline:
            trial.set_user_attr(LOST, True)
            raise self._failed(trial, "the sweep's time ended before the trial started")
        mlflow.MlflowClient().set_tag(trial_id(trial), "mlflow.runName", f"optuna trial {slot}")
        if self.spec.name not in _objectives:
            self.work.set_up()
            # A cluster decides how many tasks share a machine.
            _objectives[self.spec.name] = self.work.make_objective(self.work.argument, 1)
        running = RunningTrial(trial, self.spec, slot)
        try:
            return [float(value) for value in _objectives[self.spec.name](running)]
        except TrialPrunedError as error:
            trial.set_user_attr(REASON, str(error))
            raise optuna.TrialPruned(str(error)) from error
        except TrackingError:
            # If the store refuses this as well, the driver finds the trial running and gives it up.
            with suppress(MlflowException):
                trial.set_user_attr(LOST, True)
            raise
        except Exception as error:
            raise self._failed(trial, failure_reason(error)) from error

    @staticmethod
    def _failed(trial: optuna.Trial, reason: str) -> TrialFailedError:
        trial.set_user_attr(REASON, reason)
        return TrialFailedError(reason)
