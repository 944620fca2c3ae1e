"""Keep an exponential moving average (EMA) of a network's trainable weights.

Polyak and Juditsky, "Acceleration of stochastic approximation by averaging", 1992.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

Tensors = tuple[Tensor, ...] | list[Tensor]

WARM_UP_STEPS = 10
"""The decay of update ``n`` is at most ``n / (WARM_UP_STEPS + n)``."""


class WeightAverage:
    """The moving average of a network's trainable weights.

    The decay grows with the first updates, so that the average soon forgets the initial weights.
    Frozen weights are neither copied nor averaged.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        """Start with the weights that the network has now."""
        weights = dict(trainable_weights(network))
        self._names = list(weights)
        # AveragedModel copies all of a module. This list holds the trainable weights only.
        self._weights = nn.ParameterList(weights.values())
        self._average = AveragedModel(self._weights, multi_avg_fn=_warmed_up_ema(decay))
        self._average.update_parameters(self._weights)  # the first call copies the weights

    def update(self) -> None:
        """Update the average with the weights after a step."""
        self._average.update_parameters(self._weights)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Give the network the averaged weights within the context, and its own again after it."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def _swap(self) -> None:
        for weight, average in zip(self._weights, self._average.parameters(), strict=True):
            weight.data, average.data = average.data, weight.data

    def save(self, path: Path) -> None:
        """Write the averaged weights as safetensors."""
        averages = (average.detach() for average in self._average.parameters())
        save_file(dict(zip(self._names, averages, strict=True)), path)

    def load(self, path: Path, updates: int) -> None:
        """Read the averaged weights that :meth:`save` wrote after this number of updates."""
        averages = load_file(path)
        for name, average in zip(self._names, self._average.parameters(), strict=True):
            average.detach().copy_(averages[name])
        self._average.n_averaged.fill_(updates + 1)


def _warmed_up_ema(decay: float) -> Callable[[Tensors, Tensors, Tensor | int], None]:
    def update(averages: Tensors, weights: Tensors, updates: Tensor | int) -> None:
        number = int(updates)
        step_decay = min(decay, number / (WARM_UP_STEPS + number))
        ema = get_ema_multi_avg_fn(step_decay)  # type: ignore[no-untyped-call]
        ema(averages, weights, updates)

    return update


def trainable_weights(network: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Yield the names and weights that training changes."""
    return ((name, weight) for name, weight in network.named_parameters() if weight.requires_grad)
