"""How long one sentence takes on the CPU."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from ..tagging.encoding import Inputs, Window, collate
from ..tagging.recognizer import onnx_forward, onnx_session
from ..tagging.tagger import Forward


def interleaved_latency_ms(
    contenders: Mapping[str, tuple[Callable[[], Forward], Sequence[Inputs]]],
    runs: int,
    warmup_runs: int,
) -> dict[str, list[float]]:
    """Milliseconds of each forward call; each contender has its own inputs, one a call, in their order and again from the first.

    The contenders take turns in blocks, so that a busy machine disturbs all alike; only the one whose turn it is is loaded,
    since idle thread pools of ONNX Runtime still spin.
    """
    blocks = min(8, runs)
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for block in range(blocks):
        for name in list(contenders)[
            :: 1 if block % 2 else -1
        ]:  # nobody always follows the same one
            load, inputs = contenders[name]
            forward = load()
            for run in range(-warmup_runs, runs // blocks + (block < runs % blocks)):
                chosen = inputs[(len(times[name]) if run >= 0 else run) % len(inputs)]
                started = time.perf_counter()
                forward(chosen)
                if run >= 0:
                    times[name].append((time.perf_counter() - started) * 1000)
            del forward  # its threads spin until it goes
    return times


def latency_inputs(windows: Sequence[Window], latency_length: int) -> dict[str, list[Inputs]]:
    """What latency is measured on, a window a batch: words repeated to ``latency_length`` subwords, and windows as they are."""
    real = sentence_inputs(windows)
    whole = {}
    for name in real[0]:
        body = np.concatenate([inputs[name][0, 1:-1] for inputs in real])
        whole[name] = np.concatenate(
            [real[0][name][0, :1], np.resize(body, latency_length - 2), real[0][name][0, -1:]]
        )[None, :]
    return {f"length_{latency_length}": [whole], "real": real}


def sentence_inputs(windows: Sequence[Window]) -> list[Inputs]:
    """Inputs of one window each, without padding."""
    return [collate([window], 0) for window in windows]


def summarize_ms(times: Sequence[float]) -> dict[str, float]:
    """Mean, median and 95th percentile."""
    return {
        "mean_ms": float(np.mean(times)),
        "p50_ms": float(np.percentile(times, 50)),
        "p95_ms": float(np.percentile(times, 95)),
    }


def onnx_loader(model_file: Path) -> Callable[[], Forward]:
    """Loads a model file when called."""
    return lambda: onnx_forward(onnx_session(model_file))
