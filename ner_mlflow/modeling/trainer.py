"""The transformers Trainer with our batches, loss, learning rates by layer, validation, and checkpoints that are whole or not there."""

import os
import re
import time
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import torch
from accelerate.data_loader import prepare_data_loader
from accelerate.utils import broadcast_object_list
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.data import BatchSampler, DataLoader
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from ..config.schema import TrainConfig
from ..data.sentences import Sentence
from ..evaluation.scores import score_tagger
from ..paths import atomic_file
from ..tagging.tagger import Tagger
from .averaging import WeightAverage, trainable_weights
from .crf import CRF
from .objective import Loss

COMPLETE = "complete"
"""Marks a checkpoint that was written to the end."""
WEIGHTS_FILE, AVERAGE_FILE, BEST_FILE = (
    "weights.safetensors",
    "average.safetensors",
    "best.safetensors",
)
LAYER = re.compile(r"\.layers?\.(\d+)\.")
"""Where an architecture says which encoder layer a weight is of."""
CLASSIFIER = "classifier."
TEACHER = "teacher"
"""Key of a batch that holds the teachers' log-probabilities."""
VALIDATION = "eval_"
"""What the Trainer puts before names of validation scores."""


def world_size() -> int:
    """Processes that train together."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def rank() -> int:
    """The place of this one among them."""
    return int(os.environ.get("RANK", "0"))


def last_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint that is whole, None where there is none."""
    whole = [path.parent for path in folder.glob(f"{PREFIX_CHECKPOINT_DIR}-*/{COMPLETE}")]
    return max(whole, key=lambda path: int(path.name.rpartition("-")[2]), default=None)


