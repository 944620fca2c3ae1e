"""What one process's trainings have in common: base weights read once, sentences encoded once."""

from collections.abc import Hashable, Sequence
from pathlib import Path

from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor

from ..tagging.encoding import Window, WordEncoder
from ..tagging.tagger import TaggerSpec
from .backbone import Backbone

KEPT = 4
"""Lists of sentences whose windows an encoder keeps: training, validation, and what another setting asks for."""
KEPT_ENCODERS = 4


class RememberingEncoder(WordEncoder):
    """An encoder that gives the windows of sentences it has seen without looking again."""

    def __init__(
        self, tokenizer: Tokenizer, max_length: int, casing_embeddings: bool, context_subwords: int
    ) -> None:
        super().__init__(tokenizer, max_length, casing_embeddings, context_subwords)
        self._seen: dict[Hashable, list[Window]] = {}

    def windows(
        self, sentences: Sequence[Sequence[str]], documents: Sequence[Hashable] | None = None
    ) -> list[Window]:
        """As of :class:`~ner_mlflow.tagging.encoding.WordEncoder`."""
        key = (tuple(map(tuple, sentences)), documents and tuple(documents))
        if key not in self._seen:
            while len(self._seen) >= KEPT:
                del self._seen[next(iter(self._seen))]
            self._seen[key] = super().windows(sentences, documents)
        return self._seen[key]


class TrainingCache:
    """What trainings of one process share; empty at first, filled by the first training that asks."""

    def __init__(self) -> None:
        self._weights: dict[str, dict[str, Tensor]] = {}
        self._encoders: dict[Hashable, RememberingEncoder] = {}

    def base_weights(self, backbone: Backbone) -> dict[str, Tensor]:
        """A backbone's weights, the caller's to change."""
        if backbone.weights_sha256 not in self._weights:
            self._weights = {
                backbone.weights_sha256: _read(backbone.folder)
            }  # one at a time: they are big
        return {
            name: weight.clone() for name, weight in self._weights[backbone.weights_sha256].items()
        }

    def encoder(self, spec: TaggerSpec, tokenizer: Tokenizer) -> RememberingEncoder:
        """The encoder of a model, shared with all that encode alike."""
        key = (
            spec.base_sha256,
            tokenizer.to_str(),
            spec.max_length,
            spec.casing_embeddings,
            spec.context_subwords,
        )
        if key not in self._encoders:
            while len(self._encoders) >= KEPT_ENCODERS:
                del self._encoders[next(iter(self._encoders))]
            self._encoders[key] = RememberingEncoder(
                tokenizer, spec.max_length, spec.casing_embeddings, spec.context_subwords
            )
        return self._encoders[key]


def _read(folder: Path) -> dict[str, Tensor]:
    return {
        name: weight
        for file in sorted(folder.glob("*.safetensors"))
        for name, weight in load_file(file).items()
    }
