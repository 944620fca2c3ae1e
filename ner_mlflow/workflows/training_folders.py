"""The folders of checkpoints: locked while a process trains, removed when nothing can resume."""

import logging
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from ..errors import TrackingError
from ..modeling.fit import has_checkpoint
from ..paths import training_folder

log = logging.getLogger(__name__)

KEPT_S = 30 * 24 * 3600
"""Age from which the checkpoints of an interrupted training are removed, in seconds."""
NEW_S = 60
"""Age up to which a folder without a checkpoint stays: its process may be about to lock it."""


@contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Lock a training's folder for this process, which may lock it several times.

    The operating system releases the lock of a killed process.

    Raises:
        TrackingError: another process holds the lock.
    """
    lock = FileLock(folder / "lock", blocking=False, is_singleton=True)
    try:
        lock.acquire()
    except Timeout as error:
        raise TrackingError(
            f"{folder}: another process is training this run: wait for it"
        ) from error
    try:
        yield
    finally:
        lock.release()


def remove_useless_folders() -> None:
    """Remove folders of killed trainings that have no checkpoint, or an old one."""
    root = training_folder("")
    for folder in root.iterdir() if root.is_dir() else ():
        age_s = time.time() - folder.stat().st_mtime
        if age_s > KEPT_S or (age_s > NEW_S and not has_checkpoint(folder)):
            _remove(folder)


def remove_folders(run_ids: Iterable[str]) -> None:
    """Remove the folders of runs that nothing will resume, unless a process trains them."""
    for run_id in run_ids:
        folder = training_folder(run_id)
        if folder.is_dir():
            _remove(folder)


def _remove(folder: Path) -> None:
    with suppress(TrackingError, OSError), lock_folder(folder):  # in use, or removed meanwhile
        shutil.rmtree(folder)
        log.info("removed %s, which a killed training left", folder)
