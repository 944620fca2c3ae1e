"""The `sweep` step: try settings of a search space; train, export and register the best ones."""

import json
import logging
import re
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, stdev
from typing import Any

import pandas as pd

from ..config.loading import override
from ..config.schema import Config, Objective
from ..errors import ConfigError, ModelError, TrackingError
from ..evaluation.conclusion import conclude
from ..exporting.variants import check_engines
from ..logs import show_progress
from ..pages import escape_markdown
from ..paths import training_folder
from ..provenance import cache_key
from ..redaction import redact_address
from ..sweeping.process_study import ProcessStudy
from ..sweeping.report import SweepReport, report
from ..sweeping.samplers import slots
from ..sweeping.space import Space, read_space
from ..sweeping.study import SweepStudy, TrialWork
from ..sweeping.study_lock import lock_study
from ..sweeping.trial import BestTrial, StudySpec
from ..sweeping.workers import SetUp
from ..tracking.dead_runs import end_dead_run
from ..tracking.lifecycle import page_links, set_parent
from ..tracking.queries import run_status, store_address
from ..tracking.records import JoinRecord, SweepRecord, TrialRecord, trial_runs
from ..tracking.registration import check_registered_name
from ..tracking.registry import check_not_promoted_alias
from ..tracking.run import Run
from ..tracking.shared_view import view_links
from ..tracking.spark_study import SparkStudy
from ..tracking.steps import Step
from .data import TrackedDataset
from .inputs import find_data
from .pipeline import Pipeline, PresetResult, best_result
from .register import register_served
from .report import report_on
from .train import find_inputs, training_dependencies
from .trials import MEASURES, SweepJob, make_trials, trial_config

log = logging.getLogger(__name__)

ENGINES: Mapping[str, type[SweepStudy]] = {"processes": ProcessStudy, "spark": SparkStudy}
"""``sweep.engine`` -> the kind of study that runs its trials."""
KEY, PARENT = "key", "parent"
"""Attributes of a study: the cache key of its trials, the id of the run that they are below."""
_NOT_IN_NAMES = re.compile(r"[^\w.-]")


@dataclass(frozen=True)
class SweepResult:
    """The result of a sweep.

    Attributes:
        study: the study's name.
        table: one row per trial.
        best: the best trial's settings by dotted key.
        finals: the final trainings, one per seed.
        version: the registered version, empty without final trainings.
    """

    study: str
    table: pd.DataFrame
    best: Mapping[str, Any]
    finals: Sequence[PresetResult]
    version: str


