"""Keep an exponential moving average (EMA) of a network's trainable weights.

Polyak and Juditsky, "Acceleration of stochastic approximation by averaging", 1992.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

WARM_UP_STEPS = 10
"""The decay of update ``n`` is at most ``n / (WARM_UP_STEPS + n)``."""


class WeightAverage:
    """The moving average of a network's trainable weights.

    The decay grows with the first updates, so that the average soon forgets the initial weights.
    Frozen weights are neither copied nor averaged.
    """

    # torch's AveragedModel computes the same, but copies frozen weights too, and its counter is a
    # tensor: each update copies it to the device of the weights, so that a GPU's host waits.

    def __init__(self, network: nn.Module, decay: float) -> None:
        """Start with the weights that the network has now."""
        self._weights = dict(trainable_weights(network))
        self._averages = {name: weight.detach().clone() for name, weight in self._weights.items()}
        self._decay = decay
        self._updates = 0

    def update(self) -> None:
        """Update the average with the weights after a step."""
        self._updates += 1
        decay = min(self._decay, self._updates / (WARM_UP_STEPS + self._updates))
        update_averages = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
        weights = [weight.detach() for weight in self._weights.values()]
        update_averages(list(self._averages.values()), weights, self._updates)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Give the network the averaged weights within the context, and its own again after it."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def _swap(self) -> None:
        for name, weight in self._weights.items():
            weight.data, self._averages[name] = self._averages[name], weight.data

    def save(self, path: Path) -> None:
        """Write the averaged weights as safetensors."""
        save_file(self._averages, path)

    @torch.no_grad()
    def load(self, path: Path, updates: int) -> None:
        """Read the averaged weights that :meth:`save` wrote after this number of updates."""
        for name, average in load_file(path).items():
            self._averages[name].copy_(average)
        self._updates = updates


def trainable_weights(network: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Yield the names and weights that training changes."""
    return ((name, weight) for name, weight in network.named_parameters() if weight.requires_grad)
