"""Draw dropout masks quickly on a CPU.

PyTorch draws a CPU mask element by element, with a random number for each. In a small encoder that
is a quarter of a training step. Here a random byte decides for an element, so that one 64-bit
number serves eight elements.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.masking_utils import eager_mask

from ..private_names import attention_implementation, takes_custom_attention

LEVELS = 1 << 8
"""The number of values of a byte. A probability is rounded to a multiple of 1 / LEVELS."""
ATTENTION = "byte_dropout"
"""The name under which transformers finds :func:`byte_dropout_attention`."""


class ByteDropout(nn.Dropout):
    """An `nn.Dropout` that draws 8 random bits for each element from PyTorch's generator."""

    def __init__(self, p: float) -> None:
        super().__init__(p)
        self._level = round(p * LEVELS)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  # PyTorch's name
        """Zero each element with probability ``p``, and scale the others by ``1 / (1 - p)``.

        In evaluation mode return the input.
        """
        return _drop(input, self._level) if self.training and self._level else input


def byte_dropout_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    **_: Any,
) -> tuple[Tensor, Tensor]:
    """Return the attention output, shape (batch, length, heads, width), and the weights.

    Like transformers' eager attention, it uses plain matrix products. On short sentences they are
    faster than the fused CPU kernels. ``query``, ``key`` and ``value`` have shape
    (batch, heads, length, width).
    """
    scores = query @ key.transpose(2, 3) * (query.size(-1) ** -0.5 if scaling is None else scaling)
    if attention_mask is not None:
        scores = scores + attention_mask
    weights = scores.softmax(-1)
    level = round(dropout * LEVELS)
    if module.training and level:
        weights = _drop(weights, level)
    return (weights @ value).transpose(1, 2).contiguous(), weights


AttentionInterface.register(ATTENTION, byte_dropout_attention)
AttentionMaskInterface.register(ATTENTION, eager_mask)


@contextmanager
def byte_dropout(network: PreTrainedModel) -> Iterator[None]:
    """Replace each `nn.Dropout`, and the attention's dropout, within the context."""
    attention = attention_implementation(network)
    # Architectures without a choice of attention have a dropout module in it.
    network.set_attn_implementation(ATTENTION if takes_custom_attention(network) else "eager")
    dropouts = [
        (parent, name, child)
        for parent in network.modules()
        for name, child in parent.named_children()
        if type(child) is nn.Dropout
    ]
    for parent, name, child in dropouts:
        setattr(parent, name, ByteDropout(child.p).train(child.training))
    try:
        yield
    finally:
        for parent, name, child in dropouts:
            setattr(parent, name, child)
        network.set_attn_implementation(attention)


def _drop(values: Tensor, level: int) -> Tensor:
    """Zero each value with probability ``level / LEVELS``, and scale the others."""
    numbers = torch.empty(-(-values.numel() // 8), dtype=torch.int64).random_(-(1 << 63), None)
    random_bytes = numbers.view(torch.int8)[: values.numel()].view(values.shape)
    mask = (random_bytes >= level - LEVELS // 2).to(values.dtype)
    return values * mask.mul_(LEVELS / (LEVELS - level))
