"""The `train` step: a prepared dataset in, a fitted model logged; an interrupted one goes on from its last checkpoint."""

import logging
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ..config.loading import load_config
from ..config.schema import Config, DistillConfig
from ..data.dataset import PreparedDataset
from ..data.sentences import TEST, TRAIN, VALIDATION
from ..errors import DataError, TrackingError
from ..modeling.backbone import Backbone, resolve_backbone
from ..modeling.build import build_model
from ..modeling.cache import TrainingCache
from ..modeling.fit import OnEpoch, OnStep, has_checkpoint, resolve_precision
from ..modeling.parallel import fit_in_processes
from ..paths import CACHE_VARIABLE, find_path, training_folder
from ..provenance import cache_key, file_sha256, folder_sizes, library_versions, step_fingerprint
from ..tracking.flavors import log_transformers_model
from ..tracking.lifecycle import connect
from ..tracking.models import FoundModel
from ..tracking.queries import download, interrupted_runs
from ..tracking.records import TrainRecord, resume_key
from ..tracking.run import Run
from ..tracking.steps import Step
from .data import TrackedDataset, load_data
from .distillation import Lesson, find_teachers, teach

log = logging.getLogger(__name__)


class Reuse:
    """What one process's trainings on one dataset share: read, encoded and asked for once."""

    def __init__(self) -> None:
        self.cache = TrainingCache()
        self._lessons: dict[str, Lesson] = {}

    def lesson(
        self, config: DistillConfig, teachers: Sequence[FoundModel], dataset: PreparedDataset
    ) -> Lesson:
        """What the teachers say, weighed by the configuration."""
        asked = cache_key(
            [
                config.model_copy(update={"weight": 0.0, "temperature": 1.0}).model_dump_json(),
                *(teacher.fingerprint for teacher in teachers),
            ]
        )
        if asked not in self._lessons:
            self._lessons = {asked: teach(config, teachers, dataset)}
        lesson = self._lessons[asked]
        weighed = lesson.distillation and replace(
            lesson.distillation, weight=config.weight, temperature=config.temperature
        )
        return replace(lesson, distillation=weighed)


def run_train(
    run: Run,
    config: Config,
    data: TrackedDataset,
    backbone: Backbone | None = None,
    teachers: Sequence[FoundModel] | None = None,
    reuse: Reuse | None = None,
    on_epoch: OnEpoch | None = None,
    on_step: OnStep | None = None,
    measure: Callable[[Path], Mapping[str, float]] | None = None,
    log_model: bool = True,
) -> TrainRecord:
    """Fit a model in an open run; where the run was interrupted, go on from its last checkpoint on this machine.

    Args:
        reuse: what this process's other trainings have read and encoded.
        on_epoch: called with each epoch's validation F1; what it raises ends the training, and its checkpoints go.
        on_step: called after each step; what it raises ends the training too.
        measure: gives more metrics of the fitted model in a folder.
        log_model: False to log all but the model.

    Returns:
        The record, with an empty model_uri where the model was not logged.

    Raises:
        TrackingError: the run was interrupted with other code, libraries, settings or data.
    """
    dataset = data.dataset
    backbone = backbone or resolve_backbone(config.model.backbone, config.model.revision)
    teachers = find_teachers(config.distill) if teachers is None else teachers
    key = train_cache_key(config, data, backbone, teachers)
    if resume_key(run.id) not in ("", key):
        raise TrackingError(
            f"run {run.id} began with other code, libraries, settings or data than now: train again, without resuming"
        )
    record = TrainRecord(run_id=run.id, cache_key=key, **data.fields)
    record.write(run)
    run.log_config(model=config.model, train=config.train, distill=config.distill)
    if overlap := {sentence.tokens for sentence in dataset.corpus[TRAIN]} & {
        sentence.tokens for sentence in dataset.corpus[TEST]
    }:
        log.warning(
            "%d different train sentences also stand in test: test scores flatter the model",
            len(overlap),
        )
    if not dataset.corpus[VALIDATION]:
        raise DataError(
            f"data run {data.run_id}: validation is empty, so no epoch can be chosen: prepare it with a validation split"
        )
    run.log_dataset(dataset, (TRAIN, VALIDATION), data.run_id)
    lesson = (
        reuse.lesson(config.distill, teachers, dataset)
        if reuse
        else teach(config.distill, teachers, dataset)
    )
    run.log_metrics(lesson.metrics)
    cache = reuse.cache if reuse else None
    build = partial(build_model, backbone, config.model, dataset.schema, config.train.seed, cache)
    folder = training_folder(run.id)
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder):
        try:
            result = fit_in_processes(
                build,
                lesson.sentences,
                dataset.corpus[VALIDATION],
                dataset.schema,
                config.train,
                folder,
                run.log_metrics,
                lesson.distillation,
                on_epoch,
                on_step,
                cache,
            )
        except BaseException:
            if on_epoch or not has_checkpoint(folder):
                shutil.rmtree(folder)
            raise
        sizes = {f"model/{name}": size for name, size in folder_sizes(result.model_folder).items()}
        if result.adapter_folder:
            sizes |= {
                f"adapter/{name}": size
                for name, size in folder_sizes(result.adapter_folder).items()
            }
            run.log_folder(result.adapter_folder, "adapter")
        logged = log_transformers_model(run.id, result.model_folder, "model") if log_model else None
        measured = measure(result.model_folder) if measure else {}
        run.log_metrics(measured)
        shutil.rmtree(folder)
    for name, figure in result.figures.items():
        run.log_figure(name, figure)
    metrics = {f"size_bytes/{name}": float(size) for name, size in sizes.items()}
    for part in {name.partition("/")[0] for name in sizes}:
        of_part = (size for name, size in sizes.items() if name.startswith(f"{part}/"))
        metrics[f"size_bytes/{part}"] = float(sum(of_part))
    run.log_metrics(metrics)
    run.log_metrics(result.metrics, model_id=logged.id if logged else None)
    record = replace(
        record,
        model_uri=logged.uri if logged else "",
        backbone=backbone.name,
        backbone_revision=backbone.revision,
        backbone_sha256=backbone.weights_sha256,
        precision=resolve_precision(config.train.precision),
        metrics={**metrics, **measured, **result.metrics},
    )
    record.write(run)
    return record


