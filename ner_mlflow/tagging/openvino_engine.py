"""Compute an exported model with OpenVINO, an optional package for processors of Intel and AMD.

Where the processor multiplies in bf16, OpenVINO does so with an fp32 file. It computes the sums of
the products in fp32.
"""

from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np
import openvino
from numpy.typing import NDArray

from ..cpus import usable_cpus
from ..errors import ModelError
from .encoding import Inputs
from .onnx_engine import CPU
from .tagger import Forward

DEVICE = "CPU"
PRECISION_HINTS = {"bf16": "bf16", "fp32": "f32"}
"""OpenVINO's names of types."""


def open_forward(path: Path, threads: int, at_once: int, provider: str) -> Forward:
    """Open a model file, see :class:`~.engines.OpenForward`.

    Raises:
        ModelError: ``provider`` is another than the CPU.
    """
    if provider != CPU:
        raise ModelError(
            f"provider {provider!r} is one of ONNX Runtime's: give engine='onnxruntime' with it"
        )
    count = at_once or 1
    model = openvino.Core().compile_model(
        path,
        DEVICE,
        {
            "INFERENCE_PRECISION_HINT": PRECISION_HINTS[precision()],
            "NUM_STREAMS": count,
            "INFERENCE_NUM_THREADS": count * (threads or usable_cpus()),
        },
    )
    free: SimpleQueue[Any] = SimpleQueue()
    for _ in range(count):
        free.put(model.create_infer_request())

    def forward(inputs: Inputs) -> NDArray[np.float32]:
        request = free.get()
        try:
            request.infer(inputs, share_inputs=True, share_outputs=True)
            logits: NDArray[np.float32] = request.get_output_tensor().data.copy()
        finally:
            free.put(request)
        return logits

    return forward


def precision() -> str:
    """Return the type in which an fp32 file is computed, bf16 if the processor has it."""
    capabilities = openvino.Core().get_property(DEVICE, "OPTIMIZATION_CAPABILITIES")
    return "bf16" if "BF16" in capabilities else "fp32"
