"""Keep secrets out of everything that is printed, logged or tracked."""

import os
import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any, Final
from urllib.parse import unquote

HIDDEN = "***"
SECRET_VARIABLE = re.compile(r"(?:PASSWORD|PASSWD|TOKEN|SECRET|SECRET_KEY|API_KEY|ACCESS_KEY)$")
"""Names of environment variables whose values are secrets."""
SHORTEST_SECRET = 6
"""Characters. Shorter values are not replaced, since they may be part of ordinary words."""
# Greedy up to the last @: a password may hold any character.
_PASSWORD = re.compile(r"(?<=://)([^:/?#@\s]*:)(?P<secret>.+)(?=@)")
_PASSWORD_IN_TEXT = re.compile(r"(?<=://)([^:/?#@\s]*:)(?P<secret>[^\s'\"]+)(?=@)")
# A key or token in the place of the user, as of https://TOKEN@host
_USER = re.compile(r"(https?://)(?P<secret>[^:/?#@\s'\"]+)(?=@)", re.IGNORECASE)
_PARAMETER = re.compile(
    r"([?&](?:[\w-]*(?:password|passwd|token|secret|signature|api[-_]?key|access[-_]?key)|key|sig)=)"
    r"(?P<secret>[^&\s'\"]+)",
    re.IGNORECASE,
)
_known: set[str] = set()

_SECRET_WORD = (
    r"(?:pass(?:word|wd|phrase|code)?|pwd|secret|token|credentials?|authorization|cookie"
    r"|(?:access|account|api|auth|private|ssh)[_-]?key|(?<![A-Za-z])key|(?<=[a-z])(?-i:Key))"
)
"""Words that name a secret; ``key`` stands alone or ends a name, unlike that of ``monkey``."""
_VALUE = r"(?:(?:basic|bearer|token)\s{1,3})?(?:\"[^\"]*\"?|'[^']*'?|\S+)"
# Each is linear in the text: repetitions are bounded, or what they take is replaced.
_LIKELY_SECRETS: Final = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        # AWS_SECRET_ACCESS_KEY=..., "password": "...", <token>..., tokenId -> ...
        rf"({_SECRET_WORD}[\w.-]{{0,30}}[\"'`*\])]{{0,3}}\s{{0,3}}(?:[:=]{{1,2}}>?|->|>)\s{{0,3}}){_VALUE}",
        rf"(--?[\w-]{{0,30}}{_SECRET_WORD}[\w-]{{0,30}}\s{{1,3}}){_VALUE}",  # --password ...
        r"(\b(?:basic|bearer)\s{1,3})[\w+/.~=-]{8,}",
        r"((?<![\w-])(?:-u|--user)[\s=]{1,3}[^\s:]{1,64}:)\S+",  # curl -u me:...
        # Keys of known services, and JSON web tokens
        r"()\b(?:(?:AKIA|ASIA)\w{12,}|gh[opsur]_\w{16,}|github_pat_\w{16,}|glpat-[\w-]{16,}"
        r"|hf_\w{16,}|sk-[\w-]{16,}|xox[abeprs]-[\w-]{10,}|AIza[\w-]{20,}|eyJ[\w.-]{16,})",
        r"()\b[0-9a-f]{32,}\b",
    )
)
"""What looks like a secret; the first group stays."""
SHORTEST_RANDOM_RUN = 20
_RUN = re.compile(rf"[A-Za-z0-9+/_=-]{{{SHORTEST_RANDOM_RUN},}}")
RANDOM_CHANGES = 0.2
"""Share of neighbours in a run that change between a digit and a letter, or from a small letter to
a capital one; 0.42 in base64, 0.05 in paths, 0.17 in names such as ``FileNotFoundException``."""


def redact_address(address: str) -> str:
    """Replace passwords, keys and tokens of one address by ``***``, before the host or after it."""
    for pattern in (_PASSWORD, _USER, _PARAMETER):
        address = pattern.sub(rf"\1{HIDDEN}", address)
    return address


def redact_values(values: Any) -> Any:
    """Return nested dicts and lists with every text in them redacted.

    A text in a file of YAML or JSON may be quoted and escaped, where :func:`redact` does not find
    it. So values are redacted before they are written.
    """
    if isinstance(values, Mapping):
        return {key: redact_values(value) for key, value in values.items()}
    if isinstance(values, (list, tuple)):
        return [redact_values(value) for value in values]
    if isinstance(values, str):
        return redact(redact_address(values) if "://" in values else values)
    return values


def keep_secret(value: str) -> None:
    """Let :func:`redact` remove a secret that this process got to know, such as a key."""
    if len(value) >= SHORTEST_SECRET:
        _known.add(value)


def redact(text: str, *addresses: str) -> str:
    """Remove every secret from a text that may quote addresses, such as an error message.

    Args:
        text: any text.
        addresses: addresses whose passwords may also appear on their own. Passwords and tokens in
            environment variables, and those of :func:`keep_secret`, are always removed.
    """
    for address in (*addresses, *_addresses_in_environment()):
        text = text.replace(address, redact_address(address))
    secrets = {*_secrets_in_environment(), *_known}
    for address in (*addresses, *_addresses_in_environment()):
        secrets.update(_passwords(address))
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    for pattern in (_PASSWORD_IN_TEXT, _USER, _PARAMETER):
        text = pattern.sub(rf"\1{HIDDEN}", text)
    return text


def redact_likely_secrets(text: str) -> str:
    """Replace what looks like a secret in a text of unknown people, such as a quoted log.

    These are values after words such as ``password``, ``token`` and
    ``key``, and long random runs of letters and digits. It is a guess: a short password without
    such a word stays, and a harmless value may leave. :func:`redact` removes what is known.

    Args:
        text: any text; the time is linear in its length.
    """
    for pattern in _LIKELY_SECRETS:
        text = pattern.sub(rf"\1{HIDDEN}", text)
    return _RUN.sub(lambda run: HIDDEN if _is_random(run[0]) else run[0], text)


def _is_random(run: str) -> bool:
    changes = sum(
        (a.isalpha() and b.isdigit())
        or (a.isdigit() and b.isalpha())
        or (a.islower() and b.isupper())
        for a, b in pairwise(run)
    )
    return changes >= RANDOM_CHANGES * len(run)


def one_line(message: object, *addresses: str, limit: int = 300) -> str:
    """Return an error or another value as one redacted line, cut to ``limit`` characters."""
    return " ".join(redact(str(message), *addresses).split())[:limit]


def shorten(text: str, limit: int = 40) -> str:
    """Return a text for a message, cut to ``limit`` characters with dots where it was cut."""
    return text if len(text) <= limit else f"{text[:limit]}..."


def _passwords(address: str) -> Iterator[str]:
    for pattern in (_PASSWORD, _USER, _PARAMETER):
        for match in pattern.finditer(address):
            yield from {match["secret"], unquote(match["secret"])} - {HIDDEN}


def _addresses_in_environment() -> Iterator[str]:
    return (value for value in os.environ.values() if "://" in value and any(_passwords(value)))


def _secrets_in_environment() -> Iterator[str]:
    for name, value in os.environ.items():
        if SECRET_VARIABLE.search(name.upper()) and len(value) >= SHORTEST_SECRET:
            yield value
