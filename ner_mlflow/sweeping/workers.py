"""Start worker processes of this machine that run a study's trials, and replace those that die."""

import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any, Protocol

from ..errors import NerError, TrackingError
from ..logs import show_progress
from ..start_up import end_imports
from .storage import STORAGE_ERRORS, unusable_storage
from .trial import StudySpec

log = logging.getLogger(__name__)

POLL_S = 0.5
GRACE_S = 30
"""Seconds that a worker may take to end its trial as interrupted; after that it is killed."""

Target = Callable[..., None]
"""A worker's work; a function of a module, since a new process looks it up by name."""
SetUp = Callable[[], None]
"""A function that prepares a worker process, for example its logging; a function of a module."""

_interrupted = threading.Event()


class TrialQueue(Protocol):
    """A study's trials, as far as a supervisor needs them."""

    @property
    def spec(self) -> StudySpec:
        """The study's definition."""
        ...

    def started_trials(self) -> int:
        """Return how many trials have started, lost ones included."""
        ...

    def open_trials(self) -> tuple[int, int]:
        """Return how many trials wait, and how many run on any machine."""
        ...

    def reclaim(self) -> list[int]:
        """Give up the trials of dead processes, and open their slots again."""
        ...

    def reopen(self) -> int:
        """Open the slots of lost trials that no process has opened again."""
        ...


@dataclass(frozen=True)
class _Worker:
    """A worker process; ``started`` is the number of started trials when the process started."""

    process: SpawnProcess
    errors: Connection
    started: int


def supervise(
    study: TrialQueue,
    target: Target,
    arguments: Sequence[Any],
    jobs: int,
    deadline: float | None = None,
    finish: bool = True,
    set_up: SetUp = show_progress,
) -> None:
    """Run ``target(*arguments)`` in ``jobs`` processes until no trial is left.

    A worker that was killed is replaced, and its trial run again. On Ctrl-C, or if a worker fails,
    all workers end their trials as interrupted.

    Args:
        study: the study.
        target: a worker's work.
        arguments: its arguments, pickled.
        jobs: the number of processes.
        deadline: seconds since 1970 after which no worker starts.
        finish: wait for trials that run on other machines too.
        set_up: called first in each worker.

    Raises:
        TrackingError: a worker failed, with its message; workers were killed one after the other
            before they started a trial; or the storage failed.
    """
    workers: list[_Worker] = []
    early_deaths = 0
    try:
        while True:
            started = study.started_trials()
            for worker in [worker for worker in workers if worker.process.exitcode is not None]:
                workers.remove(worker)
                if _was_killed(worker):
                    early_deaths = early_deaths + 1 if worker.started == started else 0
                    if early_deaths > study.spec.config.retries:
                        raise _died_early(early_deaths, -(worker.process.exitcode or 0))
            study.reclaim()
            waiting, running = study.open_trials()
            late = deadline is not None and time.time() >= deadline
            if (
                not workers
                and (late or not waiting)
                and (not finish or not running)
                and (late or not finish or not study.reopen())
            ):
                return
            if not late:
                while waiting and len(workers) < min(jobs, waiting + (running if finish else 0)):
                    workers.append(_start(target, arguments, jobs, set_up, started))
            time.sleep(POLL_S)
    except STORAGE_ERRORS as error:
        raise unusable_storage(study.spec.config.storage, error) from error
    finally:
        _stop(workers)
        with suppress(*STORAGE_ERRORS):  # the storage's failure is on its way to the caller
            study.reclaim()


def check_interrupted() -> None:
    """Check whether this worker must stop; a worker's work calls this now and then.

    Raises:
        KeyboardInterrupt: the supervisor has stopped the worker.
    """
    if _interrupted.is_set():
        raise KeyboardInterrupt


def _start(
    target: Target, arguments: Sequence[Any], jobs: int, set_up: SetUp, started: int
) -> _Worker:
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_run, args=(target, tuple(arguments), jobs, set_up, sender))
    # Ctrl-C reaches every process of a terminal, but only the supervisor handles it. Workers
    # inherit a blocked SIGINT, so that none reaches them while they start. It is blocked and not
    # ignored: the supervisor still receives it afterwards.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        sender.close()
    return _Worker(process, receiver, started)


def _was_killed(worker: _Worker) -> bool:
    """Return whether a worker that has ended was killed by a signal.

    Raises:
        TrackingError: it ended with an error.
    """
    status = worker.process.exitcode or 0
    if status < 0:
        log.warning("worker %d was killed by signal %d", worker.process.pid, -status)
    if status > 0:
        try:
            reason = str(worker.errors.recv())
        except EOFError:
            reason = f"it ended with status {status}, see above"
        raise TrackingError(f"a worker of the sweep failed: {reason}")
    return status < 0


def _died_early(count: int, last_signal: int) -> TrackingError:
    return TrackingError(
        f"{count} workers of the sweep in a row were killed before they started a trial, the last "
        f"by signal {last_signal} (9 often means a lack of memory): "
        "free memory, or set fewer sweep.jobs"
    )


def _stop(workers: Sequence[_Worker]) -> None:
    for worker in workers:
        worker.process.terminate()
    for worker in workers:
        worker.process.join(GRACE_S)
        if worker.process.exitcode is None:
            worker.process.kill()
            worker.process.join()


def _run(
    target: Target, arguments: tuple[Any, ...], jobs: int, set_up: SetUp, errors: Connection
) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _interrupt)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    set_up()
    end_imports()
    if jobs > 1:
        show_progress(name_process=True)
    try:
        target(*arguments)
    except KeyboardInterrupt:
        sys.exit(0)
    except NerError as error:
        errors.send(str(error))
        sys.exit(1)
    except Exception as error:
        errors.send(f"{type(error).__name__}: {error}")
        raise


def _interrupt(*_: object) -> None:
    # Raising KeyboardInterrupt here could interrupt a transaction and leave a database locked.
    _interrupted.set()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os.kill(os.getpid(), signal.SIGTERM)
