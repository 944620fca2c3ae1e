"""Train a model with the transformers Trainer, and save its best epoch."""

import logging
import time
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from matplotlib.figure import Figure
from transformers import EarlyStoppingCallback, PrinterCallback, TrainerState
from transformers.trainer import TRAINER_STATE_NAME

from ..config.schema import TrainConfig
from ..evaluation.scores import predict, score_tagger
from ..provenance import peak_rss_bytes
from ..tagging.encoding import WordEncoder
from ..tagging.tagger import Tagger, TaggerSpec
from .arguments import DTYPES, resolve_precision, training_arguments
from .build import BuiltModel, backend_tokenizer, count_parameters
from .cache import TrainingCache
from .callbacks import NO_HOOKS, HooksCallback, TrainingHooks, plot_curves
from .checkpoint import save_adapter, save_initial_adapter, save_model
from .crf import SequenceLoss, find_crf, with_transitions
from .dataset import Collator, TrainingData, WindowDataset, batch_sampler
from .dropout import byte_dropout
from .embeddings import subset_embeddings
from .flops import utilisation
from .memory import bound_kernel_caches, keep_freed_memory
from .objective import Distillation, Loss, TaggingLoss, class_weights
from .predict import torch_tagger
from .processes import world_size
from .thresholds import choose_thresholds
from .trainer import NerTrainer, last_checkpoint

log = logging.getLogger(__name__)

CHECKPOINTS = "checkpoints"
"""The name of the folder of checkpoints."""
FINISHED = "finished"
"""The name of the file that marks the checkpoints of a finished training."""


@dataclass(frozen=True)
class TrainResult:
    """A trained model on disk, with its metrics and figures.

    Attributes:
        model_folder: a complete transformers model, with adapters merged.
        adapter_folder: for LoRA, the adapters and the classifier alone.
        metrics: ``best_validation/f1`` and the other scores of the best epoch, numbers of
            parameters, speed and memory.
        figures: the training curves.
    """

    model_folder: Path
    adapter_folder: Path | None
    metrics: dict[str, float]
    figures: dict[str, Figure] = field(default_factory=dict)


def fit(
    model: BuiltModel,
    data: TrainingData,
    config: TrainConfig,
    folder: Path,
    hooks: TrainingHooks = NO_HOOKS,
    cache: TrainingCache | None = None,
) -> TrainResult:
    """Train a model, and write the epoch with the best validation F1 under ``folder``.

    In a torchrun group, call it in each process with equal arguments. Each process trains on its
    share of every batch, and the first one writes the model.

    Args:
        model: the model to train; changed in place, with adapters merged at the end.
        data: the sentences to train and validate on.
        config: the settings.
        folder: receives ``model/``, ``adapter/`` for LoRA, and checkpoints. If it holds checkpoints
            of an interrupted call with equal arguments, training resumes from the last complete
            one, and ends with the same weights.
        hooks: called as training proceeds.
        cache: sentences that earlier trainings of this process have encoded.
    """
    keep_freed_memory()
    bound_kernel_caches()
    precision = resolve_precision(config.precision)
    encoder = (cache or TrainingCache()).encoder(model.spec, backend_tokenizer(model.tokenizer))
    dataset = WindowDataset(encoder, data)
    parameters = count_parameters(model.network)
    log.info(
        "training %d of %d weights on %d sentences in %d windows, %s",
        parameters["parameters/trainable"],
        parameters["parameters/total"],
        len(data.train),
        len(dataset),
        precision,
    )
    checkpoints = folder / CHECKPOINTS
    initial_adapter = checkpoints / "initial_adapter"
    input_ids = (window.input_ids for window in dataset.windows)
    with (
        subset_embeddings(model.network, input_ids, model.spec.pad_id),
        nullcontext() if torch.cuda.is_available() else byte_dropout(model.network),
    ):
        trainer = NerTrainer(
            tagger=lambda: _tagger(model, encoder, DTYPES[precision]),
            loss=_loss(model, dataset, config, data.distillation),
            config=config,
            folder=checkpoints,
            batches=batch_sampler(dataset, data.train, config),
            eval_dataset=list(data.validation),
            model=model.network,
            train_dataset=dataset,
            data_collator=Collator(model.spec.pad_id),
            callbacks=[
                EarlyStoppingCallback(config.early_stopping_patience),
                HooksCallback(hooks, config.epochs),
            ],
            args=training_arguments(model, config, precision, checkpoints, len(dataset)),
        )
        trainer.remove_callback(PrinterCallback)
        if model.base_is_residual and trainer.is_world_process_zero():
            save_initial_adapter(model, initial_adapter)
        if config.gradient_checkpointing and model.spec.adaptation == "lora":
            # A checkpointed block needs an input with a gradient.
            model.network.enable_input_require_grads()  # type: ignore[operator]
        speed = _train(trainer, checkpoints)
        if speed:
            speed |= utilisation(
                trainer.model,
                trainer.args.device,
                DTYPES[precision] or torch.float32,
                speed["train/subwords_per_s"] / world_size(),
            )
        trainer.load_best()
    model.network.cpu()
    adapter_folder = folder / "adapter" if model.spec.adaptation == "lora" else None
    best = max(trainer.validation_scores, key=lambda scores: scores["f1"])
    best_epoch = trainer.validation_scores.index(best) + 1
    if trainer.is_world_process_zero():
        if config.thresholds == "validation":
            model = replace(model, spec=_with_thresholds(model, data, encoder))
            best = score_tagger(_tagger(model, encoder), data.validation)
        if adapter_folder:
            save_adapter(
                model, adapter_folder, initial_adapter if initial_adapter.exists() else None
            )
        save_model(model, folder / "model")
    metrics = {
        **parameters,
        **{f"best_validation/{name}": value for name, value in best.items()},
        **speed,
        "train/epochs_run": float(len(trainer.validation_scores)),
        "train/best_epoch": float(best_epoch),
        **{f"threshold/{type_}": value for type_, value in model.spec.thresholds.items()},
        "train/peak_rss_bytes": float(peak_rss_bytes()),
    }
    curves = plot_curves(trainer.state.log_history)
    return TrainResult(folder / "model", adapter_folder, metrics, {"training_curves": curves})


