"""Answer through MLflow with a trained model that is not exported yet."""

from pathlib import Path
from typing import Any

from ..tagging.pyfunc import ServedModel
from ..tagging.tagger import Tagger
from .loading import open_tagger

BATCH_SUBWORDS = 256
"""Padded subwords of a batch, unless they are set."""


class TrainedModel(ServedModel):
    """A PyTorch model that takes and returns what the served model does, on the CPU.

    A pipeline of transformers would not: it cuts words in another way, and by default it answers
    with parts of words.
    """

    def open_tagger(self, folder: Path, config: dict[str, Any]) -> Tagger:
        """Load the model; ``config`` can set ``batch_subwords``."""
        return open_tagger(folder, int(config["batch_subwords"]) or BATCH_SUBWORDS)
