"""Find paths, write files and folders atomically, and locate the caches of this machine."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CACHE_VARIABLE = "NER_MLFLOW_CACHE"
"""Environment variable that names the folder of :func:`cache_folder`."""


def find_path(name: str) -> Path | None:
    """Return the file or folder of this name, or None if it does not exist or cannot.

    A ``~`` at its beginning is the user's folder, unless there is a file of that very name.
    """
    try:
        path = Path(name)
        if not path.exists() and name.startswith("~"):
            path = path.expanduser()
        return path if path.exists() else None
    except (OSError, RuntimeError, ValueError):  # RuntimeError: no such user
        return None


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path`` that replaces it once the block ends without an error.

    Readers never see a partial file. After an error the previous file is unchanged.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
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
    part = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
    try:
        yield part
        part.chmod(0o755)
        part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def cache_folder() -> Path:
    """Return ``NER_MLFLOW_CACHE``, or ``ner_mlflow`` in the user's cache folder."""
    default = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ner_mlflow"
    return Path(os.environ.get(CACHE_VARIABLE) or default).absolute()


def training_folder(run_id: str) -> Path:
    """Return the folder of a run's checkpoints while it trains."""
    return cache_folder() / "training" / run_id
