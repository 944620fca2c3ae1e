"""Run the `train` step: train a model on a prepared dataset and log it, or resume a run."""

import logging
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from ..config.loading import load_config
from ..config.schema import Config, DistillConfig
from ..data.sentences import TEST, TRAIN, VALIDATION
from ..errors import DataError, TrackingError
from ..modeling.arguments import resolve_precision
from ..modeling.backbone import Backbone, resolve_backbone
from ..modeling.build import build_model, check_backbone
from ..modeling.cache import TrainingCache
from ..modeling.callbacks import NO_HOOKS, OnLog, TrainingHooks
from ..modeling.dataset import TrainingData
from ..modeling.distillation import distillation_targets
from ..modeling.fit import TrainResult, has_checkpoint
from ..modeling.parallel import fit_in_processes
from ..modeling.training_text import training_text
from ..paths import CACHE_VARIABLE, find_path, training_folder
from ..provenance import cache_key, file_sha256, folder_sizes, library_versions, step_fingerprint
from ..tracking.flavors import LoggedModel, log_trained_model, model_name
from ..tracking.lifecycle import connect
from ..tracking.models import FoundModel
from ..tracking.queries import download, interrupted_runs
from ..tracking.records import TrainRecord, resume_key, seed_text
from ..tracking.run import Run
from ..tracking.steps import Step
from .data import TrackedDataset, load_data
from .distillation import find_teachers
from .training_folders import lock_folder, remove_folders, remove_useless_folders

log = logging.getLogger(__name__)

SHOWN_SETTINGS = (
    *("model.backbone", "model.adaptation", "train.learning_rate", "train.epochs"),
    *("train.batch_size", "train.seed"),
)
"""Settings that are parameters of each train run, to filter and plot runs by."""
LORA = "lora"
LORA_SETTINGS = ("model.lora_rank", "model.lora_alpha_ratio")
"""Further ones, if adapters are trained."""
RECIPE_DIGITS = 12


@dataclass(frozen=True)
class TrainInputs:
    """The inputs of a training besides its settings and data.

    Attributes:
        backbone: the encoder of ``model.backbone``.
        teachers: the models of ``distill.teachers``.
        cache: weights, encoded sentences and distillation targets that the trainings of this
            process on one dataset share; None: nothing is shared.
    """

    backbone: Backbone
    teachers: Sequence[FoundModel] = ()
    cache: TrainingCache | None = None


def find_inputs(config: Config) -> TrainInputs:
    """Return the backbone and the teachers that the settings name.

    Raises:
        ModelError: the backbone or a teacher is not a usable model, or the settings do not fit the
            backbone's size.
        TrackingError: a teacher does not exist.
    """
    backbone = resolve_backbone(config.model.backbone, config.model.revision)
    check_backbone(backbone, config.model)
    return TrainInputs(backbone, find_teachers(config.distill))


