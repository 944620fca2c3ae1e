"""Open an exported model with the library that was chosen for it.

An engine is a library, and a module of this folder that opens a model file with it. Models can do
with ONNX Runtime; other engines are optional packages. The folder of a model names its engine in
``engine.json``; without this file it is ONNX Runtime. A registered model carries the module of its
own engine, so it cannot be opened with other optional ones.
"""

import json
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import ModelError
from .encoding import Inputs
from .onnx_engine import CPU
from .tagger import Forward, Scores

MODEL_FILE = "model.onnx"
ENGINE_FILE = "engine.json"


class OpenForward(Protocol):
    """What the module of an engine has under the name ``open_forward``."""

    def __call__(self, path: Path, threads: int, at_once: int, provider: str) -> Forward:
        """Open a model file.

        Args:
            path: the model file.
            threads: threads of one call; 0 takes all usable cores.
            at_once: calls that threads may make at the same time; others wait. 0 leaves it to the
                engine.
            provider: ONNX Runtime's provider; other engines compute on the CPU only.

        Raises:
            ModelError: the engine has no such provider.
        """


@dataclass(frozen=True)
class Engine:
    """A library that computes exported models.

    Attributes:
        name: its name in settings and in ``engine.json``, and that of its distribution.
        module: the module of this folder that opens model files with it.
        batch_subwords: padded subwords of a batch with which it is fastest.
        variants: the variants that `export` tries with it beside ONNX Runtime.
    """

    name: str
    module: str
    batch_subwords: int
    variants: tuple[str, ...] = ()

    @property
    def source(self) -> str:
        """Return the path of its module, relative to the package."""
        return f"tagging/{self.module}.py"

    @property
    def precision(self) -> str:
        """Return the type in which it computes an fp32 file on this processor."""
        self.check()
        return str(import_module(f".{self.module}", __package__).precision())

    def check(self) -> None:
        """Check that the engine can be used.

        Raises:
            ModelError: its package is not installed, or its module does not come with the model.
        """
        if find_spec(self.name) is None:
            raise ModelError(
                f"engine {self.name!r} is not installed: pip install {self.name}, or use the "
                f"engine {DEFAULT!r}"
            )
        if find_spec(f"{__package__}.{self.module}") is None:
            raise ModelError(
                f"engine {self.name!r} does not come with this model: export it with "
                f"export.engines={DEFAULT},{self.name}, or use the engine {DEFAULT!r}"
            )

    def open(self, path: Path, threads: int = 0, at_once: int = 0, provider: str = CPU) -> Forward:
        """Open a model file, see :class:`OpenForward`.

        Raises:
            ModelError: the engine is not installed, does not come with the model, or has no such
                provider.
        """
        self.check()
        open_forward: OpenForward = import_module(f".{self.module}", __package__).open_forward
        return open_forward(path, threads, at_once, provider)


DEFAULT = "onnxruntime"
ENGINES = {
    engine.name: engine
    for engine in (
        # Larger batches do not fit the processor's caches (docs/experiments/served-speed.md).
        Engine(DEFAULT, "onnx_engine", batch_subwords=256),
        # It runs files with 8 bits at a fifth of ONNX Runtime's speed.
        Engine("openvino", "openvino_engine", batch_subwords=512, variants=("fp32",)),
    )
}
"""The engines by name."""


def find_engine(name: str) -> Engine:
    """Return an engine.

    Raises:
        ModelError: there is none of this name.
    """
    if name not in ENGINES:
        raise ModelError(f"engine {name!r} is unknown: use one of {', '.join(ENGINES)}")
    return ENGINES[name]


def engine_of(folder: Path) -> Engine:
    """Return the engine that a model's folder names.

    Raises:
        ModelError: ``engine.json`` is broken, or names none of :data:`ENGINES`.
    """
    path = folder / ENGINE_FILE
    if not path.is_file():
        return ENGINES[DEFAULT]
    try:
        name = json.loads(path.read_text(encoding="utf-8"))["engine"]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ModelError(f"{path}: broken: export the model again") from error
    return find_engine(str(name))


def write_engine(folder: Path, engine: Engine) -> None:
    """Name the engine of a model in its folder."""
    (folder / ENGINE_FILE).write_text(json.dumps({"engine": engine.name}) + "\n", encoding="utf-8")


class BatchThreads:
    """A thread per core, each of which computes whole batches on its core.

    For short sentences this is faster than all cores on one batch after the other. The model is
    opened and the threads are created on first use.
    """

    def __init__(self, open_forward: Callable[[], Forward], workers: int) -> None:
        """
        Args:
            open_forward: opens the model for as many calls at once as there are workers, each with
                one thread.
            workers: number of threads.
        """
        self.workers = workers
        self._open_forward = open_forward
        self._lock = Lock()

    def submit(self, work: Callable[[Forward], Scores]) -> Future[Scores]:
        """Start ``work`` on one of the threads."""
        with self._lock:
            forward, executor = self._pool
        return executor.submit(work, forward)

    def forward(self, inputs: Inputs) -> NDArray[np.float32]:
        """Compute the logits of a batch in the calling thread, on its core."""
        with self._lock:
            forward, _ = self._pool
        return forward(inputs)

    @cached_property
    def _pool(self) -> tuple[Forward, ThreadPoolExecutor]:
        return self._open_forward(), ThreadPoolExecutor(self.workers, "tagger")


def forward_of_callers(forward: Forward, threads: BatchThreads) -> Forward:
    """Return a forward function for many callers: all cores for a single one, else a core for each.

    Args:
        forward: computes on all cores; for a call while no other is running.
        threads: compute the others.
    """
    guard = Lock()
    running = 0

    def chosen(inputs: Inputs) -> NDArray[np.float32]:
        nonlocal running
        with guard:
            is_alone = running == 0
            running += 1
        try:
            return (forward if is_alone else threads.forward)(inputs)
        finally:
            with guard:
                running -= 1

    return chosen
