"""Train only the word embeddings that training sees.

No gradient ever reaches the rows of subwords that training sentences do not hold, yet clearing gradients, clipping and the
optimiser pass over the whole table at every step; for a small encoder it is half of the weights.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel


class SeenEmbedding(nn.Module):
    """Looks rows up as ``table`` does; ``weight`` holds those of ``seen`` ids and learns, the others stay as they are."""

    def __init__(self, table: nn.Embedding, seen: Tensor) -> None:
        """``seen``: different ids, shape (rows,)."""
        super().__init__()
        self.weight = nn.Parameter(table.weight.detach()[seen].clone())
        self.register_buffer("table", table.weight.detach(), persistent=False)
        slots = torch.full((table.num_embeddings,), -1)
        slots[seen] = torch.arange(len(seen))
        self.register_buffer("slots", slots, persistent=False)
        self.table: Tensor
        self.slots: Tensor
        self._padding_slot = None if table.padding_idx is None else int(slots[table.padding_idx])

    def forward(self, ids: Tensor) -> Tensor:
        """Embeddings of shape (*ids.shape, width)."""
        slots = self.slots[ids]
        known = functional.embedding(
            slots.clamp(min=0), self.weight, padding_idx=self._padding_slot
        )
        if self.training:  # training sees no other
            return known
        return torch.where((slots >= 0)[..., None], known, functional.embedding(ids, self.table))


@contextmanager
def only_seen_rows(
    network: PreTrainedModel, input_ids: Iterable[NDArray[np.int64]], pad_id: int
) -> Iterator[None]:
    """Inside, the network trains the embeddings of these ids alone; after it, it has its own table again, with what they learnt.

    Nothing changes where the embeddings are not trained at all.
    """
    table = network.get_input_embeddings()
    if not table.weight.requires_grad:
        yield
        return
    seen = torch.from_numpy(np.unique(np.concatenate([[pad_id], *input_ids]).astype(np.int64)))
    compact = SeenEmbedding(table, seen)
    network.set_input_embeddings(compact)
    try:
        yield
    finally:
        network.set_input_embeddings(table)
        with torch.no_grad():
            table.weight[seen] = compact.weight.to(table.weight.device)
