"""Names that may or may not be paths."""

from pathlib import Path


def find_path(name: str) -> Path | None:
    """The file or folder of that name, None where there is none or no file can be called so."""
    path = Path(name)
    try:
        return path if path.exists() else None
    except (OSError, ValueError):
        return None
