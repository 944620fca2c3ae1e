"""The `sweep` step: a search space and a prepared dataset in; a run for each trial, plots, and the best settings' registered model out."""

import json
import logging
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch

from ..config.loading import override
from ..config.schema import Config, Objective
from ..data.sentences import VALIDATION
from ..errors import ConfigError, ModelError, TrackingError
from ..export.relative_latency import RelativeLatency
from ..modeling.backbone import resolve_backbone
from ..modeling.build import backend_tokenizer, build_model
from ..modeling.cache import TrainingCache
from ..modeling.callbacks import TrainingHooks
from ..modeling.checkpoint import Checkpoint, load_model, merge_adapters
from ..paths import training_folder
from ..provenance import cache_key, code_fingerprint
from ..redaction import redact_address
from ..sweeping.report import SweepReport, report
from ..sweeping.samplers import slots
from ..sweeping.space import Space, read_space
from ..sweeping.study import (
    RUN,
    BestTrial,
    HeldStudy,
    RunningTrial,
    StudySpec,
    SweepStudy,
    TrialLostError,
    TrialPrunedError,
)
from ..sweeping.study_lock import exclusive
from ..sweeping.workers import SetUp, check_interrupted, log_progress, supervise
from ..tracking.lifecycle import connect, end_dead_run, open_child_of, set_parent
from ..tracking.models import check_registered_name
from ..tracking.queries import run_status, store_address
from ..tracking.records import JoinRecord, SweepRecord, TrainRecord, TrialRecord, trial_runs
from ..tracking.registry import check_not_judged
from ..tracking.run import Run
from ..tracking.spark_study import SparkStudy, open_spark_study
from ..tracking.steps import Step
from . import train
from .data import TrackedDataset, load_data
from .distillation import find_teachers
from .pipeline import Pipeline, PresetResult, best_result, compare_results, register_result
from .train import TrainInputs, find_inputs, run_train

log = logging.getLogger(__name__)

METRICS_DELAY_S = 30
"""How late curves of a trial may be: a request for each point costs a trial more than all else that is tracked."""
JOB, KEY, PARENT = "job", "key", "parent"
"""What is noted with a study: what its workers need to know, what its trials have in common, the run that they are below."""
_NOT_OF_NAMES = re.compile(r"[^\w.-]")


@dataclass(frozen=True)
class Measure:
    """The metric behind an objective, which way is better, and below which differences are noise (0: none is)."""

    metric: str
    direction: Literal["minimize", "maximize"]
    step: float = 0.0

    def value(self, metrics: Mapping[str, float]) -> float:
        """What the objective is where these were measured."""
        value = metrics[self.metric]
        return round(round(value / self.step) * self.step, 6) if self.step else value


MEASURES: Mapping[Objective, Measure] = {
    "validation_f1": Measure("best_validation/f1", "maximize"),
    "latency": Measure("latency/one_core/p50_ratio", "minimize", step=0.05),
    "size": Measure("size_bytes/model", "minimize"),
    "adapter_size": Measure("size_bytes/adapter", "minimize"),
    "trainable_parameters": Measure("parameters/trainable", "minimize"),
}


@dataclass(frozen=True)
class SweepJob:
    """What a worker must know: the study, the settings that trials start from, the data, and the run they go below."""

    name: str
    space: Space
    config: Config
    data_run: str
    parent: str
    experiment_id: str

    @property
    def spec(self) -> StudySpec:
        """The study."""
        directions = tuple(MEASURES[name].direction for name in self.config.sweep.objectives)
        return StudySpec(
            self.name, self.space, directions, self.config.train.epochs, self.config.sweep
        )

    def to_json(self) -> str:
        """What :meth:`from_json` reads; holds no password."""
        config = override(self.config, {"sweep.storage": redact_address(self.config.sweep.storage)})
        values = {"space": self.space.to_json(), "config": config.model_dump(mode="json")}
        return json.dumps(
            {
                **values,
                "code": code_fingerprint(),
                "data_run": self.data_run,
                "parent": self.parent,
                "experiment_id": self.experiment_id,
            }
        )

    @classmethod
    def from_json(cls, name: str, text: str, local: Config) -> "SweepJob":
        """The job of a study, with the storage and the processes of another configuration.

        Raises:
            ConfigError: it was written by other code.
        """
        values = json.loads(text)
        if values.get("code") != code_fingerprint():
            raise ConfigError(
                f"join {name!r}: the study was begun with other code than that of this machine: install the same commit here"
            )
        here = {
            f"sweep.{key}": getattr(local.sweep, key) for key in ("storage", "jobs", "timeout_s")
        }
        config = override(Config.model_validate(values["config"]), here)
        return cls(
            name,
            Space.from_json(values["space"]),
            config,
            values["data_run"],
            values["parent"],
            values["experiment_id"],
        )


