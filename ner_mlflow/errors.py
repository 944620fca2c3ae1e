"""Errors for users: each message names a value, where it is and how to fix it, on one line."""

_CONTROLS = {
    code: repr(chr(code))[1:-1] for code in (*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029)
}
"""Characters that break a line or steer a terminal -> their escapes, such as ``\\n``."""


class NerError(Exception):
    """Base of all errors that a user can fix; commands print the message and exit with status 1.

    A message may quote a file: control characters in it are shown as escapes, on one line.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message.translate(_CONTROLS))


class ConfigError(NerError):
    """A setting is unknown, has the wrong type, or contradicts another."""


class DataError(NerError):
    """A corpus or a prepared dataset cannot be read, or does not fit the settings."""


class ModelError(NerError):
    """A backbone, a checkpoint or an exported model is missing, broken or does not fit the data."""


class TrackingError(NerError):
    """The tracking server, the registry or the artifact store fails or cannot be reached."""
