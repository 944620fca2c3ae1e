"""Name the folder that is full, read-only or forbidden, whichever library met it, and a way out."""

import errno
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from .errors import NerError
from .paths import CACHE_VARIABLE, cache_folder
from .redaction import one_line

FULL, UNWRITABLE = "full", "unwritable"
_CODES = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), FULL),
    **dict.fromkeys((errno.EROFS, errno.EACCES, errno.EPERM), UNWRITABLE),
}
_TEXTS = (
    (re.compile(r"No space left|StorageFull|disk is full|File too large|Disk quota"), FULL),
    (re.compile(r"Read-only file system|ReadOnlyFilesystem|readonly database"), UNWRITABLE),
)
"""What libraries that write by themselves, such as safetensors and SQLite, say in their errors."""
FEW_BYTES = 1_000_000
"""Free bytes up to which a file system counts as full."""


class FolderError(NerError):
    """A folder is full or cannot be written."""


def folder_error(error: BaseException, artifacts: str = "") -> FolderError | None:
    """Return an error that names the folder behind an error, None if no folder is behind it.

    Args:
        error: the error of any library; the errors that caused it are searched too.
        artifacts: the address of the artifacts that are written; those of a server are not looked
            at.
    """
    places = _places(artifacts)
    for cause in _causes(error):
        code = cause.errno if isinstance(cause, OSError) else None
        state = _CODES.get(code or 0) or next(
            (state for pattern, state in _TEXTS if pattern.search(str(cause))), None
        )
        if state:
            path = _path(cause, state, places)
            place, other, reason = path or "a folder", _other(path, places), one_line(cause)
            if state == FULL:
                return FolderError(f"{place} is full ({reason}): free space there{other}")
            return FolderError(f"{place} cannot be written ({reason}): make it writable{other}")
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__ or cause.__context__


def _places(artifacts: str) -> dict[Path, str]:
    """Return the folders that commands write to, and how to choose others."""
    places = {
        Path.cwd(): "start in another folder",
        Path(tempfile.gettempdir()): "set TMPDIR to another folder",
        cache_folder(): f"set {CACHE_VARIABLE} to another folder",
    }
    address = urlsplit(artifacts)
    if artifacts and address.scheme in ("", "file"):
        folder = Path(unquote(address.path)).absolute()
        places[folder] = "create the experiment with another artifact location"
    return places


def _path(error: BaseException, state: str, places: Mapping[Path, str]) -> Path | None:
    if isinstance(error, OSError) and error.filename:
        return Path(str(error.filename)).absolute()
    for place in places if state == FULL else ():
        existing = next(folder for folder in (place, *place.parents) if folder.exists())
        if shutil.disk_usage(existing).free < FEW_BYTES:
            return place
    return None


def _other(path: Path | None, places: Mapping[Path, str]) -> str:
    """Return how to choose another folder, after ", or "; empty if there is no such setting."""
    around = [place for place in places if path and (path == place or place in path.parents)]
    innermost = max(around, key=lambda place: len(place.parts), default=None)
    return f", or {places[innermost]}" if innermost else ""
