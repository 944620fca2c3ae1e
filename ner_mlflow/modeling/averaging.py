"""The exponential moving average of weights (Polyak and Juditsky, "Acceleration of stochastic approximation by averaging", 1992)."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn


class WeightAverage:
    """Follows the trainable weights of a network; in the first steps faster, so that it does not remember the beginning."""

    def __init__(self, network: nn.Module, decay: float) -> None:
        self._weights = dict(trainable_weights(network))
        self._averages = {name: weight.detach().clone() for name, weight in self._weights.items()}
        self._decay = decay
        self._updates = 0

    @torch.no_grad()
    def update(self) -> None:
        """Take the weights as they are after a step into the average."""
        self._updates += 1
        decay = min(self._decay, self._updates / (10 + self._updates))
        torch._foreach_lerp_(
            list(self._averages.values()),
            [weight.detach() for weight in self._weights.values()],
            1 - decay,
        )

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The network has the averages for weights inside, its own again after."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    @torch.no_grad()
    def _swap(self) -> None:
        for name, weight in self._weights.items():
            weight.data, self._averages[name] = self._averages[name], weight.data

    def save(self, path: Path) -> None:
        """Write the averages as safetensors."""
        save_file(self._averages, path)

    def load(self, path: Path, updates: int) -> None:
        """Go on from saved averages, after as many updates."""
        for name, value in load_file(path).items():
            self._averages[name].copy_(value)
        self._updates = updates


def trainable_weights(network: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Names and weights that training changes."""
    return ((name, weight) for name, weight in network.named_parameters() if weight.requires_grad)