def run_train(
    run: Run,
    config: Config,
    data: TrackedDataset,
    inputs: TrainInputs | None = None,
    hooks: TrainingHooks = NO_HOOKS,
    measure: Callable[[Path], Mapping[str, float]] | None = None,
    log_model: bool = True,
) -> TrainRecord:
    """Train a model in an open run, and log it.

    If the run was interrupted, training resumes from its last checkpoint on this machine.

    Args:
        run: the open run.
        config: the settings.
        data: the prepared dataset.
        inputs: the backbone, teachers and cache; None: those that the settings name, and no cache.
        hooks: called as training proceeds; ``on_log`` is called after the run has logged. If they
            can end the training, a failed training leaves no checkpoints to resume from.
        measure: returns further metrics of the trained model in a folder.
        log_model: False to log everything but the model.

    Returns:
        The record of the run; its model_uri is empty if the model was not logged.

    Raises:
        TrackingError: the run was interrupted with other code, libraries, settings or data, or
            another process trains it.
        DataError: the dataset has no validation sentences.
    """
    dataset = data.dataset
    inputs = inputs or find_inputs(config)
    key = train_cache_key(config, data, inputs)
    if resume_key(run.id) not in ("", key):
        raise TrackingError(
            f"run {run.id} started with other code, libraries, settings or data: "
            "train again, without resuming"
        )
    seed = str(config.train.seed)
    adaptation = config.model.adaptation
    record = TrainRecord(
        run_id=run.id,
        cache_key=key,
        preset=run.preset,
        seed=seed,
        recipe=_recipe(config),
        adaptation=adaptation,
        **data.fields,
    )
    record.write(run)
    label = run.preset or f"{inputs.backbone.name} {adaptation}"
    run.set_name(label, Step.TRAIN, dataset.name, seed_text(seed))
    run.log_config(
        {"model": config.model, "train": config.train, "distill": config.distill},
        (*SHOWN_SETTINGS, *(LORA_SETTINGS if adaptation == LORA else ())),
    )
    _check_splits(data)
    run.log_dataset(dataset, (TRAIN, VALIDATION), data.run_id)
    train = training_text(dataset.corpus[TRAIN], dataset.schema.types, config.model, config.train)
    training_data = TrainingData(train, dataset.corpus[VALIDATION], dataset.schema)
    if inputs.teachers:
        targets = distillation_targets(
            config.distill, inputs.teachers, dataset, train, inputs.cache
        )
        run.log_metrics(targets.metrics)
        training_data = replace(
            training_data, train=targets.sentences, distillation=targets.distillation
        )
    build = partial(
        build_model, inputs.backbone, config.model, dataset.schema, config.train.seed, inputs.cache
    )
    remove_useless_folders()
    folder = training_folder(run.id)
    folder.mkdir(parents=True, exist_ok=True)
    with lock_folder(folder):
        try:
            result = fit_in_processes(
                build,
                training_data,
                config.train,
                folder,
                replace(hooks, on_log=_log_to(run, hooks)),
                inputs.cache,
            )
        except BaseException:
            if hooks.can_end_training or not has_checkpoint(folder):
                shutil.rmtree(folder)
            raise
        name = model_name(label, dataset.name, seed_text(seed))
        logged = _log_result(run, result, name if log_model else "")
        metrics = {**result.metrics, **_sizes(result)}
        if measure:
            metrics |= measure(result.model_folder)
        run.log_metrics(metrics, model_id=logged.id if logged else None)
        shutil.rmtree(folder)
    # Nothing resumes them: this run will be reused instead.
    remove_folders(interrupted_runs(Step.TRAIN, key, run.experiment_id))
    record = replace(
        record,
        model_uri=logged.uri if logged else "",
        backbone=inputs.backbone.name,
        backbone_revision=inputs.backbone.revision,
        backbone_sha256=inputs.backbone.weights_sha256,
        backbone_license=inputs.backbone.license,
        precision=resolve_precision(config.train.precision),
        metrics=metrics,
    )
    record.write(run)
    return record


def _recipe(config: Config) -> str:
    """Return a short hash of the settings of a training without its seed."""
    sections = (config.model, config.train, config.distill)
    settings = [section.model_dump_json(exclude={"seed"}) for section in sections]
    return cache_key(settings)[:RECIPE_DIGITS]


def _check_splits(data: TrackedDataset) -> None:
    """Refuse an empty validation split, and warn of train sentences that are also in test."""
    corpus = data.dataset.corpus
    train, test = ({sentence.tokens for sentence in corpus[split]} for split in (TRAIN, TEST))
    if overlap := train & test:
        log.warning(
            "%d different train sentences are also in test: test scores are too high", len(overlap)
        )
    if not corpus[VALIDATION]:
        raise DataError(
            f"data run {data.run_id}: validation is empty, so no epoch can be chosen: "
            "prepare it with a validation split"
        )


def _log_to(run: Run, hooks: TrainingHooks) -> OnLog:
    """Return a hook that logs to the run, and then calls the given hook."""

    def on_log(metrics: Mapping[str, float], step: int) -> None:
        run.log_metrics(metrics, step)
        hooks.on_log(metrics, step)

    return on_log