@dataclass(frozen=True)
class Swept:
    """What a sweep ends with; ``version`` is empty where no final model was asked for."""

    study: str
    table: pd.DataFrame
    best: Mapping[str, Any]
    finals: Sequence[PresetResult]
    version: str


def run_sweep(
    run: Run,
    config: Config,
    data: TrackedDataset,
    registered_model: str,
    alias: str,
    set_up: SetUp = log_progress,
) -> Swept:
    """Try settings in an open run, a run for each trial below it, and train the best ones again.

    A study that was interrupted goes on: trials that were in flight are run again, and their runs are marked. ``set_up`` makes the
    worker processes log as this one does.

    Raises:
        ConfigError: a search space or an objective that does not fit, or a study that was begun with other settings.
        ModelError: no trial was completed.
        TrackingError: the study's storage cannot be used, or another process sweeps it.
    """
    check_registered_name(registered_model, alias)
    check_not_judged(registered_model, alias)
    deadline = _deadline(config)
    config = override(config, {"train.processes": config.train.processes or 1})
    space = read_space(config.sweep.space, config)
    _check_objectives(config)
    _tell_of_grid(config, space)
    backbone, teachers = (
        resolve_backbone(config.model.backbone, config.model.revision),
        find_teachers(config.distill),
    )
    of_trials = trial_config(config, space)
    key = _study_key(
        of_trials,
        space,
        data,
        backbone.weights_sha256,
        [teacher.fingerprint for teacher in teachers],
        run.experiment_id,
    )
    name = (
        config.sweep.study
        or f"{_NOT_OF_NAMES.sub('_', space.name)}-{cache_key([key, store_address()])[:12]}"
    )
    job = SweepJob(name, space, of_trials, data.run_id, run.id, run.experiment_id)
    shown = config.sweep.model_copy(update={"storage": redact_address(config.sweep.storage)})
    run.log_config(
        model=config.model,
        train=config.train,
        distill=config.distill,
        evaluate=config.evaluate,
        export=config.export,
        sweep=shown,
    )
    run.log_yaml(
        "space",
        {
            name: entry.model_dump(mode="json", exclude_none=True)
            for name, entry in space.entries.items()
        },
    )
    record = SweepRecord(run_id=run.id, study=name, **data.fields)
    record.write(run)
    with exclusive(name, config.sweep):
        with _held(job) as study:
            if study.attributes.get(KEY, key) != key:
                raise ConfigError(
                    f"sweep.study {name!r} was begun with other code, settings, sampler, space, data or in another experiment: give another name, or none"
                )
            _take_over(run, study)
            study.note(**{KEY: key, PARENT: run.id})
            added = study.fill(space.point(config) if config.sweep.try_preset else None)
            where = (
                config.sweep.spark_master
                if config.sweep.engine == "spark"
                else redact_address(config.sweep.storage)
            )
            log.info(
                "study %s on %s: %d trials, %d of them new",
                name,
                where,
                len(slots(space, config.sweep, None)),
                added,
            )
            try:
                _run_trials(study, job, deadline, set_up)
            finally:
                _gather_trials(run, study)
            found = report(study, config.sweep.objectives)
            best = _log_report(run, found, study, config)
            record = replace(
                record,
                best_trial=best.number,
                best_trial_run=best.run,
                best_params=json.dumps(best.chosen),
            )
            record.write(run)
        finals = [
            _final(
                run,
                override(config, {**space.overrides(best.chosen), "train.seed": seed}),
                name,
                data,
            )
            for seed in config.sweep.final_seeds
        ]
        version = ""
        if finals:
            best_final, version = _register_best(run, config, finals, data, registered_model, alias)
            address = f"models:/{registered_model}/{version}"
            replace(
                record, best_train_run=best_final.train.run_id, registered_version=address
            ).write(run)
    return Swept(name, found.table, space.overrides(best.chosen), finals, version)


