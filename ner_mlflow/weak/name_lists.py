"""Read lists of names: text files, and the lists that the interpreter and packages carry."""

import builtins
import errno
import re
import signal
from collections.abc import Callable, Mapping
from http import HTTPStatus
from pathlib import Path

from pygments.lexers import get_all_lexers
from trove_classifiers import sorted_classifiers

from ..errors import ConfigError
from ..paths import find_path
from ..redaction import shorten

NAME_FILE_SUFFIX = ".txt"
_NOT_A_LANGUAGE = re.compile(
    r".*[+/(].*[A-Za-z].*|.* (?:With|in) .*|.*(?:session|console|file|files|log|logs|template"
    r"|target|data|output|only|body|instances|graph|dialect|results?|traceback|patch|mode|mail)",
    re.IGNORECASE,
)
"""Lexers of a language inside another, and of what no one calls a language."""
_COMMENT = re.compile(r"\s#\s")


def _languages() -> list[str]:
    """Languages that Pygments highlights; those within templates and of log files are left out."""
    return [name for name, *_ in get_all_lexers() if not _NOT_A_LANGUAGE.fullmatch(name)]


def _exceptions() -> list[str]:
    return [
        name
        for name, value in vars(builtins).items()
        if isinstance(value, type) and issubclass(value, BaseException)
    ]


def _http_errors() -> list[str]:
    """Phrases of several words (``Bad Gateway``); a single one (``Gone``) is plain English."""
    return [status.phrase for status in HTTPStatus if status >= 400 and " " in status.phrase]


def _classifiers(root: str) -> list[str]:
    """The first level of the classifiers below a root, such as ``Framework``."""
    parts = [classifier.split(" :: ") for classifier in sorted_classifiers]
    return sorted({names[1] for names in parts if names[0] == root and len(names) > 1})


def _posix_systems() -> list[str]:
    prefix = "Operating System :: POSIX :: "
    names = [name.removeprefix(prefix) for name in sorted_classifiers if name.startswith(prefix)]
    return sorted({part for name in names for part in re.split(r" :: |/", name)})


PROVIDERS: Mapping[str, Callable[[], list[str]]] = {
    "python_exceptions": _exceptions,
    "errno": lambda: sorted(errno.errorcode.values()),
    "signals": lambda: [entry.name for entry in signal.Signals],
    "http_errors": _http_errors,
    "pygments_languages": _languages,
    "trove_frameworks": lambda: _classifiers("Framework"),
    "trove_posix_systems": _posix_systems,
}
"""Lists that the interpreter and packages carry, by the name that rules give them."""


def read_names(source: str, folder: Path) -> list[str]:
    """Return the names of a list, in order.

    Args:
        source: a key of :data:`PROVIDERS`, or a text file with one name a line. A line that begins
            with ``#``, blanks before it aside, is a comment.
        folder: where a relative path begins.

    Raises:
        ConfigError: there is no such list; or the file cannot be read, is not in UTF-8, holds no
            name, or has a comment behind a name.
    """
    if source in PROVIDERS:
        return PROVIDERS[source]()
    path = find_path(str(folder / source))
    if not source.endswith(NAME_FILE_SUFFIX) or path is None or not path.is_file():
        raise ConfigError(
            f"{source!r} is neither a file {folder / source} nor one of "
            f"{', '.join(sorted(PROVIDERS))}: write one name a line into a file that ends in "
            f"{NAME_FILE_SUFFIX}"
        )
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not in UTF-8: save it as UTF-8") from error
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}): make it readable") from error
    if "\0" in text:  # beside each letter of UTF-16 without a byte order mark
        raise ConfigError(f"{path} is not in UTF-8: save it as UTF-8")
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1)]
    names = [(number, name) for number, name in lines if name and not name.startswith("#")]
    if not names:
        raise ConfigError(f"{path} holds no name: write one name a line")
    for number, name in names:
        if _COMMENT.search(name):
            raise ConfigError(
                f"{path}:{number}: {shorten(name)!r} is read as one name: write the comment on a "
                "line of its own"
            )
    return [name for _, name in names]
