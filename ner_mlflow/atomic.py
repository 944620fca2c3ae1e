"""Write files and folders whole or not at all, and keep temporary folders, through kills too.

What a killed process left is removed by the next process that writes the same file or folder, or
that asks for a temporary folder.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .liveness import is_dead, liveness_name

SCRATCH_PREFIX = "ner_mlflow-"
"""Start of the names of temporary folders."""


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path`` that replaces it once the block ends without an error.

    Readers never see a partial file. After an error the previous file is unchanged.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob(f".{_literal(path.stem)}.*.part{_literal(path.suffix)}"):
        if _is_left(left.name.removeprefix(f".{path.stem}.")):
            left.unlink(missing_ok=True)
    part = path.with_name(f".{path.stem}.{_process()}.part{path.suffix}")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def atomic_folder(folder: Path) -> Iterator[Path]:
    """Yield an empty folder that is renamed to ``folder`` once the block ends without an error.

    Raises:
        OSError: ``folder`` exists and is not empty.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    for left in folder.parent.glob(f".{_literal(folder.name)}.*.part"):
        if _is_left(left.name.removeprefix(f".{folder.name}.")):
            shutil.rmtree(left, ignore_errors=True)
    prefix = f".{folder.name}.{_process()}."
    part = Path(tempfile.mkdtemp(dir=folder.parent, prefix=prefix, suffix=".part"))
    try:
        yield part
        part.chmod(0o755)
        part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Yield a temporary folder that is removed at the end.

    The process holds a lock on it, so that :func:`remove_dead_scratch` knows which ones are in use.
    """
    while True:
        folder = Path(tempfile.mkdtemp(prefix=SCRATCH_PREFIX))
        try:
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:  # taken for one of a dead process, before it was locked
            continue
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if folder.exists():
            break
        os.close(descriptor)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)


def remove_dead_scratch() -> None:
    """Remove the temporary folders of processes of this user that were killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{SCRATCH_PREFIX}*"):
        try:
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:  # of another user, or removed meanwhile
            continue
        try:
            if os.fstat(descriptor).st_uid == os.getuid():
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
        except OSError:  # in use
            continue
        finally:
            os.close(descriptor)


def _process() -> str:
    """Return a name of this process for the names of its files."""
    try:
        return f"{liveness_name()}-{os.getpid()}"
    except OSError:  # no cache folder: what a killed process leaves is not recognized
        return str(os.getpid())


def _is_left(name: str) -> bool:
    """Return whether the process at the beginning of a name was killed."""
    return is_dead(name.partition("-")[0])


def _literal(name: str) -> str:
    """Return a name in which no character stands for others in a pattern."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)
