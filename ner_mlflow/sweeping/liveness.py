"""Whether a process is still there, without trusting numbers of processes, names of machines or clocks.

A process holds a lock on a file of its own, which the system frees when the process ends, however it does. Containers that share the
folder see each other's files; a machine that does not have the file cannot tell.
"""

import atexit
from functools import cache
from pathlib import Path
from uuid import uuid4

from filelock import FileLock, Timeout

from ..paths import cache_folder

_held: dict[Path, FileLock] = {}


def presence() -> str:
    """The name of this process's lock, which it holds from the first call on."""
    return _hold(_folder())


def is_gone(name: str) -> bool:
    """Whether the process that holds the lock of this name is no more; False where there is no such lock here."""
    path = _folder() / f"{name}.lock"
    if path in _held or not path.exists():
        return False
    try:
        with FileLock(path, blocking=False):
            return True
    except Timeout:
        return False


@cache
def _hold(folder: Path) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    name = uuid4().hex
    path = folder / f"{name}.lock"
    _held[path] = FileLock(path, thread_local=False)
    _held[path].acquire()
    atexit.register(_leave, path)
    return name


def _leave(path: Path) -> None:
    _held.pop(path).release()
    path.unlink(missing_ok=True)


def _folder() -> Path:
    return cache_folder() / "sweeps" / "processes"