def run_sweep(
    run: Run,
    config: Config,
    data_run: str,
    registered_model: str,
    alias: str,
    set_up: SetUp = show_progress,
) -> SweepResult:
    """Run a study's trials below an open run, and train the best settings again.

    Settings are checked before data is prepared. A study that was interrupted resumes: trials that
    were running are run again, and their runs are marked as lost.

    Args:
        run: the sweep's run.
        config: the settings.
        data_run: the data run, as :func:`.inputs.find_data` takes it.
        registered_model: name in the model registry of the best final model.
        alias: the alias that its version gets.
        set_up: called first in each worker, to log as this process does.

    Raises:
        ConfigError: the search space or an objective does not fit, or the study was begun with
            other settings.
        ModelError: no trial was completed, or an engine of the final exports is not installed.
        TrackingError: the study's storage cannot be used, or another process sweeps the study.
    """
    check_registered_name(registered_model, alias)
    check_not_promoted_alias(registered_model, alias)
    if config.sweep.final_seeds:  # a missing engine is reported before any trial
        check_engines(config.export)
    deadline = _deadline(config)
    config = override(config, {"train.processes": config.train.processes or 1})
    space = read_space(config.sweep.space, config)
    _check_objectives(config)
    _warn_of_large_grid(config, space)
    base = trial_config(config, space)
    data = find_data(run, config, data_run)
    key = _study_key(base, space, data, run.experiment_id)
    name = (
        config.sweep.study
        or f"{_NOT_IN_NAMES.sub('_', space.name)}-{cache_key([key, store_address()])[:12]}"
    )
    job = SweepJob(name, space, base, data.run_id, run.id, run.experiment_id)
    work = TrialWork(make_trials, job, job.to_json(), deadline, set_up)
    _log_inputs(run, config, job)
    run.set_name(Step.SWEEP, data.dataset.name, name)
    record = SweepRecord(run_id=run.id, study=name, **data.fields)
    record.write(run)
    engine = ENGINES[config.sweep.engine]
    with lock_study(name, config.sweep):
        with engine.open(job.spec, run.id, run.experiment_id) as study:
            if study.attributes.get(KEY, key) != key:
                raise ConfigError(
                    f"sweep.study {name!r} was begun with other code, settings, sampler, space, "
                    "data or in another experiment: give another name, or none"
                )
            _take_over(run, study)
            study.note(**{KEY: key, PARENT: run.id})
            added = study.fill(space.point(config) if config.sweep.try_preset else None)
            log.info(
                "study %s on %s: %d trials, %d of them new",
                name,
                study.address,
                len(slots(space, config.sweep, None)),
                added,
            )
            try:
                study.run_trials(work)
            finally:
                _gather_trials(run, study)
            result = report(study, config.sweep.objectives)
            best = _log_report(run, result, study, config)
            record = replace(
                record,
                best_trial=best.number,
                best_trial_run=best.run,
                best_params=json.dumps(best.chosen),
            )
            record.write(run)
        settings = space.overrides(best.chosen)
        finals = [
            _train_final(run, override(config, {**settings, "train.seed": seed}), name, data)
            for seed in config.sweep.final_seeds
        ]
        version = None
        if finals:
            comparison = report_on(finals, data, config.evaluate, config.export)
            _log_spread(run, finals)
            best_final = best_result(finals)
            version = register_served(
                run,
                best_final.export,
                best_final.served,
                data,
                registered_model,
                alias,
                config,
            )
            run.log_table("final", comparison.tables["results"])
            conclusion = conclude(comparison, best_final.served.split)
            run.log_page("comparison", comparison.html(conclusion))
            final = ["Then its settings were trained again.", *conclusion]
            if version:
                final.append(
                    f"It is registered as models:/{registered_model}/{version} with the alias "
                    f"{alias}."
                )
            _describe(run, result, best, config.sweep.objectives, final)
            record = replace(
                record,
                best_train_run=best_final.train.run_id,
                registered_version=f"models:/{registered_model}/{version}" if version else "",
            )
            record.write(run)
    return SweepResult(name, result.table, settings, finals, version or "")


def join_sweep(run: Run, config: Config, name: str, set_up: SetUp = show_progress) -> int:
    """Run waiting trials of a study that another process began, here or on another machine.

    Args:
        run: an open run.
        config: the settings; of the sweep's, the storage, the processes and the time limit count.
        name: the study's name.
        set_up: called first in each worker, to log as this process does.

    Returns:
        The number of the study's trials that have ended.

    Raises:
        ConfigError: the engine is Spark, or the study was begun with other code.
        TrackingError: the storage has no such study, or this machine cannot read its data.
    """
    if config.sweep.engine != "processes":
        raise ConfigError(
            f"join {name!r}: executors of a Spark cluster need not join: leave out engine, or join"
        )
    shown = redact_address(config.sweep.storage)
    unknown = StudySpec(name, Space(name, {}), ("maximize",), config.train.epochs, config.sweep)
    description = ProcessStudy.published_work(unknown)
    if description is None:
        raise TrackingError(
            f"join {name!r}: no sweep has begun a study of that name in {shown}: check both"
        )
    job = SweepJob.from_json(name, description, config)
    run.log_config({"sweep": job.config.sweep.model_copy(update={"storage": shown})})
    JoinRecord(run_id=run.id, study=name, sweep_run=job.parent, data_run=job.data_run).write(run)
    study = ProcessStudy(job.spec)
    study.join(TrialWork(make_trials, job, description, _deadline(config), set_up))
    return sum(trial.state.is_finished() for trial in study.trials())


