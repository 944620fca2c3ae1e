"""Fit a model: the transformers Trainer with our validation, length grouping and precision."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.utils.data import Dataset
from transformers import (
    EarlyStoppingCallback,
    PrinterCallback,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)
from transformers.trainer import TRAINER_STATE_NAME

from ..config.schema import TrainConfig
from ..data.sentences import Sentence
from ..provenance import peak_rss_bytes
from ..tagging.encoding import IGNORED, Window, WordEncoder, collate, label_window, pad
from ..tagging.label_schema import LabelSchema
from .build import BuiltModel, backend_tokenizer, count_parameters
from .cache import TrainingCache
from .checkpoint import save_adapter, save_initial_adapter, save_model
from .crf import SequenceLoss, find_crf, with_transitions
from .dropout import lane_dropout
from .embeddings import only_seen_rows
from .flops import peak_flops_per_s, training_flops_per_subword
from .memory import bound_kernel_caches, keep_freed_memory
from .objective import Distillation, Loss, TaggingLoss, class_weights
from .predict import torch_tagger
from .sampling import SubwordBatches, repeat_factors
from .trainer import TEACHER, NerTrainer, last_checkpoint, rank, world_size

log = logging.getLogger(__name__)

OnLog = Callable[[Mapping[str, float], int], None]
"""(metrics, step): called as training goes."""
OnEpoch = Callable[[int, float], None]
"""(epoch, validation F1): called after each epoch, from 1; what it raises ends the training."""
OnStep = Callable[[], None]
"""Called after each step; what it raises ends the training."""

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": None}
LOGS_AN_EPOCH = 10
CHECKPOINTS = "fit"
FITTED = "fitted"
"""Marks a folder of checkpoints whose training came to its end."""


@dataclass(frozen=True)
class TrainResult:
    """A fitted model on disk and how it came to be.

    ``model_folder`` holds a whole transformers model (adapters merged); ``adapter_folder`` the adapters and classifier alone,
    for LoRA. ``metrics`` hold ``best_validation/f1`` and the other scores of the kept epoch, counts of parameters, speed and memory.
    """

    model_folder: Path
    adapter_folder: Path | None
    metrics: dict[str, float]
    figures: dict[str, Figure] = field(default_factory=dict)


def resolve_precision(wanted: str) -> str:
    """The arithmetic for ``auto``: bf16 where the processor or GPU multiplies it natively, else fp32 (fp16 on older GPUs)."""
    if wanted != "auto":
        return wanted
    if torch.cuda.is_available():
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    return (
        "bf16"
        if torch.cpu.get_capabilities().get("avx512_bf16")
        or torch.cpu.get_capabilities().get("bf16")
        else "fp32"
    )


def fit(
    model: BuiltModel,
    train: Sequence[Sentence],
    validation: Sequence[Sentence],
    schema: LabelSchema,
    config: TrainConfig,
    folder: Path,
    on_log: OnLog,
    distillation: Distillation | None = None,
    on_epoch: OnEpoch | None = None,
    on_step: OnStep | None = None,
    cache: TrainingCache | None = None,
) -> TrainResult:
    """Fit the model, keep the epoch with the best validation F1, and write it under ``folder``.

    Called in each process of a torchrun group with equal arguments, each takes its share of every batch, and the first writes.

    Args:
        model: changed in place; adapters are merged at the end.
        folder: receives ``model/`` and, for LoRA, ``adapter/``, and checkpoints in ``fit/``. Where there are some, from an
            interrupted call with equal arguments, training goes on from the last whole one, to the same weights.
        distillation: what teachers say about each sentence of ``train``.
        cache: what other trainings of this process have encoded.
        on_log: gets ``train/loss``, ``train/learning_rate``, ``train/grad_norm`` and ``validation/*`` with the step.
    """
    keep_freed_memory()
    bound_kernel_caches()
    precision = resolve_precision(config.precision)
    encoder = (cache or TrainingCache()).encoder(model.spec, backend_tokenizer(model.tokenizer))
    dataset = _WindowDataset(encoder, train, schema, distillation)
    parameters = count_parameters(model.network)
    log.info(
        "training %d sentences in %d windows, %d of %d weights, %s",
        len(train),
        len(dataset),
        parameters["parameters/trainable"],
        parameters["parameters/total"],
        precision,
    )
    work = folder / CHECKPOINTS
    initial = work / "initial_adapter"
    with (
        only_seen_rows(
            model.network, (window.input_ids for window in dataset.windows), model.spec.pad_id
        ),
        nullcontext() if torch.cuda.is_available() else lane_dropout(model.network),
    ):
        trainer = NerTrainer(
            tagger=lambda: torch_tagger(
                model.network,
                backend_tokenizer(model.tokenizer),
                with_transitions(model.spec, model.network),
                autocast_dtype=DTYPES[precision],
                encoder=encoder,
            ),
            loss=_loss(model, dataset, config, distillation),
            config=config,
            folder=work,
            batches=_batches(dataset, train, config),
            eval_dataset=list(validation),
            model=model.network,
            train_dataset=dataset,
            data_collator=_Collator(model.spec.pad_id),
            callbacks=[
                EarlyStoppingCallback(config.early_stopping_patience),
                _LogCallback(on_log, on_epoch, on_step, config.epochs),
            ],
            args=_arguments(model, config, precision, work, len(dataset)),
        )
        trainer.remove_callback(PrinterCallback)
        if model.takes_from_base and trainer.is_world_process_zero():
            save_initial_adapter(model, initial)
        if config.gradient_checkpointing and model.spec.adaptation == "lora":
            model.network.enable_input_require_grads()  # type: ignore[operator]  # checkpointed blocks need an input with a gradient
        speed = _train(trainer, work)
        speed |= _utilisation(trainer, precision, speed.get("train/subwords_per_s", 0.0))
        trainer.load_best()
    model.network.cpu()
    adapter_folder = folder / "adapter" if model.spec.adaptation == "lora" else None
    if trainer.is_world_process_zero():
        if adapter_folder:
            save_adapter(model, adapter_folder, initial if initial.exists() else None)
        save_model(model, folder / "model")
    best = max(trainer.validation_scores, key=lambda scores: scores["f1"])
    metrics = {
        **parameters,
        **{f"best_validation/{name}": value for name, value in best.items()},
        **speed,
        "train/epochs_run": float(len(trainer.validation_scores)),
        "train/best_epoch": float(trainer.validation_scores.index(best) + 1),
        "train/peak_rss_bytes": float(peak_rss_bytes()),
    }
    return TrainResult(
        folder / "model",
        adapter_folder,
        metrics,
        {"training_curves": plot_curves(trainer.state.log_history)},
    )


def _train(trainer: NerTrainer, work: Path) -> dict[str, float]:
    """Train to the end, from the last checkpoint where there is one; seconds and real subwords per second of this call."""
    checkpoint = last_checkpoint(work)
    before = 0
    if checkpoint:
        log.info("going on from %s", checkpoint)
        state = TrainerState.load_from_json(str(checkpoint / TRAINER_STATE_NAME))
        before = state.num_input_tokens_seen
        if (work / FITTED).exists():
            trainer.state = state
            return {}
    started = time.perf_counter()
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    seconds = time.perf_counter() - started
    if trainer.is_world_process_zero():
        (work / FITTED).touch()
    return {
        "train/seconds": seconds,
        "train/validation_seconds": trainer.validation_seconds,
        "train/subwords_per_s": float(trainer.state.num_input_tokens_seen - before)
        / (seconds - trainer.validation_seconds),
    }


def _utilisation(trainer: NerTrainer, precision: str, subwords_per_s: float) -> dict[str, float]:
    flops_per_s = subwords_per_s / world_size() * training_flops_per_subword(trainer.model)
    if not flops_per_s:  # nothing was left to train
        return {}
    utilisation = flops_per_s / peak_flops_per_s(
        trainer.args.device, DTYPES[precision] or torch.float32
    )
    log.info(
        "%.0f subwords/s, %.2f TFLOP/s a device: %.0f %% of its matrix products",
        subwords_per_s,
        flops_per_s / 1e12,
        100 * utilisation,
    )
    return {"train/model_flops_per_s": flops_per_s, "train/model_flops_utilisation": utilisation}


def _arguments(
    model: BuiltModel, config: TrainConfig, precision: str, work: Path, windows: int
) -> TrainingArguments:
    return TrainingArguments(
        output_dir=str(work),
        num_train_epochs=config.epochs,
        per_device_train_batch_size=max(1, config.batch_size // world_size()),
        learning_rate=config.learning_rate,
        optim=config.optimizer,
        weight_decay=config.weight_decay,
        warmup_steps=config.warmup_ratio,
        lr_scheduler_type=config.schedule,
        max_grad_norm=config.max_grad_norm,
        bf16=precision == "bf16",
        fp16=precision == "fp16",
        activation_checkpointing=config.gradient_checkpointing,
        use_cpu=not torch.cuda.is_available(),
        seed=config.seed,
        train_sampling_strategy="group_by_length",
        remove_unused_columns=False,
        include_num_input_tokens_seen="non_padding",
        eval_strategy="epoch",
        save_strategy="no",  # our callback says when
        save_total_limit=2,  # while one is written, the one before it is whole
        restore_callback_states_from_checkpoint=True,
        metric_for_best_model="eval_f1",
        greater_is_better=True,
        logging_steps=max(1, windows // config.batch_size // LOGS_AN_EPOCH),
        disable_tqdm=True,
        report_to=[],
        # A conditional random field is used in the loss alone, which the search for unused weights takes for a second use.
        ddp_find_unused_parameters=find_crf(model.network) is None,
        dataloader_pin_memory=torch.cuda.is_available(),
    )


def has_checkpoint(folder: Path) -> bool:
    """Whether an interrupted :func:`fit` with this folder can go on."""
    return last_checkpoint(folder / CHECKPOINTS) is not None


def plot_curves(history: Sequence[Mapping[str, float]]) -> Figure:
    """Loss, validation F1 and learning rate over epochs."""
    figure = Figure(figsize=(12, 3.5), layout="constrained")
    for axes, name, title in zip(
        figure.subplots(1, 3),
        ("loss", "eval_f1", "learning_rate"),
        ("Training loss", "Validation F1", "Learning rate"),
        strict=True,
    ):
        points = [(row["epoch"], row[name]) for row in history if name in row]
        axes.plot(*zip(*points, strict=True), marker="o" if len(points) < 30 else None)
        axes.set_title(title)
        axes.set_xlabel("epoch")
        axes.grid(alpha=0.3)
    return figure


class _WindowDataset(Dataset[dict[str, Any]]):
    """Labelled windows of the training sentences."""

    def __init__(
        self,
        encoder: WordEncoder,
        sentences: Sequence[Sentence],
        schema: LabelSchema,
        distillation: Distillation | None,
    ) -> None:
        self.windows = encoder.windows(
            [sentence.tokens for sentence in sentences],
            [sentence.document for sentence in sentences],
        )
        tag_ids = [[schema.ids[tag] for tag in sentence.tags] for sentence in sentences]
        self.labels = [label_window(window, tag_ids[window.sentence]) for window in self.windows]
        self._teacher = distillation and distillation.log_probabilities

    def __len__(self) -> int:
        return len(self.windows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        window = self.windows[index]
        # input_ids for the Trainer's grouping by length
        row = {"input_ids": window.input_ids, "window": window, "labels": self.labels[index]}
        if self._teacher:
            row[TEACHER] = self._teacher[window.sentence][
                window.first_word : window.first_word + len(window.word_positions)
            ]
        return row


def _loss(
    model: BuiltModel,
    dataset: _WindowDataset,
    config: TrainConfig,
    distillation: Distillation | None,
) -> Loss:
    if crf := find_crf(model.network):
        return SequenceLoss(crf)
    weights = class_weights(dataset.labels, len(model.spec.labels), config.class_weight_power)
    return TaggingLoss(weights, config.focal_gamma, config.label_smoothing, distillation)


def _batches(
    dataset: _WindowDataset, train: Sequence[Sentence], config: TrainConfig
) -> SubwordBatches | None:
    if config.batching == "sentences":
        return None
    factors = repeat_factors(train, config.repeat_factor_threshold)[
        [window.sentence for window in dataset.windows]
    ]
    return SubwordBatches(
        [len(window.input_ids) for window in dataset.windows],
        config.batch_size,
        config.seed,
        factors,
        rank(),
        world_size(),
    )


class _Collator:
    """Pads a batch of windows to its longest."""

    def __init__(self, pad_id: int) -> None:
        self._pad_id = pad_id

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
        windows: list[Window] = [row["window"] for row in rows]
        arrays = {
            **collate(windows, self._pad_id),
            "labels": pad([row["labels"] for row in rows], IGNORED),
        }
        batch = {name: torch.from_numpy(array) for name, array in arrays.items()}
        if TEACHER in rows[0]:
            batch[TEACHER] = torch.zeros((*arrays["labels"].shape, rows[0][TEACHER].shape[1]))
            for index, (row, window) in enumerate(zip(rows, windows, strict=True)):
                batch[TEACHER][index, torch.from_numpy(window.word_positions)] = torch.from_numpy(
                    row[TEACHER]
                )
        return batch


class _LogCallback(TrainerCallback):
    """Hands the Trainer's logs on under our names, and says each epoch how it went."""

    NAMES: ClassVar[dict[str, str]] = {
        "loss": "train/loss",
        "learning_rate": "train/learning_rate",
        "grad_norm": "train/grad_norm",
    }

    def __init__(
        self, on_log: OnLog, on_epoch: OnEpoch | None, on_step: OnStep | None, epochs: int
    ) -> None:
        self._on_log = on_log
        self._on_epoch = on_epoch
        self._on_step = on_step
        self._epochs = epochs
        self._loss = float("nan")
        self._started = time.perf_counter()

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        self._started = time.perf_counter()

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        if self._on_step:
            self._on_step()

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        logs = logs or {}
        metrics = {
            ours: float(logs[theirs]) for theirs, ours in self.NAMES.items() if theirs in logs
        }
        metrics |= {
            f"validation/{name.removeprefix('eval_')}": value
            for name, value in logs.items()
            if name.startswith("eval_")
        }
        self._loss = metrics.get("train/loss", self._loss)
        if metrics:
            self._on_log({**metrics, "train/epoch": float(state.epoch or 0)}, state.global_step)

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        epoch, seconds = round(state.epoch or 0), time.perf_counter() - self._started
        log.info(
            "epoch %d of %d: loss %.3f, validation F1 %.3f, %.0f s gone, at most %.0f s to go",
            epoch,
            self._epochs,
            self._loss,
            (metrics or {}).get("eval_f1", float("nan")),
            seconds,
            seconds / max(epoch, 1) * (self._epochs - epoch),
        )
        if self._on_epoch:
            self._on_epoch(epoch, float((metrics or {})["eval_f1"]))