def has_checkpoint(folder: Path) -> bool:
    """Return whether :func:`fit` can resume an interrupted training in a folder."""
    return last_checkpoint(folder / CHECKPOINTS) is not None


def _tagger(
    model: BuiltModel, encoder: WordEncoder, autocast_dtype: torch.dtype | None = None
) -> Tagger:
    """Return a tagger over the model as it is now."""
    return torch_tagger(
        model.network,
        backend_tokenizer(model.tokenizer),
        with_transitions(model.spec, model.network),
        autocast_dtype=autocast_dtype,
        encoder=encoder,
    )


def _with_thresholds(model: BuiltModel, data: TrainingData, encoder: WordEncoder) -> TaggerSpec:
    """Return the model's specification with the thresholds that its validation suggests."""
    thresholds = choose_thresholds(
        [sentence.tags for sentence in data.validation],
        predict(_tagger(model, encoder), data.validation),
        data.schema.types,
    )
    return replace(model.spec, thresholds=thresholds)


def _loss(
    model: BuiltModel,
    dataset: WindowDataset,
    config: TrainConfig,
    distillation: Distillation | None,
) -> Loss:
    if crf := find_crf(model.network):
        return SequenceLoss(crf)
    weights = class_weights(dataset.labels, len(model.spec.labels), config.class_weight_power)
    return TaggingLoss(weights, config.focal_gamma, config.label_smoothing, distillation)


def _train(trainer: NerTrainer, checkpoints: Path) -> dict[str, float]:
    """Train from the last checkpoint, if there is one, and return the speed of this call.

    The result is empty if the training had finished already.
    """
    checkpoint = last_checkpoint(checkpoints)
    subwords_before = 0
    if checkpoint:
        log.info("resuming from %s", checkpoint)
        state = TrainerState.load_from_json(str(checkpoint / TRAINER_STATE_NAME))
        subwords_before = state.num_input_tokens_seen
        if (checkpoints / FINISHED).exists():
            trainer.state = state
            return {}
    started = time.perf_counter()
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    seconds = time.perf_counter() - started
    if trainer.is_world_process_zero():
        (checkpoints / FINISHED).touch()
    subwords = float(trainer.state.num_input_tokens_seen - subwords_before)
    return {
        "train/seconds": seconds,
        "train/validation_seconds": trainer.validation_seconds,
        "train/subwords_per_s": subwords / (seconds - trainer.validation_seconds),
    }
