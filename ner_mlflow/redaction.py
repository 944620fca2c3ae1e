"""Keep secrets out of everything that is printed, logged or tracked."""

import os
import re
from collections.abc import Iterator
from urllib.parse import unquote

HIDDEN = "***"
SECRET_VARIABLE = re.compile(r"(?:PASSWORD|PASSWD|TOKEN|SECRET|SECRET_KEY|API_KEY|ACCESS_KEY)$")
"""Names of environment variables whose values are secrets."""
SHORTEST_SECRET = 6
"""Characters. Shorter values are not replaced, since they may be part of ordinary words."""
# Greedy up to the last @: a password may hold any character.
_PASSWORD = re.compile(r"(?<=://)([^:/?#@\s]*:)(?P<secret>.+)(?=@)")
_PASSWORD_IN_TEXT = re.compile(r"(?<=://)([^:/?#@\s]*:)(?P<secret>[^\s'\"]+)(?=@)")
_PARAMETER = re.compile(
    r"([?&](?:password|passwd|sslpassword|token)=)(?P<secret>[^&\s'\"]+)", re.IGNORECASE
)


def redact_address(address: str) -> str:
    """Replace the password of one address by ``***``, before the host or among the parameters."""
    for pattern in (_PASSWORD, _PARAMETER):
        address = pattern.sub(rf"\1{HIDDEN}", address)
    return address


def redact(text: str, *addresses: str) -> str:
    """Remove every secret from a text that may quote addresses, such as an error message.

    Args:
        text: any text.
        addresses: addresses whose passwords may also appear on their own. Passwords and tokens in
            environment variables are always removed.
    """
    for address in (*addresses, *_addresses_in_environment()):
        text = text.replace(address, redact_address(address))
    secrets = {*_secrets_in_environment()}
    for address in (*addresses, *_addresses_in_environment()):
        secrets.update(_passwords(address))
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    for pattern in (_PASSWORD_IN_TEXT, _PARAMETER):
        text = pattern.sub(rf"\1{HIDDEN}", text)
    return text


def one_line(message: object, *addresses: str, limit: int = 300) -> str:
    """Return an error or another value as one redacted line, cut to ``limit`` characters."""
    return " ".join(redact(str(message), *addresses).split())[:limit]


def shorten(text: str, limit: int = 40) -> str:
    """Return a text for a message, cut to ``limit`` characters with dots where it was cut."""
    return text if len(text) <= limit else f"{text[:limit]}..."


def _passwords(address: str) -> Iterator[str]:
    for pattern in (_PASSWORD, _PARAMETER):
        for match in pattern.finditer(address):
            yield from {match["secret"], unquote(match["secret"])} - {HIDDEN}


def _addresses_in_environment() -> Iterator[str]:
    return (value for value in os.environ.values() if "://" in value and any(_passwords(value)))


def _secrets_in_environment() -> Iterator[str]:
    for name, value in os.environ.items():
        if SECRET_VARIABLE.search(name.upper()) and len(value) >= SHORTEST_SECRET:
            yield value
