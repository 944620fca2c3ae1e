"""Time forward calls on the CPU, several models in turns."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from ..tagging.encoding import Inputs, Window, collate
from ..tagging.engines import MODEL_FILE, engine_of
from ..tagging.tagger import Forward


def interleaved_latency_ms(
    contenders: Mapping[str, tuple[Callable[[], Forward], Sequence[Inputs]]],
    runs: int,
    warmup_runs: int,
) -> dict[str, list[float]]:
    """Time forward calls of several contenders.

    The contenders take turns in blocks, so that a busy machine slows all of them alike. Only the
    contender whose turn it is is loaded, because idle thread pools of ONNX Runtime still spin.

    Args:
        contenders: for each name, a function that loads the forward function, and its inputs, one
            for each call; after the last input the first one follows.
        runs: timed calls of each contender.
        warmup_runs: calls before the timed ones of each block.

    Returns:
        Milliseconds of each timed call, by contender.
    """
    blocks = min(8, runs)
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for block in range(blocks):
        # Alternate the order, so that no contender always follows the same one.
        for name in list(contenders)[:: 1 if block % 2 else -1]:
            load, inputs = contenders[name]
            forward = load()
            for run in range(-warmup_runs, runs // blocks + (block < runs % blocks)):
                batch = inputs[(len(times[name]) if run >= 0 else run) % len(inputs)]
                started = time.perf_counter()
                forward(batch)
                if run >= 0:
                    times[name].append((time.perf_counter() - started) * 1000)
            del forward  # ends its threads
    return times


def latency_inputs(windows: Sequence[Window], latency_length: int) -> dict[str, list[Inputs]]:
    """Return inputs to measure latency with, one window in each batch.

    Returns:
        ``length_N``: one input of ``latency_length`` subwords, filled with the windows' words;
        ``real``: the windows themselves.
    """
    real = sentence_inputs(windows)
    fixed = {}
    for name in real[0]:
        body = np.concatenate([inputs[name][0, 1:-1] for inputs in real])
        fixed[name] = np.concatenate(
            [real[0][name][0, :1], np.resize(body, latency_length - 2), real[0][name][0, -1:]]
        )[None, :]
    return {f"length_{latency_length}": [fixed], "real": real}


def sentence_inputs(windows: Sequence[Window]) -> list[Inputs]:
    """Return the inputs of each window on its own, without padding."""
    return [collate([window], 0) for window in windows]


def summarize_ms(times: Sequence[float]) -> dict[str, float]:
    """Return mean, median and 95th percentile of times in milliseconds."""
    return {
        "mean_ms": float(np.mean(times)),
        "p50_ms": float(np.percentile(times, 50)),
        "p95_ms": float(np.percentile(times, 95)),
    }


def model_loader(folder: Path) -> Callable[[], Forward]:
    """Return a function that opens an exported model with its engine, for one call at a time."""
    return lambda: engine_of(folder).open(folder / MODEL_FILE, at_once=1)
