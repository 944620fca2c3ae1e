"""A study whose trials run on Spark executors, by MLflow's own study for Optuna on Spark; Optuna's record of it is runs of the tracking store."""

import copy
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import mlflow
import optuna
from mlflow.exceptions import ExecutionException, MlflowException
from mlflow.optuna.storage import MlflowStorage
from optuna.trial import FrozenTrial, TrialState

from ..errors import TrackingError
from ..sweeping.background import repeating
from ..sweeping.samplers import PRUNERS, SLOT, SlotSampler, slots
from ..sweeping.study import (
    LOST,
    REASON,
    HeldStudy,
    RunningTrial,
    StudySpec,
    TrialObjective,
    TrialPrunedError,
    is_lost,
    reason_of,
)
from .lifecycle import set_parent
from .records import TrialRecord, trial_runs
from .spark import spark_session

log = logging.getLogger(__name__)

PROGRESS_S = 10
KILL_S = 5
"""How long executors take to end the Python of a task that was cancelled, and a bit (``spark.python.task.killTimeout``)."""

_objectives: dict[str, TrialObjective] = {}
"""What this executor process reads once, by study."""


class TrialFailedError(Exception):
    """A trial failed by itself; the others go on."""


class SparkStudy(HeldStudy):
    """The driver's hold on a study; to be had from :func:`open_spark_study`.

    Trials are numbered by their slots: MLflow's storage may give trials that begin together one number.
    """

    def __init__(self, spec: StudySpec, experiment_id: str) -> None:
        # Imported here: pyspark need not be installed where no sweep runs on Spark.
        from mlflow.pyspark.optuna.study import MlflowSparkStudy

        self.spec = spec
        self._experiment_id = experiment_id
        self._storage = MlflowStorage(experiment_id)
        name, pruner = (
            f"study {spec.name}",
            PRUNERS[spec.config.pruner](spec.epochs),
        )  # MLflow looks for a run of that name
        self._distributed = MlflowSparkStudy(
            name, self._storage, pruner=pruner, directions=list(spec.directions)
        )
        self.study = optuna.load_study(study_name=name, storage=self._storage)
        self._run_id: str = self._storage.get_study_id_from_name(name)
        self._points: dict[int, dict[str, Any]] = {}

    def put_below(self, parent: str) -> None:
        """Show Optuna's record of the study below a run."""
        set_parent(self._run_id, parent)

    def trials(self) -> list[FrozenTrial]:
        """All trials, those that were lost and run again too."""
        return sorted(
            map(_numbered, super().trials()), key=lambda trial: (trial.number, trial.datetime_start)
        )

    def best_trials(self) -> list[FrozenTrial]:
        """The best complete trial, or the Pareto front of several objectives."""
        return [_numbered(trial) for trial in super().best_trials()]

    def fill(self, first: Mapping[str, Any] | None) -> int:
        """Find the slots without a trial that ended; :meth:`run` runs one for each. See :meth:`HeldStudy.fill`."""
        trials = self.trials()
        ended = {
            trial.user_attrs.get(SLOT)
            for trial in trials
            if trial.state.is_finished() and not is_lost(trial)
        }
        begun = {trial.user_attrs.get(SLOT) for trial in trials}
        self._points = {
            slot: point
            for slot, point in enumerate(slots(self.spec.space, self.spec.config, first))
            if slot not in ended
        }
        return len(self._points.keys() - begun)

    def reclaim(self) -> list[int]:
        """See :meth:`HeldStudy.reclaim`; to be called while no executor works on the study."""
        lost = [trial for trial in self.trials() if trial.state == TrialState.RUNNING]
        for trial in lost:
            log.warning("trial %d was lost with its executor", trial.number)
            self._storage.set_trial_user_attr(
                trial._trial_id, REASON, "its executor ended before its time"
            )
            self._storage.set_trial_user_attr(trial._trial_id, LOST, True)
            self._storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)
        return [trial.number for trial in lost]

    def run(
        self,
        make: Callable[[Any], TrialObjective],
        argument: Any,
        deadline: float | None,
        set_up: Callable[[], None],
    ) -> None:
        """Run a trial for each open slot, each a task of its own; a task whose executor ended is run again by Spark.

        Args:
            make: called once in each executor process with ``argument``, to make what runs a trial; both are pickled.
            argument: that.
            deadline: seconds since 1970 after which no trial begins.
            set_up: called first in each executor process; a function of a module.

        Raises:
            TrackingError: an executor cannot work, with its words, or a task was lost more often than ``sweep.retries``.
        """
        if not self._points:
            return
        from py4j.protocol import Py4JError
        from pyspark.errors import PySparkException

        slot_of_task = _SlotOfTask(tuple(self._points))
        objective = _OnExecutor(self.spec, make, argument, deadline, set_up, slot_of_task)
        self._distributed.sampler = SlotSampler(
            self.spec.space, self.spec.config, self._points, slot_of_task
        )
        count = len(self._points)
        try:
            with self._saying_progress(count):
                self._distributed.optimize(
                    objective, n_trials=count, n_jobs=count, catch=(TrialFailedError,)
                )
        except ExecutionException as error:
            raise TrackingError(
                f"an executor of the sweep failed: {str(error).strip().splitlines()[-1]}"
            ) from error
        except (
            PySparkException,
            Py4JError,
        ) as error:  # a task failed more often than it is run again
            raise TrackingError(
                f"Spark gave the sweep up: {' '.join(str(error).split())[:500]}"
            ) from error
        except KeyboardInterrupt:
            self._distributed.spark.sparkContext.cancelAllJobs()
            time.sleep(KILL_S)
            raise
        finally:
            self.reclaim()

    def end(self, status: str) -> None:
        """End the run that is Optuna's record of the study; MLflow does it only where all went well."""
        mlflow.MlflowClient().set_terminated(self._run_id, status)

    def _saying_progress(self, count: int) -> AbstractContextManager[None]:
        said: set[str] = set()
        began = time.time() * 1000

        def say() -> None:
            for run in trial_runs(self._experiment_id, self.spec.name):
                trial = TrialRecord.from_run(run)
                ended = trial.trial_state != "running" and run.started_ms >= began
                if ended and run.id not in said:
                    said.add(run.id)
                    state = trial.trial_state
                    log.info("trial %d %s (%d of %d)", trial.trial_number, state, len(said), count)

        return repeating(say, PROGRESS_S, "no look at the trials")


