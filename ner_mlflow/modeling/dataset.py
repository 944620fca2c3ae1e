"""Turn sentences into the batches that a model is trained on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from ..config.schema import TrainConfig
from ..data.sentences import Sentence
from ..tagging.encoding import IGNORED, Window, WordEncoder, collate, label_window, pad
from ..tagging.iob2 import UNSURE
from ..tagging.label_schema import LabelSchema
from .objective import Distillation
from .processes import rank, world_size
from .sampling import SubwordBatches, repeat_factors

TEACHER = "teacher"
"""The key of a batch under which the teachers' log-probabilities are."""


@dataclass(frozen=True)
class TrainingData:
    """The sentences that a model is trained and validated on.

    Attributes:
        train: the sentences to learn from; words tagged ``?`` are left out of the loss.
        validation: the sentences that choose the best epoch.
        schema: the labels of both.
        distillation: the teachers' predictions for each sentence of ``train``, or None.
    """

    train: Sequence[Sentence]
    validation: Sequence[Sentence]
    schema: LabelSchema
    distillation: Distillation | None = None


class WindowDataset(Dataset[dict[str, Any]]):
    """The labelled windows of the training sentences."""

    def __init__(self, encoder: WordEncoder, data: TrainingData) -> None:
        self.windows = encoder.windows(
            [sentence.tokens for sentence in data.train],
            [sentence.document for sentence in data.train],
        )
        ids = {**data.schema.ids, UNSURE: IGNORED}
        tag_ids = [[ids[tag] for tag in sentence.tags] for sentence in data.train]
        self.labels = [label_window(window, tag_ids[window.sentence]) for window in self.windows]
        self._teacher = data.distillation and data.distillation.log_probabilities

    def __len__(self) -> int:
        return len(self.windows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        window = self.windows[index]
        # The Trainer groups rows by the length of input_ids.
        row = {"input_ids": window.input_ids, "window": window, "labels": self.labels[index]}
        if self._teacher:
            last_word = window.first_word + len(window.word_positions)
            row[TEACHER] = self._teacher[window.sentence][window.first_word : last_word]
        return row


class Collator:
    """A function that pads the windows of a batch to its longest window."""

    def __init__(self, pad_id: int) -> None:
        self._pad_id = pad_id

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
        """Return the model's inputs and ``labels`` of shape (batch, length).

        With teachers, ``teacher`` holds their log-probabilities, shape (batch, length, labels), at
        the first subword of each word, and 0 elsewhere.
        """
        windows: list[Window] = [row["window"] for row in rows]
        arrays = {
            **collate(windows, self._pad_id),
            "labels": pad([row["labels"] for row in rows], IGNORED),
        }
        batch = {name: torch.from_numpy(array) for name, array in arrays.items()}
        if TEACHER in rows[0]:
            batch[TEACHER] = torch.zeros((*arrays["labels"].shape, rows[0][TEACHER].shape[1]))
            for index, (row, window) in enumerate(zip(rows, windows, strict=True)):
                positions = torch.from_numpy(window.word_positions)
                batch[TEACHER][index, positions] = torch.from_numpy(row[TEACHER])
        return batch


def batch_sampler(
    dataset: WindowDataset, train: Sequence[Sentence], config: TrainConfig
) -> SubwordBatches | None:
    """Return the sampler of this process's batches, or None for the Trainer's own.

    Args:
        dataset: the windows of ``train``.
        train: the training sentences.
        config: with ``batching: sentences`` the Trainer's sampler is used.
    """
    if config.batching == "sentences":
        return None
    factors = repeat_factors(train, config.repeat_factor_threshold)
    return SubwordBatches(
        [len(window.input_ids) for window in dataset.windows],
        config.batch_size,
        config.seed,
        factors[[window.sentence for window in dataset.windows]],
        rank(),
        world_size(),
    )
