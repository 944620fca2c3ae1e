"""Fit a model: the transformers Trainer with our validation, length grouping and precision."""

import logging
import resource
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.utils.data import Dataset
from transformers import EarlyStoppingCallback, PrinterCallback, Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from ..config import TrainConfig
from ..data.sentences import Sentence
from ..encoding import IGNORED, WordEncoder, attention_mask, label_window, pad
from ..evaluation.scores import score
from ..labels import LabelSchema
from ..results import TrainResult
from ..tagger import Tagger
from .build import BuiltModel, backend_tokenizer, count_parameters
from .checkpoint import save_adapter, save_model
from .predict import torch_tagger

log = logging.getLogger(__name__)

OnLog = Callable[[Mapping[str, float], int], None]
"""(metrics, step): called as training goes."""

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": None}
LOGS_AN_EPOCH = 10


def resolve_precision(wanted: str) -> str:
    """The arithmetic for ``auto``: bf16 where the processor or GPU multiplies it natively, else fp32 (fp16 on older GPUs)."""
    if wanted != "auto":
        return wanted
    if torch.cuda.is_available():
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    return "bf16" if torch.cpu.get_capabilities().get("avx512_bf16") or torch.cpu.get_capabilities().get("bf16") else "fp32"


def fit(
    model: BuiltModel,
    train: Sequence[Sentence],
    validation: Sequence[Sentence],
    schema: LabelSchema,
    config: TrainConfig,
    folder: Path,
    on_log: OnLog,
) -> TrainResult:
    """Fit the model, keep the epoch with the best validation F1, and write it under ``folder``.

    Args:
        model: changed in place; adapters are merged at the end.
        folder: receives ``model/`` and, for LoRA, ``adapter/``; checkpoints of epochs are removed.
        on_log: gets ``train/loss``, ``train/learning_rate``, ``train/grad_norm`` and ``validation/*`` with the step.
    """
    precision = resolve_precision(config.precision)
    encoder = WordEncoder(backend_tokenizer(model.tokenizer), model.spec.max_length)
    dataset = _WindowDataset(encoder, train, schema)
    parameters = count_parameters(model.network)
    log.info(
        "training %d sentences in %d windows, %d of %d weights, %s",
        len(train),
        len(dataset),
        parameters["parameters/trainable"],
        parameters["parameters/total"],
        precision,
    )
    if config.gradient_checkpointing and model.spec.adaptation == "lora":
        model.network.enable_input_require_grads()  # type: ignore[operator]  # checkpointed blocks need an input with a gradient
    steps_an_epoch = -(-len(dataset) // config.batch_size)
    trainer = _NerTrainer(
        tagger=torch_tagger(model.network, backend_tokenizer(model.tokenizer), model.spec, autocast_dtype=DTYPES[precision]),
        eval_dataset=list(validation),
        model=model.network,
        train_dataset=dataset,
        data_collator=_Collator(model.spec.pad_id),
        callbacks=[EarlyStoppingCallback(config.early_stopping_patience), _LogCallback(on_log, config.epochs)],
        args=TrainingArguments(
            output_dir=str(folder / "epochs"),
            num_train_epochs=config.epochs,
            per_device_train_batch_size=config.batch_size,
            learning_rate=config.learning_rate,
            optim=config.optimizer,
            weight_decay=config.weight_decay,
            warmup_steps=config.warmup_ratio,
            lr_scheduler_type=config.schedule,
            label_smoothing_factor=config.label_smoothing,
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
            save_strategy="epoch",
            save_only_model=True,
            save_total_limit=1,
            load_best_model_at_end=True,
            metric_for_best_model="eval_f1",
            greater_is_better=True,
            logging_steps=max(1, steps_an_epoch // LOGS_AN_EPOCH),
            disable_tqdm=True,
            report_to=[],
            dataloader_pin_memory=torch.cuda.is_available(),
        ),
    )
    trainer.remove_callback(PrinterCallback)
    started = time.perf_counter()
    trainer.train()
    seconds = time.perf_counter() - started
    model.network.cpu()
    adapter_folder = folder / "adapter" if model.spec.adaptation == "lora" else None
    if adapter_folder:
        save_adapter(model, adapter_folder)
    save_model(model, folder / "model")
    shutil.rmtree(folder / "epochs")
    best = max(trainer.validation_scores, key=lambda scores: scores["f1"])
    tokens_seen = float(trainer.state.num_input_tokens_seen)
    metrics = {
        **parameters,
        **{f"best_validation/{name}": value for name, value in best.items()},
        "train/seconds": seconds,
        "train/validation_seconds": trainer.validation_seconds,
        "train/tokens_per_s": tokens_seen / (seconds - trainer.validation_seconds),
        "train/epochs_run": float(len(trainer.validation_scores)),
        "train/best_epoch": float(trainer.validation_scores.index(best) + 1),
        "train/peak_rss_bytes": float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024),
    }
    return TrainResult(folder / "model", adapter_folder, metrics, {"training_curves": plot_curves(trainer.state.log_history)})


def plot_curves(history: Sequence[Mapping[str, float]]) -> Figure:
    """Loss, validation F1 and learning rate over epochs."""
    figure = Figure(figsize=(12, 3.5), layout="constrained")
    for axes, name, title in zip(figure.subplots(1, 3), ("loss", "eval_f1", "learning_rate"), ("Training loss", "Validation F1", "Learning rate"), strict=True):
        points = [(row["epoch"], row[name]) for row in history if name in row]
        axes.plot(*zip(*points, strict=True), marker="o" if len(points) < 30 else None)
        axes.set_title(title)
        axes.set_xlabel("epoch")
        axes.grid(alpha=0.3)
    return figure


class _WindowDataset(Dataset[dict[str, Any]]):
    """Labelled windows of the training sentences."""

    def __init__(self, encoder: WordEncoder, sentences: Sequence[Sentence], schema: LabelSchema) -> None:
        windows = encoder.windows([sentence.tokens for sentence in sentences])
        tag_ids = [[schema.ids[tag] for tag in sentence.tags] for sentence in sentences]
        self._rows = [{"input_ids": window.input_ids, "labels": label_window(window, tag_ids[window.sentence])} for window in windows]

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self._rows[index]


class _Collator:
    """Pads a batch of windows to its longest."""

    def __init__(self, pad_id: int) -> None:
        self._pad_id = pad_id

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
        ids = [row["input_ids"] for row in rows]
        return {
            "input_ids": torch.from_numpy(pad(ids, self._pad_id)),
            "attention_mask": torch.from_numpy(attention_mask(ids)),
            "labels": torch.from_numpy(pad([row["labels"] for row in rows], IGNORED)),
        }


class _NerTrainer(Trainer):
    """A Trainer whose evaluation is ours: windows merged, valid tags decoded, strict entity scores."""

    eval_dataset: list[Sentence]
    control: TrainerControl

    def __init__(self, tagger: Tagger, **settings: Any) -> None:
        super().__init__(**settings)
        self._tagger = tagger
        self.validation_scores: list[dict[str, float]] = []
        self.validation_seconds = 0.0

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        started = time.perf_counter()
        tagged = self._tagger.tag([sentence.tokens for sentence in self.eval_dataset])
        scores = score([sentence.tags for sentence in self.eval_dataset], [tags.tags for tags in tagged])
        self.validation_seconds += time.perf_counter() - started
        self.validation_scores.append(scores)
        metrics = {f"eval_{name}": value for name, value in scores.items()}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics


class _LogCallback(TrainerCallback):
    """Hands the Trainer's logs on under our names, and says each epoch how it went."""

    NAMES: ClassVar[dict[str, str]] = {"loss": "train/loss", "learning_rate": "train/learning_rate", "grad_norm": "train/grad_norm"}

    def __init__(self, on_log: OnLog, epochs: int) -> None:
        self._on_log = on_log
        self._epochs = epochs
        self._loss = float("nan")
        self._started = time.perf_counter()

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self._started = time.perf_counter()

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, logs: dict[str, float] | None = None, **_: Any) -> None:
        logs = logs or {}
        metrics = {ours: float(logs[theirs]) for theirs, ours in self.NAMES.items() if theirs in logs}
        metrics |= {f"validation/{name.removeprefix('eval_')}": value for name, value in logs.items() if name.startswith("eval_")}
        self._loss = metrics.get("train/loss", self._loss)
        if metrics:
            self._on_log({**metrics, "train/epoch": float(state.epoch or 0)}, state.global_step)

    def on_evaluate(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, metrics: dict[str, float] | None = None, **_: Any) -> None:
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
