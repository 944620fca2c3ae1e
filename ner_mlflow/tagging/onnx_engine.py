"""Compute an exported model with ONNX Runtime, the engine that every model can do with."""

import os
from pathlib import Path
from threading import BoundedSemaphore

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from ..cpus import usable_cpus
from ..errors import ModelError
from .encoding import Inputs
from .tagger import Forward

CPU = "CPUExecutionProvider"
SLOW_FUSIONS = ["SkipLayerNormFusion"]
"""Fusions of ONNX Runtime 1.31 that slow a model down.

The fused kernel takes nine times as long as the layer norm alone: a quarter of the time of an int8
model.
"""


def open_forward(path: Path, threads: int, at_once: int, provider: str) -> Forward:
    """Open a model file, see :class:`~.engines.OpenForward`."""
    return onnx_forward(onnx_session(path, threads, provider), at_once)


def precision() -> str:
    """Return the type in which an fp32 file is computed."""
    return "fp32"


def onnx_session(path: Path, threads: int = 0, provider: str = CPU) -> onnxruntime.InferenceSession:
    """Open a model file with ONNX Runtime.

    Args:
        path: the model file.
        threads: threads of one call; 0 takes all usable cores.
        provider: ONNX Runtime's provider; the CPU computes the nodes that it does not support.

    Raises:
        ModelError: this ONNX Runtime has no such provider.
    """
    available = onnxruntime.get_available_providers()
    if provider not in available:
        raise ModelError(
            f"provider {provider!r} is none of this ONNX Runtime's ({', '.join(available)}): "
            "give one of these, or install the build that has it"
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or _default_threads()
    return onnxruntime.InferenceSession(
        path,
        options,
        providers=list(dict.fromkeys([provider, CPU])),
        disabled_optimizers=SLOW_FUSIONS,
    )


def onnx_forward(session: onnxruntime.InferenceSession, at_once: int = 0) -> Forward:
    """Return the forward function of a session.

    Args:
        session: the model's session.
        at_once: threads that may run the session at the same time, as each needs memory that the
            session keeps; 0: one for each core.
    """
    running = BoundedSemaphore(at_once or usable_cpus())

    def forward(inputs: Inputs) -> NDArray[np.float32]:
        with running:
            logits: NDArray[np.float32] = session.run(["logits"], inputs)[0]
        return logits

    return forward


def _default_threads() -> int:
    """Return 0, ONNX Runtime's own choice, unless this process may not use all CPUs."""
    usable = usable_cpus()
    return usable if usable < (os.cpu_count() or usable) else 0