def _log_result(run: Run, result: TrainResult, name: str) -> LoggedModel | None:
    """Log the adapters, the figures and, unless ``name`` is empty, the model under this name."""
    if result.adapter_folder:
        run.log_folder(result.adapter_folder, "adapter")
    for name, figure in result.figures.items():
        run.log_figure(name, figure)
    return log_trained_model(run.id, result.model_folder, name) if name else None


def _sizes(result: TrainResult) -> dict[str, float]:
    """Return the bytes of the model's and the adapter's files, each and together, as metrics."""
    metrics: dict[str, float] = {}
    for part, folder in (("model", result.model_folder), ("adapter", result.adapter_folder)):
        if folder:
            sizes = folder_sizes(folder)
            metrics[f"size_bytes/{part}"] = float(sum(sizes.values()))
            metrics |= {f"size_bytes/{part}/{name}": float(size) for name, size in sizes.items()}
    return metrics


def resumable_run(cache_key: str, experiment_id: str) -> AbstractContextManager[str | None]:
    """Hold the last interrupted train run with a cache key and checkpoints on this machine, if any.

    Within the context no other process resumes that run.
    """
    return _first_free(interrupted_runs(Step.TRAIN, cache_key, experiment_id))


@contextmanager
def interrupted_run(address: str) -> Iterator[str]:
    """Hold an interrupted train run with checkpoints on this machine, and yield its id.

    Within the context no other process resumes that run.

    Args:
        address: a run id, or ``latest``.

    Raises:
        TrackingError: there is no such run, or another process trains it.
    """
    connect()
    with _first_free(
        interrupted_runs(Step.TRAIN) if address == "latest" else [address.removeprefix("runs:/")]
    ) as run_id:
        if run_id is None:
            raise TrackingError(
                f"resume {address!r}: no such interrupted train run with a checkpoint under "
                f"{training_folder('RUN_ID')} on this machine: name one, set {CACHE_VARIABLE} to "
                "where its checkpoints are, or train again"
            )
        yield run_id


def interrupted_inputs(run_id: str) -> tuple[Config, TrackedDataset]:
    """Return the settings and the dataset of an interrupted run."""
    config = load_config(str(download(f"runs:/{run_id}/config.yaml")))
    return config, load_data(TrainRecord.read(run_id).data_run)


def train_cache_key(config: Config, data: TrackedDataset, inputs: TrainInputs) -> str:
    """Return a key of code, libraries, settings, data, backbone and teachers."""
    sections = [getattr(config, name).model_dump_json() for name in ("model", "train", "distill")]
    weights_sha256 = inputs.backbone.weights_sha256
    teachers = [teacher.fingerprint for teacher in inputs.teachers]
    return cache_key(
        [
            Step.TRAIN,
            *sections,
            *training_dependencies(config.distill, data, weights_sha256, teachers),
        ]
    )


def training_dependencies(
    config: DistillConfig, data: TrackedDataset, weights_sha256: str, teachers: Sequence[str]
) -> list[Any]:
    """Return what a trained model depends on besides its settings, as parts of a cache key.

    Args:
        config: names the unlabelled texts.
        data: the prepared dataset.
        weights_sha256: the SHA-256 of the backbone's weights.
        teachers: the teachers' fingerprints.

    Returns:
        Fingerprints of code, libraries, data, unlabelled texts, backbone and teachers.
    """
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
def _first_free(run_ids: Sequence[str]) -> Iterator[str | None]:
    """Hold the first of these runs with checkpoints on this machine that no process is training."""
    with ExitStack() as locks:
        for run_id in run_ids:
            folder = training_folder(run_id)
            if has_checkpoint(folder):
                with suppress(TrackingError):
                    locks.enter_context(lock_folder(folder))
                    if has_checkpoint(folder):  # another process may have finished it meanwhile
                        break
        else:
            run_id = None
        yield run_id