def join_sweep(run: Run, config: Config, name: str, set_up: SetUp = log_progress) -> int:
    """Run trials of a study that another process, here or on another machine, began and will end.

    Returns:
        How many trials of the study are finished now.

    Raises:
        ConfigError: the engine is Spark.
        TrackingError: there is no such study in the storage, or its data cannot be read from here.
    """
    if config.sweep.engine == "spark":
        raise ConfigError(
            f"join {name!r}: executors of a Spark cluster need not join: leave engine, or join"
        )
    shown = redact_address(config.sweep.storage)
    empty = StudySpec(name, Space(name, {}), ("maximize",), config.train.epochs, config.sweep)
    text = SweepStudy.attributes_of(empty).get(JOB)
    if text is None:
        raise TrackingError(
            f"join {name!r}: no sweep has begun a study of that name in {shown}: check both"
        )
    job = SweepJob.from_json(name, text, config)
    run.log_config(sweep=job.config.sweep.model_copy(update={"storage": shown}))
    JoinRecord(run_id=run.id, study=name, sweep_run=job.parent, data_run=job.data_run).write(run)
    study = SweepStudy(job.spec)
    deadline = _deadline(config)
    supervise(
        study, work, [job, deadline], config.sweep.jobs, deadline, finish=False, set_up=set_up
    )
    return sum(trial.state.is_finished() for trial in study.trials())


