"""Addresses of databases and servers as they may be shown."""

import re
from urllib.parse import unquote

HIDDEN = "***"
# To the last @: a password may hold any character, and one that breaks the address is to be hidden all the same.
_PASSWORD = re.compile(r"(?<=://)([^:/?#@\s]*:)(?P<secret>.+)(?=@)")
_PARAMETER = re.compile(r"([?&](?:password|passwd|sslpassword|token)=)(?P<secret>[^&\s]+)", re.IGNORECASE)


def without_password(address: str) -> str:
    """The address with ``***`` for its password, whether that stands before the host or among the parameters; others unchanged."""
    for pattern in (_PASSWORD, _PARAMETER):
        address = pattern.sub(rf"\1{HIDDEN}", address)
    return address


def hide_password(text: str, address: str) -> str:
    """A text that may quote an address or its password, an error's say, without either."""
    text = text.replace(address, without_password(address))
    for pattern in (_PASSWORD, _PARAMETER):
        for found in pattern.finditer(address):
            for secret in {found["secret"], unquote(found["secret"])}:
                text = text.replace(secret, HIDDEN)
    return text
