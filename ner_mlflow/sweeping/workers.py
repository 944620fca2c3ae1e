"""Processes of this machine that work on a study, and the one that watches over them."""

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
from typing import Any

from optuna.exceptions import StorageInternalError
from sqlalchemy.exc import SQLAlchemyError

from ..errors import NerError, TrackingError
from ..logs import show_progress
from .study import SweepStudy, unusable

log = logging.getLogger(__name__)

POLL_S = 0.5
GRACE_S = 30
"""How long a worker may take to end its trial as interrupted before it is killed."""

Target = Callable[..., None]
"""What a worker does; a function of a module, since it is looked up by name in a new process."""
SetUp = Callable[[], None]
"""What a worker does before that, to log as its parent does; a function of a module too."""


_interrupted = threading.Event()


@dataclass(frozen=True)
class _Worker:
    process: SpawnProcess
    errors: Connection
    begun: int
    """Trials of the study that were begun when the process was."""


def log_progress() -> None:
    """Show what this package says."""
    show_progress()


def supervise(
    study: SweepStudy,
    target: Target,
    arguments: Sequence[Any],
    jobs: int,
    deadline: float | None = None,
    finish: bool = True,
    set_up: SetUp = log_progress,
) -> None:
    """Keep ``jobs`` processes at ``target(*arguments)`` until no trial is left; one that was killed is replaced, its trial run again.

    On Ctrl-C, and when one of them fails, all end their trials as interrupted. So they do when one after the other is killed before a
    trial begins, which the next would not change.

    Args:
        deadline: seconds since 1970 after which no worker is started.
        finish: wait for trials that run on other machines too.

    Raises:
        TrackingError: a worker failed, with its words, or was killed before it began a trial, again and again; or the storage failed.
    """
    workers: list[_Worker] = []
    in_vain = 0
    try:
        while True:
            begun = study.begun_trials()
            for worker in [worker for worker in workers if worker.process.exitcode is not None]:
                workers.remove(worker)
                if _was_killed(worker):
                    in_vain = in_vain + 1 if worker.begun == begun else 0
                    if in_vain > study.spec.config.retries:
                        raise TrackingError(
                            f"{in_vain} workers of the sweep in a row were killed before they began a trial, the last by signal "
                            f"{-(worker.process.exitcode or 0)} (9: for want of memory, say): free some, or set fewer sweep.jobs"
                        )
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
                    workers.append(_start(target, arguments, jobs, set_up, begun))
            time.sleep(POLL_S)
    except (SQLAlchemyError, StorageInternalError) as error:
        raise unusable(study.spec.config.storage, error) from error
    finally:
        _stop(workers)
        with suppress(SQLAlchemyError, StorageInternalError):  # of which the way here has spoken
            study.reclaim()


def _start(
    target: Target, arguments: Sequence[Any], jobs: int, set_up: SetUp, begun: int
) -> _Worker:
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_run, args=(target, tuple(arguments), jobs, set_up, sender))
    # Ctrl-C reaches every process of a terminal: workers leave it to the one that watches over them, from their first moment on.
    # Blocked and not ignored, for what is pressed meanwhile is meant for this process, and waits.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        sender.close()
    return _Worker(process, receiver, begun)


def _was_killed(worker: _Worker) -> bool:
    """Whether a worker that has ended was killed by a signal.

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


def check_interrupted() -> None:
    """To be called now and then by what a worker does.

    Raises:
        KeyboardInterrupt: the worker has been told to stop.
    """
    if _interrupted.is_set():
        raise KeyboardInterrupt


def _interrupt(*_: object) -> None:
    # Not raised from here: amid a transaction, it would leave a database locked.
    _interrupted.set()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os.kill(os.getpid(), signal.SIGTERM)