def work(job: SweepJob, deadline: float | None) -> None:
    """What each worker process does: read once, then trial after trial, until ``deadline`` (seconds since 1970)."""
    # Processes of more threads than there are cores spend most of their time waiting for each other (docs/log.md).
    torch.set_num_threads(max(1, torch.get_num_threads() // job.config.sweep.jobs))
    SweepStudy(job.spec).work(make_trials(job), deadline, check_interrupted)


@contextmanager
def _held(job: SweepJob) -> Iterator[HeldStudy]:
    if job.config.sweep.engine == "spark":
        with open_spark_study(job.spec, job.config.sweep.spark_master, job.experiment_id) as study:
            study.put_below(job.parent)
            yield study
    else:
        yield SweepStudy(job.spec)


def _run_trials(study: HeldStudy, job: SweepJob, deadline: float | None, set_up: SetUp) -> None:
    if isinstance(study, SparkStudy):
        study.run(make_trials, job, deadline, set_up)
    elif isinstance(study, SweepStudy):
        study.note(**{JOB: job.to_json()})
        supervise(study, work, [job, deadline], job.config.sweep.jobs, deadline, set_up=set_up)


def make_trials(job: SweepJob) -> "Trials":
    """What a process that runs trials begins with."""
    os.environ.pop("MLFLOW_RUN_ID", None)  # the run of the process that started this one
    connect()
    return Trials(job, load_data(job.data_run))


class Trials:
    """Runs trials of a job, one after the other; what they share is read, encoded and asked for once."""

    def __init__(self, job: SweepJob, data: TrackedDataset) -> None:
        self._job = job
        self._data = data
        self._cache = TrainingCache()
        self._backbone = cache(resolve_backbone)
        self._teachers = cache(find_teachers)

    def __call__(self, trial: RunningTrial) -> list[float]:
        """Train in a run of its own; the objectives' values."""
        job = self._job
        metrics: Mapping[str, float] = {}
        given_up: TrialPrunedError | TrialLostError | None = None
        record = TrialRecord(
            run_id="",
            study=job.name,
            trial_number=trial.number,
            trial_params=json.dumps(trial.chosen),
        )
        with open_child_of(
            job.parent,
            job.experiment_id,
            Step.TRIAL,
            f"trial {trial.number}",
            record.tags(),
            METRICS_DELAY_S,
        ) as run:
            trial.note(**{RUN: run.id})
            try:
                metrics = self._train(run, trial).metrics
                trial.check_kept()
            except TrialPrunedError as error:
                given_up = error
                record.with_state("pruned", error).write(run)
                run.mark_killed()
            except TrialLostError as error:
                given_up = error
                reason = "its process was silent for too long, and another runs it again"
                record.with_state("lost", reason).write(run)
                run.mark_killed()
            except KeyboardInterrupt:
                record.with_state("interrupted", "interrupted").write(run)
                raise
            except Exception as error:
                record.with_state("failed", f"{type(error).__name__}: {error}").write(run)
                raise
            else:
                record.with_state("complete").write(run)
        if given_up:
            raise given_up
        return [MEASURES[name].value(metrics) for name in job.config.sweep.objectives]

    def _train(self, run: Run, trial: RunningTrial) -> TrainRecord:
        config = override(self._job.config, trial.overrides)
        return run_train(
            run,
            config,
            self._data,
            TrainInputs(
                self._backbone(config.model.backbone, config.model.revision),
                self._teachers(config.distill),
                self._cache,
            ),
            TrainingHooks(on_epoch=trial.report, on_step=check_interrupted),
            self._latency if "latency" in config.sweep.objectives else None,
            config.sweep.log_models,
        )

    def _latency(self, model_folder: Path) -> dict[str, float]:
        return self._relative_latency(load_model(model_folder))

    @cached_property
    def _relative_latency(self) -> RelativeLatency:
        """Beside the network that trials start from, its weights as they come: how long it takes does not depend on them."""
        config, dataset = self._job.config, self._data.dataset
        backbone = self._backbone(config.model.backbone, config.model.revision)
        built = build_model(backbone, config.model, dataset.schema, config.train.seed)
        reference = Checkpoint(
            merge_adapters(built.network).eval(), backend_tokenizer(built.tokenizer), built.spec
        )
        return RelativeLatency(
            reference, [sentence.tokens for sentence in dataset.corpus[VALIDATION]], config.export
        )


def _check_objectives(config: Config) -> None:
    if config.train.processes > 1:
        raise ConfigError(
            f"train.processes={config.train.processes}: a trial runs in one process: set 1, and sweep.jobs for several trials at once"
        )
    if "adapter_size" in config.sweep.objectives and config.model.adaptation != "lora":
        raise ConfigError(
            f"sweep.objectives adapter_size, but model.adaptation={config.model.adaptation} has no adapters: set lora, or another objective"
        )


def trial_config(config: Config, space: Space) -> Config:
    """The settings that trials start from: fewer epochs than final trainings have, where the space does not say how many."""
    if "train.epochs" in space.entries or not config.sweep.trial_epochs:
        return config
    return override(config, {"train.epochs": min(config.sweep.trial_epochs, config.train.epochs)})


def _study_key(
    config: Config,
    space: Space,
    data: TrackedDataset,
    weights_sha256: str,
    teachers: Sequence[str],
    experiment_id: str,
) -> str:
    """Equal where trials can be compared and a study can go on: what they vary and how that is chosen, what they start from, what trains
    and judges them, where they are logged."""
    sections = [getattr(config, name).model_dump_json() for name in ("model", "train", "distill")]
    chosen_by = [
        config.sweep.objectives,
        config.sweep.sampler,
        config.sweep.pruner,
        config.sweep.seed,
    ]
    trained_by = train.training_dependencies(config.distill, data, weights_sha256, teachers)
    return cache_key(
        [space.to_json()["entries"], *chosen_by, *sections, *trained_by, experiment_id]
    )


def _tell_of_grid(config: Config, space: Space) -> None:
    points = len(space.grid(config.sweep.seed)) if config.sweep.sampler == "grid" else 0
    if points > config.sweep.trials:
        log.warning(
            "the grid has %d points, of which the first %d of a seeded order are tried: set sweep.trials=%d for all",
            points,
            config.sweep.trials,
            points,
        )


def _deadline(config: Config) -> float | None:
    return time.time() + config.sweep.timeout_s if config.sweep.timeout_s else None


def _take_over(run: Run, study: HeldStudy) -> None:
    """End what an interrupted sweep of this study left running, and put its trials below this run."""
    study.reclaim()
    earlier = study.attributes.get(PARENT, run.id)
    if earlier != run.id and run_status(earlier) == "RUNNING":
        end_dead_run(earlier, f"interrupted; run {run.id} continues")
    _gather_trials(run, study)


def _gather_trials(run: Run, study: HeldStudy) -> None:
    """Mark the runs of trials whose process is no more, and have all below this run, those too that joined under an earlier one."""
    trials = trial_runs(run.experiment_id, study.spec.name)
    alive = study.running()  # asked after the runs: whose run was found had begun before
    for trial in trials:
        record = TrialRecord.from_run(trial)
        if trial.status == "RUNNING" and record.trial_number not in alive:
            lost = record.with_state("lost", "its process ended before its time")
            end_dead_run(trial.id, tags=lost.tags())
            shutil.rmtree(training_folder(trial.id), ignore_errors=True)
        if trial.parent != run.id:
            set_parent(trial.id, run.id)


def _log_report(run: Run, found: SweepReport, study: HeldStudy, config: Config) -> BestTrial:
    """Log what came out; the best trial."""
    run.log_table("trials", found.table)
    run.log_page("plots", found.page)
    for name, figure in found.figures.items():
        run.log_figure(name, figure)
    run.log_metrics(
        {
            f"trials/{state}": float(count)
            for state, count in found.table["state"].value_counts().items()
        }
    )
    objectives = config.sweep.objectives
    best = study.best()
    if best is None:
        reasons = [reason for reason in found.table["reason"] if reason]
        way_out = (
            f" (the first: {reasons[0]}): mend that, and sweep again"
            if reasons
            else ": give sweep.timeout_s more time, and sweep again"
        )
        raise ModelError(f"no trial of study {study.spec.name!r} was completed{way_out}")
    ascending = [MEASURES[name].direction == "minimize" for name in objectives]
    run.describe(
        found.table.drop(columns=["run", "reason"]).sort_values(
            list(objectives), ascending=ascending
        )
    )
    settings = override(config, study.spec.space.overrides(best.chosen))
    run.log_yaml(
        "best",
        {
            section: getattr(settings, section).model_dump(mode="json")
            for section in ("model", "train", "distill")
        },
    )
    run.log_metrics(
        {MEASURES[name].metric: value for name, value in zip(objectives, best.values, strict=True)}
    )
    return best


def _final(run: Run, config: Config, study: str, data: TrackedDataset) -> PresetResult:
    """Train the best settings with one seed, evaluate and export, or reuse what was done before."""
    pipeline = Pipeline(run, f"{study}-seed{config.train.seed}")
    record = pipeline.train(config, data, find_inputs(config))
    return pipeline.evaluate_and_export(config, record, data)


def _register_best(
    run: Run,
    config: Config,
    finals: Sequence[PresetResult],
    data: TrackedDataset,
    registered_model: str,
    alias: str,
) -> tuple[PresetResult, str]:
    """Log the final models side by side and register the best; the result and its version."""
    best = best_result(finals)
    run.log_table("final", compare_results(finals, data, config.export).table)
    scores = {
        "best_validation/f1": [result.train.validation_f1 for result in finals],
        f"{best.evaluate.split}/f1": [result.evaluate.scores["f1"] for result in finals],
    }
    for metric, values in scores.items():
        run.log_metrics({f"final/{metric}": float(np.mean(values))})
        if len(values) > 1:
            run.log_metrics({f"final/{metric}_spread": float(np.std(values, ddof=1))})
    return best, register_result(best, registered_model, alias)
