"""Fit on several devices of a machine at once: one process each, batches shared out, gradients averaged."""

import logging
import os
import threading
from collections.abc import Callable, Sequence
from multiprocessing.queues import SimpleQueue
from pathlib import Path

import torch
from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from ..config.schema import TrainConfig
from ..data.sentences import Sentence
from ..errors import ModelError
from ..logs import show_progress
from ..tagging.label_schema import LabelSchema
from .build import BuiltModel
from .cache import TrainingCache
from .fit import OnEpoch, OnLog, OnStep, TrainResult, fit
from .objective import Distillation

log = logging.getLogger(__name__)

Build = Callable[[], BuiltModel]
"""Makes the model to fit, the same one whenever it is called; can be pickled."""
Logged = tuple[dict[str, float], int] | None
"""Metrics and step; None: there is no more."""


def fit_in_processes(
    build: Build,
    train: Sequence[Sentence],
    validation: Sequence[Sentence],
    schema: LabelSchema,
    config: TrainConfig,
    folder: Path,
    on_log: OnLog,
    distillation: Distillation | None = None,
    on_epoch: OnEpoch | None = None,
    on_step: OnStep | None = None,
    cache: TrainingCache | None = None,
) -> TrainResult:
    """:func:`~ner_mlflow.modeling.fit.fit` in ``config.processes`` processes, started by torchrun's launcher; in this one where
    one device is all there is.

    A step sees the same batch whatever the number of processes, and its gradient is the same mean over that batch.

    Raises:
        ModelError: more processes than GPUs, on a machine that has some, or than batches can feed; or one ended before its time.
    """
    gpus = torch.cuda.device_count()
    processes = config.processes or max(1, gpus)
    if gpus and processes > gpus:
        raise ModelError(
            f"train.processes={processes}, but this machine has {gpus} GPU(s), one for each: set {gpus} or less"
        )
    if processes == 1 and gpus <= 1:
        return fit(
            build(),
            train,
            validation,
            schema,
            config,
            folder,
            on_log,
            distillation,
            on_epoch,
            on_step,
            cache,
        )
    if on_epoch:
        raise ModelError(
            f"train.processes={processes}: a training that may be ended after an epoch runs in one process: set 1, and show it one GPU"
        )
    if 2 * processes > config.batch_size:
        raise ModelError(
            f"train.batch_size={config.batch_size} is shared by {processes} processes: set {2 * processes} or more, or fewer train.processes"
        )
    log.info("training in %d processes", processes)
    logged: SimpleQueue[Logged] = torch.multiprocessing.get_context("spawn").SimpleQueue()
    failures: list[Exception] = []
    forwarder = threading.Thread(target=_forward, args=(logged, on_log, failures), daemon=True)
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
        _fit_in_one,
    )
    threads = max(1, torch.get_num_threads() // processes)
    try:
        results: dict[int, TrainResult] = launch(
            logged, threads, build, train, validation, schema, config, folder, distillation
        )
    except ChildFailedError as error:
        raise ModelError(
            f"training in {processes} processes: one ended before its time, see above: {error.get_first_failure()[1].message}"
        ) from error
    finally:
        logged.put(None)
        forwarder.join()
    if failures:
        raise failures[0]
    return results[0]


def _fit_in_one(
    logged: "SimpleQueue[Logged]",
    threads: int,
    build: Build,
    train: Sequence[Sentence],
    validation: Sequence[Sentence],
    schema: LabelSchema,
    config: TrainConfig,
    folder: Path,
    distillation: Distillation | None,
) -> TrainResult:
    """What each process does; the first one logs."""
    first = os.environ["RANK"] == "0"
    if first:
        show_progress()
    if not torch.cuda.is_available():
        torch.set_num_threads(threads)
    return fit(
        build(),
        train,
        validation,
        schema,
        config,
        folder,
        lambda metrics, step: logged.put((dict(metrics), step)) if first else None,
        distillation,
    )


def _forward(logged: "SimpleQueue[Logged]", on_log: OnLog, failures: list[Exception]) -> None:
    while (
        entry := logged.get()
    ) is not None:  # to the end: a process that logs into a full pipe waits
        if not failures:
            try:
                on_log(*entry)
            except Exception as error:
                failures.append(error)
