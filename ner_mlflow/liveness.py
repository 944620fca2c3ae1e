"""Detect whether a process still runs, without process ids, host names or clocks.

Each process holds a lock on a file of its own. The operating system releases the lock when the
process ends, for whatever reason. Containers that share the cache folder see each other's files; a
machine without the file cannot know.
"""

import atexit
import fcntl
import os
import time
from functools import cache
from pathlib import Path
from uuid import uuid4

from .paths import cache_folder

KEPT_S = 30 * 24 * 3600
"""Age from which the file of a killed process may be removed, in seconds."""


def liveness_name() -> str:
    """Return the name of this process's lock; the first call takes the lock.

    Raises:
        OSError: the cache folder cannot be written.
    """
    return _take_lock(_folder())


def is_dead(name: str) -> bool:
    """Return whether the process that took the lock of this name was killed.

    Returns:
        False as well if this machine has no such lock: the process may run elsewhere, or it has
        ended by itself.
    """
    try:
        descriptor = os.open(_folder() / f"{name}.lock", os.O_RDONLY)
    except OSError:
        return False
    try:
        # Shared, so that processes that ask at the same time do not take each other for alive.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return os.fstat(descriptor).st_nlink > 0  # 0: it ended by itself in this moment
    except OSError:
        return False
    finally:
        os.close(descriptor)


def is_known(name: str) -> bool:
    """Return whether this machine has the lock of this name, so that :func:`is_dead` is certain."""
    return (_folder() / f"{name}.lock").exists()


def dead_names() -> set[str]:
    """Return the names of the processes of this machine that were killed."""
    names = {path.stem for path in _folder().glob("*.lock")}
    return {name for name in names if is_dead(name)}


def forget_old() -> None:
    """Remove the files of processes that were killed :data:`KEPT_S` ago or earlier."""
    for name in dead_names():
        path = _folder() / f"{name}.lock"
        if time.time() - path.stat().st_mtime > KEPT_S:
            path.unlink(missing_ok=True)


@cache
def _take_lock(folder: Path) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    name = uuid4().hex
    # The file gets its name once it is locked: nobody sees it unlocked while this process lives.
    part, path = folder / f".{name}.part", folder / f"{name}.lock"
    descriptor = os.open(part, os.O_RDWR | os.O_CREAT, 0o644)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    part.rename(path)
    atexit.register(_release, path, descriptor, os.getpid())
    return name


def _release(path: Path, descriptor: int, owner: int) -> None:
    if os.getpid() == owner:  # a fork has the lock too
        path.unlink(missing_ok=True)
    os.close(descriptor)


def _folder() -> Path:
    return cache_folder() / "processes"
