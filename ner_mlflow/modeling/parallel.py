"""Train on several devices of a machine: a process for each, with averaged gradients."""

import logging
import os
import threading
from collections.abc import Callable, Mapping
from functools import partial
from multiprocessing.queues import SimpleQueue
from pathlib import Path

import torch
from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from ..config.schema import TrainConfig
from ..cpus import usable_cpus
from ..errors import ModelError
from ..logs import show_progress
from .build import BuiltModel
from .cache import TrainingCache
from .callbacks import NO_HOOKS, OnLog, TrainingHooks
from .dataset import TrainingData
from .fit import TrainResult, fit
from .processes import rank

log = logging.getLogger(__name__)

Build = Callable[[], BuiltModel]
"""A function that returns the model to train, the same at each call; it can be pickled."""
LogEntry = tuple[dict[str, float], int]
"""Metrics and their step."""
LogQueue = SimpleQueue[LogEntry | None]
"""Log entries, and None at the end."""


def fit_in_processes(
    build: Build,
    data: TrainingData,
    config: TrainConfig,
    folder: Path,
    hooks: TrainingHooks = NO_HOOKS,
    cache: TrainingCache | None = None,
) -> TrainResult:
    """Call :func:`~ner_mlflow.modeling.fit.fit` in ``config.processes`` processes.

    With one process, or one device at most, it is called in this process. Otherwise torchrun's
    launcher starts the processes. A step sees the same batch whatever the number of processes, and
    its gradient is the same mean over that batch.

    Args:
        build: builds the model in each process.
        data: as for ``fit``.
        config: as for ``fit``.
        folder: as for ``fit``.
        hooks: as for ``fit``; with several processes ``on_log`` only.
        cache: as for ``fit``; unused with several processes.

    Raises:
        ModelError: there are more processes than GPUs, on a machine with GPUs, or too many for the
            batch size; a hook that can end the training needs one process; or a process failed.
    """
    gpus = torch.cuda.device_count()
    processes = config.processes or max(1, gpus)
    if gpus and processes > gpus:
        raise ModelError(
            f"train.processes={processes}, but this machine has {gpus} GPU(s), one per process: "
            f"set {gpus} or less"
        )
    threads = min(torch.get_num_threads(), usable_cpus())
    if not gpus:
        torch.set_num_threads(threads)
    if processes == 1 and gpus <= 1:
        return fit(build(), data, config, folder, hooks, cache)
    if hooks.can_end_training:
        raise ModelError(
            f"train.processes={processes}: a training that may be ended early runs in one process: "
            "set 1, and make one GPU visible"
        )
    if 2 * processes > config.batch_size:
        raise ModelError(
            f"train.batch_size={config.batch_size} is shared by {processes} processes: "
            f"set {2 * processes} or more, or fewer train.processes"
        )
    log.info("training in %d processes", processes)
    queue: LogQueue = torch.multiprocessing.get_context("spawn").SimpleQueue()
    failures: list[Exception] = []
    forwarder = threading.Thread(
        target=_forward_logs, args=(queue, hooks.on_log, failures), daemon=True
    )
    forwarder.start()
    launch = elastic_launch(
        LaunchConfig(
            min_nodes=1,
            max_nodes=1,
            nproc_per_node=processes,
            rdzv_backend="c10d",
            rdzv_endpoint="localhost:0",
            local_addr="localhost",
            max_restarts=0,
            logs_specs=DefaultLogsSpecs(log_dir=os.devnull),
        ),
        _fit_in_worker,
    )
    threads = max(1, threads // processes)
    try:
        results: dict[int, TrainResult] = launch(queue, threads, build, data, config, folder)
    except ChildFailedError as error:
        raise ModelError(
            f"training in {processes} processes: one failed, as shown above: "
            f"{error.get_first_failure()[1].message}"
        ) from error
    finally:
        queue.put(None)
        forwarder.join()
    if failures:
        raise failures[0]
    return results[0]


def _fit_in_worker(
    queue: LogQueue,
    threads: int,
    build: Build,
    data: TrainingData,
    config: TrainConfig,
    folder: Path,
) -> TrainResult:
    """Train in one of the processes; the first one reports its logs."""
    if not torch.cuda.is_available():
        torch.set_num_threads(threads)
    if rank():
        return fit(build(), data, config, folder)
    show_progress()
    return fit(build(), data, config, folder, TrainingHooks(on_log=partial(_put_log, queue)))


def _put_log(queue: LogQueue, metrics: Mapping[str, float], step: int) -> None:
    queue.put((dict(metrics), step))


def _forward_logs(queue: LogQueue, on_log: OnLog, failures: list[Exception]) -> None:
    """Call ``on_log`` with each entry of the queue; after a failure, only empty the queue."""
    # The queue is read to its end: a process that writes to a full pipe would wait forever.
    while (entry := queue.get()) is not None:
        if not failures:
            try:
                on_log(*entry)
            except Exception as error:
                failures.append(error)
