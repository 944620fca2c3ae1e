"""How long one sentence takes on the CPU."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..config import ExportConfig
from ..encoding import WordEncoder
from ..serving.recognizer import onnx_forward, onnx_session
from ..tagger import Forward

Inputs = Sequence[NDArray[np.int64]]


def interleaved_latency_ms(forwards: Mapping[str, Callable[[], Forward]], inputs: Inputs, runs: int, warmup_runs: int) -> dict[str, list[float]]:
    """Milliseconds of each forward call, one sentence a call.

    The contenders take turns in blocks, so that a busy machine disturbs all alike; only the one whose turn it is is loaded,
    since idle thread pools of ONNX Runtime still spin.
    """
    blocks = min(8, runs)
    times: dict[str, list[float]] = {name: [] for name in forwards}
    for block in range(blocks):
        for name, load in forwards.items():
            forward = load()
            for run in range(-warmup_runs, runs // blocks + (block < runs % blocks)):
                ids = inputs[(run + block * runs) % len(inputs)][None, :]
                mask = np.ones_like(ids)
                started = time.perf_counter()
                forward(ids, mask)
                if run >= 0:
                    times[name].append((time.perf_counter() - started) * 1000)
    return times


def latency_inputs(encoder: WordEncoder, sentences: Sequence[Sequence[str]], config: ExportConfig) -> dict[str, Inputs]:
    """What latency is measured on: words repeated to ``latency_length`` sub-tokens, and sentences as they are."""
    windows = encoder.windows(sentences[: config.latency_runs])
    body = np.concatenate([window.input_ids[1:-1] for window in windows])
    full = np.resize(body, config.latency_length - 2)
    whole = np.concatenate([windows[0].input_ids[:1], full, windows[0].input_ids[-1:]])
    return {f"length_{config.latency_length}": [whole], "real": [window.input_ids for window in windows]}


def summarize_ms(times: Sequence[float]) -> dict[str, float]:
    """Mean, median and 95th percentile."""
    return {"mean_ms": float(np.mean(times)), "p50_ms": float(np.percentile(times, 50)), "p95_ms": float(np.percentile(times, 95))}


def onnx_loader(model_file: Path) -> Callable[[], Forward]:
    """Loads a model file when called."""
    return lambda: onnx_forward(onnx_session(model_file))
