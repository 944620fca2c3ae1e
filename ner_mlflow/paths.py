"""Find paths, and locate the caches of this machine."""

import os
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


def cache_folder() -> Path:
    """Return ``NER_MLFLOW_CACHE``, or ``ner_mlflow`` in the user's cache folder."""
    default = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ner_mlflow"
    return Path(os.environ.get(CACHE_VARIABLE) or default).absolute()


def training_folder(run_id: str) -> Path:
    """Return the folder of a run's checkpoints while it trains."""
    return cache_folder() / "training" / run_id
