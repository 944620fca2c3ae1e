"""Train only those rows of the word embeddings that the training sentences use.

The other rows never receive a gradient. Yet clearing gradients, clipping and the optimiser pass
over the whole table at every step, and in a small encoder that table is half of all weights.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel


class SubsetEmbedding(nn.Module):
    """An embedding of which some rows are trained and the others are frozen.

    ``weight`` holds the trained rows, shape (rows, width).
    """

    def __init__(self, table: nn.Embedding, trained_ids: Tensor) -> None:
        """Copy the rows to train.

        Args:
            table: the whole embedding.
            trained_ids: the ids of the rows to train, without repeats, shape (rows,).
        """
        super().__init__()
        self.weight = nn.Parameter(table.weight.detach()[trained_ids].clone())
        self.register_buffer("table", table.weight.detach(), persistent=False)
        rows = torch.full((table.num_embeddings,), -1)
        rows[trained_ids] = torch.arange(len(trained_ids))
        self.register_buffer("rows", rows, persistent=False)
        self.table: Tensor
        self.rows: Tensor
        """Id -> row of ``weight``, -1 for frozen ids."""
        self._padding_row = None if table.padding_idx is None else int(rows[table.padding_idx])

    def forward(self, ids: Tensor) -> Tensor:
        """Return the embeddings of ids, shape (*ids.shape, width)."""
        rows = self.rows[ids]
        trained = functional.embedding(
            rows.clamp(min=0), self.weight, padding_idx=self._padding_row
        )
        if self.training:  # training data holds no frozen ids
            return trained
        return torch.where((rows >= 0)[..., None], trained, functional.embedding(ids, self.table))


@contextmanager
def subset_embeddings(
    network: PreTrainedModel, input_ids: Iterable[NDArray[np.int64]], pad_id: int
) -> Iterator[None]:
    """Train only the embeddings of some ids within the context.

    After it the network has its own table again, with the trained rows written back. A network
    whose embeddings are frozen stays as it is.

    Args:
        network: changed in place.
        input_ids: the ids of all training sentences.
        pad_id: the id of padding.
    """
    table = network.get_input_embeddings()
    if not table.weight.requires_grad:
        yield
        return
    trained_ids = np.unique(np.concatenate([[pad_id], *input_ids]).astype(np.int64))
    rows = torch.from_numpy(trained_ids)
    subset = SubsetEmbedding(table, rows)
    network.set_input_embeddings(subset)
    try:
        yield
    finally:
        network.set_input_embeddings(table)
        with torch.no_grad():
            table.weight[rows] = subset.weight.to(table.weight.device)
