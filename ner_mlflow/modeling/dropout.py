"""Dropout whose masks cost little on a CPU.

PyTorch draws a CPU mask one element after another, a random number each; for a small encoder that is a quarter of a training step.
Here one 64-bit number decides for eight elements.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.masking_utils import eager_mask

LEVELS = 1 << 8
"""A probability is rounded to a multiple of 1 / LEVELS."""
ATTENTION = "lane_dropout"
"""The name under which transformers knows :func:`lane_dropout_attention`."""


class LaneDropout(nn.Dropout):
    """`nn.Dropout` from 8 random bits an element, drawn from PyTorch's own generator."""

    def __init__(self, p: float) -> None:
        super().__init__(p)
        self._level = round(p * LEVELS)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  # PyTorch's name
        """Zero each element with probability ``p`` and scale the others by ``1 / (1 - p)``; the identity outside training."""
        return _dropped(input, self._level) if self.training and self._level else input


def lane_dropout_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    **_: Any,
) -> tuple[Tensor, Tensor]:
    """Attention in plain matrix products, as transformers' own, on short sentences faster than its fused CPU kernels.

    Query, key and value have shape (batch, heads, length, width), the result (batch, length, heads, width).
    """
    scores = query @ key.transpose(2, 3) * (query.size(-1) ** -0.5 if scaling is None else scaling)
    if attention_mask is not None:
        scores = scores + attention_mask
    weights = scores.softmax(-1)
    level = round(dropout * LEVELS)
    if module.training and level:
        weights = _dropped(weights, level)
    return (weights @ value).transpose(1, 2).contiguous(), weights


AttentionInterface.register(ATTENTION, lane_dropout_attention)
AttentionMaskInterface.register(ATTENTION, eager_mask)


@contextmanager
def lane_dropout(network: PreTrainedModel) -> Iterator[None]:
    """Inside, a network on the CPU draws its masks so: `LaneDropout` stands in the place of each `nn.Dropout`, and in attention."""
    before = network.config._attn_implementation
    # Architectures without a choice of attention hold a dropout module there.
    network.set_attn_implementation(ATTENTION if network._supports_attention_backend else "eager")
    places = [
        (module, name, child)
        for module in network.modules()
        for name, child in module.named_children()
        if type(child) is nn.Dropout
    ]
    for module, name, child in places:
        setattr(module, name, LaneDropout(child.p).train(child.training))
    try:
        yield
    finally:
        for module, name, child in places:
            setattr(module, name, child)
        network.set_attn_implementation(before)


def _dropped(values: Tensor, level: int) -> Tensor:
    numbers = torch.empty(-(-values.numel() // 8), dtype=torch.int64).random_(-(1 << 63), None)
    lanes = numbers.view(torch.int8)[: values.numel()].view(values.shape)
    kept = (lanes >= level - LEVELS // 2).to(values.dtype)
    return values * kept.mul_(LEVELS / (LEVELS - level))
