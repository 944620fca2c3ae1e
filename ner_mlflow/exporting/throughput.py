"""Measure how many sentences exported models tag in a second, in turns."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ..tagging.recognizer import load_tagger


def sentences_per_s(
    folders: Mapping[str, Path], sentences: Sequence[Sequence[str]], rounds: int
) -> dict[str, float]:
    """Return the median sentences per second of each exported model, with its own engine.

    The models take turns, each as it is served: all cores, and the batches of its engine. Only the
    model whose turn it is is loaded, because idle threads of an engine may spin.

    Args:
        folders: the folder of each model, by name.
        sentences: the words of the sentences, which are tagged in one go.
        rounds: turns of each model.
    """
    rates: dict[str, list[float]] = {name: [] for name in folders}
    for round_ in range(rounds):
        # Alternate the order, so that no model always follows the same one.
        for name in list(folders)[:: 1 if round_ % 2 else -1]:
            tagger = load_tagger(folders[name])
            tagger.tag(sentences)  # creates the threads
            started = time.perf_counter()
            tagger.tag(sentences)
            rates[name].append(len(sentences) / (time.perf_counter() - started))
            del tagger
    return {name: float(np.median(values)) for name, values in rates.items()}
