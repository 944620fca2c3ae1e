"""Share what trainings in one process have in common.

Trials of a sweep train many models from one backbone on one dataset. Each of them would otherwise
read the weights, encode the sentences and query the teachers again.
"""

from collections.abc import Callable, Hashable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor

from ..tagging.encoding import Window, WordEncoder
from ..tagging.tagger import TaggerSpec
from .backbone import Backbone

T = TypeVar("T")

CACHED_SPLITS = 4
"""Lists of sentences whose windows an encoder keeps: train, validation, and two more."""
CACHED_ENCODERS = 4


class CachingEncoder(WordEncoder):
    """An encoder that returns the windows of a list of sentences it has encoded before."""

    def __init__(
        self, tokenizer: Tokenizer, max_length: int, casing_embeddings: bool, context_subwords: int
    ) -> None:
        super().__init__(tokenizer, max_length, casing_embeddings, context_subwords)
        self._windows: dict[Hashable, list[Window]] = {}

    def windows(
        self, sentences: Sequence[Sequence[str]], documents: Sequence[Hashable] | None = None
    ) -> list[Window]:
        """Return the windows as :class:`~ner_mlflow.tagging.encoding.WordEncoder` does."""
        key = (tuple(map(tuple, sentences)), documents and tuple(documents))
        if key not in self._windows:
            _drop_oldest(self._windows, CACHED_SPLITS)
            self._windows[key] = super().windows(sentences, documents)
        return self._windows[key]


class TrainingCache:
    """The backbone's weights, the encoded sentences and the distillation targets of past trainings.

    It belongs to one dataset and one process. It is empty at first, and each training adds what it
    is the first to need.
    """

    def __init__(self) -> None:
        self._weights: dict[str, dict[str, Tensor]] = {}
        self._encoders: dict[Hashable, CachingEncoder] = {}
        self._targets: dict[str, Any] = {}

    def base_weights(self, backbone: Backbone) -> dict[str, Tensor]:
        """Return a copy of the backbone's weights by name, which the caller may change."""
        key = backbone.weights_sha256
        if key not in self._weights:
            self._weights = {key: _read(backbone.folder)}  # of one backbone: weights are large
        return {name: weight.clone() for name, weight in self._weights[key].items()}

    def encoder(self, spec: TaggerSpec, tokenizer: Tokenizer) -> CachingEncoder:
        """Return the encoder of a model, the same for all models with equal inputs."""
        key = (
            spec.base_sha256,
            tokenizer.to_str(),
            spec.max_length,
            spec.casing_embeddings,
            spec.context_subwords,
        )
        if key not in self._encoders:
            _drop_oldest(self._encoders, CACHED_ENCODERS)
            self._encoders[key] = CachingEncoder(
                tokenizer, spec.max_length, spec.casing_embeddings, spec.context_subwords
            )
        return self._encoders[key]

    def targets(self, key: str, compute: Callable[[], T]) -> T:
        """Return the distillation targets under a key, computed by the first call with that key."""
        if key not in self._targets:
            self._targets = {key: compute()}  # of one key: targets are large
        targets: T = self._targets[key]
        return targets


def _drop_oldest(entries: dict[Hashable, Any], limit: int) -> None:
    """Make room for one more entry."""
    while len(entries) >= limit:
        del entries[next(iter(entries))]


def _read(folder: Path) -> dict[str, Tensor]:
    return {
        name: weight
        for file in sorted(folder.glob("*.safetensors"))
        for name, weight in load_file(file).items()
    }