def resumable_run(cache_key: str, experiment_id: str) -> AbstractContextManager[str | None]:
    """The last interrupted train run with an equal cache key whose checkpoints are on this machine; inside, nobody else goes on with it."""
    return _first_free(interrupted_runs(Step.TRAIN, cache_key, experiment_id))


@contextmanager
def interrupted_run(address: str) -> Iterator[str | None]:
    """The interrupted train run with checkpoints on this machine that ``address`` names: a run id, the latest, or none, which gives
    None; inside, nobody else goes on with it.

    Raises:
        TrackingError: there is none.
    """
    if address == "none":
        yield None
        return
    connect()
    with _first_free(
        interrupted_runs(Step.TRAIN) if address == "latest" else [address.removeprefix("runs:/")]
    ) as run_id:
        if run_id is None:
            raise TrackingError(
                f"resume {address!r}: no such interrupted train run with a checkpoint under {training_folder('RUN_ID')} on this machine: "
                f"name one, set {CACHE_VARIABLE} to where its checkpoints are, or train again"
            )
        yield run_id


def interrupted_inputs(run_id: str) -> tuple[Config, TrackedDataset]:
    """The settings and the dataset that an interrupted run began with."""
    return load_config(str(download(f"runs:/{run_id}/config.yaml"))), load_data(
        TrainRecord.read(run_id).data_run
    )


def train_cache_key(
    config: Config, data: TrackedDataset, backbone: Backbone, teachers: Sequence[FoundModel]
) -> str:
    """Equal for equal code, libraries, settings, data, backbone and teachers."""
    sections = [getattr(config, name).model_dump_json() for name in ("model", "train", "distill")]
    by = trained_by(
        config.distill, data, backbone.weights_sha256, [teacher.fingerprint for teacher in teachers]
    )
    return cache_key([Step.TRAIN, *sections, *by])


def trained_by(
    config: DistillConfig, data: TrackedDataset, weights_sha256: str, teachers: Sequence[str]
) -> list[Any]:
    """What a fitted model depends on beside its settings: code, libraries, data, texts without labels, backbone and teachers."""
    unlabelled = find_path(config.unlabelled) if config.unlabelled else None
    texts = [file_sha256(unlabelled)] if unlabelled and unlabelled.is_file() else []
    return [
        step_fingerprint(__file__),
        library_versions(),
        data.dataset.fingerprint,
        *texts,
        weights_sha256,
        *teachers,
    ]


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold a training's folder; this process may hold it several times. The system frees it where a process was killed."""
    lock = FileLock(folder / "lock", blocking=False, is_singleton=True)
    try:
        lock.acquire()
    except Timeout as error:
        raise TrackingError(f"{folder}: another process trains this run: wait for it") from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _first_free(run_ids: Sequence[str]) -> Iterator[str | None]:
    """The first of these runs that has checkpoints here and that nobody trains; inside, it is this process's."""
    with ExitStack() as held:
        for run_id in run_ids:
            folder = training_folder(run_id)
            if has_checkpoint(folder):
                with suppress(TrackingError):
                    held.enter_context(_locked(folder))
                    if has_checkpoint(folder):  # and not brought to its end by another meanwhile
                        break
        else:
            run_id = None
        yield run_id
