"""Put steps together: run each below a parent or reuse it, evaluate, export, compare, register."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pandas as pd

from ..config.schema import Config, ExportConfig
from ..data.sentences import VALIDATION
from ..exporting.side_by_side import time_side_by_side
from ..tracking.lifecycle import open_child
from ..tracking.models import find_model, register
from ..tracking.queries import download, reusable_run
from ..tracking.records import (
    EvaluateRecord,
    ExportRecord,
    Record,
    TrainRecord,
    VersionOrigin,
    note_children,
    note_preset,
)
from ..tracking.run import Run
from ..tracking.steps import Step
from .data import TrackedDataset, data_cache_key, load_data, run_data
from .evaluate import evaluate_cache_key, run_evaluate, text_columns
from .export import describe_scores, export_cache_key, run_export, warning_of_loss
from .train import TrainInputs, resumable_run, run_train, train_cache_key

log = logging.getLogger(__name__)

AnyRecord = TypeVar("AnyRecord", bound=Record)
FP32 = "fp32"
LATENCY_NOTE = (
    "Latencies are medians of one validation sentence on one machine, measured in turns in one "
    "process; latency_ratio is over {reference}."
)
FindResumable = Callable[[str, str], AbstractContextManager[str | None]]
"""(cache key, experiment id) -> the id of an interrupted run to resume, held by the context."""


@dataclass(frozen=True)
class PresetResult:
    """The records of one preset's steps, or of one seed of a sweep's best settings."""

    name: str
    train: TrainRecord
    evaluate: EvaluateRecord
    export: ExportRecord
    types: tuple[str, ...]


class Pipeline:
    """Runs the steps of one preset as child runs, or reuses finished runs with equal cache keys."""

    def __init__(self, parent: Run, preset: str) -> None:
        self._parent = parent
        self._preset = preset

    def prepare(self, config: Config) -> TrackedDataset:
        """Return the dataset, prepared now or by an earlier run."""
        name, key = f"{Step.DATA} {config.data.dataset}", data_cache_key(config)
        run_id = self._reusable(Step.DATA, name, key)
        if run_id is None:
            with self._child(Step.DATA, name) as child:
                data = run_data(child, config, key)
        else:
            data = load_data(run_id)
        note_children(self._parent, {name: data.run_id})
        return data

    def train(self, config: Config, data: TrackedDataset, inputs: TrainInputs) -> TrainRecord:
        """Return the record of a training: reused, resumed where it was interrupted, or new."""
        return self._run(
            TrainRecord,
            train_cache_key(config, data, inputs),
            lambda child: run_train(child, config, data, inputs),
            resumable_run,
        )

    def evaluate_and_export(
        self, config: Config, train: TrainRecord, data: TrackedDataset
    ) -> PresetResult:
        """Evaluate and export a trained model, or reuse what was done before."""
        model = find_model(train.model_uri)
        evaluate = self._run(
            EvaluateRecord,
            evaluate_cache_key(config.evaluate, model, data),
            lambda child: run_evaluate(child, config.evaluate, model, data).record,
        )
        export = self._run(
            ExportRecord,
            export_cache_key(config.export, model, data),
            lambda child: run_export(child, config.export, model, data),
        )
        return PresetResult(self._preset, train, evaluate, export, data.dataset.schema.types)

    def _run(
        self,
        record: type[AnyRecord],
        cache_key: str,
        work: Callable[[Run], AnyRecord],
        find_resumable: FindResumable = lambda *_: nullcontext(),
    ) -> AnyRecord:
        name = f"{record.STEP} {self._preset}"
        run_id = self._reusable(record.STEP, name, cache_key)
        if run_id is None:
            with (
                find_resumable(cache_key, self._parent.experiment_id) as interrupted,
                self._child(record.STEP, name, interrupted) as child,
            ):
                result = work(child)
        else:
            result = record.read(run_id)
        note_children(self._parent, {name: result.run_id})
        return result

    def _reusable(self, step: Step, name: str, cache_key: str) -> str | None:
        run_id = reusable_run(step, cache_key, self._parent.experiment_id)
        if run_id:
            log.info("%s: unchanged since run %s, reused", name, run_id)
        return run_id

    @contextmanager
    def _child(self, step: Step, name: str, interrupted: str | None = None) -> Iterator[Run]:
        resumed = f": resuming interrupted run {interrupted}" if interrupted else ""
        log.info("%s%s", name, resumed)
        with open_child(self._parent, step, name, resume=interrupted) as child:
            note_preset(child, self._preset)
            yield child


def best_result(results: Sequence[PresetResult]) -> PresetResult:
    """Return the result with the best validation F1."""
    return max(results, key=lambda result: result.train.validation_f1)


@dataclass(frozen=True)
class ResultTable:
    """One row a result, and how its latencies were measured."""

    table: pd.DataFrame
    note: str


def compare_results(
    results: Sequence[PresetResult], data: TrackedDataset, config: ExportConfig
) -> ResultTable:
    """Compare results by F1 on validation and test, in running text and by type, and by size and
    latency when served.

    Latencies are measured here and now, the served and the fp32 file of each result in turns.

    Args:
        results: at least one.
        data: its validation sentences are timed.
        config: timed and warm-up runs.
    """
    best = best_result(results)
    folders: dict[str, Path] = {}
    for result in results:
        for variant in (FP32, result.export.served_variant):
            folders[f"{variant} of {result.name}"] = download(result.export.variant_uri(variant))
    latencies = time_side_by_side(
        folders,
        [sentence.tokens for sentence in data.dataset.corpus[VALIDATION]],
        config.latency_runs,
        config.latency_warmup_runs,
    )
    reference = next(iter(latencies))
    rows = []
    for result in results:
        served, scores = result.export.served_variant, result.evaluate.scores
        variants = result.export.variants
        latency_ms = latencies[f"{served} of {result.name}"]
        fp32_latency_ms = latencies[f"{FP32} of {result.name}"]
        rows.append(
            {
                "preset": result.name,
                "best": "*" if result is best else "",
                "validation_f1": result.train.validation_f1,
                f"{result.evaluate.split}_f1": scores["f1"],
                **text_columns(result.evaluate, ("f1",)),
                **{f"{type_}_f1": scores.get(f"{type_}/f1", 0.0) for type_ in result.types},
                "served": served,
                "size_mb": variants[served]["size_bytes"] / 1e6,
                "latency_p50_ms": latency_ms,
                "latency_ratio": latency_ms / latencies[reference],
                "fp32_size_mb": variants[FP32]["size_bytes"] / 1e6,
                "fp32_latency_p50_ms": fp32_latency_ms,
                "fp32_latency_ratio": fp32_latency_ms / latencies[reference],
                "train_run": result.train.run_id,
            }
        )
    return ResultTable(pd.DataFrame(rows), LATENCY_NOTE.format(reference=reference))


def register_result(
    result: PresetResult, name: str, alias: str | None, config: ExportConfig
) -> str:
    """Register the model that a result serves; give it the alias, if there is one.

    A loss from given words to running text beyond ``config.served_loss_limit`` is logged and
    becomes part of the description.

    Returns:
        The version.
    """
    origin = VersionOrigin(
        preset=result.name,
        variant=result.export.served_variant,
        train_run=result.train.run_id,
        evaluate_run=result.evaluate.run_id,
        export_run=result.export.run_id,
    )
    evaluation = result.evaluate
    parts = [
        f"{result.name}, {result.export.served_variant}: "
        f"F1 {result.train.validation_f1:.4f} on validation.",
        describe_scores(
            evaluation.split, evaluation.scores, evaluation.text_kind, evaluation.text_scores
        ),
        f"Takes texts, returns entities with character offsets: {', '.join(result.types)}.",
        warning_of_loss(result.export, config),
    ]
    description = " ".join(filter(None, parts))
    return register(result.export.model_uri, name, alias, origin, description)
