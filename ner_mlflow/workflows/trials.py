"""Run the trials of a sweep: train with each trial's settings in a new run, measure objectives."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Literal

import torch

from ..config.loading import override
from ..config.schema import Config, Objective
from ..cpus import usable_cpus
from ..data.sentences import VALIDATION
from ..errors import ConfigError
from ..exporting.relative_latency import RelativeLatency
from ..modeling.backbone import resolve_backbone
from ..modeling.build import backend_tokenizer, build_model
from ..modeling.cache import TrainingCache
from ..modeling.callbacks import TrainingHooks
from ..modeling.checkpoint import Checkpoint, load_model, merge_adapters
from ..provenance import code_fingerprint
from ..redaction import redact_address
from ..sweeping.space import Space
from ..sweeping.trial import (
    RUN,
    RunningTrial,
    StudySpec,
    TrialLostError,
    TrialPrunedError,
    failure_reason,
)
from ..sweeping.workers import check_interrupted
from ..tracking.lifecycle import connect, open_child_of
from ..tracking.records import TrainRecord, TrialRecord
from ..tracking.run import NAME_SEPARATOR, Run
from ..tracking.steps import Step
from .data import TrackedDataset, load_data
from .distillation import find_teachers
from .train import TrainInputs, run_train


@dataclass(frozen=True)
class Measure:
    """The metric behind an objective.

    Attributes:
        metric: the metric's name.
        direction: the better direction.
        step: values are rounded to multiples of this, so that noise is no improvement; 0: not
            rounded.
    """

    metric: str
    direction: Literal["minimize", "maximize"]
    step: float = 0.0

    def value(self, metrics: Mapping[str, float]) -> float:
        """Return the objective's value for a run's metrics."""
        value = metrics[self.metric]
        return round(round(value / self.step) * self.step, 6) if self.step else value


MEASURES: Mapping[Objective, Measure] = {
    "validation_f1": Measure("best_validation/f1", "maximize"),
    "latency": Measure("latency/one_core/p50_ratio", "minimize", step=0.05),
    "size": Measure("size_bytes/model", "minimize"),
    "adapter_size": Measure("size_bytes/adapter", "minimize"),
    "trainable_parameters": Measure("parameters/trainable", "minimize"),
}
"""Objective -> its measure."""


@dataclass(frozen=True)
class SweepJob:
    """Everything a worker needs.

    Attributes:
        name: the study's name.
        space: the search space.
        config: the settings that trials start from.
        data_run: id of the data run.
        parent: id of the sweep's run.
        experiment_id: the experiment of that run.
    """

    name: str
    space: Space
    config: Config
    data_run: str
    parent: str
    experiment_id: str

    @property
    def spec(self) -> StudySpec:
        """The study's definition."""
        directions = tuple(MEASURES[name].direction for name in self.config.sweep.objectives)
        return StudySpec(
            self.name, self.space, directions, self.config.train.epochs, self.config.sweep
        )

    def to_json(self) -> str:
        """Return the job as text without passwords, which :meth:`from_json` reads."""
        storage = redact_address(self.config.sweep.storage)
        config = override(self.config, {"sweep.storage": storage})
        return json.dumps(
            {
                "space": self.space.to_json(),
                "config": config.model_dump(mode="json"),
                "code": code_fingerprint(),
                "data_run": self.data_run,
                "parent": self.parent,
                "experiment_id": self.experiment_id,
            }
        )

    @classmethod
    def from_json(cls, name: str, text: str, local: Config) -> "SweepJob":
        """Return the job of a study, with the storage, processes and time limit of ``local``.

        Raises:
            ConfigError: other code wrote the job.
        """
        values = json.loads(text)
        if values.get("code") != code_fingerprint():
            raise ConfigError(
                f"join {name!r}: the study was begun with other code than this machine has: "
                "install the same commit here"
            )
        local_settings = {
            f"sweep.{key}": getattr(local.sweep, key) for key in ("storage", "jobs", "timeout_s")
        }
        return cls(
            name,
            Space.from_json(values["space"]),
            override(Config.model_validate(values["config"]), local_settings),
            values["data_run"],
            values["parent"],
            values["experiment_id"],
        )