@contextmanager
def open_spark_study(spec: StudySpec, master: str, experiment_id: str) -> Iterator[SparkStudy]:
    """Hold a study on a cluster, which ends with the block, as do the trials that are still running.

    Raises:
        ConfigError: pyspark is not installed, or there is no such cluster.
    """
    settings = {"spark.task.maxFailures": str(spec.config.retries + 1)}
    with spark_session(master, f"ner_mlflow sweep {spec.name}", settings):
        study, status = SparkStudy(spec, experiment_id), "KILLED"
        try:
            yield study
            status = "FINISHED"
        finally:
            study.end(status)


def _numbered(trial: FrozenTrial) -> FrozenTrial:
    trial = copy.copy(trial)
    trial.number = trial.user_attrs.get(SLOT, trial.number)
    return trial


@dataclass(frozen=True)
class _SlotOfTask:
    slots: Sequence[int]

    def __call__(self) -> int:
        from pyspark import TaskContext

        context = TaskContext.get()
        assert context is not None
        task: int = context.partitionId()
        return self.slots[task]


@dataclass(frozen=True)
class _OnExecutor:
    spec: StudySpec
    make: Callable[[Any], TrialObjective]
    argument: Any
    deadline: float | None
    set_up: Callable[[], None]
    slot_of_task: "_SlotOfTask"

    def __call__(self, trial: optuna.Trial) -> Sequence[float]:
        if self.deadline is not None and time.time() >= self.deadline:
            trial.set_user_attr(LOST, True)
            raise self._failed(trial, "the time was over before it began")
        slot = self.slot_of_task()
        mlflow.MlflowClient().set_tag(trial._trial_id, "mlflow.runName", f"optuna trial {slot}")
        if self.spec.name not in _objectives:
            self.set_up()
            _objectives[self.spec.name] = self.make(self.argument)
        running = RunningTrial(trial, self.spec, slot)
        try:
            return [float(value) for value in _objectives[self.spec.name](running)]
        except TrialPrunedError as error:
            trial.set_user_attr(REASON, str(error))
            raise optuna.TrialPruned(str(error)) from error
        except TrackingError:
            with suppress(
                MlflowException
            ):  # where the store does not take even that, the trial is found running later on, and given up
                trial.set_user_attr(LOST, True)
            raise
        except Exception as error:
            raise self._failed(trial, reason_of(error)) from error

    @staticmethod
    def _failed(trial: optuna.Trial, reason: str) -> TrialFailedError:
        trial.set_user_attr(REASON, reason)
        return TrialFailedError(reason)