def _check_objectives(config: Config) -> None:
    if config.train.processes > 1:
        raise ConfigError(
            f"train.processes={config.train.processes}: a trial runs in one process: "
            "set 1, and sweep.jobs for several trials at once"
        )
    if "adapter_size" in config.sweep.objectives and config.model.adaptation != "lora":
        raise ConfigError(
            f"sweep.objectives adapter_size, but model.adaptation={config.model.adaptation} has no "
            "adapters: set lora, or another objective"
        )


def _warn_of_large_grid(config: Config, space: Space) -> None:
    points = len(space.grid(config.sweep.seed)) if config.sweep.sampler == "grid" else 0
    if points > config.sweep.trials:
        log.warning(
            "the grid has %d points; the first %d of a seeded order are tried: "
            "set sweep.trials=%d for all",
            points,
            config.sweep.trials,
            points,
        )


def _deadline(config: Config) -> float | None:
    """Return the seconds since 1970 after which no trial starts."""
    return time.time() + config.sweep.timeout_s if config.sweep.timeout_s else None


def _study_key(config: Config, space: Space, data: TrackedDataset, experiment_id: str) -> str:
    """Return a key that is equal for trials that can be compared, so that a study can resume.

    It covers the space, how trials are chosen, the settings that they start from, what trains and
    scores them, and the experiment.
    """
    inputs, sweep = find_inputs(config), config.sweep
    teachers = [teacher.fingerprint for teacher in inputs.teachers]
    weights_sha256 = inputs.backbone.weights_sha256
    return cache_key(
        [
            space.to_json()["entries"],
            *(sweep.objectives, sweep.sampler, sweep.pruner, sweep.seed),
            *(getattr(config, name).model_dump_json() for name in ("model", "train", "distill")),
            *training_dependencies(config.distill, data, weights_sha256, teachers),
            experiment_id,
        ]
    )


def _log_inputs(run: Run, config: Config, job: SweepJob) -> None:
    storage = redact_address(config.sweep.storage)
    run.log_config(
        {
            "model": config.model,
            "train": config.train,
            "distill": config.distill,
            "evaluate": config.evaluate,
            "export": config.export,
            "sweep": config.sweep.model_copy(update={"storage": storage}),
        }
    )
    entries = {
        key: entry.model_dump(mode="json", exclude_none=True)
        for key, entry in job.space.entries.items()
    }
    run.log_yaml("space", entries)


def _take_over(run: Run, study: SweepStudy) -> None:
    """End what an interrupted sweep left running, and move its trials below this run."""
    study.reclaim()
    earlier = study.attributes.get(PARENT, run.id)
    if earlier != run.id and run_status(earlier) == "RUNNING":
        end_dead_run(earlier, f"interrupted; run {run.id} resumes it")
    _gather_trials(run, study)


def _gather_trials(run: Run, study: SweepStudy) -> None:
    """Mark the runs of lost trials, and move all trials below this run, also those of machines that
    joined an earlier run."""
    trials = trial_runs(run.experiment_id, study.spec.name)
    # Queried after the runs: a trial starts before its run.
    running = study.running()
    for trial in trials:
        record = TrialRecord.from_run(trial)
        # Another command may have ended the run of a process that was killed.
        unfinished = trial.status in ("RUNNING", "KILLED") and record.trial_state == "running"
        if unfinished and record.trial_number not in running:
            lost = record.with_state("lost", "its process ended before the trial did")
            end_dead_run(trial.id, tags=lost.tags())
            shutil.rmtree(training_folder(trial.id), ignore_errors=True)
        if trial.parent != run.id:
            set_parent(trial.id, run.id)


