"""How much of a device's arithmetic training uses."""

import time

import torch
from torch import nn

SIDE = {"cpu": 1536, "cuda": 8192}
"""Rows of the square matrices that are multiplied to find a device's peak."""
ROUNDS = 5


def training_flops_per_subword(network: nn.Module) -> float:
    """Floating-point operations of a forward and a backward pass through the linear layers, for each subword.

    Two for each weight forward, two backward for what came in, two for the weight itself where it is trained (Chowdhery et al.,
    "PaLM", 2022, appendix B). Attention scores are left out: on sentences of tens of words they are a hundredth.
    """
    linear = [module.weight for module in network.modules() if isinstance(module, nn.Linear)]
    return float(sum(weight.numel() * (6 if weight.requires_grad else 4) for weight in linear))


def peak_flops_per_s(device: torch.device, dtype: torch.dtype) -> float:
    """Operations per second of a large matrix product on this device, the best of some."""
    side = SIDE[device.type]
    left, right = (torch.ones(side, side, device=device, dtype=dtype) for _ in range(2))
    seconds = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        product = left @ right
        product[0, 0].item()  # waits for the device
        seconds.append(time.perf_counter() - started)
    return 2 * side**3 / min(seconds)
