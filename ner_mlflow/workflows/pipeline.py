"""Put steps together: run each below a parent or reuse it, evaluate, export, compare, register."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import TypeVar

from ..config.schema import Config
from ..tracking.lifecycle import open_child
from ..tracking.models import find_model
from ..tracking.queries import reusable_run
from ..tracking.records import (
    EvaluateRecord,
    ExportRecord,
    Record,
    TrainRecord,
    note_children,
    note_preset,
)
from ..tracking.run import Run
from ..tracking.steps import Step
from .data import TrackedDataset, data_cache_key, load_data, run_data
from .evaluate import evaluate_cache_key, run_evaluate
from .export import export_cache_key, run_export
from .report import TrainedModel
from .train import TrainInputs, resumable_run, run_train, train_cache_key

log = logging.getLogger(__name__)

AnyRecord = TypeVar("AnyRecord", bound=Record)
FindResumable = Callable[[str, str], AbstractContextManager[str | None]]
"""(cache key, experiment id) -> the id of an interrupted run to resume, held by the context."""


@dataclass(frozen=True, kw_only=True)
class PresetResult(TrainedModel):
    """The records of one preset's steps, or of one seed of a sweep's best settings."""

    export: ExportRecord
    served: EvaluateRecord
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
            if config.weak.output:
                log.info(
                    "weak.output %s: not written again, since run %s is reused",
                    config.weak.output,
                    run_id,
                )
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
        """Evaluate and export a trained model, and evaluate the file to serve.

        What was done before is reused.
        """
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
        exported = find_model(export.model_uri)
        served = self._run(
            EvaluateRecord,
            evaluate_cache_key(config.evaluate, exported, data),
            lambda child: run_evaluate(child, config.evaluate, exported, data).record,
            name=f"{Step.EVALUATE} {export.served_variant} {self._preset}",
        )
        return PresetResult(
            name=self._preset,
            train=train,
            evaluate=evaluate,
            export=export,
            served=served,
            types=data.dataset.schema.types,
        )

    def _run(
        self,
        record: type[AnyRecord],
        cache_key: str,
        work: Callable[[Run], AnyRecord],
        find_resumable: FindResumable = lambda *_: nullcontext(),
        name: str = "",
    ) -> AnyRecord:
        name = name or f"{record.STEP} {self._preset}"
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