class NerTrainer(Trainer):
    """A Trainer whose evaluation is ours: windows merged, valid tags decoded, strict entity scores.

    The weights of the epoch with the best validation F1 are kept in ``folder/best.safetensors``; checkpoints to resume from
    are beside it. With an average, it is the average that is validated and kept.
    """

    eval_dataset: list[Sentence]
    control: TrainerControl

    def __init__(
        self,
        tagger: Callable[[], Tagger],
        loss: Loss,
        config: TrainConfig,
        folder: Path,
        batches: BatchSampler | None,
        **settings: Any,
    ) -> None:
        super().__init__(compute_loss_func=loss, **settings)
        torch.manual_seed(config.seed + rank())  # processes drop out different units
        self._tagger = tagger
        self._loss = loss
        self._config = config
        self._folder = folder
        self._batches = batches
        self._average: WeightAverage | None = None
        if config.ema_decay:
            self._average = WeightAverage(self.model, config.ema_decay)
            self.add_callback(_AverageCallback(self._average))
        self.add_callback(_CheckpointCallback(config.checkpoint_steps))
        self.validation_seconds = 0.0

    @property
    def validation_scores(self) -> list[dict[str, float]]:
        """Scores after each epoch so far, those before an interruption too."""
        return [
            {
                name.removeprefix(VALIDATION): value
                for name, value in row.items()
                if name.startswith(VALIDATION)
            }
            for row in self.state.log_history
            if f"{VALIDATION}f1" in row
        ]

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Batches of our sampler, or the Trainer's where we have none."""
        if self._batches is None:
            loader: DataLoader[Any] = super().get_train_dataloader()
            return loader
        loader = DataLoader(
            self.train_dataset,
            batch_sampler=self._batches,
            collate_fn=self.data_collator,
            pin_memory=self.args.dataloader_pin_memory,
        )
        # Our batches are shared out already.
        prepared: DataLoader[Any] = prepare_data_loader(
            loader, self.accelerator.device, num_processes=1, process_index=0, put_on_device=True
        )
        return prepared

    def create_optimizer(self, model: nn.Module | None = None) -> Optimizer:
        """AdamW with a group of weights for each learning rate."""
        network = model or self.model
        kind, settings = self.get_optimizer_cls_and_kwargs(self.args, network)
        optimizer: Optimizer = kind(
            parameter_groups(network, self._config, set(self.get_decay_parameter_names(network))),
            **settings,
        )
        self.optimizer = optimizer
        return optimizer

    def compute_loss(
        self, model: nn.Module, inputs: dict[str, Tensor], *args: Any, **kwargs: Any
    ) -> Any:
        """The loss, which alone sees what the teachers say."""
        self.compute_loss_func = partial(self._loss, teacher=inputs.pop(TEACHER, None))
        return super().compute_loss(model, inputs, *args, **kwargs)

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """Score validation, and keep the weights if they are the best so far."""
        started = time.perf_counter()
        found: list[dict[str, float]] = [{}]
        if self.is_world_process_zero():
            with self._average.applied() if self._average else nullcontext():
                found = [score_tagger(self._tagger(), self.eval_dataset)]
                if found[0]["f1"] > max(
                    (earlier["f1"] for earlier in self.validation_scores), default=-1.0
                ):
                    self._write(self._folder / BEST_FILE)
        broadcast_object_list(found)  # all must agree on when to stop
        self.validation_seconds += time.perf_counter() - started
        metrics = {f"{VALIDATION}{name}": value for name, value in found[0].items()}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(
            self.args, self.state, self.control, metrics
        )
        return metrics

    def load_best(self) -> None:
        """Give the network the weights of the best epoch."""
        self._read(self._folder / BEST_FILE)

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Write the weights that training changes, for checkpoints."""
        folder = Path(output_dir or self.args.output_dir)
        if self.is_world_process_zero():
            folder.mkdir(parents=True, exist_ok=True)
            self._write(folder / WEIGHTS_FILE)

    def _load_from_checkpoint(
        self, resume_from_checkpoint: str, model: nn.Module | None = None
    ) -> None:
        self._read(Path(resume_from_checkpoint) / WEIGHTS_FILE)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        super()._load_optimizer_and_scheduler(checkpoint)
        if checkpoint and self._average:
            self._average.load(Path(checkpoint) / AVERAGE_FILE, self.state.global_step)

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        folder = Path(self.args.output_dir) / f"{PREFIX_CHECKPOINT_DIR}-{self.state.global_step}"
        super()._save_checkpoint(model, trial)
        self.accelerator.wait_for_everyone()
        if not self.is_world_process_zero():
            return
        if self._average:
            self._average.save(folder / AVERAGE_FILE)
        for path in folder.iterdir():
            with path.open("rb") as file:
                os.fsync(file.fileno())
        (folder / COMPLETE).touch()

    @torch.no_grad()
    def _read(self, path: Path) -> None:
        weights = load_file(path)
        for name, weight in trainable_weights(self.model):
            weight.copy_(weights[name])

    def _write(self, path: Path) -> None:
        with atomic_file(path) as part:
            save_file(
                {
                    name: weight.detach().contiguous()
                    for name, weight in trainable_weights(self.model)
                },
                part,
            )


def parameter_groups(
    network: nn.Module, config: TrainConfig, decayed: set[str]
) -> list[dict[str, Any]]:
    """Weights by learning rate and decay.

    The classifier has ``learning_rate * classifier_lr_multiplier``, the encoder's last layer ``learning_rate``, each layer below
    ``layerwise_lr_decay`` of the one above, the embeddings ``layerwise_lr_decay`` of the first layer (Howard and Ruder, "Universal Language
    Model Fine-tuning", ACL 2018). Transitions of a conditional random field, few and far from 0 once learned, have
    ``learning_rate * transition_lr_multiplier`` and no decay.
    """
    names = [name for name, _ in trainable_weights(network)]
    layers = 1 + max((layer for name in names if (layer := _layer(name)) is not None), default=-1)
    groups: dict[tuple[float, float], dict[str, Any]] = {}
    for name, weight in trainable_weights(network):
        decay = config.weight_decay if name in decayed else 0.0
        if name.startswith(f"{CRF}."):
            rate, decay = config.learning_rate * config.transition_lr_multiplier, 0.0
        elif CLASSIFIER in name:
            rate = config.learning_rate * config.classifier_lr_multiplier
        else:
            layer = _layer(name)
            rate = config.learning_rate * config.layerwise_lr_decay ** (
                layers if layer is None else layers - 1 - layer
            )
        groups.setdefault((rate, decay), {"params": [], "lr": rate, "weight_decay": decay})[
            "params"
        ].append(weight)
    # The one with the highest rate of the encoder first: it is the one whose rate is logged.
    return sorted(
        groups.values(), key=lambda group: (group["lr"] != config.learning_rate, -group["lr"])
    )


def _layer(name: str) -> int | None:
    found = LAYER.search(name)
    return int(found.group(1)) if found else None


class _AverageCallback(TrainerCallback):
    def __init__(self, average: WeightAverage) -> None:
        self._average = average

    def on_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        self._average.update()


class _CheckpointCallback(TrainerCallback):
    def __init__(self, steps: int) -> None:
        self._steps = steps

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        # The end of an epoch is saved after its validation.
        if (
            self._steps
            and state.global_step % self._steps == 0
            and not (state.epoch or 0.0).is_integer()
        ):
            control.should_save = True

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        control.should_save = True
