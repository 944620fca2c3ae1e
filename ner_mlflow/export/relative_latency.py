"""How long one sentence takes beside a reference network, on a machine that has other work too."""

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..config.schema import ExportConfig
from ..modeling.checkpoint import Checkpoint
from ..tagging.encoding import Inputs
from ..tagging.recognizer import MODEL_FILE, onnx_forward, onnx_session
from ..tagging.tagger import Forward
from .latency import sentence_inputs
from .onnx_files import write_fp32

Contender = tuple[Forward, Sequence[Inputs]]


class RelativeLatency:
    """Times networks beside a reference, both exported to fp32: on one core, sentence by sentence in turn, by the time that the core gave.

    While trainings keep the machine busy, time by the clock says more of them than of a network.
    """

    def __init__(
        self, reference: Checkpoint, sentences: Sequence[Sequence[str]], config: ExportConfig
    ) -> None:
        self._sentences = sentences[: config.latency_runs]
        self._config = config
        self._reference = self._contender(reference)

    def __call__(self, checkpoint: Checkpoint) -> dict[str, float]:
        """Median milliseconds of a sentence on one core, and their ratio to the reference's."""
        contenders = [self._reference, self._contender(checkpoint)]
        times: list[list[float]] = [[], []]
        for run in range(-self._config.latency_warmup_runs, self._config.latency_runs):
            for which in (
                (0, 1) if run % 2 else (1, 0)
            ):  # neither always finds what the other left in the core's caches
                core_ms = _core_ms(contenders[which], run)
                if run >= 0:
                    times[which].append(core_ms)
        reference_ms, this_ms = (float(np.median(values)) for values in times)
        return {
            "latency/one_core/p50_ms": this_ms,
            "latency/one_core/p50_ratio": this_ms / reference_ms,
        }

    def _contender(self, checkpoint: Checkpoint) -> Contender:
        with tempfile.TemporaryDirectory(prefix="ner-mlflow-") as folder:
            write_fp32(checkpoint, Path(folder) / "fp32")
            forward = onnx_forward(onnx_session(Path(folder) / "fp32" / MODEL_FILE, threads=1))
        windows = checkpoint.spec.encoder(checkpoint.tokenizer).windows(self._sentences)
        return forward, sentence_inputs(windows)


def _core_ms(contender: Contender, run: int) -> float:
    forward, inputs = contender
    started = time.thread_time()  # with one thread, ONNX Runtime computes in the one that calls it
    forward(inputs[run % len(inputs)])
    return (time.thread_time() - started) * 1000
