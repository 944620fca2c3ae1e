"""Time a network relative to a reference network, on a machine that also does other work."""

import time
from collections.abc import Sequence

import numpy as np

from ..atomic import scratch_folder
from ..config.schema import ExportConfig
from ..modeling.checkpoint import Checkpoint
from ..tagging.encoding import Inputs
from ..tagging.engines import MODEL_FILE
from ..tagging.onnx_engine import onnx_forward, onnx_session
from ..tagging.tagger import Forward
from .latency import sentence_inputs
from .onnx_files import write_fp32

Contender = tuple[Forward, Sequence[Inputs]]


class RelativeLatency:
    """A stopwatch for networks next to a reference network.

    Both are exported to fp32 and tag the same sentences in turn, on one core. The CPU time of the
    thread counts, because while trainings keep the machine busy, elapsed time depends more on them
    than on the network.
    """

    def __init__(
        self, reference: Checkpoint, sentences: Sequence[Sequence[str]], config: ExportConfig
    ) -> None:
        self._sentences = sentences[: config.latency_runs]
        self._config = config
        self._reference = self._contender(reference)

    def __call__(self, checkpoint: Checkpoint) -> dict[str, float]:
        """Return the median milliseconds of a sentence, and the ratio to those of the reference."""
        contenders = [self._reference, self._contender(checkpoint)]
        times: list[list[float]] = [[], []]
        for run in range(-self._config.latency_warmup_runs, self._config.latency_runs):
            # Alternate the order, so that both find the core's caches in the same states.
            for index in (0, 1) if run % 2 else (1, 0):
                core_ms = _core_ms(contenders[index], run)
                if run >= 0:
                    times[index].append(core_ms)
        reference_ms, network_ms = (float(np.median(values)) for values in times)
        return {
            "latency/one_core/p50_ms": network_ms,
            "latency/one_core/p50_ratio": network_ms / reference_ms,
        }

    def _contender(self, checkpoint: Checkpoint) -> Contender:
        with scratch_folder() as folder:
            write_fp32(checkpoint, folder / "fp32")
            forward = onnx_forward(onnx_session(folder / "fp32" / MODEL_FILE, threads=1))
        windows = checkpoint.spec.encoder(checkpoint.tokenizer).windows(self._sentences)
        return forward, sentence_inputs(windows)


def _core_ms(contender: Contender, run: int) -> float:
    forward, inputs = contender
    started = time.thread_time()  # with one thread, ONNX Runtime computes in the calling thread
    forward(inputs[run % len(inputs)])
    return (time.thread_time() - started) * 1000