def trial_config(config: Config, space: Space) -> Config:
    """Return the settings that trials start from.

    ``sweep.trial_epochs`` limits the epochs of trials, unless the space chooses them.
    """
    if "train.epochs" in space.entries or not config.sweep.trial_epochs:
        return config
    return override(config, {"train.epochs": min(config.sweep.trial_epochs, config.train.epochs)})


def make_trials(job: SweepJob, processes: int) -> "Trials":
    """Prepare a process to run trials.

    Args:
        job: the job.
        processes: the number of processes that share this machine's CPUs.
    """
    # More threads than cores would spend most of their time waiting for each other
    # (docs/experiments/sweeps.md).
    threads = min(torch.get_num_threads(), usable_cpus())
    torch.set_num_threads(max(1, threads // processes))
    os.environ.pop("MLFLOW_RUN_ID", None)  # the run of the process that started this one
    connect()
    return Trials(job, load_data(job.data_run))


class Trials:
    """The objective of a job's trials; trials of one process share what they read and encode."""

    def __init__(self, job: SweepJob, data: TrackedDataset) -> None:
        self._job = job
        self._data = data
        self._cache = TrainingCache()
        self._backbone = cache(resolve_backbone)
        self._teachers = cache(find_teachers)

    def __call__(self, trial: RunningTrial) -> list[float]:
        """Train in a new run, and return the objectives' values.

        Raises:
            TrialPrunedError: other trials were better.
            TrialLostError: the trial was given up.
        """
        job = self._job
        metrics: Mapping[str, float] = {}
        stop: TrialPrunedError | TrialLostError | None = None
        params = json.dumps(trial.chosen)
        record = TrialRecord(
            run_id="", study=job.name, trial_number=trial.number, trial_params=params
        )
        name = NAME_SEPARATOR.join((f"trial {trial.number}", job.name))
        with open_child_of(job.parent, job.experiment_id, Step.TRIAL, name, record.tags()) as run:
            trial.note(**{RUN: run.id})
            try:
                metrics = self._train(run, trial).metrics
                trial.check_running()
            except TrialPrunedError as error:
                stop = error
                record.with_state("pruned", error).write(run)
                run.mark_killed()
            except TrialLostError as error:
                stop = error
                reason = "its process sent no heartbeat for too long, and another process runs it"
                record.with_state("lost", reason).write(run)
                run.mark_killed()
            except KeyboardInterrupt:
                record.with_state("interrupted", "interrupted").write(run)
                raise
            except Exception as error:
                record.with_state("failed", failure_reason(error)).write(run)
                raise
            else:
                record.with_state("complete").write(run)
        if stop:
            raise stop
        return [MEASURES[name].value(metrics) for name in job.config.sweep.objectives]

    def _train(self, run: Run, trial: RunningTrial) -> TrainRecord:
        config = override(self._job.config, trial.overrides)
        backbone = self._backbone(config.model.backbone, config.model.revision)
        return run_train(
            run,
            config,
            self._data,
            TrainInputs(backbone, self._teachers(config.distill), self._cache),
            TrainingHooks(on_epoch=trial.report, on_step=check_interrupted),
            measure=self._latency if "latency" in config.sweep.objectives else None,
            log_model=config.sweep.log_models,
        )

    def _latency(self, model_folder: Path) -> dict[str, float]:
        return self._relative_latency(load_model(model_folder))

    @cached_property
    def _relative_latency(self) -> RelativeLatency:
        """The latency relative to the network that trials start from.

        That network has its initial weights: latency does not depend on weights.
        """
        config, dataset = self._job.config, self._data.dataset
        backbone = self._backbone(config.model.backbone, config.model.revision)
        built = build_model(backbone, config.model, dataset.schema, config.train.seed)
        reference = Checkpoint(
            merge_adapters(built.network).eval(), backend_tokenizer(built.tokenizer), built.spec
        )
        return RelativeLatency(
            reference, [sentence.tokens for sentence in dataset.corpus[VALIDATION]], config.export
        )
