"""Dropout whose masks cost little on a CPU.

PyTorch draws a CPU mask one element after another, a random number each; for a small encoder that is a quarter of a training step.
Here one 64-bit number decides for eight elements.
"""

import torch
from torch import Tensor, nn

LEVELS = 1 << 8
"""A probability is rounded to a multiple of 1 / LEVELS."""


class LaneDropout(nn.Dropout):
    """`nn.Dropout` from 8 random bits an element, drawn from PyTorch's own generator."""

    def __init__(self, p: float) -> None:
        super().__init__(p)
        self._dropped = round(p * LEVELS)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  # PyTorch's name
        """Zero each element with probability ``p`` and scale the others by ``1 / (1 - p)``; the identity outside training."""
        if not self.training or not self._dropped:
            return input
        numbers = torch.empty(-(-input.numel() // 8), dtype=torch.int64).random_(-(1 << 63), None)
        lanes = numbers.view(torch.int8)[: input.numel()].view(input.shape)
        kept = (lanes >= self._dropped - LEVELS // 2).to(input.dtype)
        return input * kept.mul_(LEVELS / (LEVELS - self._dropped))


def use_lane_dropout(network: nn.Module) -> None:
    """Put `LaneDropout` in the place of each `nn.Dropout` of a network that is on the CPU."""
    for module in network.modules():
        for name, child in module.named_children():
            if type(child) is nn.Dropout:
                setattr(module, name, LaneDropout(child.p).train(child.training))