def _log_report(run: Run, result: SweepReport, study: SweepStudy, config: Config) -> BestTrial:
    """Log the table and the plots, and return the best trial.

    Raises:
        ModelError: no trial was completed.
    """
    run.log_table("trials", result.table)
    run.log_page("plots", result.page)
    for name, figure in result.figures.items():
        run.log_figure(name, figure)
    counts = result.table["state"].value_counts()
    run.log_metrics({f"trials/{state}": float(count) for state, count in counts.items()})
    objectives = config.sweep.objectives
    best = study.best()
    if best is None:
        reasons = [reason for reason in result.table["reason"] if reason]
        way_out = (
            f" (the first reason: {reasons[0]}): fix that, and sweep again"
            if reasons
            else ": give sweep.timeout_s more time, and sweep again"
        )
        raise ModelError(f"no trial of study {study.spec.name!r} was completed{way_out}")
    _describe(run, result, best, objectives)
    settings = override(config, study.spec.space.overrides(best.chosen))
    sections = ("model", "train", "distill")
    run.log_yaml(
        "best", {name: getattr(settings, name).model_dump(mode="json") for name in sections}
    )
    run.log_metrics(
        {MEASURES[name].metric: value for name, value in zip(objectives, best.values, strict=True)}
    )
    return best


def _describe(
    run: Run,
    result: SweepReport,
    best: BestTrial,
    objectives: Sequence[Objective],
    final: Sequence[str] = (),
) -> None:
    """Say in the run's description which trial is best, and what became of its settings.

    Args:
        run: the run of the sweep.
        result: the report of the study.
        best: the best trial.
        objectives: the objectives, the most important first.
        final: sentences about the final trainings; empty: they have not ended yet.
    """
    ascending = [MEASURES[name].direction == "minimize" for name in objectives]
    # No settings: a wide table would widen MLflow's whole page.
    shown = result.table[["trial", "state", *objectives, "epochs", "seconds"]]
    pages = {"plots": "plots.html", "trials": "trials.html"}
    if final:
        pages["final models"] = "comparison.html"
    links = f"{page_links(run, pages)} · {view_links(run.experiment_id)}"
    lead = [trial_in_words(best, objectives, result.table["state"].value_counts()), *final]
    table = shown.sort_values(list(objectives), ascending=ascending)
    run.describe(table, links, escape_markdown(" ".join(lead)))


def trial_in_words(best: BestTrial, objectives: Sequence[Objective], states: pd.Series) -> str:
    """Return sentences that name the best trial, its objectives and its settings."""
    values = ", ".join(
        f"{name.replace('_', ' ').replace('f1', 'F1')} {value:.4g}"
        for name, value in zip(objectives, best.values, strict=True)
    )
    settings = ", ".join(
        f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}"
        for key, value in best.chosen.items()
    )
    counts = ", ".join(f"{count} {state}" for state, count in states.items())
    return f"Trial {best.number} is the best: {values}, with {settings}. Trials: {counts}."


def _train_final(run: Run, config: Config, study: str, data: TrackedDataset) -> PresetResult:
    """Train the best settings with one seed, evaluate and export; reuse finished steps."""
    pipeline = Pipeline(run, f"{study}-seed{config.train.seed}")
    record = pipeline.train(config, data, find_inputs(config))
    return pipeline.evaluate_and_export(config, record, data)


def _log_spread(run: Run, finals: Sequence[PresetResult]) -> None:
    """Log mean and standard deviation of F1 over the seeds of the final trainings."""
    scores = {
        "best_validation/f1": [result.train.validation_f1 for result in finals],
        f"{finals[0].evaluate.split}/f1": [result.evaluate.scores["f1"] for result in finals],
        f"{finals[0].evaluate.text_kind}/f1": [
            result.evaluate.text_scores["f1"] for result in finals
        ],
    }
    for metric, values in scores.items():
        run.log_metrics({f"final/{metric}": fmean(values)})
        if len(values) > 1:
            run.log_metrics({f"final/{metric}_spread": stdev(values)})
