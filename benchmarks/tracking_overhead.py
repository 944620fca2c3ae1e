"""Measure what tracking costs a training, through the outbox and without it.

The benchmark trains in this process, against an `mlflow server` of its own (SQLite, proxied
artifacts): in turns with the outbox and straight to the server, as MLflow does by itself. It adds
up the seconds that the training's thread waits for tracking: opening and ending the run, until the
server has everything; parameters, metrics, tags, dataset inputs, figures, the adapters and the
model. To these come the seconds of processor time of the thread that delivers the outbox. Other
threads send system metrics at the same time; they are not counted.

``outbox_share`` is the cost of the outbox: how much more it takes than the straight way, as a share
of a training.

usage: python -m benchmarks.tracking_overhead DATASET [--preset minilm_lora] [--pairs 1]
    [--set train.epochs=3] ...
"""

import argparse
import json
import logging
import os
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import mlflow

from benchmarks.tracking_server import tracking_server
from ner_mlflow.config.loading import load_config
from ner_mlflow.config.schema import Config
from ner_mlflow.config.settings import parse_assignments
from ner_mlflow.logs import show_progress
from ner_mlflow.paths import CACHE_VARIABLE
from ner_mlflow.provenance import git_commit, hardware
from ner_mlflow.tracking.delivery import Deliverer
from ner_mlflow.tracking.flavors import log_trained_model
from ner_mlflow.tracking.lifecycle import open_run
from ner_mlflow.tracking.records import resume_key
from ner_mlflow.tracking.run import Run
from ner_mlflow.tracking.steps import Step
from ner_mlflow.workflows.data import TrackedDataset
from ner_mlflow.workflows.inputs import find_data
from ner_mlflow.workflows.train import run_train

OUTBOX, STRAIGHT = "outbox", "straight"


@dataclass
class Clock:
    """The seconds of one way's trainings.

    Attributes:
        training_s: wall time of the trainings.
        delivery_s: processor time of the threads that delivered.
        by_call: seconds that the main thread waited, by call; of nested calls, the outermost
            counts.
    """

    training_s: float = 0.0
    delivery_s: float = 0.0
    by_call: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    _inside: bool = False

    @property
    def tracking_s(self) -> float:
        """Seconds that tracking took."""
        return sum(self.by_call.values()) + self.delivery_s

    @contextmanager
    def running(self, name: str) -> Iterator[None]:
        """Count the seconds of the block."""
        if self._inside or threading.current_thread() is not threading.main_thread():
            yield
            return
        self._inside, started = True, time.perf_counter()
        try:
            yield
        finally:
            self._inside = False
            self.by_call[name] += time.perf_counter() - started

    def timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that counts the seconds of each call."""

        def call(*args: Any, **kwargs: Any) -> Any:
            with self.running(name):
                return function(*args, **kwargs)

        return call

    @contextmanager
    def timed_opening(self, opened: AbstractContextManager[Run]) -> Iterator[Run]:
        """Count the seconds to enter and exit a context manager, without its block."""
        with self.running("open run"):
            run = opened.__enter__()
        try:
            yield run
        except BaseException as error:
            with self.running("end run"):
                opened.__exit__(type(error), error, error.__traceback__)
            raise
        with self.running("end run"):
            opened.__exit__(None, None, None)

    def timed_delivery(self, run: Callable[[Deliverer], None]) -> Callable[[Deliverer], None]:
        """Return the work of a delivering thread that counts its processor time."""

        def call(deliverer: Deliverer) -> None:
            run(deliverer)
            self.delivery_s += time.thread_time()

        return call


def main() -> None:
    """Measure, and print the result as JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dataset")
    parser.add_argument("--preset", default="minilm_lora")
    parser.add_argument("--pairs", type=int, default=1)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    arguments = parser.parse_args()
    show_progress()
    overrides = {"data.dataset": arguments.dataset, **parse_assignments(arguments.set)}
    config = load_config(arguments.preset, overrides)
    clocks = {OUTBOX: Clock(), STRAIGHT: Clock()}
    with (
        tempfile.TemporaryDirectory() as folder,
        tracking_server(f"sqlite:///{folder}/mlflow.db", Path(folder)) as address,
    ):
        os.environ[CACHE_VARIABLE] = folder
        mlflow.set_tracking_uri(address)
        with open_run(Step.MAIN, "tracking overhead") as parent:
            data = find_data(parent, config)
        for pair in range(arguments.pairs):
            ways = (OUTBOX, STRAIGHT) if pair % 2 == 0 else (STRAIGHT, OUTBOX)
            for way in ways:
                train(way, clocks[way], config, data)
    log = logging.getLogger("ner_mlflow")
    for way, clock in clocks.items():
        calls = sorted(clock.by_call.items(), key=lambda item: -item[1])
        log.info("%s: %s", way, {name: round(seconds, 2) for name, seconds in calls})
    outbox, straight = clocks[OUTBOX], clocks[STRAIGHT]
    shares = {way: clock.tracking_s / clock.training_s for way, clock in clocks.items()}
    print(
        json.dumps(
            {
                "outbox_share": (outbox.tracking_s - straight.tracking_s) / outbox.training_s,
                "share": shares,
                "tracking_s": {way: clock.tracking_s for way, clock in clocks.items()},
                "training_s": {way: clock.training_s for way, clock in clocks.items()},
                "delivery_s": outbox.delivery_s,
                "seconds_by_call": {way: dict(clock.by_call) for way, clock in clocks.items()},
                "pairs": arguments.pairs,
                "epochs": config.train.epochs,
                "dataset": data.dataset.name,
                "preset": arguments.preset,
                "set": arguments.set,
                "commit": git_commit(),
                "hardware": hardware(),
            }
        )
    )


def train(way: str, clock: Clock, config: Config, data: TrackedDataset) -> None:
    """Train once, and add up the seconds."""
    with ExitStack() as patches:
        for name, counted in counted_calls(clock).items():
            patches.enter_context(patch(name, counted))
        if way == STRAIGHT:  # as if the store's kind had no outbox
            patches.enter_context(patch("ner_mlflow.tracking.lifecycle.current_store", no_store))
            patches.enter_context(patch("ner_mlflow.tracking.lifecycle.mirroring", nullcontext))
        started = time.perf_counter()
        with clock.timed_opening(open_run(Step.TRAIN, way)) as run:
            run_train(run, config, data)
        clock.training_s += time.perf_counter() - started


def no_store() -> None:
    """Return that there is no store with an outbox."""


def counted_calls(clock: Clock) -> dict[str, Callable[..., Any]]:
    """Return the tracking functions that a training calls, counted, by the name to patch."""
    methods = {
        name: getattr(Run, name)
        for name in vars(Run)
        if name.startswith(("log_", "set_", "describe"))
    }
    delivery = clock.timed_delivery(Deliverer._run)
    return {
        **{
            f"ner_mlflow.tracking.run.Run.{name}": clock.timed(name, method)
            for name, method in methods.items()
        },
        "ner_mlflow.workflows.train.log_trained_model": clock.timed("log model", log_trained_model),
        "ner_mlflow.workflows.train.resume_key": clock.timed("read", resume_key),
        "ner_mlflow.tracking.delivery.Deliverer._run": lambda deliverer: delivery(deliverer),
    }


if __name__ == "__main__":
    main()
