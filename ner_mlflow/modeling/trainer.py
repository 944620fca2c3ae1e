"""Extend the transformers Trainer for entity recognition.

It has batches of equal numbers of subwords, our losses, learning rates by layer, validation by
entity scores, and checkpoints that are either complete or ignored.
"""

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
from transformers import Trainer, TrainerControl
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from ..atomic import atomic_file
from ..config.schema import TrainConfig
from ..data.sentences import Sentence
from ..evaluation.scores import score_tagger
from ..tagging.tagger import Tagger
from .averaging import WeightAverage, trainable_weights
from .callbacks import AverageCallback, CheckpointCallback
from .crf import CRF
from .dataset import TEACHER
from .objective import Loss
from .processes import rank

COMPLETE = "complete"
"""The name of the file that marks a complete checkpoint."""
WEIGHTS_FILE, AVERAGE_FILE, BEST_FILE = (
    "weights.safetensors",
    "average.safetensors",
    "best.safetensors",
)
LAYER = re.compile(r"\.layers?\.(\d+)\.")
"""The part of a weight's name that holds the number of its encoder layer."""
CLASSIFIER = "classifier."
VALIDATION = "eval_"
"""The Trainer's prefix for names of validation scores."""


def last_checkpoint(folder: Path) -> Path | None:
    """Return the newest complete checkpoint in a folder, or None."""
    complete = [path.parent for path in folder.glob(f"{PREFIX_CHECKPOINT_DIR}-*/{COMPLETE}")]
    return max(complete, key=lambda path: int(path.name.rpartition("-")[2]), default=None)


class NerTrainer(Trainer):
    """A Trainer that validates by strict entity scores of the decoded tags of whole sentences.

    It keeps the weights of the epoch with the best validation F1 in ``folder/best.safetensors``,
    beside the checkpoints to resume from. With ``ema_decay`` it validates and keeps the averaged
    weights.
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
        """Set up the training.

        Args:
            tagger: returns a tagger over the network as it is.
            loss: the training loss.
            config: the settings.
            folder: where the best weights are written.
            batches: the batches of this process; None: the Trainer's own.
            settings: arguments of the Trainer.
        """
        super().__init__(compute_loss_func=loss, **settings)
        torch.manual_seed(config.seed + rank())  # each process drops out other units
        self._tagger = tagger
        self._loss = loss
        self._config = config
        self._folder = folder
        self._batches = batches
        self._average: WeightAverage | None = None
        if config.ema_decay:
            self._average = WeightAverage(self.model, config.ema_decay)
            self.add_callback(AverageCallback(self._average))
        self.add_callback(CheckpointCallback(config.checkpoint_steps))
        self.validation_seconds = 0.0

    @property
    def validation_scores(self) -> list[dict[str, float]]:
        """Return the scores after each epoch so far, including those before an interruption."""
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
        """Return the batches of our sampler if there is one, and the Trainer's otherwise."""
        if self._batches is None:
            loader: DataLoader[Any] = super().get_train_dataloader()
            return loader
        loader = DataLoader(
            self.train_dataset,
            batch_sampler=self._batches,
            collate_fn=self.data_collator,
            pin_memory=self.args.dataloader_pin_memory,
        )
        # Our sampler has split each batch among the processes already.
        prepared: DataLoader[Any] = prepare_data_loader(
            loader, self.accelerator.device, num_processes=1, process_index=0, put_on_device=True
        )
        return prepared

    def create_optimizer(self, model: nn.Module | None = None) -> Optimizer:
        """Create AdamW with a group of weights for each learning rate."""
        network = model or self.model
        optimizer_class, settings = self.get_optimizer_cls_and_kwargs(self.args, network)
        decayed = set(self.get_decay_parameter_names(network))
        optimizer: Optimizer = optimizer_class(
            parameter_groups(network, self._config, decayed), **settings
        )
        self.optimizer = optimizer
        return optimizer

    def compute_loss(
        self, model: nn.Module, inputs: dict[str, Tensor], *args: Any, **kwargs: Any
    ) -> Any:
        """Return the loss; the teachers' log-probabilities go to the loss, not to the model."""
        self.compute_loss_func = partial(self._loss, teacher=inputs.pop(TEACHER, None))
        return super().compute_loss(model, inputs, *args, **kwargs)

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """Return the validation scores, and save the weights if they are the best so far."""
        started = time.perf_counter()
        scores: list[dict[str, float]] = [{}]
        if self.is_world_process_zero():
            with self._average.applied() if self._average else nullcontext():
                scores = [score_tagger(self._tagger(), self.eval_dataset)]
                best = max((epoch["f1"] for epoch in self.validation_scores), default=-1.0)
                if scores[0]["f1"] > best:
                    self._write(self._folder / BEST_FILE)
        broadcast_object_list(scores)  # all processes must stop after the same epoch
        self.validation_seconds += time.perf_counter() - started
        metrics = {f"{VALIDATION}{name}": value for name, value in scores[0].items()}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(
            self.args, self.state, self.control, metrics
        )
        return metrics

    def load_best(self) -> None:
        """Load the weights of the best epoch into the network."""
        self._read(self._folder / BEST_FILE)

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Write the trainable weights of a checkpoint."""
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
    """Return the optimiser's groups: trainable weights by learning rate and weight decay.

    The encoder's last layer has ``learning_rate``. Each layer below it has ``layerwise_lr_decay``
    times the rate of the next layer up, and the embeddings have ``layerwise_lr_decay`` times the
    rate of the first layer (Howard and Ruder, "Universal Language Model Fine-tuning", ACL 2018).
    The classifier has ``learning_rate * classifier_lr_multiplier``. The transitions of a
    conditional random field have ``learning_rate * transition_lr_multiplier`` and no weight decay,
    because they are few and end far from 0.

    Args:
        network: the model.
        config: the settings.
        decayed: the names of the weights with weight decay.
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
    # The Trainer logs the rate of the first group: the encoder's highest.
    return sorted(
        groups.values(), key=lambda group: (group["lr"] != config.learning_rate, -group["lr"])
    )


def _layer(name: str) -> int | None:
    match = LAYER.search(name)
    return int(match.group(1)) if match else None
