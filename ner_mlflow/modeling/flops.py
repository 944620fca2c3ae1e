"""Measure how much of a device's arithmetic a training uses."""

import logging
import time

import torch
from torch import nn

log = logging.getLogger(__name__)

MATRIX_ROWS = {"cpu": 1536, "cuda": 8192}
"""Rows of the square matrices whose product measures a device's peak."""
ROUNDS = 5


def training_flops_per_subword(network: nn.Module) -> float:
    """Return the floating-point operations of a training step for each subword.

    Only linear layers count. A weight costs two operations forward, two for the gradient of its
    input, and two for its own gradient if it is trained (Chowdhery et al., "PaLM", 2022,
    appendix B). Attention scores are left out: on sentences of tens of words they are 1 %.
    """
    linear = [module.weight for module in network.modules() if isinstance(module, nn.Linear)]
    return float(sum(weight.numel() * (6 if weight.requires_grad else 4) for weight in linear))


def peak_flops_per_s(device: torch.device, dtype: torch.dtype) -> float:
    """Return the operations per second of a large matrix product, the best of some rounds."""
    rows = MATRIX_ROWS[device.type]
    left, right = (torch.ones(rows, rows, device=device, dtype=dtype) for _ in range(2))
    seconds = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        product = left @ right
        product[0, 0].item()  # waits for the device
        seconds.append(time.perf_counter() - started)
    return 2 * rows**3 / min(seconds)


def utilisation(
    network: nn.Module, device: torch.device, dtype: torch.dtype, subwords_per_s: float
) -> dict[str, float]:
    """Return the operations per second of a training, and their share of the device's peak.

    Args:
        network: the trained model.
        device: the device that it was trained on.
        dtype: the dtype of its matrix products.
        subwords_per_s: the speed on one device.
    """
    flops_per_s = subwords_per_s * training_flops_per_subword(network)
    if not flops_per_s:  # no step was left to train
        return {}
    share = flops_per_s / peak_flops_per_s(device, dtype)
    log.info(
        "%.0f subwords/s per device, %.2f TFLOP/s: %.0f %% of its peak",
        subwords_per_s,
        flops_per_s / 1e12,
        100 * share,
    )
    return {"train/model_flops_per_s": flops_per_s, "train/model_flops_utilisation": share}
