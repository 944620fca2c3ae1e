"""Detect whether a process still runs, without process ids, host names or clocks.

Each process holds a lock on a file of its own. The operating system releases the lock when the
process ends, for whatever reason. Containers that share the cache folder see each other's files; a
machine without the file cannot know.
"""

import atexit
from functools import cache
from pathlib import Path
from uuid import uuid4

from filelock import FileLock, Timeout

from ..paths import cache_folder

_held: dict[Path, FileLock] = {}


def liveness_name() -> str:
    """Return the name of this process's lock; the first call takes the lock."""
    return _take_lock(_folder())


def is_dead(name: str) -> bool:
    """Return whether the process that took the lock of this name has ended.

    Returns:
        False as well if this machine has no such lock: the process may run elsewhere.
    """
    path = _folder() / f"{name}.lock"
    if path in _held or not path.exists():
        return False
    try:
        with FileLock(path, blocking=False):
            return True
    except Timeout:
        return False


@cache
def _take_lock(folder: Path) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    name = uuid4().hex
    path = folder / f"{name}.lock"
    _held[path] = FileLock(path, thread_local=False)
    _held[path].acquire()
    atexit.register(_release, path)
    return name


def _release(path: Path) -> None:
    _held.pop(path).release()
    path.unlink(missing_ok=True)


def _folder() -> Path:
    return cache_folder() / "sweeps" / "processes"
