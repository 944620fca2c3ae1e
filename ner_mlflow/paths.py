"""Names that may or may not be paths, and where this machine keeps what outlives a process."""

import os
from pathlib import Path

CACHE_VARIABLE = "NER_MLFLOW_CACHE"
"""Environment variable that names the folder of :func:`cache_folder`."""


def find_path(name: str) -> Path | None:
    """The file or folder of that name, None where there is none or no file can be called so."""
    path = Path(name)
    try:
        return path if path.exists() else None
    except (OSError, ValueError):
        return None


def cache_folder() -> Path:
    """Where checkpoints of unfinished trainings are: ``NER_MLFLOW_CACHE``, by default ``ner_mlflow`` in the user's cache."""
    default = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ner_mlflow"
    return Path(os.environ.get(CACHE_VARIABLE) or default).absolute()


def training_folder(run_id: str) -> Path:
    """Where the training of a run keeps its checkpoints until it has finished."""
    return cache_folder() / "training" / run_id
